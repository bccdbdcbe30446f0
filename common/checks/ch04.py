"""Checks of chapter 04, evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from common.checks import Hint, check, expect, name_mistake
from common.checks.tensors import tensor
from common.evaluation.metrics import sdr, si_sdr

RAISED = 4.0
"""dB by which the mean SDR has to rise in exercise 5."""


@check
def gain_behind(function: Callable[[float], float]) -> str:
    """Exercise 1: the gain that leaves a given SDR."""
    stem = _noise(0)
    levels = torch.tensor([20.0, 6.0, 1.0])
    gains = torch.tensor([_number(function(level)) for level in levels.tolist()])
    part = 10 ** (-levels / 20)  # the missing part of the amplitude
    name_mistake(
        gains,
        {
            "That is the error's share of the amplitude: what is left for the stem?": part,
            "That is the error's share of the energy: what is left for the stem?": part**2,
            "SDR compares energies: 100 : 1 in energy is 10 : 1 in amplitude.": 1 - part**2,
            "You take one square root too many: SDR compares energies, and the error is "
            "(1 - g) s.": 1 - part.sqrt(),
            "You subtract the energy of the error from the energy of the stem. The error is the "
            "difference of the waveforms.": (1 - part**2).sqrt(),
            "That gain is greater than 1, but the estimate is quieter than the stem.": 1 + part,
            "Decibels use powers of 10, not of e.": 1 - (-levels / 20).exp(),
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
                "That is the scale of SI-SDR, which scales the reference.": (
                    product / stem.square().sum()
                ),
                "That is one over the scale of SI-SDR: divide by the energy of the estimate.": (
                    stem.square().sum() / product
                ),
                "That makes the estimate as loud as the reference, its noise included.": norms,
                "That is the ratio of the energies, which counts the noise as signal.": norms**2,
                "That is a correlation, which does not depend on the level.": (
                    product / stem.norm() / estimate.norm()
                ),
                "You lose the sign: an estimate with inverted sign needs a negative gain.": (
                    (product / energy).abs() if scale < 0 else torch.tensor(torch.inf)
                ),
                "That leaves the estimate as it is.": torch.tensor(1.0),
            },
        )
        reached, best = sdr(stem, gain * estimate), sdr(stem, product / energy * estimate)
        expect(
            reached > best - 0.001,
            f"A gain of {gain:.3f} gives {reached:.2f} dB, but another gain gives {best:.2f} dB. "
            "At the maximum the derivative with respect to g is zero.",
        )
    behind = si_sdr(stem, estimate).item()
    return f"The maximum is {best:.2f} dB, SI-SDR {behind:.2f} dB: their ratios differ by one."


@check
def best_match(function: Callable[[Tensor, Tensor], list[int]]) -> str:
    """Exercise 3: which reference each estimate fits best."""
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
    expect(got != [1, 1, 1], "You choose the loud reference everywhere: products grow with level.")
    hint = "You choose the worst fit: a high SDR is good."
    expect(any(a == b for a, b in zip(got, range(3), strict=True)), hint)
    expect(got == [0, 1, 2], f"Estimates in the right order should give [0, 1, 2], not {got}.")
    got = matched(references, estimates[[2, 0, 1]])
    hint = "You give the estimate of each reference: give the reference of each estimate."
    expect(got != [1, 2, 0], hint)
    expect(got != [0, 1, 2], "You return the indices in order, whatever the estimates are.")
    expect(got == [2, 0, 1], f"Estimates in the order 2, 0, 1 should give that, and not {got}.")
    got = matched(references, estimates[[0, 0]])
    hint = "Two estimates may fit the same reference: choose for each estimate alone."
    expect(got == [0, 0], f"{hint} You say {got}.")
    got = matched(references, -references[:1])
    hint = "An estimate with inverted sign: SI-SDR calls it perfect, but use the SDR here."
    expect(got != [0], hint)
    expect(got == [1], f"A single estimate with inverted sign should give [1], not {got}.")
    references[1] = 0
    got = matched(references, estimates[[0, 2]])
    expect(1 not in got, "One reference is silent: its SDR is NaN and must never be chosen.")
    expect(got == [0, 2], f"With a silent reference [0, 2] become {got}.")
    return "This finds stems that are swapped, used twice or silent."


@check
def interval_of_difference(
    function: Callable[[Sequence[float | None], Sequence[float | None]], tuple[float, float]],
) -> str:
    """Exercise 4: a paired bootstrap."""
    rng = np.random.default_rng(2)
    songs = rng.normal(5, 4, 41)
    # Most songs gain a little, some very much: the mean of the differences is above the median.
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
        return f"{said}, although the songs differ by far more."
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
        "Close: redraw several thousand times, take the median of each redraw, and remove 2.5 % "
        "at each end."
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
        "You redraw the two lists separately: redraw songs, with both values of each.": (
            np.percentile(unpaired, ends)
        ),
        "You redraw the two lists separately, with songs that have no pair: redraw pairs.": (
            np.percentile(all_unpaired, ends)
        ),
        "You take the difference of two medians: take the median of the differences.": (
            np.percentile(of_medians, ends)
        ),
        "That is the range of the differences themselves: redraw the songs many times.": (
            np.percentile(differences, ends)
        ),
        "That interval is for the mean of Gaussian values: redraw songs instead.": (
            differences.mean() + half * np.array([-1, 1])
        ),
        "That interval is for Gaussian values: redraw songs instead.": (
            np.median(differences) + half * np.array([-1, 1])
        ),
        "You remove 5 % at each end: 95 % should remain in total.": np.percentile(medians, [5, 95]),
        "You count `None` as 0 dB: leave out songs without both values.": (
            np.percentile(np.median(again, axis=1), ends)
        ),
        "You redraw without replacement, and every redraw is the same.": (
            np.full(2, np.median(differences))
        ),
    }


@check
def share_residual(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 5: estimates that add up to the mixture and have a higher mean SDR."""
    stems, estimates = _stems_and_estimates()
    mixture = stems.sum(dim=0)
    residual = mixture - estimates.sum(dim=0)
    got = tensor(function(mixture.clone(), estimates.clone()))
    expect(
        got.shape == estimates.shape,
        f"Return one estimate per stem, {tuple(estimates.shape)}, not {tuple(got.shape)}.",
    )
    expect(got.isfinite().all(), "NaN: where all estimates are silent you divide 0 by 0.")
    name_mistake(
        mixture - got.sum(dim=0),
        {
            "The estimates still add up to the same sum: use the residual.": residual,
            "You subtract the residual: add it.": 2 * residual,
            "Every stem gets the whole residual: the shares of a bin must add up to 1.": (
                (1 - len(stems)) * residual
            ),
        },
    )
    left = (mixture - got.sum(dim=0)).abs().max() / mixture.abs().max()
    expect(left < 1e-3, "Your estimates do not add up to the mixture: shares must add up to 1.")
    energy = estimates.square().sum(dim=(1, 2), keepdim=True)
    raised = (sdr(stems, got) - sdr(stems, estimates)).mean().item()
    so_far = f"The mean SDR changes by {raised:+.1f} dB."
    name_mistake(
        got,
        {
            f"{so_far} Equal shares give quiet stems the errors of loud ones.": (
                estimates + residual / len(stems)
            ),
            f"{so_far} A stem has one share for the whole song: give it one in every bin.": (
                estimates + energy / energy.sum() * residual
            ),
        },
        tolerance=1e-3,
    )
    expect(
        raised > RAISED,
        f"{so_far} A good answer raises it by more than {RAISED} dB: add to every estimate its "
        "share of the residual, in every bin of an STFT; stems that are loud there get more.",
    )
    return f"The mean SDR rises by {raised:.1f} dB, without the true stems."


def _number(answer: object) -> float:
    """The answer as one number."""
    number = tensor(answer)
    expect(number.numel() == 1, f"Return one number, not {number.numel()}.")
    expect(not number.isnan(), "Your number is NaN.")
    return number.item()


def _noise(seed: int) -> Tensor:
    """A stem of noise, (c, t)."""
    return torch.randn(2, 4000, generator=torch.Generator().manual_seed(seed))


def _stems_and_estimates() -> tuple[Tensor, Tensor]:
    """Four stems of noise in bands that overlap, and estimates with independent errors: (s, c, t).

    A stem and its error share their spectrum and their envelope in time; the error is 6 dB below
    the stem. All is silent for the first tenth of a second.
    """
    rate = length = 22050
    frequency, time = torch.fft.rfftfreq(length, 1 / rate), torch.arange(length) / rate
    stems, errors = [], []
    for index, (level, centre) in enumerate(((1, 300), (0.5, 600), (0.35, 1200), (0.25, 2400))):
        band = (-((frequency / centre).clamp(min=1e-3).log2() ** 2) / 2).exp()
        envelope = (1.1 + (2 * torch.pi * (1 + index) * time).sin()) * (time > 0.1)
        noise = torch.randn(2, 2, length, generator=torch.Generator().manual_seed(index))
        stem, error = envelope * torch.fft.irfft(band * torch.fft.rfft(noise), n=length)
        stems.append(level * stem / stem.square().mean().sqrt())
        errors.append(0.5 * level * error / error.square().mean().sqrt())
    return torch.stack(stems), torch.stack(stems) + torch.stack(errors)
