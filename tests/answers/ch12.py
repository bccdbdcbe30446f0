"""Answers to the exercises of chapter 12, deep clustering."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from answers import Answers
from common.signal.k_means import k_means


def agreements(masks: Tensor, truth: Tensor) -> Tensor:
    """Sums of products, (s, k)."""
    return torch.einsum("sfn,kfn->sk", truth, masks)


def all_orders(masks: Tensor, truth: Tensor) -> list[int]:
    best, most = None, -float("inf")
    for order in permutations(range(len(truth))):
        total = sum(float((masks[k] * truth[s]).sum()) for s, k in enumerate(order))
        if total > most:
            best, most = list(order), total
    return best


def by_assignment(masks: Tensor, truth: Tensor) -> np.ndarray:
    return linear_sum_assignment(agreements(masks, truth).numpy(), maximize=True)[1]


def nearest_in_squares(masks: Tensor, truth: Tensor) -> Tensor:
    orders = torch.tensor(list(permutations(range(len(truth)))))
    errors = (masks[orders] - truth).square().sum(dim=(1, 2, 3))
    return orders[errors.argmin()]


def ordered_by(table: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., list[int]]:
    """The best order for another table (s, k) than the sums of products."""
    return lambda masks, truth: linear_sum_assignment(-table(masks, truth).numpy())[1].tolist()


def one_after_another(masks: Tensor, truth: Tensor) -> list[int]:
    order: list[int] = []
    for row in agreements(masks, truth):
        order.append(max(set(range(len(row))) - set(order), key=lambda k: float(row[k])))
    return order


def best_pair_first(masks: Tensor, truth: Tensor) -> list[int]:
    table = agreements(masks, truth)
    order = [0] * len(table)
    for _ in order:
        s, k = divmod(int(table.argmax()), len(table))
        order[s] = k
        table[s], table[:, k] = -1, -1
    return order


def inverse_permutation(masks: Tensor, truth: Tensor) -> list[int]:
    return np.argsort(by_assignment(masks, truth)).tolist()


def correlations(masks: Tensor, truth: Tensor) -> Tensor:
    lengths = truth.norm(dim=(1, 2))[:, None] * masks.norm(dim=(1, 2))
    return agreements(masks, truth) / lengths


def owned_in_common(masks: Tensor, truth: Tensor) -> Tensor:
    hard = [functional.one_hot(x.argmax(0), len(x)).permute(2, 0, 1) for x in (masks, truth)]
    return agreements(hard[0].float(), hard[1].float())


def absolute_differences(masks: Tensor, truth: Tensor) -> Tensor:
    return -(truth[:, None] - masks).abs().sum(dim=(2, 3))


BEST_ORDER = Answers(
    right={
        "all orders, looped": all_orders,
        "SciPy's assignment, as an array": by_assignment,
        "squared errors, as a tensor": nearest_in_squares,
    },
    wrong={
        "one source after another": (one_after_another, "choose one after another"),
        "the best pair first": (best_pair_first, "choose one after another"),
        "each for itself": (lambda m, t: agreements(m, t).argmax(1), "exactly once"),
        "the inverse permutation": (inverse_permutation, "This is the inverse permutation"),
        "correlations": (ordered_by(correlations), "do not divide them by the norms"),
        "bins owned in common": (ordered_by(owned_in_common), "counts the bins in common"),
        "absolute differences": (ordered_by(absolute_differences), "sum of the products over all"),
        "masks in their order": (
            lambda m, t: list(range(len(t))),
            "even if the clusters are the true masks",
        ),
    },
)


def balanced_by_shares(weights: Tensor, labels: Tensor) -> Tensor:
    total = weights @ labels
    share = torch.where(total > 0, 1 / total, 0)
    return weights * (labels @ share) / (total > 0).sum().clamp(min=1)


def balanced_source_by_source(weights: Tensor, labels: Tensor) -> Tensor:
    new = torch.zeros_like(weights)
    for s in range(labels.shape[1]):
        mine = labels[:, s] == 1
        if weights[mine].sum() > 0:
            new[mine] = weights[mine] / weights[mine].sum()
    return new / new.sum() if new.sum() > 0 else new


def balanced_in_numpy(weights: Tensor, labels: Tensor) -> np.ndarray:
    w, owner = weights.numpy().astype(np.float64), labels.numpy().argmax(1)
    total = np.bincount(owner, w, minlength=labels.shape[1])
    new = w / np.maximum(total[owner], 1e-12)
    return new / max(new.sum(), 1e-12)


def balanced_with_a_floor(weights: Tensor, labels: Tensor) -> Tensor:
    new = weights / ((weights @ labels) @ labels.mT + 1e-12)
    return new / (new.sum() + 1e-12)


def balanced_in_place(weights: Tensor, labels: Tensor) -> Tensor:
    weights /= ((weights @ labels) @ labels.mT).clamp(min=1e-12)
    weights /= weights.sum().clamp(min=1e-12)
    return weights


def equal_bins(weights: Tensor, labels: Tensor) -> Tensor:
    owned = labels * (weights > 0)[:, None]
    new = (owned / owned.sum(0).clamp(min=1)).sum(1)
    return new / new.sum().clamp(min=1e-12)


def per_bin_count(weights: Tensor, labels: Tensor) -> Tensor:
    new = weights / (labels @ labels.sum(0))
    return new / new.sum().clamp(min=1e-12)


def never_divided(weights: Tensor, labels: Tensor) -> Tensor:
    return weights / ((weights @ labels) @ labels.mT).clamp(min=1e-12)


BALANCED_WEIGHTS = Answers(
    right={
        "by shares": balanced_by_shares,
        "source by source": balanced_source_by_source,
        "in NumPy, in float64": balanced_in_numpy,
        "with a floor under the division": balanced_with_a_floor,
    },
    wrong={
        "as they were": (lambda w, o: w / w.sum().clamp(min=1e-12), "add up to the same total"),
        "the same for each bin": (equal_bins, "keep their proportions"),
        "divided by the number of bins": (per_bin_count, "add up to the same total"),
        "one for each source": (never_divided, "sum of all weights should be 1"),
        "absent sources counted": (
            lambda w, o: never_divided(w, o) / o.shape[1],
            "dominates no bin",
        ),
        "NaN for an absent source": (
            lambda w, o: ((o * w[:, None]) / (w @ o) / (o.sum(0) > 0).sum()).sum(1),
            "dominates no bin gives NaN",
        ),
        "NaN in silence": (
            lambda w, o: never_divided(w, o) / never_divided(w, o).sum(),
            "In silence all weights",
        ),
        "one weight per bin and source": (
            lambda w, o: o * balanced_by_shares(w, o)[:, None],
            "One weight per bin",
        ),
        "in place": (balanced_in_place, "Leave the given weights unchanged"),
    },
)


def on_the_sphere(
    near: Callable[[Tensor, Tensor], Tensor] = lambda p, c: p @ c.mT,
    weighted: bool = True,
    normalise: str = "each",
    empty: str = "stays",
    n_rounds: int | None = None,
) -> Callable[[Tensor, Tensor, Tensor, int], Tensor]:
    """K-means with a choice of mistakes."""

    def cluster(points: Tensor, weights: Tensor, centroids: Tensor, n_iter: int) -> Tensor:
        for _ in range(n_iter if n_rounds is None else min(n_iter, n_rounds)):
            owned = functional.one_hot(near(points, centroids).argmax(-1), len(centroids))
            owned = owned * weights[:, None] if weighted else owned.float()
            total = owned.sum(0)[:, None]
            moved = owned.mT @ points / (total if empty == "nan" else total.clamp(min=1e-12))
            if normalise == "each":
                moved = functional.normalize(moved, dim=-1)
            centroids = torch.where(total > 0, moved, centroids) if empty == "stays" else moved
        return functional.normalize(centroids, dim=-1) if normalise == "last" else centroids

    return cluster


def on_the_sphere_in_numpy(
    points: Tensor, weights: Tensor, centroids: Tensor, n_iter: int
) -> np.ndarray:
    points, weights = points.numpy().astype(np.float64), weights.numpy()
    centroids = centroids.numpy().astype(np.float64)
    for _ in range(n_iter):
        nearest = np.argmax(points @ centroids.T, axis=1)
        for k in range(len(centroids)):
            mine = nearest == k
            if mine.any():
                middle = np.average(points[mine], axis=0, weights=weights[mine])
                centroids[k] = middle / np.linalg.norm(middle)
    return centroids


def on_the_sphere_in_place(
    points: Tensor, weights: Tensor, centroids: Tensor, n_iter: int
) -> Tensor:
    for _ in range(n_iter):
        nearest = (points @ centroids.mT).argmax(-1)
        for k in nearest.unique():
            middle = (weights[nearest == k, None] * points[nearest == k]).sum(0)
            centroids[k] = middle / middle.norm()
    return centroids


SPHERICAL_KMEANS = Answers(
    right={
        "vectorised": on_the_sphere(),
        "nearest by distance": on_the_sphere(lambda p, c: -torch.cdist(p, c)),
        "nearest by angle": on_the_sphere(
            lambda p, c: functional.cosine_similarity(p[:, None], c, dim=-1)
        ),
        "looped, in NumPy": on_the_sphere_in_numpy,
    },
    wrong={
        "inside the sphere": (on_the_sphere(normalise="never"), "divide every mean by its length"),
        "brought to length one at the end": (on_the_sphere(normalise="last"), "in every round"),
        "without weights": (on_the_sphere(weighted=False), "without the weights"),
        "one round only": (on_the_sphere(n_rounds=1), "Repeat `n_iter` times"),
        "the farthest centroid": (on_the_sphere(lambda p, c: -(p @ c.mT)), "largest inner product"),
        "NaN for an empty centroid": (on_the_sphere(empty="nan"), "without points became NaN"),
        "zero for an empty centroid": (on_the_sphere(empty="zero"), "should stay where it is"),
        "in place": (on_the_sphere_in_place, "Leave the given centroids unchanged"),
    },
)


def spread(embeddings: Tensor, weights: Tensor) -> Tensor:
    return (embeddings * weights[:, None]).mT @ embeddings


def by_eigenvalues(embeddings: Tensor, weights: Tensor, least: float = 0.05) -> int:
    values = torch.linalg.eigvalsh(spread(embeddings, weights))
    return int((values > least * values.sum()).sum())


def by_singular_values(embeddings: Tensor, weights: Tensor, least: float = 0.05) -> np.integer:
    scaled = embeddings.numpy().astype(np.float64) * np.sqrt(weights.numpy())[:, None]
    values = np.linalg.svd(scaled, compute_uv=False) ** 2
    return np.sum(values / values.sum() > least)


def point_by_point(embeddings: Tensor, weights: Tensor, least: float = 0.05) -> Tensor:
    total = torch.zeros(embeddings.shape[1], embeddings.shape[1], dtype=torch.double)
    for point, weight in zip(embeddings.double(), weights.double(), strict=True):
        total += weight * torch.outer(point, point)
    values = torch.linalg.eigvalsh(total / total.trace())
    return (values > least).sum()


def counted(
    values: Callable[[Tensor, Tensor], Tensor],
    total: Callable[[Tensor], Tensor] = torch.sum,
) -> Callable[..., int]:
    """Count other values, or against another total."""

    def count(embeddings: Tensor, weights: Tensor, least: float = 0.05) -> int:
        found = values(embeddings, weights)
        return int((found > least * total(found)).sum())

    return count


def eigenvalues(embeddings: Tensor, weights: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(spread(embeddings, weights))


def without_the_mean(embeddings: Tensor, weights: Tensor) -> Tensor:
    mean = (embeddings * weights[:, None]).sum(0) / weights.sum()
    return eigenvalues(embeddings - mean, weights)


COUNT_SOURCES = Answers(
    right={
        "eigenvalues": by_eigenvalues,
        "singular values, in NumPy": by_singular_values,
        "point by point": point_by_point,
    },
    wrong={
        "without weights": (
            counted(lambda p, w: eigenvalues(p, torch.ones_like(w))),
            "as if all weights were equal",
        ),
        "of the largest": (counted(eigenvalues, torch.max), "compare with the largest eigenvalue"),
        "of nothing": (
            counted(eigenvalues, lambda values: torch.ones(())),
            "scale of the weights",
        ),
        "singular values not squared": (
            counted(lambda p, w: torch.linalg.svdvals(p * w.sqrt()[:, None])),
            "compare square roots",
        ),
        "weights squared": (
            counted(lambda p, w: torch.linalg.svdvals(p * w[:, None]).square()),
            "appear once",
        ),
        "without the mean": (counted(without_the_mean), "subtract the mean"),
        "the rank": (
            lambda p, w, least: int(torch.linalg.matrix_rank(spread(p, w), rtol=0.01)),
            "depend on `least`",
        ),
    },
)


def drawn(points: Tensor, weights: Tensor, n_clusters: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return points[torch.multinomial(weights, n_clusters, generator=generator)]


def best_of_many(points: Tensor, weights: Tensor, n_clusters: int) -> Tensor:
    def loss(centroids: Tensor) -> float:
        return float((weights * torch.cdist(points, centroids).square().amin(dim=1)).sum())

    starts = (drawn(points, weights, n_clusters, seed) for seed in range(15))
    return min((k_means(points, weights, start) for start in starts), key=loss)


def farthest(weigh: bool = True, first: str = "loudest") -> Callable[..., Tensor]:
    """Add the point with the largest squared distance, times its weight, to the nearest chosen."""

    def choose(points: Tensor, weights: Tensor, n_clusters: int) -> Tensor:
        chosen = [int(weights.argmax()) if first == "loudest" else 0]
        while len(chosen) < n_clusters:
            distance = torch.cdist(points, points[chosen]).square().amin(dim=1)
            chosen.append(int((distance * weights if weigh else distance).argmax()))
        return points[chosen]

    return choose


def farthest_of_the_louder_half(points: Tensor, weights: Tensor, n_clusters: int) -> Tensor:
    loud = weights > weights.median()
    return farthest(weigh=False)(points[loud], weights[loud], n_clusters)


def farthest_in_numpy(points: Tensor, weights: Tensor, n_clusters: int) -> np.ndarray:
    x, w = points.numpy().astype(np.float64), weights.numpy()
    start = [x[np.argmax(w)]]
    for _ in range(n_clusters - 1):
        distance = np.min([np.sum((x - c) ** 2, axis=1) for c in start], axis=0)
        start.append(x[np.argmax(distance * w)])
    return np.stack(start)


STARTING_POINTS = Answers(
    right={
        "the best of many starts": best_of_many,
        "far from each other, weighted": farthest(),
        "far from each other, in the louder half": farthest_of_the_louder_half,
        "far from each other, in NumPy": farthest_in_numpy,
    },
    wrong={
        "drawn by weight, once": (drawn, "Compare several starts"),
        "the first points": (lambda p, w, k: p[:k], "Compare several starts"),
        "the loudest points": (lambda p, w, k: p[w.topk(k).indices], "loudest bins"),
        "far from each other, without weights": (farthest(weigh=False), "start from quiet bins"),
        "the mean, repeated": (
            lambda p, w, k: (p * w[:, None]).sum(0).expand(k, -1) / w.sum(),
            "starting points are equal",
        ),
        "the points of one fewer": (lambda p, w, k: drawn(p, w, k - 1), "Return `n_clusters`"),
        "an assignment": (lambda p, w, k: torch.arange(len(p)) % k, "Return `n_clusters`"),
    },
)

ANSWERS = {
    "best_order": BEST_ORDER,
    "balanced_weights": BALANCED_WEIGHTS,
    "spherical_kmeans": SPHERICAL_KMEANS,
    "count_sources": COUNT_SOURCES,
    "starting_points": STARTING_POINTS,
}
