"""Checks of chapter 12, deep clustering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from common.checks import check, expect, expect_close
from common.checks.tensors import tensor
from common.signal.k_means import k_means

SHARES = (0.35, 0.25, 0.15, 0.1, 0.1, 0.05)
"""The share of the bins in each cluster of exercise 5."""
GOOD_START = 0.94
"""Exercise 5: the share of the weight in the right cluster after a good start."""
QUIET = 0.02
"""Exercise 5: the weight below which a bin belongs to no cluster."""


@check
def best_order(function: Callable[[Tensor, Tensor], Sequence[int]]) -> str:
    """Exercise 1: the oracle permutation."""
    owner = torch.randint(4, (6, 9), generator=torch.Generator().manual_seed(0))
    truth = functional.one_hot(owner, 4).permute(2, 0, 1).float()
    order = [2, 0, 3, 1]
    back = [1, 3, 0, 2]
    found = order_of(function, truth[back], truth)
    hint = "This is the inverse permutation: `order[s]` should be the cluster of source `s`."
    expect(found != back, hint)
    hint = "Your order is wrong even if the clusters are the true masks, permuted."
    expect(found == order, hint)
    generator = torch.Generator().manual_seed(47)
    masks = torch.rand(4, 8, 9, generator=generator)
    truth = torch.rand(4, 8, 9, generator=generator) * torch.tensor([4.0, 2, 1, 3])[:, None, None]
    agreement = torch.einsum("sfn,kfn->sk", truth, masks)
    lengths = truth.norm(dim=(1, 2))[:, None] * masks.norm(dim=(1, 2))
    owned = functional.one_hot(truth.argmax(dim=0), 4) + 0.0
    given = functional.one_hot(masks.argmax(dim=0), 4) + 0.0
    found = order_of(function, masks, truth)
    hint = "Add the products as they are: do not divide them by the norms of the masks."
    expect(found != best_of(agreement / lengths), hint)
    hint = "Your order counts the bins in common: add the products, without rounding the masks."
    expect(found != best_of(torch.einsum("fns,fnk->sk", owned, given)), hint)
    # Both sources agree best with cluster 0, but the second one agrees with no other.
    masks = torch.tensor([[9.0, 8.0, 0.0], [7.0, 0.0, 0.0], [0.0, 0.0, 5.0]]).T[:, None]
    truth = torch.eye(3)[:, None]
    hint = (
        "If the sources choose one after another, or the best pair first, the sum over all "
        "sources need not be the largest."
    )
    expect(order_of(function, masks, truth) != [0, 1, 2], hint)
    hint = "The sum of the products over all sources can be larger."
    expect(order_of(function, masks, truth) == [1, 0, 2], hint)
    expect(found == best_of(agreement), hint)
    return "The order in which all sources together agree best with their clusters."


def order_of(function: Callable, masks: Tensor, truth: Tensor) -> list[int]:
    """The answer's order, which must contain each cluster once."""
    order = [int(k) for k in function(masks, truth)]
    hint = f"`order` should contain each cluster exactly once, and yours is {order}."
    expect(sorted(order) == list(range(len(truth))), hint)
    return order


def best_of(table: Tensor) -> list[int]:
    """The order with the largest sum in a table (s, k)."""
    sources = torch.arange(len(table))
    orders = permutations(range(len(table)))
    return list(max(orders, key=lambda order: float(table[sources, list(order)].sum())))


@check
def balanced_weights(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: the same total weight for every source."""
    weights = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1, 0.0])
    labels = functional.one_hot(torch.tensor([0, 0, 0, 2, 1, 1]), 3).float()
    before = weights.clone()
    got = torch.as_tensor(function(weights, labels)).float()
    expect(torch.equal(weights, before), "Leave the given weights unchanged.")
    expect(got.shape == (6,), f"One weight per bin: shape (6,), not {tuple(got.shape)}.")
    expect(got.isfinite().all(), "There is a NaN or an infinity.")
    expect_close(got.sum(), 1.0, "The sum of all weights should be 1.")
    ratios = torch.tensor([4.0, 3.0, 1.0])
    hint = "Within one source, the weights should keep their proportions."
    expect_close(got[:3] * ratios[2] / got[2], ratios, hint)
    expect(got[5] == 0, "A silent bin should keep the weight 0.")
    hint = "The weights of each source's bins should add up to the same total."
    expect_close(got @ labels, torch.full((3,), 1 / 3), hint)
    absent = torch.as_tensor(function(weights, functional.pad(labels, (0, 1)))).float()
    expect(absent.isfinite().all(), "A source that dominates no bin gives NaN: check the division.")
    hint = "A source that dominates no bin should not change the weights of the others."
    expect_close(absent, got, hint)
    muted = torch.as_tensor(function(weights * (1 - labels[:, 1]), labels)).float()
    expect(muted.isfinite().all(), "A source that dominates only silent bins gives NaN.")
    hint = "A source that dominates only silent bins should get no part of the sum."
    expect_close(muted.sum(), 1.0, hint)
    silent = torch.as_tensor(function(0 * weights, labels)).float()
    expect((silent == 0).all(), "In silence all weights should be zero, and none of them NaN.")
    return "Each of the three sources has a third of the weight."


@check
def spherical_kmeans(function: Callable[[Tensor, Tensor, Tensor, int], Tensor]) -> str:
    """Exercise 3: k-means on the sphere."""
    generator = torch.Generator().manual_seed(2)
    middles = functional.normalize(torch.randn(3, 5, generator=generator), dim=-1)
    points = middles.repeat(40, 1) + 0.5 * torch.randn(120, 5, generator=generator)
    points = functional.normalize(points, dim=-1)
    weights = torch.rand(120, generator=generator)
    start = functional.normalize(middles + 0.6 * torch.randn(3, 5, generator=generator), dim=-1)
    given = start.clone()
    hint = "For `n_iter` = 0, return the given centroids."
    expect_close(function(points, weights, start, 0), given, hint)
    rounds = [given]
    for n_iter in (1, 2, 3, 4):
        rounds.append(one_round(points, weights, rounds[-1]))
        got = torch.as_tensor(function(points, weights, start, n_iter)).float()
        expect(torch.equal(start, given), "Leave the given centroids unchanged.")
        expect(got.shape == (3, 5), f"Shape (k, d) = (3, 5), not {tuple(got.shape)}.")
        hint = "Centroids have length one: divide every mean by its length."
        expect_close(got.norm(dim=-1), torch.ones(3), hint)
        if n_iter == 1:
            plain = one_round(points, torch.ones(120), given)
            hint = "This is the result without the weights: a loud bin should count more."
            expect(not torch.allclose(got, plain, atol=1e-4), hint)
            hint = (
                "The centroids are wrong after one round: each should be the weighted mean of the "
                "points that have their largest inner product with it, divided by its length."
            )
            expect_close(got, rounds[1], hint)
        hint = f"Repeat `n_iter` times: after {n_iter} rounds you return the result of one."
        expect(n_iter == 1 or not torch.allclose(got, rounds[1], atol=1e-4), hint)
        hint = (
            f"One round is right, but {n_iter} are not: divide the means by their length in every "
            "round, before the next assignment."
        )
        expect_close(got, rounds[-1], hint)
    lonely = torch.cat([given, -points.mean(dim=0, keepdim=True)])
    lonely[3] /= lonely[3].norm()
    nobody = (points @ lonely.mT).argmax(dim=-1).ne(3)
    got = torch.as_tensor(function(points[nobody], weights[nobody], lonely, 1)).float()
    expect(got.isfinite().all(), "A centroid without points became NaN.")
    expect_close(got[3], lonely[3], "A centroid without points should stay where it is.")
    return "On the sphere the nearest centroid is the one with the largest inner product."


def one_round(points: Tensor, weights: Tensor, centroids: Tensor) -> Tensor:
    """Move each centroid once; all of them have points."""
    nearest = (points @ centroids.mT).argmax(dim=-1)
    owned = functional.one_hot(nearest, len(centroids)) * weights[:, None]
    return functional.normalize(owned.mT @ points, dim=-1)


@check
def count_sources(function: Callable[[Tensor, Tensor, float], int]) -> str:
    """Exercise 4: how many sources there are."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.linalg.qr(torch.randn(10, 10, generator=generator)).Q
    for n_sources in (2, 1, 4, 7):
        owner = torch.arange(700) % n_sources
        embeddings = corners[owner] + 0.02 * torch.randn(700, 10, generator=generator)
        embeddings = functional.normalize(embeddings, dim=-1)
        weights = torch.rand(700, generator=generator)
        got = int(function(embeddings, weights / weights.sum(), 0.05))
        hint = "Use the embeddings as they are: do not subtract the mean."
        expect(n_sources != 2 or got != 1, hint)
        expect(got == n_sources, f"For {n_sources} orthogonal cluster(s) you count {got}.")
    # Seven sources with these shares of the weight; the last one has few bins.
    shares = torch.tensor([0.6, 0.2, 0.1, 0.045, 0.028, 0.015, 0.012])
    n_bins = torch.tensor([113] * 6 + [22])
    embeddings = corners[:7].repeat_interleave(n_bins, dim=0)
    weights = (shares / n_bins).repeat_interleave(n_bins)
    got = int(function(embeddings, weights, 0.05))
    hint = "The count should depend on `least`: at 0.3 fewer sources are large enough than at 0.05."
    expect(int(function(embeddings, weights, 0.3)) != got, hint)
    hints = {
        6: "You count as if all weights were equal: soft sources should have small eigenvalues.",
        4: "You compare with the largest eigenvalue: use the sum of all eigenvalues.",
        7: "You compare square roots: square the singular values to get eigenvalues.",
        2: "Each weight should appear once: if it multiplies both factors, it is squared.",
    }
    hint = f"Three of seven sources have more than 0.05 of the sum here, and you count {got}."
    expect(got == 3, hints.get(got, hint))
    hint = "The scale of the weights changes your count: compare with the sum of the eigenvalues."
    expect(int(function(embeddings, 100 * weights, 0.05)) == 3, hint)
    return "Each cluster that is orthogonal to the others gives one large eigenvalue."


@check
def starting_points(function: Callable[[Tensor, Tensor, int], Tensor]) -> str:
    """Exercise 5: starting points for k-means, measured by the clusters that it finds."""
    reached, plain, mistakes = [], [], []
    for seed in range(20):
        points, weights, owner = _clustered_points(seed)
        n_clusters = len(SHARES)
        start = tensor(function(points.clone(), weights.clone(), n_clusters))
        hint = f"Return `n_clusters` centroids: the shape is ({n_clusters}, {points.shape[1]})."
        expect(start.shape == (n_clusters, points.shape[1]), hint)
        expect(start.isfinite().all(), "A starting point is infinite or NaN.")
        hint = "Two starting points are equal, so k-means cannot separate their clusters."
        expect(torch.pdist(start).min() > 1e-4, hint)
        reached.append(_rightly_clustered(points, weights, owner, start))
        random = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
        plain.append(_rightly_clustered(points, weights, owner, points[random[:n_clusters]]))
        chosen = weights[torch.cdist(start, points).argmin(dim=1)]
        mistakes.append([bool((chosen < QUIET).any()), bool((chosen > 0.9).all())])
    got, random = (sum(shares) / len(shares) for shares in (reached, plain))
    often_quiet, always_loud = (sum(x) > 15 for x in zip(*mistakes, strict=True))
    hint = "Compare several starts by the loss of k-means, which needs no true clusters."
    if often_quiet:
        hint = "You often start from quiet bins, which belong to no cluster: use the weights."
    if always_loud:
        hint = "The loudest bins are often in the same cluster: spread the points out."
    numbers = f"{got:.0%} of the weight is in the right cluster, from random points {random:.0%}"
    expect(got >= GOOD_START, f"{numbers}; a good answer reaches {GOOD_START:.0%}. {hint}")
    return f"{numbers}."


def _clustered_points(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors (i, d), their weights (i,), and which cluster each belongs to; -1: to none."""
    generator = torch.Generator().manual_seed(seed)
    middles = functional.normalize(torch.randn(len(SHARES), 10, generator=generator), dim=-1)
    shares = torch.tensor(SHARES)
    owner = torch.multinomial(shares, 300, replacement=True, generator=generator)
    points = middles[owner] + 0.18 * torch.randn(300, 10, generator=generator)
    weights = QUIET + (1 - QUIET) * torch.rand(300, generator=generator)
    points = torch.cat([points, torch.randn(150, 10, generator=generator)])
    weights = torch.cat([weights, QUIET * torch.rand(150, generator=generator)])
    owner = functional.pad(owner, (0, 150), value=-1)
    return functional.normalize(points, dim=-1), weights, owner


def _rightly_clustered(points: Tensor, weights: Tensor, owner: Tensor, start: Tensor) -> float:
    """The share of the weight that k-means puts into the right cluster, with the best names."""
    centroids = k_means(points, weights, start, n_iter=50)
    points, weights, owner = (x[owner >= 0] for x in (points, weights, owner))
    nearest = functional.one_hot(torch.cdist(points, centroids).argmin(dim=-1), len(SHARES))
    table = (nearest * weights[:, None]).T @ functional.one_hot(owner, len(SHARES)).float()
    cluster, source = linear_sum_assignment(table.numpy(), maximize=True)
    return float(table[cluster, source].sum() / weights.sum())
