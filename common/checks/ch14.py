"""Checks of chapter 14, U-Net."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.models.unet import UNet
from common.signal.stft import STFT


@check
def field_of_view(function: Callable[[int, int, int], int]) -> str:
    """Exercise 1: how many frames a number has seen."""
    expect(function(0, 5, 2) == 1, "With no level at all a number sees one frame: itself.")
    expect(function(1, 5, 2) == 5, "One level down a number has seen one window.")
    hint = "Two windows whose middles lie `stride` frames apart share some frames: draw them."
    expect(function(2, 5, 2) == 13, hint)
    hint = "Two levels are right, six are not: how far apart are neighbours at the lowest level?"
    expect(function(6, 5, 2) == 253, hint)
    for levels, kernel, stride in ((3, 3, 2), (4, 8, 4), (5, 3, 1), (2, 2, 2)):
        seen, step = 1, 1
        for _ in range(levels):
            seen, step = seen + (kernel - 1) * step, step * stride
        expect(
            function(levels, kernel, stride) == seen,
            f"Not right for {levels} levels of windows of {kernel} with stride {stride}.",
        )
    return "At the bottom of Jansson's net one number has seen 253 frames."


@check
def weights(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 2: the number of weights by hand."""
    cases = (((4, 6), 1), ((4, 6), 3), ((3, 5, 9), 4), ((16, 32, 64, 128, 256, 512), 1))
    for channels, n_sources in cases:
        with torch.device("meta"):
            net = UNet(n_sources, channels)
        right = sum(weight.numel() for weight in net.parameters())
        got, case = function(channels, n_sources), f"levels of {channels} and {n_sources} masks"
        norms = 2 * (sum(channels) + sum(channels[:-1]))
        offsets = sum(channels) + sum(channels[:-1]) + n_sources
        if got == right - norms:
            expect(False, "Every pattern but those of the head is also scaled and shifted.")
        if got == right - offsets:
            expect(False, "Every convolution adds an offset to each pattern that it makes.")
        doubled = 25 * channels[-1] * channels[-2]
        if got == right + doubled:
            expect(False, "The lowest decoder block has no skip beside it.")
        off = "too many" if got > right else "too few"
        expect(got == right, f"For {case} you count {abs(got - right):,} {off}.")
    return f"{right:,} weights, as in the paper."


@check
def loud_frames(function: Callable[[Tensor, STFT, float], Tensor]) -> str:
    """Exercise 3: labels from a stem's level."""
    stft = STFT(64, 16)
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(2, 3200, generator=generator)
    steps = (0.0, -15.0, -25.0, -35.0, -80.0)
    audio *= torch.cat([torch.full((640,), 10 ** (dB / 20)) for dB in steps])
    energy = stft(audio).abs().square().sum(dim=(0, 1))
    level = 10 * torch.log10(energy / energy.max() + 1e-12)
    got = function(audio, stft, 20.0)
    expect(
        got.shape == level.shape,
        f"One answer per frame: the shape should be {tuple(level.shape)}, not {tuple(got.shape)}.",
    )
    got = got.bool()
    expect(got.any() and not got.all(), "Some of these frames are loud, and some are not.")
    if torch.equal(got, level > -10):
        expect(False, "20 dB below in energy is a hundredth: 10, not 20, times the logarithm.")
    clear = (level + 20).abs() > 0.5
    expect(
        torch.equal(got[clear], (level > -20)[clear]),
        "A frame counts where its energy is less than 20 dB below that of the loudest frame.",
    )
    deeper = function(audio, stft, 30.0).bool()
    clear = (level + 30).abs() > 0.5
    expect(torch.equal(deeper[clear], (level > -30)[clear]), "`below` should be heeded.")
    quieter = function(0.01 * audio, stft, 20.0).bool()
    expect(torch.equal(quieter, got), "Turning the stem down should not change when it is loud.")
    one_side = audio.clone()
    one_side[0] = 0.0
    side = function(one_side, stft, 20.0).bool()
    expect(side.any(), "A stem on one side only is heard too: add the channels up.")
    silent = function(torch.zeros(2, 320), stft, 20.0)
    expect(not silent.any(), "In a silent stem no frame is loud.")
    return f"{int(got.sum())} of {len(got)} frames are loud."


@check
def blended_patches(function: Callable[..., Tensor]) -> str:
    """Exercise 4: patches that overlap by half and are cross-faded."""
    generator = torch.Generator().manual_seed(0)
    sizes = []

    def same(part: Tensor) -> Tensor:
        sizes.append(part.shape[-1])
        return part.unsqueeze(1)

    for total in (40, 37, 8, 3):
        magnitude = torch.rand(1, 2, 5, total, generator=generator)
        masks = function(same, magnitude, 8)
        wanted = (1, 1, 2, 5, total)
        expect(
            masks.shape == wanted,
            f"{total} frames should give masks {wanted}, not {tuple(masks.shape)}.",
        )
        hint = (
            "A net that answers each bin with itself should give the magnitude back, frame by "
            "frame, also at both ends: divide by the sum of the weights that a frame received."
        )
        expect_close(masks[:, 0], magnitude, hint, 1e-4)
    expect(
        set(sizes) == {8}, "The net should see patches of `n_frames`, neither longer nor shorter."
    )
    sizes.clear()
    ramp = torch.arange(40.0).expand(1, 1, 1, 40)
    function(same, ramp, 8)
    expect(len(sizes) >= 9, "Neighbouring patches should share half of their frames.")

    def flat(part: Tensor) -> Tensor:
        return part.mean(dim=-1, keepdim=True).expand_as(part).unsqueeze(1)

    steps = function(flat, ramp, 8)[0, 0, 0, 0, 8:32].diff()
    expect(
        steps.abs().max() < 2.5,
        "There are still seams: the weight of a patch should rise from its edge to its middle.",
    )
    return f"No seam is left: neighbouring frames differ by {steps.abs().max():.1f} at most."
