"""Checks of chapter 03, masks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close


@check
def ratio_mask(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 1: share each bin in proportion to magnitude ** power."""
    magnitudes = torch.tensor([3.0, 1.0, 0.0]).reshape(3, 1, 1)
    masks = function(magnitudes, 1.0)
    expect(masks.shape == magnitudes.shape, "One mask per source: keep the shape (s, f, n).")
    expect_close(masks.sum(dim=0), torch.ones(1, 1), "The masks of a bin should add up to 1.")
    expect_close(
        masks.flatten(), torch.tensor([0.75, 0.25, 0.0]), "Magnitudes of 3 and 1 share 3 : 1."
    )
    squared = function(magnitudes, 2.0).flatten()
    expect_close(squared, torch.tensor([0.9, 0.1, 0.0]), "With a power of 2, 3 and 1 share 9 : 1.")
    silent = function(torch.zeros(2, 1, 3), 1.0)
    expect_close(silent, torch.zeros(2, 1, 3), "Where all are silent the masks must be 0.")
    several = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    total = function(several, 1.5).sum(dim=0)
    expect_close(total, torch.ones(5, 6), "Sum over the sources, which are the first axis.")
    return "Every bin is shared out; with a power of 2 this is the Wiener mask."


@check
def best_equaliser(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: one real gain per frequency by least squares."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(6, 50, dtype=torch.complex64, generator=generator)
    rest = torch.randn(6, 50, dtype=torch.complex64, generator=generator)
    mixture = source + torch.arange(6.0)[:, None] * rest
    gains = function(source, mixture)
    expect(gains.shape == (6, 1), f"One gain per frequency: (f, 1), not {tuple(gains.shape)}.")
    expect(not gains.is_complex(), "The gains should be real numbers.")
    expect_close(gains[0], torch.ones(1), "Where the source is alone its gain should be 1.")
    error = (source - gains * mixture).abs().square().sum()
    for step in (0.01, -0.01):
        nudged = (source - (gains + step) * mixture).abs().square().sum(dim=-1)
        better = nudged < (source - gains * mixture).abs().square().sum(dim=-1) - 1e-6
        expect(
            not better.any(),
            "Gains a hundredth away do better: sum over frames first, then divide.",
        )
    kept = 10 * torch.log10(source.abs().square().sum() / error)
    return f"No gain can be improved; on this noise the best equaliser reaches {kept:.1f} dB."


@check
def ceiling(function: Callable[[float], float]) -> str:
    """Exercise 3: the best SDR of a real mask from the angle."""
    right_angle = float(function(torch.pi / 2))
    expect(
        abs(right_angle) < 1e-3,
        "At a right angle the best mask is 0 and the SDR is that of silence.",
    )
    thirty = float(function(torch.pi / 6))
    expect(
        abs(thirty - 6.0206) < 0.01,
        "At 30 degrees the perpendicular is half the source. How many dB is a factor of two?",
    )
    obtuse = float(function(5 * torch.pi / 6))
    expect(
        abs(obtuse - thirty) < 0.01,
        "Beyond a right angle the best mask is negative, and just as good: mind the sign.",
    )
    expect(abs(float(function(-torch.pi / 6)) - thirty) < 0.01, "Left or right is the same.")
    return "Each halving of a small angle buys 6 dB."


@check
def make_consistent(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 4: project masks on those that sum to one."""
    masks = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    changed = function(masks.clone())
    expect(changed.shape == masks.shape, "Keep the shape (s, c, f, n).")
    expect_close(changed.sum(dim=0), torch.ones(2, 4, 5), "Their sum over s is not 1 yet.")
    nearest = masks + (1 - masks.sum(dim=0)) / 3
    here, best = (changed - masks).square().sum(), (nearest - masks).square().sum()
    expect(
        here < best * 1.001,
        f"They add up, but the change is {here / best:.2f} times the smallest possible: "
        "should one mask of a bin move further than another?",
    )
    return "The masks add up, and none moved further than it had to."
