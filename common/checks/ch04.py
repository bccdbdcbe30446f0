"""Checks of chapter 04, evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from common.checks import check, expect
from common.evaluation.metrics import sdr, si_sdr


@check
def gain_behind(function: Callable[[float], float]) -> str:
    """Exercise 1: the gain that leaves a given SDR."""
    stem = _noise(0)
    for decibel in (20.0, 6.0, 1.0):
        gain = float(function(decibel))
        expect(0 < gain < 1, f"For {decibel} dB you say {gain:.3f}: it should lie between 0 and 1.")
        reached = sdr(stem, gain * stem).item()
        expect(
            abs(reached - decibel) < 0.01,
            f"A gain of {gain:.3f} leaves {reached:.2f} dB, not {decibel}. The error is (1 - g) s: "
            "what is the ratio of the energies?",
        )
    return "20 dB is a gain of 0.9, and 6 dB about a half."


@check
def best_gain(function: Callable[[Tensor, Tensor], float]) -> str:
    """Exercise 2: the gain of the estimate with the highest SDR."""
    stem = _noise(0)
    for scale, noise in ((1.0, 0.5), (4.0, 0.5), (-0.5, 1.0)):
        estimate = scale * (stem + noise * _noise(1))
        gain = float(function(stem, estimate))
        reached = sdr(stem, gain * estimate)
        around = [sdr(stem, g * gain * estimate) for g in (0.98, 1.02)]
        alpha = ((stem * estimate).sum() / stem.square().sum()).item()
        hint = (
            "That is the scale of SI-SDR, which moves the reference."
            if (abs(gain - alpha) < 1e-4)
            else "A little more or a little less would give a higher SDR."
        )
        expect(reached > max(around), f"{hint} At the peak the derivative by g is zero.")
    behind = si_sdr(stem, estimate).item()
    return f"The peak reaches {reached:.2f} dB, SI-SDR {behind:.2f}: their ratios differ by one."


@check
def flatter(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: SI-SDR high, SDR below zero."""
    stem = _noise(0)
    estimate = function(stem)
    expect(
        estimate.shape == stem.shape,
        f"Keep the shape {tuple(stem.shape)}, you gave {tuple(estimate.shape)}.",
    )
    plain, invariant = sdr(stem, estimate).item(), si_sdr(stem, estimate).item()
    expect(plain < 0, f"Its SDR is {plain:.1f} dB: not worthless enough.")
    expect(invariant > 60, f"Its SI-SDR is {invariant:.1f} dB. What does SI-SDR not look at?")
    return f"SDR {plain:.1f} dB, and SI-SDR calls it {invariant:.0f} dB."


@check
def best_match(function: Callable[[Tensor, Tensor], list[int]]) -> str:
    """Exercise 4: which reference each estimate fits best."""
    references = torch.stack([_noise(seed) for seed in range(3)])
    # The second is loud and bleeds into all: the largest product is not always the best fit.
    references[1] *= 6
    estimates = references + 0.1 * references[1]
    expect(
        list(function(references, estimates)) == [0, 1, 2],
        "Estimates in the right order should give [0, 1, 2].",
    )
    expect(
        list(function(references, estimates[[2, 0, 1]])) == [2, 0, 1],
        "For estimates in the order 2, 0, 1 say so: one index per estimate, of its reference.",
    )
    expect(
        list(function(references, estimates[[0, 0]])) == [0, 0],
        "Used twice should be seen twice, and there may be fewer estimates than references.",
    )
    references[1] = 0
    expect(
        list(function(references, estimates[[0, 2]])) == [0, 2],
        "One reference is silent here and its SDR is NaN, which must never win.",
    )
    return "Swapped, doubled or silent: you will see it."


@check
def interval_of_difference(
    function: Callable[[Sequence[float | None], Sequence[float | None]], tuple[float, float]],
) -> str:
    """Exercise 5: a paired bootstrap."""
    rng = np.random.default_rng(2)
    songs = rng.normal(5, 4, 41)
    # Most songs gain a little, some very much: mean and median of the differences part.
    better = songs + 0.3 + rng.exponential(1.5, 41) ** 2
    ours, theirs = [None, *better.tolist(), 3.0], [1.0, *songs.tolist(), None]
    pair = function(ours, theirs)
    expect(len(pair) == 2, "Return two numbers, the lower end and the upper.")
    low, high = map(float, pair)
    expect(low <= high, "The lower end comes first.")
    differences = better - songs
    redrawn = np.median(rng.choice(differences, size=(20000, 41)), axis=1)
    wanted = np.percentile(redrawn, [2.5, 97.5])
    expect(
        high - low < 1.5 * (wanted[1] - wanted[0]),
        f"Your interval is {high - low:.1f} dB wide. Redraw the differences, not the two lists "
        "apart, and take the median of each redraw.",
    )
    middle = float(np.median(differences))
    expect(
        low - 0.02 <= middle <= high + 0.02,
        "The median of the differences (ours less theirs) should lie in it: their median, not the "
        "difference of two medians, and not their mean.",
    )
    expect(
        abs(low - wanted[0]) < 0.03 and abs(high - wanted[1]) < 0.03,
        "Close: redraw as many songs as there are pairs, several thousand times, take the "
        "median of each redraw (not its mean), and cut 2.5 % off each end.",
    )
    return (
        f"Between {low:+.2f} and {high:+.2f} dB: songs differ by far more, and it did not matter."
    )


def _noise(seed: int) -> Tensor:
    """A stem of noise, (c, t)."""
    return torch.randn(2, 4000, generator=torch.Generator().manual_seed(seed))
