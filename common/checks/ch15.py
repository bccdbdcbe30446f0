"""Checks of chapter 15, Spleeter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.models.spleeter import SpleeterNet


@check
def same_padding(function: Callable[..., tuple[int, int]]) -> str:
    """Exercise 1: TensorFlow's rule for the zeros before and behind."""
    for size, kernel, stride, dilation, right in (
        (8, 5, 2, 1, (1, 2)),
        (7, 5, 2, 1, (2, 2)),
        (64, 4, 1, 2, (3, 3)),
        (10, 3, 1, 1, (1, 1)),
        (10, 4, 1, 1, (1, 2)),
        (9, 2, 3, 1, (0, 0)),
        (12, 1, 4, 1, (0, 0)),
        (11, 3, 2, 3, (3, 3)),
    ):
        before, behind = function(size, kernel, stride, dilation)
        case = f"size {size}, kernel {kernel}, stride {stride}, dilation {dilation}"
        reach = (kernel - 1) * dilation + 1
        total, wanted = before + behind, sum(right)
        expect(min(before, behind) >= 0, f"{case}: padding is never negative.")
        if total != wanted:
            hints = {
                reach - 1: "the number of zeros should depend on the stride, too.",
                wanted - (reach - kernel): f"with the gaps between its taps the kernel covers "
                f"{reach} inputs, not {kernel}.",
                wanted + dilation - 1: "a kernel has gaps between its taps, not behind the last.",
                wanted - stride: "the number of outputs is size / stride, rounded up.",
            }
            hint = f"{total} zeros do not give size / stride outputs, rounded up."
            expect(False, f"{case}: {hints.get(total, hint)}")
        hint = f"{case}: {total} in all is right; an odd zero goes behind, not before."
        expect((before, behind) == right, hint)
    return "One before and two behind, and for an odd size two and two."


@check
def shared_masks(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 2: masks from masked magnitudes, with any exponent."""
    masked = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0)) + 0.05
    before = masked.clone()
    masks = masks_of(function, masked, 2.0)
    expect(torch.equal(masked, before), "Leave the magnitudes that you were given as they were.")
    right = masked**2 / (masked**2).sum(dim=0)
    plain = masked / masked.sum(dim=0)
    for dim, axis in ((1, "frequencies"), (2, "frames")):
        other = masked**2 / (masked**2).sum(dim=dim, keepdim=True)
        hint = f"Divide by the sum over sources, not over {axis}."
        expect(not torch.allclose(masks, other, atol=1e-3), hint)
    ones = torch.ones(5, 7)
    expect_close(masks.sum(dim=0), ones, "In each bin the masks of all sources should add up to 1.")
    hint = "These are the masks of exponent 1: use `exponent`."
    expect(not torch.allclose(masks, plain, atol=1e-3), hint)
    expect_close(masks, right, "Raise every magnitude to the power, then divide by their sum.")
    got = masks_of(function, masked, 1.0)
    hint = "These are the masks of exponent 2, whatever exponent was asked for."
    expect(not torch.allclose(got, right, atol=1e-3), hint)
    expect_close(got, plain, "With exponent 1 the magnitudes themselves should be shared out.")
    for n_sources in (3, 2):
        silent = masks_of(function, torch.zeros(n_sources, 5, 7), 2.0)
        hint = "Silence gives NaN: what should happen where the sum is zero?"
        expect(silent.isfinite().all(), hint)
        hint = f"In a silent bin {n_sources} sources should get equal parts."
        expect_close(silent, torch.full((n_sources, 5, 7), 1 / n_sources), hint)
    powers = masked.double() ** 20
    right = (powers / powers.sum(dim=0)).float()
    for gain, size in ((400, "large"), (1 / 400, "small")):
        hint = (
            f"At exponent 20 the powers of magnitudes become too {size} for 32 bits. "
            "Is there a scale that changes no share?"
        )
        got = masks_of(function, gain * masked, 20.0)
        expect(torch.allclose(got, right, atol=1e-3), hint)
    firm = right.amax(dim=0).mean()
    return f"With exponent 20 the strongest gets {firm:.0%} of an average bin: nearly binary."


def masks_of(function: Callable[[Tensor, float], Tensor], masked: Tensor, power: float) -> Tensor:
    """The answer's masks, which should have the shape of what is masked."""
    masks = torch.as_tensor(function(masked, power)).float()
    shape, wanted = tuple(masks.shape), tuple(masked.shape)
    expect(shape == wanted, f"One mask per source: the shape should be {wanted}, not {shape}.")
    return masks


@check
def n_weights(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 3: the size of a net from its channels."""
    for channels, n_channels in (((4, 6, 9), 2), ((4, 6), 3), ((3,), 1)):
        with torch.device("meta"):
            net = SpleeterNet(channels, n_channels)
        right = sum(x.numel() for x in net.parameters())
        off = int(function(channels, n_channels)) - right
        maps = sum(channels) + sum(channels[:-1]) + 1
        up = list(pairwise([*channels[::-1], 1]))
        mistakes = {
            -2 * maps: "that is what all norms hold. Count them, too.",
            -maps: "a norm learns two numbers per feature map.",
            2 * maps: "running means and variances are counted, not learned.",
            -2 * channels[-1]: "the deepest norm counts, though nothing uses it.",
            -maps - n_channels: "every convolution has its biases, one for each output.",
            -17 * n_channels: "the last convolution is missing.",
            33 * n_channels: "gaps between taps hold no weights.",
            9 * n_channels: "the kernel of the last convolution is 4 by 4.",
            25 * up[0][0] * up[0][1]: "does the first step up read a skip?",
        }
        if len(channels) > 2:  # smaller nets have no two counts for these
            skips = -25 * sum(a * b for a, b in up[1:])
            mistakes[skips] = "from the second step up on, a skip is read, too."
            mistakes[-25 * channels[0]] = "the first convolution reads all audio channels."
        found = mistakes.get(off, "count weights, biases and norms one level at a time.")
        case = f"channels {channels} on {n_channels} audio channel(s)"
        expect(off == 0, f"{case}, {off:+} weights: {found}")
    full = int(function((16, 32, 64, 128, 256, 512), 2))
    expect(full == 9_823_749, f"The published size should give 9,823,749, not {full:,}.")
    return f"{full:,} at the published size."


@check
def transform_for(function: Callable[[int], tuple[int, int, float]]) -> str:
    """Exercise 4: the transform that shows a published net the spectrogram it knows."""
    n_fft, hop, factor = function(44100)
    known = (n_fft, hop) == (4096, 1024) and abs(factor - 1) < 1e-6
    expect(known, "At 44,100 Hz it should be the published transform, 4096 and 1024, factor 1.")
    n_fft, hop, factor = function(22050)
    hint = f"At half the rate a window of the same duration has half the samples, not {n_fft:g}."
    expect(n_fft == 2048, hint)
    expect(hop == 512, "The hop should last as long as before, too.")
    hints = {
        0.5: "Shorter windows have smaller sums: which way should the factor change them?",
        1: "A magnitude is a sum over the window: half as many samples make it half as large.",
        4: "The factor is for magnitudes, not of energies: how does a sum grow with its length?",
        2**0.5: "A square root would be right for noise; a tone's magnitude is a plain sum.",
    }
    for value, hint in hints.items():
        expect(abs(factor - value) > 1e-4, hint)
    hint = f"At half the rate magnitudes are half as large; a factor of {factor:.3g} does not help."
    expect(abs(factor - 2) < 1e-4, hint)
    n_fft, hop, factor = function(88200)
    right = (n_fft, hop) == (8192, 2048) and abs(factor - 0.5) < 1e-4
    expect(right, "At 88,200 Hz windows have twice as many samples.")
    for rate in (11025, 48000):
        n_fft, hop, factor = function(rate)
        hint = "Window and hop should be whole numbers of samples: int, not float."
        expect(isinstance(n_fft, Integral) and isinstance(hop, Integral), hint)
        near = abs(n_fft - 4096 * rate / 44100) < 2 and abs(hop - 1024 * rate / 44100) < 2
        hint = (
            f"At {rate:,} Hz a window of {n_fft} with a hop of {hop} has another duration: it "
            "need not be a power of two."
        )
        expect(near and abs(factor - 44100 / rate) < 1e-3, hint)
    return "The same spectrogram at any rate."
