"""Checks of chapter 09, mixing with Scaper."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake


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
        "Samples are amplitudes: 20 dB make a factor of 10.": factor(-12),
        "From -20 LUFS to -26 is down, not up.": factor(6),
        "The loudness aimed at is snr above ref_db: `ref_db` counts.": factor(20),
        "How loud the file is already matters: `loudness` counts.": factor(-26),
    }
    name_mistake(got, mistakes)
    expect_close(got, factor(-6), f"From -20 to -26 LUFS is -6 dB, not {got:g} times.")
    hint = "The snr counts from ref_db: 6 dB above -26 LUFS is -20 LUFS."
    expect_close(gain(-20.0, 6.0, -26.0), 1, hint)
    hint = "Use `snr` and `ref_db` as given: 3 dB under -10 LUFS is -13 LUFS."
    expect_close(gain(-30.0, -3.0, -10.0), factor(17), hint)
    hint = "Use the default: without a `ref_db` it is -26."
    expect_close(gain(-31.0, 5.0), factor(10), hint)
    got = gain(-math.inf, 0.0, -26.0)
    expect(math.isfinite(got), "Silence has a loudness of minus infinity: what does Scaper do?")
    expect_close(got, factor(44), "What is below -70 LUFS counts as -70.")
    hint = "Not only silence counts as -70 LUFS: so does all that is softer than that."
    expect_close(gain(-80.0, 0.0, -26.0), factor(44), hint)
    hint = "The limit is one on the measured loudness, not on the gain."
    expect_close(gain(-75.0, 6.0, -20.0), factor(56), hint)
    expect_close(gain(-69.0, 6.0, -20.0), factor(55), hint)
    return f"A stem that is hardly there is made {gain(-80.0, 0.0):.0f} times larger."


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
        "event_duration counts seconds of the file, not of the scene.": (1, 2),
        "A stretch of 1.5 makes an event longer.": (1, 2 / 1.5),
        "The second number is how long it sounds, not when it ends.": (1, 4),
        "The beginning comes first, and then the length.": (3, 1),
        "Only the event is stretched: it begins at `event_time`.": (1.5, 3),
        "Only an event that would end too late is moved.": (7, 3),
    }
    name_mistake(got, mistakes)
    expect_close(got, (1, 3), "2 s stretched by 1.5 from 1 s on: (1, 3).")
    got = both(8.0, 2.0, 1.5, 10.0)
    mistakes = {
        "An event that would end too late is moved, not cut.": (8, 2),
        "An event that would end after the scene is moved forward.": (8, 3),
    }
    name_mistake(got, mistakes)
    expect_close(got, (7, 3), "3 s that would begin at 8 of 10 s begin at 7.")
    got = both(2.0, 9.0, 1.0, 4.0)
    hint = "An event cannot begin before the scene: what is too long is cut first, and then moved."
    name_mistake(got, {hint: (-5, 4)})
    hint = "An event longer than the scene is cut to its length, and then begins at 0."
    expect_close(got, (0, 4), hint)
    hint = "Whether an event is longer than the scene is asked after stretching."
    expect_close(both(0.0, 5.0, 0.5, 4.0), (0, 2.5), hint)
    expect_close(both(0.0, 3.0, 2.0, 4.0), (0, 4), hint)
    begin, length = both(4.5, 2.0, 1.1, 6.0)
    return f"2 s of a singer at 4.5 of 6 s, stretched by 1.1: {length:.1f} s from {begin:.1f} s on."


@check
def n_mixtures(function: Callable[..., int]) -> str:
    """Exercise 3: how many mixtures there are."""
    hint = "Three songs with five places make 3 x 5 coherent mixtures."
    expect(function(3, 5) == 15, hint)
    got = function(3, 5, 2, coherent=False)
    mistakes = {
        "Each stem chooses its place too, not only its song.": 3**2 * 5,
        "Each stem chooses its song too, not only its place.": 3 * 5**2,
        "Incoherent mixtures are many more: is `coherent` used?": 15,
        "Choices multiply: for each of one stem there are all of the next.": 2 * 15,
        "Two stems may choose the same song and place.": 15 * 14,
        "Stems are not alike: who plays which place makes a difference.": 15 * 16 // 2,
        "Each stem has all songs and places: the power is the number of stems.": 2**15,
    }
    name_mistake(got, mistakes, 0)
    expect(got == 225, f"Each of two stems has 15 choices: 225 mixtures, not {got}.")
    got = function(1, 1, 3, coherent=True, flips=True)
    mistakes = {
        "All stems upside down is the mixture upside down: it counts as the same.": 8,
        "With `flips` there are more: is `flips` used, whether the mixture is coherent or not?": 1,
        "Each stem but one doubles the number: the first may stay as it is.": 2,
        "All stems upside down counts as the same: not one mixture less, but half of them.": 7,
    }
    name_mistake(got, mistakes, 0)
    expect(got == 4, f"Of one place and three stems, flips make 4 mixtures, not {got}.")
    got = function(1, 2, 4, coherent=True, flips=True)
    expect(got == 16, f"Two places and four stems with flips: 2 x 8 mixtures, not {got}.")
    got = function(2, 1, 3, coherent=False, flips=True)
    expect(got == 32, f"Three stems of two songs with flips: 8 x 4 mixtures, not {got}.")
    return f"Eight songs and 18 places: {(8 * 18) ** 4 * 2**3:,} incoherent mixtures."


@check
def grid_rate(function: Callable[[float, float], float]) -> str:
    """Exercise 4: the smallest change of tempo that puts a song on the grid."""

    def rate(tempo: float, target: float) -> float:
        got = np.asarray(function(tempo, target), dtype=float)
        expect(got.size == 1, "Return one number, the rate.")
        return got.item()

    mistakes = {
        "A rate above 1 makes a song faster.": 100 / 110,
        "That is in octaves: return the rate.": math.log2(1.1),
        "That is the new tempo: return the rate to play at.": 110,
        "A song may be made faster as well: 1.1 is a smaller change than 0.55.": 0.55,
    }
    got = rate(100.0, 110.0)
    name_mistake(got, mistakes)
    expect_close(got, 1.1, f"From 100 to 110 the rate is 1.1, not {got:g}.")
    got = rate(60.0, 120.0)
    name_mistake(got, {"At 60, every beat lies on the grid of 120 already.": 2})
    expect_close(got, 1.0, f"At half the target nothing has to change; yours is {got:g}.")
    hint = "Powers of two only: three times the target is another grid."
    name_mistake(rate(100.0, 300.0), {hint: 1.0})
    hint = "A song may be played slower as well as faster: from 110 to 100 the rate is 0.91."
    name_mistake(rate(110.0, 100.0), {hint: 200 / 110})
    hint = "Compare changes as ratios: 1.40 is a smaller change than 0.70."
    name_mistake(rate(100.0, 140.0), {hint: 0.7})
    hint = "Take the power of two that changes the song least: halve the target, or double it."
    expect_close(rate(170.0, 90.0), 180 / 170, hint)
    expect_close(rate(80.0, 150.0), 75 / 80, hint)
    expect_close(rate(100.0, 140.0), 1.4, hint)
    hint = "The powers of two have no end on either side: 10 lies on the grid of 640."
    expect_close(rate(40.0, 150.0), 37.5 / 40, hint)
    expect_close(rate(10.0, 640.0), 1.0, hint)
    expect_close(rate(640.0, 11.0), 1.1, hint)
    return f"From 128 to 90 beats per minute play at {rate(128.0, 90.0):.2f}."


@check
def polarity_change(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 5: what turning one stem upside down does to the mixture's magnitude."""

    def change(one: Tensor, other: Tensor) -> np.ndarray:
        given = one.clone(), other.clone()
        got = np.asarray(function(*given))
        unchanged = torch.equal(given[0], one) and torch.equal(given[1], other)
        expect(unchanged, "Leave the two spectra as they were: work on new tensors.")
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
        "That is how far the spectrum moves; how much does its magnitude change?": 2 * other.abs(),
        "Compare magnitudes, not their squares.": (before.square() - after.square()).abs(),
        "Magnitudes do not add up: compare two mixtures, not one with a sum.": alone - before,
        "Magnitudes have no polarity: turn the spectrum, and take magnitudes then.": (
            alone - (one.abs() - other.abs()).abs()
        ),
        "The stem's own magnitude stays: compare the magnitude of the mixture.": 0 * before,
        "The difference itself is asked for, not as a share of the mixture.": right / before,
        "The difference itself is asked for, not in dB.": 20 * (before / after).log10().abs(),
        "Take the magnitude of the complex number, not of the real part alone.": (
            ((one + other).real.abs() - (one - other).real.abs()).abs()
        ),
    }
    name_mistake(got, mistakes)
    hint = "Compare the magnitudes of one + other and one - other."
    expect_close(got, right, hint)
    quiet, step = torch.zeros(2, 2, dtype=torch.cfloat), torch.ones(2, 2, dtype=torch.cfloat)
    expect_close(change(step, quiet), torch.zeros(2, 2), "Beside silence nothing changes.")
    expect_close(change(step, 1j * step), torch.zeros(2, 2), "A quarter turn apart: nothing.")
    share = got.mean() / before.mean().item()
    return f"Of two equally loud noises the magnitude changes by {share:.0%} on average."
