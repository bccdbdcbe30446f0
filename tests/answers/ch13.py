"""Answers to the exercises of chapter 13, Chimera."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy, deepcopy
from fractions import Fraction
from itertools import product

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from answers import Answers
from common.models.chimera import Chimera, ChimeraOutput


def equal_by_norms(by_masks: Tensor, by_embeddings: Tensor) -> float:
    g_masks, g_embeddings = by_masks.norm(), by_embeddings.norm()
    return (g_masks / (g_masks + g_embeddings)).item()


def equal_in_numpy(by_masks: Tensor, by_embeddings: Tensor) -> np.floating:
    ratio = np.linalg.norm(by_embeddings.numpy()) / np.linalg.norm(by_masks.numpy())
    return 1 / (1 + ratio)


def equal_by_bisection(by_masks: Tensor, by_embeddings: Tensor) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        shorter = (middle * by_embeddings).norm() < ((1 - middle) * by_masks).norm()
        low, high = (middle, high) if shorter else (low, middle)
    return low


def equal_number_by_number(by_masks: Tensor, by_embeddings: Tensor) -> Tensor:
    masks, embeddings = (
        math.sqrt(sum(float(x) ** 2 for x in gradient)) for gradient in (by_masks, by_embeddings)
    )
    return torch.tensor(masks / (masks + embeddings), dtype=torch.double)


def share(size: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], float]:
    """The share of the masks in another size than the length."""
    return lambda masks, embeddings: float(size(masks) / (size(masks) + size(embeddings)))


BALANCED_WEIGHT = Answers(
    right={
        "by norms": equal_by_norms,
        "by their ratio, in NumPy": equal_in_numpy,
        "by bisection": equal_by_bisection,
        "number by number": equal_number_by_number,
    },
    wrong={
        "the wrong way round": (
            lambda m, p: 1 - equal_by_norms(m, p),
            "weight for the masks",
        ),
        "a ratio": (lambda m, p: float(m.norm() / p.norm()), "between 0 and 1"),
        "squared lengths": (share(lambda x: x.square().sum()), "take the root"),
        "absolute values": (share(lambda x: x.abs().sum()), "absolute values"),
        "the largest entries": (share(lambda x: x.abs().max()), "sum of squares"),
        "one half": (lambda m, p: 0.5, "depend on the gradients"),
    },
)


def centroids_by_matrices(embeddings: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    owned = masks * weights[:, None]
    return owned.mT @ embeddings / owned.sum(0)[:, None].clamp(min=1e-12)


def centroids_in_numpy(embeddings: Tensor, masks: Tensor, weights: Tensor) -> np.ndarray:
    x, m, w = (t.numpy().astype(np.float64) for t in (embeddings, masks, weights))
    found = np.zeros((m.shape[1], x.shape[1]))
    for s in range(m.shape[1]):
        if (m[:, s] * w).sum() > 0:
            found[s] = np.average(x, axis=0, weights=m[:, s] * w)
    return found


def centroids_by_einsum(embeddings: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    sums = torch.einsum("id,is,i->sd", embeddings, masks, weights)
    return (sums / torch.einsum("is,i->s", masks, weights)[:, None]).nan_to_num()


def centroids_bin_by_bin(embeddings: Tensor, masks: Tensor, weights: Tensor) -> list[Tensor]:
    found = []
    for mask in masks.mT:
        total, sum_ = 1e-9, torch.zeros(embeddings.shape[1])
        for embedding, m, w in zip(embeddings, mask, weights, strict=True):
            sum_ = sum_ + m * w * embedding
            total += m * w
        found.append(sum_ / total)
    return torch.stack(found)


def centroids_by_owners(embeddings: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    hard = functional.one_hot(masks.argmax(-1), masks.shape[1])
    return centroids_by_matrices(embeddings, hard, weights)


def centroids_in_place(embeddings: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    masks *= weights[:, None]
    return masks.mT @ embeddings / masks.sum(0)[:, None].clamp(min=1e-12)


def centroids_by_magnitude(embeddings: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    sums = (masks * weights[:, None]).mT @ embeddings
    return sums / weights.sum()


CENTROIDS_FROM_MASKS = Answers(
    right={
        "by matrices": centroids_by_matrices,
        "in NumPy, source by source": centroids_in_numpy,
        "by einsum": centroids_by_einsum,
        "bin by bin": centroids_bin_by_bin,
    },
    wrong={
        "without weights": (
            lambda p, m, w: centroids_by_matrices(p, m, torch.ones_like(w)),
            "loud bin should count",
        ),
        "without masks": (
            lambda p, m, w: centroids_by_matrices(p, torch.ones_like(m), w),
            "You do not use the masks",
        ),
        "hard masks": (centroids_by_owners, "use the soft masks"),
        "a sum": (lambda p, m, w: (m * w[:, None]).mT @ p, "That is a sum"),
        "divided by all weights": (centroids_by_magnitude, "the weights of all bins"),
        "on the sphere": (
            lambda p, m, w: functional.normalize(centroids_by_matrices(p, m, w), dim=-1),
            "Do not normalise",
        ),
        "NaN for a silent source": (
            lambda p, m, w: (m * w[:, None]).mT @ p / (m.mT @ w)[:, None],
            "everywhere gives NaN",
        ),
        "transposed": (lambda p, m, w: centroids_by_matrices(p, m, w).mT, "Centroids are (s, d)"),
        "in place": (centroids_in_place, "changed what you were given"),
    },
)


def flipped_by_products(differences: list[float]) -> float:
    measured = abs(sum(differences))
    sums = [
        abs(sum(s * x for s, x in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return sum(x >= measured - 1e-9 for x in sums) / len(sums)


def flipped_in_numpy(differences: list[float]) -> np.floating:
    x = np.asarray(differences)
    n = len(x)
    signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    means = np.abs((signs * x).mean(axis=1))
    return np.mean((means > abs(x.mean())) | np.isclose(means, abs(x.mean())))


def flipped_in_fractions(differences: list[float]) -> Fraction:
    exact = [Fraction(str(x)) for x in differences]

    def count(rest: list[Fraction], total: Fraction) -> int:
        if not rest:
            return int(abs(total) >= abs(sum(exact)))
        return count(rest[1:], total + rest[0]) + count(rest[1:], total - rest[0])

    return Fraction(count(exact, Fraction(0)), 2 ** len(exact))


def flipped_in_torch(differences: list[float]) -> Tensor:
    x = torch.tensor(differences, dtype=torch.double)
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=torch.double)] * len(x))
    means = (signs @ x).abs().round(decimals=6)
    return (means >= x.sum().abs().round(decimals=6)).double().mean()


def flipped(
    larger: Callable[[float, float], bool] = lambda x, measured: abs(x) >= abs(measured) - 1e-9,
    share: Callable[[int, int], float] = lambda count, n: count / n,
) -> Callable[[list[float]], float]:
    """Count other patterns, or make another share of the count."""

    def test(differences: list[float]) -> float:
        patterns = product((1, -1), repeat=len(differences))
        sums = [sum(s * x for s, x in zip(signs, differences, strict=True)) for signs in patterns]
        return share(sum(larger(x, sum(differences)) for x in sums), len(sums))

    return test


def flipped_at_random(differences: list[float]) -> float:
    generator = np.random.default_rng(0)
    signs = generator.choice([1, -1], size=(999, len(differences)))
    sums = np.abs(signs @ np.array(differences))
    return float(np.mean(sums >= abs(sum(differences)) - 1e-9))


def flipped_one_at_a_time(differences: list[float]) -> float:
    measured = sum(differences)
    sums = [measured, *(measured - 2 * x for x in differences)]
    return sum(abs(x) >= abs(measured) - 1e-9 for x in sums) / len(sums)


SIGN_FLIP_TEST = Answers(
    right={
        "by products": flipped_by_products,
        "in NumPy, by bits": flipped_in_numpy,
        "in fractions": flipped_in_fractions,
        "in torch, rounded": flipped_in_torch,
    },
    wrong={
        "one side only": (flipped(lambda x, m: x >= m - 1e-9), "test is two-sided"),
        "larger, not as large": (flipped(lambda x, m: abs(x) > abs(m) + 1e-9), "use at least"),
        "without the measured pattern": (
            flipped(share=lambda count, n: (count - 1) / n),
            "measured pattern is one of them",
        ),
        "one added above and below": (
            flipped(share=lambda count, n: (count + 1) / (n + 1)),
            "drawn at random",
        ),
        "a count": (flipped(share=lambda count, n: count), "share of the patterns"),
        "patterns at random": (flipped_at_random, "Try all patterns"),
        "one sign at a time": (flipped_one_at_a_time, "Try all patterns"),
        "no room for rounding": (flipped(lambda x, m: abs(x) >= abs(m)), "in the last digit"),
    },
)


class Probe(nn.Module):
    """A Chimera around another one, with a choice of embeddings to cut."""

    def __init__(self, net: Chimera, cut: str = "features", named: bool = True):
        super().__init__()
        self.net, self.cut, self.named = net, cut, named

    def forward(self, magnitude: Tensor) -> ChimeraOutput:
        c = magnitude.shape[1]
        x = self.net.log_magnitude(magnitude)
        x = x.detach() if self.cut == "input" else x
        features = self.net.stack(rearrange(x, "b c f n -> (b c) n f"))
        features = features.detach() if self.cut == "both" else features
        read = features.detach() if self.cut == "features" else features
        embeddings = self.net.embeddings(read)
        masks = self.net.masks(features.detach() if self.cut == "masks" else features)
        embeddings = embeddings.detach() if self.cut == "embeddings" else embeddings
        embeddings = rearrange(embeddings, "(b c) f n d -> b c f n d", c=c)
        masks = rearrange(masks, "(b c) s f n -> b s c f n", c=c)
        return ChimeraOutput(embeddings, masks) if self.named else (embeddings, masks)


class SecondPass(nn.Module):
    """The masks from the net itself, the embeddings from a second pass without gradients."""

    def __init__(self, net: Chimera):
        super().__init__()
        self.net = net

    def forward(self, magnitude: Tensor) -> ChimeraOutput:
        masks = self.net(magnitude).masks
        with torch.no_grad():
            x = self.net.log_magnitude(magnitude)
            features = self.net.stack(rearrange(x, "b c f n -> (b c) n f"))
        embeddings = self.net.embeddings(features)
        c = magnitude.shape[1]
        return ChimeraOutput(rearrange(embeddings, "(b c) f n d -> b c f n d", c=c), masks)


class Cut(nn.Module):
    """Pass values on, but no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


def with_a_cut_in_front_of_the_head(net: Chimera) -> Chimera:
    other = copy(net)
    other._modules = dict(net._modules)
    other.embeddings = nn.Sequential(Cut(), net.embeddings)
    return other


def with_a_hook_on_a_copy(net: Chimera) -> Chimera:
    other, head = copy(net), copy(net.embeddings)
    other._modules = dict(net._modules)
    head._forward_pre_hooks = type(head._forward_pre_hooks)()
    head.register_forward_pre_hook(lambda _, given: (given[0].detach(),))
    other.embeddings = head
    return other


def with_a_hook_on_the_net(net: Chimera) -> Chimera:
    net.embeddings.register_forward_pre_hook(lambda _, given: (given[0].detach(),))
    return net


def with_a_frozen_body(net: Chimera) -> Chimera:
    net.stack.requires_grad_(False)
    return net


PROBE = Answers(
    right={
        "a module around it": Probe,
        "a second pass": SecondPass,
        "a cut in front of the head": with_a_cut_in_front_of_the_head,
        "a hook on a copied head": with_a_hook_on_a_copy,
    },
    wrong={
        "the net itself": (lambda net: net, "still reaches the body"),
        "cut behind the head": (lambda net: Probe(net, "embeddings"), "not behind it"),
        "cut before both heads": (lambda net: Probe(net, "both"), "one branch, not both"),
        "cut before the masks": (lambda net: Probe(net, "masks"), "still reaches the body"),
        "cut before the body": (lambda net: Probe(net, "input"), "still reaches the body"),
        "copied weights": (lambda net: Probe(deepcopy(net)), "make no copies"),
        "a plain tuple": (lambda net: Probe(net, named=False), "should be a ChimeraOutput"),
        "a hook on the given net": (with_a_hook_on_the_net, "should stay unchanged"),
        "a frozen body": (with_a_frozen_body, "should stay unchanged"),
    },
)


def smallest_error(sources: Tensor, first: Tensor, second: Tensor) -> Tensor:
    difference = first - second
    shared = (difference.conj() * (sources - second)).real.sum(dim=-1)
    return (shared / difference.abs().square().sum(dim=-1)).clamp(0, 1)


def smallest_in_numpy(sources: Tensor, first: Tensor, second: Tensor) -> np.ndarray:
    s, a, b = (x.numpy().astype(np.complex128) for x in (sources, first, second))
    grid = np.linspace(0, 1, 21)
    errors = [np.square(np.abs(s - w * a - (1 - w) * b)).sum(axis=-1) for w in grid]
    return grid[np.argmin(errors, axis=0)]


def by_error_energy(sources: Tensor, first: Tensor, second: Tensor) -> Tensor:
    a, b = ((sources - x).abs().square().mean(dim=-1) for x in (first, second))
    return b / (a + b)


def the_better_head(sources: Tensor, first: Tensor, second: Tensor) -> Tensor:
    a, b = ((sources - x).abs().square().sum(dim=-1) for x in (first, second))
    return a < b


def by_error_magnitude(sources: Tensor, first: Tensor, second: Tensor) -> Tensor:
    a, b = ((sources - x).abs().mean(dim=-1) for x in (first, second))
    return b / (a + b)


def pooled(dim: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The best weights when sources (0) or frequencies (1) must have the same ones."""

    def weights(sources: Tensor, first: Tensor, second: Tensor) -> Tensor:
        pattern = ("s f n -> 1 f (s n)", "s f n -> s 1 (f n)")[dim]
        laid = (rearrange(x, pattern) for x in (sources, first, second))
        return smallest_error(*laid).expand(sources.shape[:-1])

    return weights


BLEND_WEIGHTS = Answers(
    right={
        "least squares": smallest_error,
        "a grid, in NumPy": smallest_in_numpy,
        "by the energy of the errors": by_error_energy,
        "the better head": the_better_head,
    },
    wrong={
        "the mean": (lambda s, a, b: torch.full(s.shape[:-1], 0.5), "the mean of both heads"),
        "exchanged": (lambda s, a, b: smallest_error(s, b, a), "are exchanged"),
        "one weight": (
            lambda s, a, b: smallest_error(*(x.reshape(1, -1) for x in (s, a, b))).expand(
                s.shape[:-1]
            ),
            "same weight for everything",
        ),
        "one per source": (pooled(1), "at all frequencies"),
        "one per frequency": (pooled(0), "All sources have the same"),
        "one per bin": (
            lambda s, a, b: ((s - a).abs() < (s - b).abs()).float(),
            "One weight per frame",
        ),
        "not limited": (lambda s, a, b: 3 * smallest_error(s, a, b) - 1, "between 0 and 1"),
        "by the magnitude of the errors": (by_error_magnitude, "a good answer gains"),
        "NaN": (lambda s, a, b: smallest_error(s, a, b) / 0, "infinite or NaN"),
        "transposed": (lambda s, a, b: smallest_error(s, a, b).mT, "per source and frequency"),
    },
)

ANSWERS = {
    "balanced_weight": BALANCED_WEIGHT,
    "centroids_from_masks": CENTROIDS_FROM_MASKS,
    "sign_flip_test": SIGN_FLIP_TEST,
    "probe": PROBE,
    "blend_weights": BLEND_WEIGHTS,
}
