"""Checks of chapter 05, repetition, lines and strokes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.classical.hpss import harmonic_percussive_masks, smooth_along
from common.classical.repetition import beat_spectrum


@check
def stroke_filter(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 1: a median filter along frequency."""
    magnitude = _noise(12, 5)
    filtered = function(magnitude, 5)
    expect(filtered.shape == magnitude.shape, "Keep the shape (f, n).")
    right = smooth_along(magnitude, 5, axis=-2)
    along_time = smooth_along(magnitude, 5, axis=-1)
    hint = "That runs along time: strokes stand upright, so take neighbours in frequency."
    expect(not torch.allclose(filtered, along_time), hint)
    expect_close(filtered[2:-2], right[2:-2], "Inside, take the middle one of 5 neighbours.")
    hint = "At the ends the picture is mirrored, the outermost bin itself being repeated."
    expect_close(filtered, right, hint)
    expect_close(function(magnitude, 1), magnitude, "A width of 1 changes nothing.")
    return "Strokes stay, lines go."


@check
def frames_per_bar(function: Callable[..., float]) -> str:
    """Exercise 2: the period of a bar."""
    got = float(function(120, 4, 441, 44100))
    expect(abs(got - 88200) > 1, "That is a bar in samples: how many hops are in it?")
    expect(abs(got - 200) < 1e-3, f"At 120 a bar lasts 2 s, and 2 s are 200 hops, not {got:g}.")
    expect(abs(float(function(60, 3, 512, 22050)) - 3 * 22050 / 512) < 1e-3, "A bar of 3 beats?")
    return f"A waltz at 90 repeats every {float(function(90, 3)):.0f} frames."


@check
def repetitiveness(function: Callable[[Tensor, int, int], float]) -> str:
    """Exercise 3: the height of the highest peak over the usual level."""
    beats = torch.tensor([1.0, 0.9, 0.2, 0.3, 0.2, 0.7, 0.2, 0.95])
    got = float(function(beats, 2, 6))
    expect(abs(got - 0.7) > 1e-4, "Take the median over the lags off the peak and off lag 0.")
    hint = "The lags from 2 to 6 have the median 0.2 and the peak 0.7: (0.7 - 0.2) / (1 - 0.2)."
    expect(abs(got - 0.625) < 1e-4, hint)
    expect(abs(float(function(beats, 2, 7)) - 0.935) < 5e-3, "Both ends of the range count.")
    loop = beat_spectrum(_noise(40, 20).repeat(1, 12) ** 4)
    never = beat_spectrum(_noise(40, 240) ** 4)
    high, low = float(function(loop, 5, 100)), float(function(never, 5, 100))
    expect(high > 0.9 > 0.3 > low, f"A loop gives {high:.2f} and noise {low:.2f}: too near.")
    return f"A loop reaches {high:.2f}, and noise that never comes back {low:.2f}."


@check
def three_masks(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 4: lines, strokes and the rest."""
    magnitude = _noise(40, 50) ** 3
    masks = function(magnitude, 2.0)
    expect(masks.shape == (3, 40, 50), f"Three masks (3, f, n), not {tuple(masks.shape)}.")
    expect_close(masks.sum(dim=0), torch.ones(40, 50), "The three should add up to 1 in each bin.")
    expect(masks.min() >= -1e-6, "A mask is not negative.")
    harmonic, percussive = harmonic_percussive_masks(magnitude, margin=2.0)
    expect_close(masks[0], harmonic, "The first mask is that of the lines, with the margin.")
    expect_close(masks[1], percussive, "The second mask is that of the strokes, with the margin.")
    return f"With a margin of 2, {masks[2].mean():.0%} of the bins are neither."


def _noise(*shape: int) -> Tensor:
    """Positive numbers, the same ones every time."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))
