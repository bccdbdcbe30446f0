"""Checks of chapter 15, Spleeter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.models.spleeter import SpleeterNet


@check
def same_padding(function: Callable[..., tuple[int, int]]) -> str:
    """Exercise 1: TensorFlow's rule for what stands before and behind."""
    for size, kernel, stride, dilation, right in (
        (8, 5, 2, 1, (1, 2)),
        (7, 5, 2, 1, (2, 2)),
        (64, 4, 1, 2, (3, 3)),
        (10, 3, 1, 1, (1, 1)),
        (10, 4, 1, 1, (1, 2)),
        (9, 2, 3, 1, (0, 0)),
        (12, 1, 4, 1, (0, 0)),
    ):
        before, behind = function(size, kernel, stride, dilation)
        case = f"size {size}, kernel {kernel}, stride {stride}, dilation {dilation}"
        reach = (kernel - 1) * dilation + 1
        total, wanted = before + behind, sum(right)
        if total != wanted and dilation > 1:
            hint = f"{case}: with its gaps the kernel reaches over {reach} places, not {kernel}."
            expect(total == wanted, hint)
        expect(min(before, behind) >= 0, f"{case}: padding is never negative.")
        hint = f"{case}: together {total}, but that gives another length than size / stride, up."
        expect(total == wanted, hint)
        hint = f"{case}: {total} in all is right; the odd one stands behind, not before."
        expect((before, behind) == right, hint)
    return "One before and two behind, and for an odd size two and two."


@check
def shared_masks(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 2: masks from masked magnitudes, with any exponent."""
    masked = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0)) + 0.05
    before = masked.clone()
    masks = function(masked, 2.0)
    expect(torch.equal(masked, before), "Leave the magnitudes that you were given as they were.")
    shape = tuple(masks.shape)
    expect(shape == (3, 5, 7), f"One mask per source: (3, 5, 7), not {shape}.")
    ones = torch.ones(5, 7)
    expect_close(masks.sum(dim=0), ones, "In each bin the masks of all sources should add up to 1.")
    right = masked**2 / (masked**2).sum(dim=0)
    plain = masked / masked.sum(dim=0)
    expect(not torch.allclose(masks, plain, atol=1e-3), "That is exponent 1, whatever was asked.")
    expect_close(masks, right, "Raise every magnitude, then divide by the sum of those.")
    expect_close(function(masked, 1.0), plain, "With exponent 1 amplitudes are shared.")
    silent = function(0 * masked, 2.0)
    expect(silent.isfinite().all(), "Silence gives NaN: add something small above and below.")
    hint = "In a silent bin three sources should get a third each."
    expect_close(silent, torch.full((3, 5, 7), 1 / 3), hint)
    hint = "Exponent 20 makes loud bins infinite. Is there a scale that changes no share?"
    expect(function(400 * masked, 20.0).isfinite().all(), hint)
    firm = function(masked, 20.0).amax(dim=0).mean()
    return f"With exponent 20 the strongest gets {firm:.0%} of an average bin: nearly binary."


@check
def n_weights(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 3: the size of a net from its channels."""

    def counted(channels: Sequence[int], n_channels: int) -> int:
        with torch.device("meta"):
            net = SpleeterNet(channels, n_channels)
        return sum(x.numel() for x in net.parameters())

    for channels, n_channels in (((3,), 1), ((4, 6), 2), ((4, 6, 9), 2)):
        got, right = int(function(channels, n_channels)), counted(channels, n_channels)
        norms = 2 * (sum(channels) + sum(channels[:-1]) + 1)
        offsets = norms // 2 + n_channels
        up = list(pairwise([*channels[::-1], 1]))
        mistakes = {
            -norms: "that is what all norms hold. Count them too.",
            -2 * channels[-1]: "the deepest norm counts, though nothing uses it.",
            -17 * n_channels: "the last convolution is missing.",
            -offsets: "every kernel has its offset, one for each picture that comes out.",
            -25 * sum(a * b for a, b in up[1:]): "from the second step up on a skip is read, too.",
            25 * up[0][0] * up[0][1]: "which skip does the first step up lack?",
            33 * n_channels: "gaps between taps hold no weights.",
            norms: "running means and variances are counted, not learnt.",
            0: "",
        }
        found = mistakes.get(got - right, "take kernels, offsets and norms one level at a time.")
        case = f"channels {channels} on {n_channels} channel(s)"
        expect(got == right, f"{case}, {got - right:+} weights: {found}")
    full = (16, 32, 64, 128, 256, 512)
    expect(int(function(full, 2)) == 9_823_749, "The published size should give 9,823,749.")
    return f"{function(full, 2):,} at the published size."


@check
def transform_for(function: Callable[[int], tuple[int, int, float]]) -> str:
    """Exercise 4: the transform that shows a published net the picture it knows."""
    n_fft, hop, factor = function(44100)
    known = (n_fft, hop) == (4096, 1024) and abs(factor - 1) < 1e-6
    expect(known, "At 44,100 Hz it is the published transform, 4096 and 1024, as it stands.")
    n_fft, hop, factor = function(22050)
    hint = f"At half the rate a window of the same duration has half the samples, not {n_fft:g}."
    expect(n_fft == 2048, hint)
    expect(hop == 512, "The hop should last as long as before, too.")
    expect(abs(factor - 0.5) > 1e-6, "Shorter windows add up less: which way must the factor go?")
    expect(abs(factor - 2) < 1e-6, "Magnitudes are sums over the window: half of it, half as high.")
    n_fft, hop, factor = function(88200)
    right = (n_fft, hop) == (8192, 2048) and abs(factor - 0.5) < 1e-6
    expect(right, "At 88,200 Hz windows have twice as many samples.")
    whole = all(isinstance(x, int) for x in function(11025)[:2])
    expect(whole, "Window and hop are whole numbers of samples, int.")
    return "The same picture at any rate."
