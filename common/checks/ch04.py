"""Checks of chapter 04, evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from common.checks import Hint, check, expect, name_mistake
from common.checks.tensors import tensor
from common.evaluation.metrics import sdr, si_sdr


@check
def gain_behind(function: Callable[[float], float]) -> str:
    """Exercise 1: the gain that leaves a given SDR."""
    stem = _noise(0)
    levels = torch.tensor([20.0, 6.0, 1.0])
    gains = torch.tensor([_number(function(level)) for level in levels.tolist()])
    part = 10 ** (-levels / 20)  # of the amplitude, that is missing
    name_mistake(
        gains,
        {
            "That is the error's share of the amplitude: what is left for the stem?": part,
            "That is the error's share of the energy: what is left for the stem?": part**2,
            "SDR compares energies: energies of 100 : 1 are amplitudes of 10 : 1.": 1 - part**2,
            "You take the square root too much: SDR compares energies, and the error is "
            "(1 - g) s.": 1 - part.sqrt(),
            "That is the gain that makes the *energy* of the estimate smaller by the error's. The "
            "error is the difference of the waveforms.": (1 - part**2).sqrt(),
            "That gain is greater than 1, but the estimate was turned down.": 1 + part,
            "Decibels go by powers of 10, not of e.": 1 - (-levels / 20).exp(),
            "That is in per cent: return the gain itself.": 100 * (1 - part),
        },
    )
    for level, gain in zip(levels.tolist(), gains.tolist(), strict=True):
        expect(0 < gain < 1, f"For {level} dB you say {gain:.3f}: it should be between 0 and 1.")
        reached = sdr(stem, gain * stem).item()
        expect(
            abs(reached - level) < 0.01,
            f"A gain of {gain:.3f} leaves {reached:.2f} dB, not {level}. The error is (1 - g) s: "
            "what is the ratio of the energies?",
        )
    return "20 dB is a gain of 0.9, and 6 dB about a half."


@check
def best_gain(function: Callable[[Tensor, Tensor], float]) -> str:
    """Exercise 2: the gain of the estimate with the highest SDR."""
    stem = _noise(0)
    for scale, noise in ((4.0, 0.5), (-0.5, 1.0), (1.0, 0.5)):
        estimate = scale * (stem + noise * _noise(1))
        gain = _number(function(stem.clone(), estimate.clone()))
        product, energy = (stem * estimate).sum(), estimate.square().sum()
        norms = stem.norm() / estimate.norm()
        name_mistake(
            torch.tensor(gain),
            {
                "That is the scale of SI-SDR, which moves the reference.": (
                    product / stem.square().sum()
                ),
                "The energy of the reference stands above: the scale of SI-SDR upside down.": (
                    stem.square().sum() / product
                ),
                "That makes the estimate as loud as the reference, its noise included.": norms,
                "That is the ratio of the energies, which does not see what is noise.": norms**2,
                "That is a correlation, which does not see the level.": (
                    product / stem.norm() / estimate.norm()
                ),
                "You lose the sign: an estimate that is upside down needs a negative gain.": (
                    (product / energy).abs() if scale < 0 else torch.tensor(torch.inf)
                ),
                "That leaves the estimate as it is.": torch.tensor(1.0),
            },
        )
        reached, best = sdr(stem, gain * estimate), sdr(stem, product / energy * estimate)
        expect(
            reached > best - 0.001,
            f"A gain of {gain:.3f} gives {reached:.2f} dB, and there is one that gives "
            f"{best:.2f} dB. At the peak the derivative by g is zero.",
        )
    behind = si_sdr(stem, estimate).item()
    return f"The peak reaches {best:.2f} dB, SI-SDR {behind:.2f}: their ratios differ by one."


@check
def flatter(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: SI-SDR high, SDR below zero."""
    stem = _noise(0)
    estimate = tensor(function(stem.clone()))
    expect(
        estimate.shape == stem.shape,
        f"Keep the shape {tuple(stem.shape)}, you gave {tuple(estimate.shape)}.",
    )
    expect(estimate.isfinite().all(), "There is a sample that is infinite or NaN.")
    expect(estimate.abs().max() > 0, "Silence has an SDR of 0 dB, and no SI-SDR at all.")
    plain, invariant = sdr(stem, estimate).item(), si_sdr(stem, estimate).item()
    expect(plain < 60, "That is the reference itself, the best of all estimates.")
    invariant_hint = (
        f"Its SDR of {plain:.1f} dB is worthless, but its SI-SDR is {invariant:.1f} dB too. What "
        "does SI-SDR not look at?"
    )
    expect(
        plain < -1e-3 or invariant < 60,
        f"Its SDR is {plain:.1f} dB, which is not below 0: the error must have more energy than "
        "the stem.",
    )
    expect(
        plain < -1e-3, f"Its SDR is {plain:.1f} dB and its SI-SDR {invariant:.1f} dB: both fail."
    )
    expect(invariant > 60, invariant_hint)
    return f"SDR {plain:.1f} dB, and SI-SDR calls it {invariant:.0f} dB."


@check
def best_match(function: Callable[[Tensor, Tensor], list[int]]) -> str:
    """Exercise 4: which reference each estimate fits best."""
    references = torch.stack([_noise(seed) for seed in range(3)])
    # The second is loud and bleeds into all: the largest product is not always the best fit.
    references[1] *= 6
    estimates = references + 0.1 * references[1]

    def matched(references: Tensor, estimates: Tensor) -> list[int]:
        got = tensor(function(references.clone(), estimates.clone())).flatten().int().tolist()
        n = len(estimates)
        expect(len(got) == n, f"Return one index per estimate: {n} here, and not {len(got)}.")
        return got

    got = matched(references, estimates)
    expect(got != [1, 1, 1], "The loud reference wins everywhere: products grow with its level.")
    hint = "Those fit worst: a high SDR is good."
    expect(any(a == b for a, b in zip(got, range(3), strict=True)), hint)
    expect(got == [0, 1, 2], f"Estimates in the right order should give [0, 1, 2], not {got}.")
    got = matched(references, estimates[[2, 0, 1]])
    hint = "Your indices say where the estimate of each reference is: turn it round."
    expect(got != [1, 2, 0], hint)
    expect(got != [0, 1, 2], "You return places in order, whatever the estimates are.")
    expect(got == [2, 0, 1], f"Estimates in the order 2, 0, 1 should give that, and not {got}.")
    got = matched(references, estimates[[0, 0]])
    hint = "A reference that is used twice should be seen twice: choose for each estimate alone."
    expect(got == [0, 0], f"{hint} You say {got}.")
    got = matched(references, -references[:1])
    hint = "An estimate that is upside down: SI-SDR calls it perfect, but the fit is by SDR."
    expect(got != [0], hint)
    expect(got == [1], "For one estimate alone, upside down, the fit by SDR goes wrong.")
    references[1] = 0
    got = matched(references, estimates[[0, 2]])
    expect(1 not in got, "One reference is silent here and its SDR is NaN, which must never win.")
    expect(got == [0, 2], f"With a silent reference [0, 2] become {got}.")
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
    ours, theirs = [None] * 6 + better.tolist() + [3.0], [9.0] * 6 + songs.tolist() + [None]
    pair = tensor(function(list(ours), list(theirs))).flatten().tolist()
    expect(len(pair) == 2, f"Return two numbers, the lower end and the upper, not {len(pair)}.")
    low, high = pair
    expect(low == low and high == high, "You return NaN: leave out songs without both values.")
    expect(low <= high, "The lower end comes first.")
    right, mistakes = _intervals(better, songs, rng)
    got = np.array(pair)
    if np.abs(got - right).max() < 0.03:
        said = f"Between {low:+.2f} and {high:+.2f} dB"
        return f"{said}: songs differ by far more, and it did not matter."
    for hint, wrong in mistakes.items():
        expect(np.abs(got - wrong).max() > 0.02 + 0.1 * np.ptp(wrong), hint)
    hint = (
        "Your interval is {:.1f} dB wide, which is too {}: redraw as many songs as there are pairs."
    )
    width, wanted = high - low, right[1] - right[0]
    expect(width < 1.5 * wanted, hint.format(width, "wide"))
    expect(width > 0.67 * wanted, hint.format(width, "narrow"))
    middle = float(np.median(better - songs))
    expect(low - 0.02 <= middle <= high + 0.02, "The median of the differences should be in it.")
    raise Hint(
        "Close: redraw several thousand times, take the median of each redraw, and cut 2.5 % off "
        "each end."
    )


def _intervals(
    ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The right interval of paired values, and those that mistakes give: hint → interval."""
    n, size = 20000, len(ours)
    one, other = rng.integers(size, size=(2, n, size))
    differences = ours - theirs
    ends = [2.5, 97.5]
    medians = np.median(differences[one], axis=1)
    means = differences[one].mean(axis=1)
    half = 1.96 * differences.std() / size**0.5
    with_zeros = np.concatenate([[-9.0] * 6, differences, [3.0]])  # None as 0
    again = rng.choice(with_zeros, size=(n, size + 7))
    unpaired = np.median(ours[one], axis=1) - np.median(theirs[other], axis=1)
    drawn = (
        rng.choice([*x, *more], size=(n, size + len(more)))
        for x, more in ((ours, [3.0]), (theirs, [9.0] * 6))
    )
    all_unpaired = np.median(next(drawn), axis=1) - np.median(next(drawn), axis=1)
    of_medians = np.median(ours[one], axis=1) - np.median(theirs[one], axis=1)
    right = np.percentile(medians, ends)
    return right, {
        "The sign is wrong: ours less theirs.": np.sort(-right),
        "You take the mean of each redraw: take the median.": np.percentile(means, ends),
        "You redraw the two lists apart: redraw songs, with both values of each.": (
            np.percentile(unpaired, ends)
        ),
        "You redraw the two lists apart, and songs without a pair as well: redraw pairs.": (
            np.percentile(all_unpaired, ends)
        ),
        "You take the difference of two medians: take the median of the differences.": (
            np.percentile(of_medians, ends)
        ),
        "That is the range of the differences themselves: draw songs again, many times.": (
            np.percentile(differences, ends)
        ),
        "That interval is for a mean of Gaussian numbers: redraw songs instead.": (
            differences.mean() + half * np.array([-1, 1])
        ),
        "That interval is for Gaussian numbers: redraw songs instead.": (
            np.median(differences) + half * np.array([-1, 1])
        ),
        "You cut 5 % off each end: 95 % should be left in all.": np.percentile(medians, [5, 95]),
        "You count `None` as 0 dB: leave out songs without both values.": (
            np.percentile(np.median(again, axis=1), ends)
        ),
        "You redraw without replacement, and every redraw is the same.": (
            np.full(2, np.median(differences))
        ),
    }


def _number(answer: object) -> float:
    """The answer as one number."""
    number = tensor(answer)
    expect(number.numel() == 1, f"Return one number, not {number.numel()}.")
    expect(not number.isnan(), "Your number is NaN.")
    return number.item()


def _noise(seed: int) -> Tensor:
    """A stem of noise, (c, t)."""
    return torch.randn(2, 4000, generator=torch.Generator().manual_seed(seed))
