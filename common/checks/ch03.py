"""Checks of chapter 03, masks."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.checks.tensors import tensor


@check
def ratio_mask(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 1: share each bin in proportion to magnitude ** power."""
    magnitudes = torch.tensor([3.0, 1.0, 0.0]).reshape(3, 1, 1).repeat(1, 4, 5)
    masks = tensor(function(magnitudes.clone(), 1.0))
    expect(masks.shape == magnitudes.shape, "One mask per source: keep the shape (s, f, n).")
    name_mistake(
        masks,
        {
            "You add up over frequencies: the sources are the first axis.": _share(magnitudes, 1),
            "You add up over frames: the sources are the first axis.": _share(magnitudes, 2),
            "You add up over all bins together: each bin has a sum of its own.": magnitudes / 80,
            "That is a softmax, which shares by exponentials.": magnitudes.softmax(dim=0),
            "That gives everything to the loudest source: share the bin instead.": (
                magnitudes == magnitudes.amax(dim=0)
            ).float(),
        },
    )
    expect_close(masks.sum(dim=0), torch.ones(4, 5), "The masks of a bin should add up to 1.")
    expect_close(masks[:, 0, 0], [0.75, 0.25, 0.0], "Magnitudes of 3 and 1 share 3 : 1.")
    squared = tensor(function(magnitudes.clone(), 2.0))[:, 0, 0]
    name_mistake(
        squared,
        {
            "With a power of 2 you give the same as with 1: use `power`.": masks[:, 0, 0],
            "Raise the magnitudes to the power, not the finished masks.": masks[:, 0, 0] ** 2,
        },
    )
    expect_close(squared, [0.9, 0.1, 0.0], "With a power of 2, 3 and 1 share 9 : 1.")
    silent = tensor(function(torch.zeros(2, 1, 3), 1.0))
    expect(silent.isfinite().all(), "Where all are silent you divide 0 by 0.")
    expect(silent.abs().max() < 1e-4, "Where all are silent the masks must be 0, not a fair share.")
    several = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    wanted = _share(several**1.5, 0)
    got = tensor(function(several.clone(), 1.5))
    expect_close(got, wanted, "With a power of 1.5 and four sources something goes wrong.")
    _expect_large_powers(function)
    return "Every bin is shared out; with a power of 2 this is the Wiener mask."


def _expect_large_powers(function: Callable[[Tensor, float], Tensor]) -> None:
    """Neither loud nor quiet bins may break a power of 30."""
    for level, what in ((1000.0, "too large"), (0.001, "too small")):
        magnitudes = level * torch.tensor([1.0, 0.9, 0.0]).reshape(3, 1, 1)
        masks = tensor(function(magnitudes, 30.0)).flatten()
        expect_close(
            masks,
            [1 / (1 + 0.9**30), 0.9**30 / (1 + 0.9**30), 0.0],
            f"A magnitude of {level:g} to the power of 30 is {what} a number. Only ratios of "
            "magnitudes count: what could you divide by before you raise them?",
        )


@check
def best_equaliser(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: one real gain per frequency by least squares."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(6, 50, dtype=torch.complex64, generator=generator)
    rest = torch.randn(6, 50, dtype=torch.complex64, generator=generator)
    # The source is alone, under more and more noise, nearly cancelled (best gain above 1), and
    # turned round (below 0).
    kept = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.4, -0.5])[:, None]
    noise = torch.tensor([0.0, 1.0, 2.0, 3.0, 0.1, 0.1])[:, None]
    mixture = kept * source + noise * rest
    gains = tensor(function(source.clone(), mixture.clone()))
    expect(gains.numel() != 1, "That is one gain for everything: every frequency has its own.")
    expect(
        gains.shape != source.shape,
        "That is a mask with a gain per frame: the equaliser never moves.",
    )
    expect(gains.shape == (6, 1), f"One gain per frequency: (f, 1), not {tuple(gains.shape)}.")
    expect(not gains.is_complex(), "The gains should be real numbers.")
    product, energy = (source * mixture.conj()).real, mixture.abs().square()
    shared, total = product.sum(dim=1, keepdim=True), energy.sum(dim=1, keepdim=True)
    best, own = shared / total, source.abs().square().sum(dim=1, keepdim=True)
    lengths = (source.abs() * mixture.abs()).sum(dim=1, keepdim=True) / total
    name_mistake(
        gains,
        {
            "You average the gains of the frames. Least squares over all frames together is "
            "something else: which frames count more?": (product / energy).mean(1, keepdim=True),
            "You divide by the energy of the source: which of the two is scaled?": shared / own,
            "These gains lie between 0 and 1. No sigmoid limits an equaliser: the best gain may "
            "lie outside.": best.clamp(0, 1),
            "None of your gains is negative, but where the source is turned round in the mixture "
            "the best one is.": best.clamp(min=0),
            "All your gains are positive: do not take the absolute value.": best.abs(),
            "That compares lengths only: the angle between source and mixture counts.": lengths,
            "That is a ratio of magnitudes: the angle between source and mixture counts.": (
                own / total
            ).sqrt(),
            "That is a ratio of energies: the angle between source and mixture counts.": (
                own / total
            ),
        },
    )
    expect_close(gains[0], torch.ones(1), "Where the source is alone its gain should be 1.")
    expect_close(
        gains, best, "Other gains leave a smaller error: set its derivative to zero.", 1e-3
    )
    error = (source - gains * mixture).abs().square().sum()
    reached = 10 * torch.log10(own.sum() / error)
    return f"No gain can be improved; on this noise the best equaliser reaches {reached:.1f} dB."


@check
def ceiling(function: Callable[[float], float]) -> str:
    """Exercise 3: the best SDR of a real mask from the angle."""
    angles = torch.tensor([pi / 6, 1.0, 5 * pi / 6])
    got = torch.stack([tensor(function(angle)).reshape(()) for angle in angles.tolist()])
    expect(
        not got[2].isnan(),
        "At 150 degrees you get NaN. A logarithm takes lengths, which are never negative.",
    )
    sine, cosine = angles.sin(), angles.cos()
    true = -20 * sine.log10()
    clamped = torch.where(angles > pi / 2, 0.0, true)
    name_mistake(
        got,
        {
            "Halve the error and the SDR rises by 6 dB, not by 3: energies are squares.": true / 2,
            "The sign is wrong: the smaller the error, the higher the SDR.": -true,
            "The angle is given in radians.": -20 * (angles * pi / 180).sin().log10(),
            "The logarithm in decibels has the base 10.": -20 * sine.log(),
            "That is the length of the projection. What is left as the error?": (
                -20 * cosine.abs().log10()
            ),
            "You compare the projection with the error. SDR compares the whole source with it.": (
                20 * (cosine / sine).abs().log10()
            ),
            "Beyond a right angle you stop at a mask of 0: a negative one does better.": clamped,
            "That is the error of a mask of 1, which leaves the mixture as it is.": (
                -20 * (2 * (angles / 2).sin()).log10()
            ),
            "That is a ratio, and not yet in dB.": 1 / sine,
            "That is a ratio of energies, and not yet in dB.": 1 / sine.square(),
        },
        tolerance=0.005,
    )
    expect(
        (got - true).abs().max() < 0.01,
        "At 30 degrees the perpendicular is half the source. How many dB is a factor of two?",
    )
    right_angle = tensor(function(pi / 2))
    expect(right_angle.abs() < 1e-3, "At a right angle the best estimate is silence: which SDR?")
    return "Each halving of a small angle buys 6 dB."


@check
def make_consistent(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 4: project masks on those that sum to one."""
    masks = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    changed = tensor(function(masks.clone()))
    expect(changed.shape == masks.shape, "Keep the shape (s, c, f, n).")
    total = masks.sum(dim=0)
    nearest = masks + (1 - total) / 3
    last = torch.cat([masks[:2], 1 - masks[:2].sum(dim=0, keepdim=True)])
    name_mistake(
        changed,
        {
            "Every mask gets all that is missing: then it is added three times.": (
                masks + 1 - total
            ),
            "You take off too much: subtracting the mean leaves a sum of 0.": masks - total / 3,
            "The channels add up now. Which axis are the sources?": (
                masks + (1 - masks.sum(dim=1, keepdim=True)) / 2
            ),
            "You divide by the sum over channels. Which axis are the sources?": _share(masks, 1),
            "You divide by the sum, which moves large masks further than small ones. They add up, "
            "but a smaller change would do.": masks / total,
            "That is a softmax: they add up, but they have moved much further than they had to.": (
                masks.softmax(dim=0)
            ),
            "One source takes all that is missing. They add up, but the sum of squares is smaller "
            "if it is shared.": last,
            "You clamp the masks to 0..1 afterwards, and then the sum is no longer 1. Nothing in "
            "the task keeps masks in that range.": nearest.clamp(0, 1),
        },
        tolerance=1e-4,
    )
    expect_close(changed.sum(dim=0), torch.ones(2, 4, 5), "Their sum over s is not 1 yet.")
    expect(
        changed.min() < 0,
        "You keep the masks from being negative. The task does not ask for that, and without it "
        "the change is smaller.",
    )
    here, best = (changed - masks).square().sum(), (nearest - masks).square().sum()
    expect(
        here < best * 1.001,
        f"They add up, but the change is {here / best:.2f} times the smallest possible: "
        "should one mask of a bin move further than another?",
    )
    return "The masks add up, and none moved further than it had to."


def _share(values: Tensor, axis: int) -> Tensor:
    """Each value over the sum along one axis; 0 where that sum is 0."""
    return (values / values.sum(dim=axis, keepdim=True)).nan_to_num(nan=0.0)
