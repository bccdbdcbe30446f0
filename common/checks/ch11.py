"""Checks of chapter 11, mask inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.checks import check, expect, expect_close
from common.models.mask_inference import MaskInference


def weights(hidden_size: int, n_bins: int, n_sources: int) -> int:
    """How many weights the net has, counted on one that takes no memory."""
    with torch.device("meta"):
        net = MaskInference(n_bins, n_sources, hidden_size)
    return sum(weight.numel() for weight in net.parameters())


@check
def largest_hidden(function: Callable[..., int]) -> str:
    """Exercise 1: the largest net that fits."""
    cases = ((3_000_000, 1025, 4), (500_000, 129, 2), (16_000_000, 2049, 4))
    for n_bytes, n_bins, n_sources in cases:
        h = function(n_bytes, n_bins, n_sources)
        expect(h == int(h) and h > 0, "A hidden size is a positive whole number.")
        h, case = int(h), f"{n_bytes:,} bytes, {n_bins} bins and {n_sources} sources"
        needed = 2 * weights(h, n_bins, n_sources)
        expect(
            needed <= n_bytes,
            f"For {case} you say {h}, but that net takes {needed:,} bytes. What did you not count?",
        )
        expect(
            2 * weights(h + 1, n_bins, n_sources) > n_bytes,
            f"For {case} you say {h}, but {h + 1} would still fit. What did you count twice?",
        )
    exact = 2 * weights(40, 257, 4)
    expect(function(exact, 257, 4) == 40, "A net that fits to the byte does fit.")
    return f"Three megabytes hold a hidden size of {int(function(3_000_000))}."


@check
def competing_masks(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 2: softmax over the sources."""
    b, s, f, n = 2, 3, 5, 7
    numbers = torch.randn(b, n, s * f, generator=torch.Generator().manual_seed(0))
    masks = function(numbers, s)
    wanted = (b, s, f, n)
    expect(masks.shape == wanted, f"Masks are (b, s, f, n) = {wanted}, not {tuple(masks.shape)}.")
    expect(masks.min() >= 0, "A mask is not negative.")
    ones = torch.ones(b, f, n)
    expect_close(masks.sum(dim=1), ones, "In each bin the masks of all sources should add up to 1.")
    loud = torch.zeros(b, n, s * f)
    loud[:, :, f] = 20.0
    hint = "The first f of the s·f numbers belong to the first source: see the pattern in MaskHead."
    expect(function(loud, s)[0, 1, 0, 0] > 0.99, hint)
    split = numbers.reshape(b, n, s, f).permute(0, 2, 3, 1)
    expect_close(masks, split.softmax(dim=1), "They add up to 1, but are no softmax: exp, divided.")
    return "Every bin is given away exactly once."


@check
def tilted_log_magnitude(layer: Callable[[], nn.Module]) -> str:
    """Exercise 3: one mean and one scale for all bins."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.logspace(1, -2, 6)[:, None]
    magnitude = slope * (0.1 + torch.rand(3, 2, 6, 50, generator=generator))
    net = layer()
    got = net(magnitude)
    expect(got is not None, "`forward` returns nothing yet: end it with `return`.")
    got, shape = got.detach(), tuple(magnitude.shape)
    expect(got.shape == shape, f"The shape stays (b, c, f, n) = {shape}, not {tuple(got.shape)}.")
    expect_close(got.mean(), 0.0, "All numbers together need zero mean.", 1e-3)
    expect_close(got.std(), 1.0, "All numbers together need unit variance.", 1e-2)
    tilt = got.mean(dim=(0, 1, 3))
    hint = "The tilt is gone: one mean for all bins leaves the low ones above zero."
    expect(tilt[0] > 0.5 and tilt[-1] < -0.5, hint)
    level = 20 * torch.log10(magnitude)
    right = (level - level.mean()) / level.std()
    hint = "Mean and variance are right, the values are not: take dB, and keep each in its place."
    expect_close(got, right, hint, 1e-2)
    expect(net(0 * magnitude).isfinite().all(), "Silence gives NaN or infinity: mind the floor.")
    net = layer()
    for _ in range(100):
        net(magnitude)
    later = net.eval()(magnitude[:1, :, :, :3]).detach()
    hint = "After training, three frames are normalised by the running averages, not by their own."
    expect_close(later, right[:1, :, :, :3], hint, 5e-2)
    return "One mean and one scale, and the tilt stays."


@check
def frame_by_frame(function: Callable[[int, int], nn.Module]) -> str:
    """Exercise 4: a body without memory."""
    torch.manual_seed(0)
    body = function(10, 6)
    expect(isinstance(body, nn.Module), "Return a module, such as an nn.Sequential.")
    frames = torch.randn(2, 9, 10)
    features = body(frames)
    expect(
        features.shape == (2, 9, 12),
        f"(2, 9, 10) should become (2, 9, 12), not {tuple(features.shape)}.",
    )
    nudged = frames.clone()
    nudged[:, 4] += 1.0
    moved = (body(nudged) - features).detach().abs().amax(dim=(0, 2)) > 1e-6
    others = torch.cat([moved[:4], moved[5:]])
    expect(not others.any(), "Nudging frame 4 moved other frames too: this module has a memory.")
    expect(moved[4], "Nudging frame 4 did not move its features.")
    bent = body(2 * frames) - 2 * features + body(0 * frames)
    expect(bent.detach().abs().max() > 1e-4, "It is linear: put a non-linearity in.")
    return "No frame knows of another. Now predict, then train."
