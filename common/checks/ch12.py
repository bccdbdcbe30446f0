"""Checks of chapter 12, deep clustering."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from common.checks import check, expect, expect_close


@check
def best_order(function: Callable[[Tensor, Tensor], Sequence[int]]) -> str:
    """Exercise 1: which cluster is which source."""
    owner = torch.randint(4, (4, 6, 9), generator=torch.Generator().manual_seed(0))[0]
    truth = functional.one_hot(owner, 4).permute(2, 0, 1).float()
    order = [2, 0, 3, 1]
    found = [int(k) for k in function(truth[torch.tensor(order).argsort()], truth)]
    expect(sorted(found) == [0, 1, 2, 3], "Each cluster should be named exactly once.")
    expect(
        found != torch.tensor(order).argsort().tolist(),
        "That is the way back: order[s] is the cluster that source s is found in.",
    )
    expect(found == order, "The masks agree nowhere near as well as they could.")
    # Both sources lie mostly in cluster 0; taken one after another, the wrong one gets it.
    masks = torch.tensor([[9.0, 8.0, 0.0], [7.0, 0.0, 0.0], [0.0, 0.0, 5.0]]).T[:, None]
    truth = torch.eye(3)[:, None]
    found = [int(k) for k in function(masks, truth)]
    expect(
        found != [0, 1, 2],
        "First come, first served is not the best for all together: add up before you choose.",
    )
    expect(found == [1, 0, 2], "The sum of all agreements can be larger.")
    expect(tuple(function(masks[:2], truth[:2])) is not None, "Two sources are as legal as three.")
    return "The order in which all sources together agree best with their clusters."


@check
def balanced_weights(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: as much weight for the soft sources as for the loud ones."""
    weights = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1, 0.0])
    labels = functional.one_hot(torch.tensor([0, 0, 0, 2, 1, 1]), 3).float()
    before = weights.clone()
    got = function(weights, labels)
    expect(torch.equal(weights, before), "The weights that came in should stay as they were.")
    expect(got.shape == (6,), f"One weight per bin: shape (6,), not {tuple(got.shape)}.")
    expect(got.isfinite().all(), "There is a NaN or an infinity.")
    expect_close(got.sum(), 1.0, "All weights together should be 1.")
    totals = got @ labels
    expect_close(totals, torch.full((3,), 1 / 3), "The sources should weigh the same, all in all.")
    expect_close(
        got[:2] / got[2],
        torch.tensor([4.0, 3.0]),
        "Within one source, a bin that weighed four times as much as another still should.",
    )
    expect(got[5] == 0, "A silent bin stays silent.")
    absent = functional.pad(labels, (0, 1))
    expect_close(
        function(weights, absent), got, "A source that owns no bin changes nothing for others."
    )
    silent = function(0 * weights, labels)
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
    for n_iter in (1, 4):
        wanted = given
        for _ in range(n_iter):
            nearest = (points @ wanted.mT).argmax(dim=-1)
            owned = functional.one_hot(nearest, 3) * weights[:, None]
            wanted = functional.normalize(owned.mT @ points, dim=-1)
        got = function(points, weights, start, n_iter)
        expect(torch.equal(start, given), "The starting points that came in were changed.")
        expect(got.shape == (3, 5), f"Shape (k, d) = (3, 5), not {tuple(got.shape)}.")
        hint = "Centres lie on the sphere: bring every middle to length one."
        expect_close(got.norm(dim=-1), torch.ones(3), hint)
        hint = f"After {n_iter} round(s) the centres lie elsewhere. Do the weights count?"
        expect_close(got, wanted, hint)
    lonely = torch.cat([given, -points.mean(dim=0, keepdim=True)])
    lonely[3] /= lonely[3].norm()
    nobody = (points @ lonely.mT).argmax(dim=-1).eq(3).logical_not()
    got = function(points[nobody], weights[nobody], lonely, 1)
    expect(got.isfinite().all(), "A centre that no point is nearest to became NaN.")
    expect_close(got[3], lonely[3], "A centre that no point is nearest to should stay.")
    return "On the sphere the nearest centre is the one with the largest product."


@check
def count_sources(function: Callable[[Tensor, Tensor, float], int]) -> str:
    """Exercise 4: how many sources sound."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.linalg.qr(torch.randn(10, 10, generator=generator)).Q
    for n_sources in (1, 2, 4, 7):
        owner = torch.arange(700) % n_sources
        places = corners[owner] + 0.02 * torch.randn(700, 10, generator=generator)
        places = functional.normalize(places, dim=-1)
        weights = torch.rand(700, generator=generator)
        got = function(places, weights / weights.sum(), 0.05)
        case = f"{n_sources} heap(s) at right angles"
        expect(got == n_sources, f"For {case} you count {got}.")
    soft = (owner == 0).float() + 1e-3
    got = function(corners[owner], soft / soft.sum(), 0.05)
    expect(got == 1, f"One loud source and six that are hardly heard: you count {got}. Weights?")
    got = function(corners[owner], soft / soft.sum(), 1e-5)
    expect(got == 7, f"With a threshold of 0.00001 those six should count too; you count {got}.")
    equal = torch.ones(700) / 700
    got = function(corners[owner], equal, 0.2)
    expect(got == 0, f"Of seven equal heaps none holds a fifth of the sum; you count {got}.")
    louder = function(corners[owner], 10 * soft, 0.05)
    expect(louder == 1, "Weights that do not add up to 1 change your count: take shares.")
    expect(isinstance(int(louder), int), "The answer is a whole number.")
    return "Each heap at a right angle to the others brings one large eigenvalue."
