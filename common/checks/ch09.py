"""Checks of chapter 09, mixing with Scaper."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close


@check
def event_gain(function: Callable[..., float]) -> str:
    """Exercise 1: the factor that gives an event its loudness."""
    got = float(function(-20.0, 0.0, -26.0))
    expect(abs(got + 6) > 1e-6, "Those are decibels: return the factor for the samples.")
    expect(abs(got - 10 ** (-6 / 10)) > 1e-6, "Samples are amplitudes: 20 dB make a factor of 10.")
    expect(abs(got - 10 ** (6 / 20)) > 1e-6, "From -20 LUFS to -26 is down, not up.")
    expect(abs(got - 10 ** (-6 / 20)) < 1e-6, f"From -20 to -26 LUFS is -6 dB, not {got:g}.")
    got = float(function(-20.0, 6.0, -26.0))
    expect(abs(got - 1) < 1e-6, "The snr counts from ref_db: 6 dB above -26 LUFS is -20 LUFS.")
    got = float(function(-float("inf"), 0.0, -26.0))
    expect(math.isfinite(got), "Silence has a loudness of minus infinity: what does Scaper do?")
    expect(abs(got - 10 ** (44 / 20)) < 1e-3, "What is below -70 LUFS counts as -70.")
    expect(abs(float(function(-31.0, 5.0)) - 10**0.5) < 1e-6, "Use snr and ref_db as given.")
    return f"A stem that is hardly there is made {float(function(-80.0, 0.0)):.0f} times larger."


@check
def predict(function: Callable[..., tuple[float, float]]) -> str:
    """Exercise 2: when an event begins in the scene, and how long it sounds."""
    answer = function(1.0, 2.0, 1.5, 10.0)
    expect(len(answer) == 2, "Return two numbers: the beginning and the length in the scene.")
    begin, length = (float(x) for x in answer)
    expect(abs(length - 2.0) > 1e-6, "event_duration counts seconds of the file, not of the scene.")
    expect(abs(length - 2 / 1.5) > 1e-6, "A stretch of 1.5 makes an event longer.")
    expect_close([begin, length], [1.0, 3.0], "2 s stretched by 1.5 from 1 s on: (1, 3).")
    begin, length = (float(x) for x in function(8.0, 2.0, 1.5, 10.0))
    expect(abs(length - 2.0) > 1e-6, "An event that would end too late is moved, not cut.")
    hint = "3 s that would begin at 8 of 10 s begin at 7."
    expect_close([begin, length], [7.0, 3.0], hint)
    hint = "An event longer than the scene is cut to its length, and then begins at 0."
    expect_close([float(x) for x in function(2.0, 9.0, 1.0, 4.0)], [0.0, 4.0], hint)
    hint = "Whether an event is longer than the scene is asked after stretching."
    expect_close([float(x) for x in function(0.0, 5.0, 0.5, 4.0)], [0.0, 2.5], hint)
    expect_close([float(x) for x in function(0.0, 3.0, 2.0, 4.0)], [0.0, 4.0], hint)
    begin, length = (float(x) for x in function(4.5, 2.0, 1.1, 6.0))
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
    return f"Eight songs and 18 places: {function(8, 18, 4, False, True):,} incoherent mixtures."


@check
def grid_rate(function: Callable[[float, float], float]) -> str:
    """Exercise 4: the smallest change of tempo that puts a song on the grid."""
    got = float(function(100.0, 110.0))
    expect(abs(got - 100 / 110) > 1e-6, "A rate above 1 makes a song faster.")
    expect(abs(got - 1.1) < 1e-6, f"From 100 to 110 the rate is 1.1, not {got:g}.")
    got = float(function(60.0, 120.0))
    expect(abs(got - 2) > 1e-6, "At 60, every beat lies on the grid of 120 already.")
    expect(abs(got - 1) < 1e-6, f"At half the target nothing has to change; yours is {got:g}.")
    hint = "Take the power of two that changes the song least, in both directions."
    expect(abs(float(function(170.0, 90.0)) - 180 / 170) < 1e-6, hint)
    expect(abs(float(function(40.0, 150.0)) - 37.5 / 40) < 1e-6, hint)
    hint = "Compare changes as ratios: 1.40 is a smaller change than 0.70."
    expect(abs(float(function(100.0, 140.0)) - 1.4) < 1e-6, hint)
    return f"From 128 to 90 beats per minute play at {float(function(128.0, 90.0)):.2f}."


@check
def polarity_change(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 5: what turning one stem upside down does to the mixture's magnitude."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.view_as_complex(torch.randn(2, 20, 30, 2, generator=generator))
    got = function(one.clone(), other.clone())
    expect(not got.is_complex(), "A change of magnitude is a real number.")
    expect(got.shape == one.shape, "One number per bin: keep the shape (f, n).")
    expect(got.min() >= 0, "An absolute difference is not negative.")
    wrong = 2 * other.abs()
    hint = "That is how far the spectrum moves; how much does its magnitude change?"
    expect(not torch.allclose(got, wrong), hint)
    right = ((one + other).abs() - (other - one).abs()).abs()
    expect_close(got, right, "Compare the magnitudes of one + other and one - other.")
    quiet, step = torch.zeros(2, 2, dtype=torch.cfloat), torch.ones(2, 2, dtype=torch.cfloat)
    expect_close(function(step, quiet), torch.zeros(2, 2), "Beside silence nothing changes.")
    expect_close(function(step, 1j * step), torch.zeros(2, 2), "A quarter turn apart: nothing.")
    share = got.mean() / (one + other).abs().mean()
    return f"Of two equally loud noises the magnitude changes by {share:.0%} on average."
