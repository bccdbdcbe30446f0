"""Checks of chapter 09, mixing with Scaper."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from common.checks import check, expect, expect_close


@check
def event_gain(function: Callable[..., float]) -> str:
    """Exercise 1: the factor that gives an event its loudness."""

    def gain(*given: float) -> float:
        got = np.asarray(function(*given), dtype=float)
        expect(got.size == 1, "Return one number, the factor for all samples.")
        return got.item()

    def close(got: float, right: float) -> bool:
        return math.isclose(got, right, rel_tol=1e-4)

    got = gain(-20.0, 0.0, -26.0)
    expect(not close(got, -6), "Those are decibels: return the factor for the samples.")
    expect(not close(got, 10 ** (-6 / 10)), "Samples are amplitudes: 20 dB make a factor of 10.")
    expect(not close(got, 10 ** (6 / 20)), "From -20 LUFS to -26 is down, not up.")
    expect(close(got, 10 ** (-6 / 20)), f"From -20 to -26 LUFS is -6 dB, not {got:g}.")
    hint = "The snr counts from ref_db: 6 dB above -26 LUFS is -20 LUFS."
    expect(close(gain(-20.0, 6.0, -26.0), 1), hint)
    got = gain(-math.inf, 0.0, -26.0)
    expect(math.isfinite(got), "Silence has a loudness of minus infinity: what does Scaper do?")
    expect(close(got, 10 ** (44 / 20)), "What is below -70 LUFS counts as -70.")
    hint = "Not only silence counts as -70 LUFS: so does all that is softer than that."
    expect(close(gain(-80.0, 0.0, -26.0), 10 ** (44 / 20)), hint)
    hint = "The limit is one on the measured loudness, not on the gain."
    expect(close(gain(-75.0, 6.0, -20.0), 10 ** (56 / 20)), hint)
    expect(close(gain(-69.0, 6.0, -20.0), 10 ** (55 / 20)), hint)
    hint = "Use snr and ref_db as given; without a ref_db it is -26."
    expect(close(gain(-31.0, 5.0), 10 ** (10 / 20)), hint)
    expect(close(gain(-30.0, -3.0, -10.0), 10 ** (17 / 20)), hint)
    return f"A stem that is hardly there is made {gain(-80.0, 0.0):.0f} times larger."


@check
def predict(function: Callable[..., tuple[float, float]]) -> str:
    """Exercise 2: when an event begins in the scene, and how long it sounds."""

    def both(*given: float) -> list[float]:
        got = np.asarray(function(*given), dtype=float)
        hint = "Return two numbers: the beginning and the length in the scene."
        expect(got.shape == (2,), hint)
        return got.tolist()

    begin, length = both(1.0, 2.0, 1.5, 10.0)
    expect(abs(length - 2.0) > 1e-4, "event_duration counts seconds of the file, not of the scene.")
    expect(abs(length - 2 / 1.5) > 1e-4, "A stretch of 1.5 makes an event longer.")
    expect(abs(length - 4.0) > 1e-4, "The second number is how long it sounds, not when it ends.")
    expect_close([begin, length], [1.0, 3.0], "2 s stretched by 1.5 from 1 s on: (1, 3).")
    begin, length = both(8.0, 2.0, 1.5, 10.0)
    expect(abs(length - 2.0) > 1e-4, "An event that would end too late is moved, not cut.")
    hint = "3 s that would begin at 8 of 10 s begin at 7."
    expect_close([begin, length], [7.0, 3.0], hint)
    hint = "An event longer than the scene is cut to its length, and then begins at 0."
    expect_close(both(2.0, 9.0, 1.0, 4.0), [0.0, 4.0], hint)
    hint = "Whether an event is longer than the scene is asked after stretching."
    expect_close(both(0.0, 5.0, 0.5, 4.0), [0.0, 2.5], hint)
    expect_close(both(0.0, 3.0, 2.0, 4.0), [0.0, 4.0], hint)
    begin, length = both(4.5, 2.0, 1.1, 6.0)
    return f"2 s of a singer at 4.5 of 6 s, stretched by 1.1: {length:.1f} s from {begin:.1f} s on."


@check
def n_mixtures(function: Callable[..., int]) -> str:
    """Exercise 3: how many mixtures there are."""
    expect(function(3, 5) == 15, "Three songs with five places make 15 coherent mixtures.")
    got = function(3, 5, 2, coherent=False)
    expect(got != 9 * 5, "Each stem chooses its place too, not only its song.")
    expect(got == 225, f"Each of two stems has 15 choices: 225 mixtures, not {got}.")
    got = function(1, 1, 2, coherent=True, flips=True)
    expect(got != 4, "Both stems upside down is the mixture upside down: it counts as the same.")
    expect(got == 2, f"Of one place and two stems, flips make 2 mixtures, not {got}.")
    got = function(1, 2, 3, coherent=True, flips=True)
    expect(got == 8, f"Two places and three stems with flips: 2 x 4 mixtures, not {got}.")
    got = function(2, 1, 3, coherent=False, flips=True)
    expect(got == 32, f"Three stems of two songs with flips: 8 x 4 mixtures, not {got}.")
    count = int(function(8, 18, 4, False, True))
    return f"Eight songs and 18 places: {count:,} incoherent mixtures."


@check
def grid_rate(function: Callable[[float, float], float]) -> str:
    """Exercise 4: the smallest change of tempo that puts a song on the grid."""

    def rate(tempo: float, target: float) -> float:
        got = np.asarray(function(tempo, target), dtype=float)
        expect(got.size == 1, "Return one number, the rate.")
        return got.item()

    got = rate(100.0, 110.0)
    expect(abs(got - 100 / 110) > 1e-4, "A rate above 1 makes a song faster.")
    expect_close(got, 1.1, f"From 100 to 110 the rate is 1.1, not {got:g}.")
    got = rate(60.0, 120.0)
    expect(abs(got - 2) > 1e-4, "At 60, every beat lies on the grid of 120 already.")
    expect_close(got, 1.0, f"At half the target nothing has to change; yours is {got:g}.")
    hint = "Take the power of two that changes the song least, in both directions."
    expect_close(rate(170.0, 90.0), 180 / 170, hint)
    expect_close(rate(40.0, 150.0), 37.5 / 40, hint)
    hint = "Compare changes as ratios: 1.40 is a smaller change than 0.70."
    expect_close(rate(100.0, 140.0), 1.4, hint)
    hint = "The powers of two have no end on either side: 10 lies on the grid of 640."
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
    expect(got.min() >= 0, "An absolute difference is not negative.")
    hint = "That is how far the spectrum moves; how much does its magnitude change?"
    expect(not np.allclose(got, 2 * other.abs(), atol=1e-4), hint)
    before, after = (one + other).abs(), (one - other).abs()
    hint = "Compare magnitudes, not their squares."
    expect(not np.allclose(got, (before.square() - after.square()).abs(), atol=1e-4), hint)
    hint = "Compare the magnitudes of one + other and one - other."
    expect_close(got, (before - after).abs(), hint)
    quiet, step = torch.zeros(2, 2, dtype=torch.cfloat), torch.ones(2, 2, dtype=torch.cfloat)
    expect_close(change(step, quiet), torch.zeros(2, 2), "Beside silence nothing changes.")
    expect_close(change(step, 1j * step), torch.zeros(2, 2), "A quarter turn apart: nothing.")
    share = got.mean() / before.mean().item()
    return f"Of two equally loud noises the magnitude changes by {share:.0%} on average."
