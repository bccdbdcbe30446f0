"""Checks of chapter 12, deep clustering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from common.checks import check, expect, expect_close


@check
def best_order(function: Callable[[Tensor, Tensor], Sequence[int]]) -> str:
    """Exercise 1: which cluster is which source."""
    owner = torch.randint(4, (6, 9), generator=torch.Generator().manual_seed(0))
    truth = functional.one_hot(owner, 4).permute(2, 0, 1).float()
    order = [2, 0, 3, 1]
    back = [1, 3, 0, 2]
    found = order_of(function, truth[back], truth)
    hint = "This is the inverse: `order[s]` should be the cluster in which source `s` is found."
    expect(found != back, hint)
    hint = "As it stands, clusters that are exactly the masks in another order are not found."
    expect(found == order, hint)
    generator = torch.Generator().manual_seed(47)
    masks = torch.rand(4, 8, 9, generator=generator)
    truth = torch.rand(4, 8, 9, generator=generator) * torch.tensor([4.0, 2, 1, 3])[:, None, None]
    agreement = torch.einsum("sfn,kfn->sk", truth, masks)
    lengths = truth.norm(dim=(1, 2))[:, None] * masks.norm(dim=(1, 2))
    owned = functional.one_hot(truth.argmax(dim=0), 4) + 0.0
    given = functional.one_hot(masks.argmax(dim=0), 4) + 0.0
    found = order_of(function, masks, truth)
    hint = "The products should be added as they are, not divided by the lengths of the masks."
    expect(found != best_of(agreement / lengths), hint)
    hint = "Your order counts bins in common: add up the products themselves, without rounding."
    expect(found != best_of(torch.einsum("fns,fnk->sk", owned, given)), hint)
    # Both sources agree most with cluster 0, but the second one finds nothing elsewhere.
    masks = torch.tensor([[9.0, 8.0, 0.0], [7.0, 0.0, 0.0], [0.0, 0.0, 5.0]]).T[:, None]
    truth = torch.eye(3)[:, None]
    hint = (
        "If sources choose one after another, or the best pair first, the sum over all of them "
        "need not be the largest."
    )
    expect(order_of(function, masks, truth) != [0, 1, 2], hint)
    hint = "The sum of the products over all sources can be larger."
    expect(order_of(function, masks, truth) == [1, 0, 2], hint)
    expect(found == best_of(agreement), hint)
    return "The order in which all sources together agree best with their clusters."


def order_of(function: Callable, masks: Tensor, truth: Tensor) -> list[int]:
    """The answer's order, in which each cluster is named once."""
    order = [int(k) for k in function(masks, truth)]
    hint = f"`order` should name each cluster exactly once, and yours is {order}."
    expect(sorted(order) == list(range(len(truth))), hint)
    return order


def best_of(table: Tensor) -> list[int]:
    """The order with the largest sum in a table (s, k)."""
    sources = torch.arange(len(table))
    orders = permutations(range(len(table)))
    return list(max(orders, key=lambda order: float(table[sources, list(order)].sum())))


@check
def balanced_weights(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: as much weight for the soft sources as for the loud ones."""
    weights = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1, 0.0])
    labels = functional.one_hot(torch.tensor([0, 0, 0, 2, 1, 1]), 3).float()
    before = weights.clone()
    got = torch.as_tensor(function(weights, labels)).float()
    expect(torch.equal(weights, before), "The weights that came in should stay as they were.")
    expect(got.shape == (6,), f"One weight per bin: shape (6,), not {tuple(got.shape)}.")
    expect(got.isfinite().all(), "There is a NaN or an infinity.")
    expect_close(got.sum(), 1.0, "All weights together should be 1.")
    ratios = torch.tensor([4.0, 3.0, 1.0])
    hint = "Within one source, the weights should keep their proportions."
    expect_close(got[:3] * ratios[2] / got[2], ratios, hint)
    expect(got[5] == 0, "A silent bin should keep the weight 0.")
    hint = "The weights of each source's bins should add up to the same total."
    expect_close(got @ labels, torch.full((3,), 1 / 3), hint)
    absent = torch.as_tensor(function(weights, functional.pad(labels, (0, 1)))).float()
    expect(absent.isfinite().all(), "A source that owns no bin gives NaN: look at your divisions.")
    hint = "A source that owns no bin should not change the weights of the others."
    expect_close(absent, got, hint)
    muted = torch.as_tensor(function(weights * (1 - labels[:, 1]), labels)).float()
    expect(muted.isfinite().all(), "A source that owns only silence gives NaN.")
    expect_close(muted.sum(), 1.0, "A source that owns only silence should get no part of the 1.")
    silent = torch.as_tensor(function(0 * weights, labels)).float()
    expect((silent == 0).all(), "In silence all weights are zero, and none of them is NaN.")
    return "Three sources, a third of the weight for each."


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
    expect_close(function(points, weights, start, 0), given, "Without iterations nothing moves.")
    rounds = [given]
    for n_iter in (1, 2, 3, 4):
        rounds.append(one_round(points, weights, rounds[-1]))
        got = torch.as_tensor(function(points, weights, start, n_iter)).float()
        expect(torch.equal(start, given), "The starting points that came in were changed.")
        expect(got.shape == (3, 5), f"Shape (k, d) = (3, 5), not {tuple(got.shape)}.")
        hint = "Centres lie on the sphere: bring every middle to length one."
        expect_close(got.norm(dim=-1), torch.ones(3), hint)
        if n_iter == 1:
            plain = one_round(points, torch.ones(120), given)
            hint = "This is the result without the weights: a loud bin should count for more."
            expect(not torch.allclose(got, plain, atol=1e-4), hint)
            hint = (
                "After one round the centres are elsewhere: each should be the weighted mean of "
                "the points with which its product is the largest product, at length one."
            )
            expect_close(got, rounds[1], hint)
        hint = f"There should be `n_iter` rounds; after {n_iter} yours is still where one ends."
        expect(n_iter == 1 or not torch.allclose(got, rounds[1], atol=1e-4), hint)
        hint = (
            f"One round is right, {n_iter} are not: bring the middles to length one in every "
            "round, before the next one looks for the nearest."
        )
        expect_close(got, rounds[-1], hint)
    lonely = torch.cat([given, -points.mean(dim=0, keepdim=True)])
    lonely[3] /= lonely[3].norm()
    nobody = (points @ lonely.mT).argmax(dim=-1).ne(3)
    got = torch.as_tensor(function(points[nobody], weights[nobody], lonely, 1)).float()
    expect(got.isfinite().all(), "A centre that no point is nearest to became NaN.")
    expect_close(got[3], lonely[3], "A centre that no point is nearest to should stay.")
    return "On the sphere the nearest centre is the one with the largest product."


def one_round(points: Tensor, weights: Tensor, centroids: Tensor) -> Tensor:
    """Move each centre once; all of them have points."""
    nearest = (points @ centroids.mT).argmax(dim=-1)
    owned = functional.one_hot(nearest, len(centroids)) * weights[:, None]
    return functional.normalize(owned.mT @ points, dim=-1)


@check
def count_sources(function: Callable[[Tensor, Tensor, float], int]) -> str:
    """Exercise 4: how many sources sound."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.linalg.qr(torch.randn(10, 10, generator=generator)).Q
    for n_sources in (2, 1, 4, 7):
        owner = torch.arange(700) % n_sources
        embeddings = corners[owner] + 0.02 * torch.randn(700, 10, generator=generator)
        embeddings = functional.normalize(embeddings, dim=-1)
        weights = torch.rand(700, generator=generator)
        got = int(function(embeddings, weights / weights.sum(), 0.05))
        hint = "The sum in the task is over the embeddings as they are: do not subtract the mean."
        expect(n_sources != 2 or got != 1, hint)
        expect(got == n_sources, f"For {n_sources} cluster(s) at right angles you count {got}.")
    # Seven sources with these parts of the sound; the last one has few bins.
    shares = torch.tensor([0.6, 0.2, 0.1, 0.045, 0.028, 0.015, 0.012])
    n_bins = torch.tensor([113] * 6 + [22])
    embeddings = corners[:7].repeat_interleave(n_bins, dim=0)
    weights = (shares / n_bins).repeat_interleave(n_bins)
    got = int(function(embeddings, weights, 0.05))
    hint = "The count should depend on `least`: at 0.3 fewer sources are large enough than at 0.05."
    expect(int(function(embeddings, weights, 0.3)) != got, hint)
    hints = {
        6: "You count as if all weights were equal: soft sources should have small eigenvalues.",
        4: "You take a part of the largest eigenvalue, but it should be a part of their sum.",
        7: "You compare square roots: singular values have to be squared to be eigenvalues here.",
        2: "Each weight should count once in the sum; if it multiplies both factors it is squared.",
    }
    hint = f"Three of seven sources have more than 0.05 of the sum here, and you count {got}."
    expect(got == 3, hints.get(got, hint))
    hint = "Weights that do not add up to 1 change your count: compare with the eigenvalues' sum."
    expect(int(function(embeddings, 100 * weights, 0.05)) == 3, hint)
    return "Each cluster at a right angle to the others brings one large eigenvalue."
