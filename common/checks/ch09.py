"""Checks of chapter 09, mixing with Scaper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from common.checks import Hint, check, expect, expect_close, name_mistake


@check
def event_gain(function: Callable[..., float]) -> str:
    """Exercise 1: the factor that gives an event its loudness."""

    def gain(*given: float) -> float:
        got = np.asarray(function(*given), dtype=float)
        expect(got.size == 1, "Return one number, the factor for all samples.")
        return got.item()

    def factor(decibels: float) -> float:
        return 10 ** (decibels / 20)

    got = gain(-20.0, 0.0, -26.0)
    mistakes = {
        "Those are decibels: return the factor for the samples.": -6,
        "Samples are amplitudes: 20 dB are a factor of 10.": factor(-12),
        "From -20 LUFS to -26 is down, not up.": factor(6),
        "The target loudness is `snr` above `ref_db`: use `ref_db`.": factor(20),
        "The gain depends on the loudness of the file: use `loudness`.": factor(-26),
    }
    name_mistake(got, mistakes)
    expect_close(got, factor(-6), f"From -20 to -26 LUFS is -6 dB, not {got:g} times.")
    hint = "`snr` is relative to `ref_db`: 6 dB above -26 LUFS is -20 LUFS."
    expect_close(gain(-20.0, 6.0, -26.0), 1, hint)
    hint = "Use `snr` and `ref_db` as given: 3 dB below -10 LUFS is -13 LUFS."
    expect_close(gain(-30.0, -3.0, -10.0), factor(17), hint)
    hint = "Use the default: without a `ref_db` it is -26."
    expect_close(gain(-31.0, 5.0), factor(10), hint)
    got = gain(-math.inf, 0.0, -26.0)
    expect(math.isfinite(got), "Silence has a loudness of minus infinity: what does Scaper do?")
    expect_close(got, factor(44), "What is below -70 LUFS counts as -70.")
    hint = "Not only silence counts as -70 LUFS: everything below -70 does."
    expect_close(gain(-80.0, 0.0, -26.0), factor(44), hint)
    hint = "The limit applies to the measured loudness, not to the gain."
    expect_close(gain(-75.0, 6.0, -20.0), factor(56), hint)
    expect_close(gain(-69.0, 6.0, -20.0), factor(55), hint)
    return f"A nearly silent stem is multiplied by {gain(-80.0, 0.0):.0f}."


@check
def predict(function: Callable[..., tuple[float, float]]) -> str:
    """Exercise 2: when an event begins in the scene, and how long it sounds."""

    def both(*given: float) -> list[float]:
        got = np.asarray(function(*given), dtype=float)
        hint = "Return two numbers: the beginning and the length in the scene."
        expect(got.shape == (2,), hint)
        return got.tolist()

    got = both(1.0, 2.0, 1.5, 10.0)
    mistakes = {
        "`event_duration` is in seconds of the file, not of the scene.": (1, 2),
        "A stretch of 1.5 makes an event longer.": (1, 2 / 1.5),
        "The second number is how long it lasts, not when it ends.": (1, 4),
        "Return the beginning first, and then the length.": (3, 1),
        "Only the event is stretched: it begins at `event_time`.": (1.5, 3),
        "Only an event that would end too late is moved.": (7, 3),
    }
    name_mistake(got, mistakes)
    expect_close(got, (1, 3), "2 s stretched by 1.5, from 1 s on, give (1, 3).")
    got = both(8.0, 2.0, 1.5, 10.0)
    mistakes = {
        "An event that would end too late is moved, not cut.": (8, 2),
        "An event that would end after the scene is moved forward.": (8, 3),
    }
    name_mistake(got, mistakes)
    expect_close(got, (7, 3), "3 s that would begin at 8 of 10 s begin at 7.")
    got = both(2.0, 9.0, 1.0, 4.0)
    hint = "An event cannot begin before the scene: cut it first, then move it."
    name_mistake(got, {hint: (-5, 4)})
    hint = "An event longer than the scene is cut to its length, and then begins at 0."
    expect_close(got, (0, 4), hint)
    hint = "Compare the length with the scene after stretching."
    expect_close(both(0.0, 5.0, 0.5, 4.0), (0, 2.5), hint)
    expect_close(both(0.0, 3.0, 2.0, 4.0), (0, 4), hint)
    begin, length = both(4.5, 2.0, 1.1, 6.0)
    event = "An event of 2 s at 4.5 s in a scene of 6 s, stretched by 1.1,"
    return f"{event} begins at {begin:.1f} s and lasts {length:.1f} s."


TRIADS = ((0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4), (2, 5, 9), (4, 7, 11))
"""Exercise 3: the chords of a major key, as pitch classes above its tonic."""

REACHED = 0.42
"""The mean correlation that a good transposition reaches."""


def _chords_and_bass(n_pairs: int = 30, n_chords: int = 6) -> Iterator[tuple[Tensor, Tensor]]:
    """Chroma (12, n) of chords in a random key, and of a bass in another, with noise."""
    rng = np.random.default_rng(5)
    scale = sorted({note for triad in TRIADS for note in triad})
    for _ in range(n_pairs):
        keys = rng.integers(12, size=2)
        both = 0.15 * rng.random((2, 12, 4 * n_chords))
        for frame in range(4 * n_chords):
            if frame % 4 == 0:
                triad = TRIADS[rng.integers(len(TRIADS))]
            for note in triad:
                both[0, (note + keys[0]) % 12, frame] += rng.uniform(0.5, 1)
            note = triad[0] if rng.random() < 0.7 else triad[rng.integers(1, 3)]
            note = scale[rng.integers(7)] if rng.random() < 0.15 else note
            both[1, (note + keys[1]) % 12, frame] += rng.uniform(0.5, 1.5)
        yield tuple(torch.from_numpy(both).float())


def _agreement(chords: Tensor, bass: Tensor) -> float:
    """The correlation of two chroma in each frame, averaged over frames."""
    one, other = (x - x.mean(dim=0) for x in (chords, bass))
    return torch.cosine_similarity(one, other, dim=0).mean().item()


def _best(measure: Callable[[Tensor, Tensor], Tensor], chords: Tensor, bass: Tensor) -> int:
    """The transposition for which some measure of chords and bass is highest."""
    return max(range(-6, 6), key=lambda k: measure(chords, bass.roll(k, 0)))


@check
def transposition(function: Callable[[Tensor, Tensor], int]) -> str:
    """Exercise 3: the transposition that makes a bass fit the chords."""

    def shift(chords: Tensor, bass: Tensor) -> int:
        got = np.asarray(function(chords.clone(), bass.clone()))
        expect(got.size == 1, "Return one number of semitones for all frames.")
        expect(got.item() == round(got.item()), "Return a whole number of semitones.")
        expect(-6 <= got.item() < 6, "Return a number between -6 and 5: 11 up is 1 down.")
        return int(got.item())

    pairs = list(_chords_and_bass())
    shifts = [shift(*pair) for pair in pairs]

    def reached(shifts: Sequence[int]) -> float:
        moved = zip(pairs, shifts, strict=True)
        return float(np.mean([_agreement(c, b.roll(k, 0)) for (c, b), k in moved]))

    found = reached(shifts)
    if found < REACHED:
        expect(any(shifts), "The bass is never transposed: try all values from -6 to 5.")
        hint = "This transposes in the wrong direction: `torch.roll` by +1 is a semitone up."
        expect(reached([-k for k in shifts]) < REACHED, hint)
        over_time = [_best(lambda c, b: c.mean(dim=1) @ b.mean(dim=1), *x) for x in pairs]
        hint = "An average over time loses the chords: compare the chroma frame by frame."
        expect(shifts != over_time, hint)
        at_first = [_best(lambda c, b: c[:, 0] @ b[:, 0], *x) for x in pairs]
        expect(shifts != at_first, "That compares the first frames: use all frames.")
        expect(min(shifts) < 0 < max(shifts), "A bass may be transposed up as well as down.")
        found_so_far = f"The mean correlation is {found:.2f}"
        raise Hint(f"{found_so_far}: compare all twelve numbers in every frame.")
    before = reached([0] * len(pairs))
    return f"The mean correlation is {found:.2f}, and {before:.2f} without transposition."


@check
def grid_rate(function: Callable[[float, float], float]) -> str:
    """Exercise 4: the smallest change of tempo that reaches the target."""

    def rate(tempo: float, target: float) -> float:
        got = np.asarray(function(tempo, target), dtype=float)
        expect(got.size == 1, "Return one number, the rate.")
        return got.item()

    mistakes = {
        "A rate above 1 makes a song faster.": 100 / 110,
        "That is in octaves: return the rate.": math.log2(1.1),
        "That is the new tempo: return the rate to play at.": 110,
        "A song may also be made faster: 1.1 is a smaller change than 0.55.": 0.55,
    }
    got = rate(100.0, 110.0)
    name_mistake(got, mistakes)
    expect_close(got, 1.1, f"From 100 to 110 the rate is 1.1, not {got:g}.")
    got = rate(60.0, 120.0)
    name_mistake(got, {"A song at 60 fits a target of 120 already.": 2})
    expect_close(got, 1.0, f"At half the target nothing has to change, but yours is {got:g}.")
    hint = "Only powers of two are allowed, not three times the target."
    name_mistake(rate(100.0, 300.0), {hint: 1.0})
    hint = "A song may be played slower as well as faster: from 110 to 100 the rate is 0.91."
    name_mistake(rate(110.0, 100.0), {hint: 200 / 110})
    hint = "Compare changes as ratios: 1.40 is a smaller change than 0.70."
    name_mistake(rate(100.0, 140.0), {hint: 0.7})
    hint = "Take the power of two that changes the song least: halve the target, or double it."
    expect_close(rate(170.0, 90.0), 180 / 170, hint)
    expect_close(rate(80.0, 150.0), 75 / 80, hint)
    expect_close(rate(100.0, 140.0), 1.4, hint)
    hint = "Use any power of two: 10 fits a target of 640."
    expect_close(rate(40.0, 150.0), 37.5 / 40, hint)
    expect_close(rate(10.0, 640.0), 1.0, hint)
    expect_close(rate(640.0, 11.0), 1.1, hint)
    return f"From 128 to 90 beats per minute the rate is {rate(128.0, 90.0):.2f}."


@check
def polarity_change(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 5: how inverted polarity of a stem changes the magnitude of the mixture."""

    def change(one: Tensor, other: Tensor) -> np.ndarray:
        given = one.clone(), other.clone()
        got = np.asarray(function(*given))
        unchanged = torch.equal(given[0], one) and torch.equal(given[1], other)
        expect(unchanged, "Leave the two spectra unchanged: work on new tensors.")
        return got

    generator = torch.Generator().manual_seed(0)
    one, other = torch.view_as_complex(torch.randn(2, 20, 30, 2, generator=generator))
    got = change(one, other)
    expect(not np.iscomplexobj(got), "A change of magnitude is a real number.")
    expect(got.shape == tuple(one.shape), "One number per bin: keep the shape (f, n).")
    expect(got.min() > -1e-5, "An absolute difference is not negative.")
    before, after, alone = (one + other).abs(), (one - other).abs(), one.abs() + other.abs()
    right = (before - after).abs()
    mistakes = {
        "That is the change of the spectrum: how much does its magnitude change?": 2 * other.abs(),
        "Compare magnitudes, not their squares.": (before.square() - after.square()).abs(),
        "Magnitudes do not add up: compare the magnitudes of two mixtures.": alone - before,
        "Magnitudes have no polarity: invert the spectrum, then take magnitudes.": (
            alone - (one.abs() - other.abs()).abs()
        ),
        "The magnitude of the stem stays: compare the magnitude of the mixture.": 0 * before,
        "Return the difference itself, not as a share of the mixture.": right / before,
        "Return the difference itself, not in dB.": 20 * (before / after).log10().abs(),
        "Take the magnitude of the complex number, not of the real part alone.": (
            ((one + other).real.abs() - (one - other).real.abs()).abs()
        ),
    }
    name_mistake(got, mistakes)
    hint = "Compare the magnitudes of one + other and one - other."
    expect_close(got, right, hint)
    quiet, step = torch.zeros(2, 2, dtype=torch.cfloat), torch.ones(2, 2, dtype=torch.cfloat)
    expect_close(change(step, quiet), torch.zeros(2, 2), "If one stem is silent, nothing changes.")
    hint = "If the phases differ by 90°, nothing changes."
    expect_close(change(step, 1j * step), torch.zeros(2, 2), hint)
    share = got.mean() / before.mean().item()
    return f"Of two equally loud noises the magnitude changes by {share:.0%} on average."
