"""Checks of chapter 14, U-Net."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from common.checks import check, expect
from common.models.unet import UNet

BETTER = 7.0
"""By how many dB a good answer reduces the energy of the error."""


@check
def receptive_field(function: Callable[[int, int, int], int]) -> str:
    """Exercise 1: the receptive field of a stack of strided convolutions."""
    expect(function(0, 5, 2) == 1, "Without any level a number depends on one frame, itself.")
    expect(function(1, 5, 2) == 5, "After one level a number depends on one window: `kernel`.")
    two = function(2, 5, 2)
    expect(two != 25, "You multiply as if windows were side by side, but these windows overlap.")
    expect(two != 9, "You count as if neighbours were one frame apart. How far does a stride move?")
    hint = "How many numbers of the first level does one of the second read? Draw their windows."
    expect(two == 13, hint)
    hint = (
        "One and two levels are right, six are not. By what factor does the distance between "
        "neighbours grow with each level?"
    )
    expect(function(6, 5, 2) == 253, hint)
    expect(function(3, 3, 2) == 15, "Right for windows of 5 frames, but not for 3: use `kernel`.")
    expect(function(3, 5, 3) == 53, "Right for a stride of 2, but not for 3: use `stride`.")
    hint = "Not right for 3 levels with windows of 8 frames and a stride of 4."
    expect(function(3, 8, 4) == 148, hint)
    expect(function(2, 2, 2) == 4, "Not right for 2 levels with windows of 2 frames.")
    return "In the bottleneck of Jansson's net the receptive field has 253 frames."


@check
def weights(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 2: the number of weights by hand."""
    expect_no_slip(function((3, 5, 9), 4), (3, 5, 9), 4)
    for channels, n_sources in (((4, 6), 3), ((16, 32, 64, 128, 256, 512), 1)):
        right, got = learned(channels, n_sources), function(channels, n_sources)
        off = "too many" if got > right else "too few"
        case = f"{len(channels)} levels of {channels} feature maps and {n_sources} masks"
        expect(got == right, f"For {case} you count {abs(got - right):,} {off}.")
    return f"{right:,} weights, as in the paper."


def learned(channels: Sequence[int], n_sources: int) -> int:
    """How many numbers a U-Net learns."""
    with torch.device("meta"):
        net = UNet(n_sources, channels)
    return sum(weight.numel() for weight in net.parameters())


def expect_no_slip(got: int, channels: Sequence[int], n_sources: int) -> None:
    """Name the part that was miscounted, if it is one alone."""
    off = got - learned(channels, n_sources)
    maps = sum(channels) + sum(channels[:-1])
    head = 25 * channels[0] * n_sources
    inner = sum(25 * i * o for i, o in zip(channels[1:-1], channels[:-2], strict=True))
    slips = {
        -2 * maps: "Every block also has a batch normalisation, which learns numbers, too.",
        -maps: "A batch normalisation learns two numbers for each feature map.",
        2 * maps: "The running mean and variance of a norm are not learned.",
        2 * n_sources: "The head is not normalised.",
        -maps - n_sources: "Every convolution adds a bias to each feature map that it computes.",
        -maps - n_sources - 2 * maps: "Biases and batch normalisations are learned, too.",
        -head - inner: "Decoder blocks read the block before them and a skip; you count no skip.",
        -inner: "The decoder blocks between the first one and the head read a skip, too.",
        -head: "The head reads a skip, too.",
        25 * channels[-1] * channels[-2]: "The first decoder block reads the bottleneck alone.",
        25 * channels[0]: "A `UNet` takes one channel at a time, so its first input is one map.",
    }
    expect(off not in slips, slips.get(off, ""))
    case = f"{len(channels)} levels of {channels} feature maps and {n_sources} masks"
    expect(off == 0, f"For {case} you count {abs(off):,} too {'many' if off > 0 else 'few'}.")


@check
def blended_patches(function: Callable[..., Tensor]) -> str:
    """Exercise 3: patches that overlap by half and are cross-faded."""
    generator = torch.Generator().manual_seed(0)
    for total in (40, 37, 8, 3):
        magnitude = torch.rand(1, 2, 5, total, generator=generator)
        expect_the_same_back(function, magnitude)
    ramp = torch.arange(40.0).expand(1, 1, 1, 40)

    def flat(part: Tensor) -> Tensor:
        return part.mean(dim=-1, keepdim=True).expand_as(part).unsqueeze(1)

    steps = torch.as_tensor(function(flat, ramp, 8))[0, 0, 0, 0, 8:32].diff()
    hint = "The middle frames of a patch should have the largest weight and the edges the smallest."
    expect(steps.min() > -0.01, hint)
    hint = (
        "The boundaries are still there: the weight should rise from the first frame of a patch "
        "to its middle and fall again."
    )
    expect(steps.max() < 2.5, hint)
    gain = less_error(function)
    hint = (
        f"The masks have {gain:.1f} dB less error energy than patches that are concatenated; a "
        f"good answer has {BETTER:g} dB less. Give the frames near the edges smaller weights."
    )
    expect(gain >= BETTER, hint)
    return f"Your masks have {gain:.1f} dB less error energy than patches that are concatenated."


def less_error(function: Callable[..., Tensor]) -> float:
    """By how many dB it reduces an error that grows towards the edges of a patch."""
    magnitude = torch.ones(1, 1, 8, 1600)

    def energy(separate: Callable[..., Tensor]) -> Tensor:
        generator = torch.Generator().manual_seed(0)

        def net(part: Tensor) -> Tensor:
            n_frames = part.shape[-1]
            from_middle = (torch.arange(n_frames) + 0.5) / n_frames * 2 - 1
            spread = 0.05 + 0.4 * from_middle**2
            return 0.5 + spread * torch.randn(part.unsqueeze(1).shape, generator=generator)

        masks = torch.as_tensor(separate(net, magnitude, 32))
        return (masks - 0.5).square().mean()

    def concatenated(net: Callable[[Tensor], Tensor], x: Tensor, n_frames: int) -> Tensor:
        return torch.cat([net(part) for part in x.split(n_frames, dim=-1)], dim=-1)

    return 10 * torch.log10(energy(concatenated) / energy(function)).item()


def expect_the_same_back(function: Callable[..., Tensor], magnitude: Tensor) -> None:
    """Try patches with a net whose masks are its input, and twice its input."""
    n_items, total = magnitude.shape[0], magnitude.shape[-1]
    sizes, patches = set(), 0

    def same(part: Tensor) -> Tensor:
        nonlocal patches
        sizes.add(part.shape[-1])
        patches += part.shape[0] // n_items
        return torch.stack([part, 2 * part], dim=1)

    masks = torch.as_tensor(function(same, magnitude, 8)).float()
    hint = "The net should get patches of `n_frames` frames, neither longer nor shorter."
    expect(sizes == {8}, hint)
    wanted = (n_items, 2, *magnitude.shape[1:])
    got = tuple(masks.shape)
    expect(
        got[1:2] == (2,), "Keep the masks of all sources that the net returns, `(b, s, c, f, n)`."
    )
    hint = f"There should be as many frames as in `magnitude`: cut off the silence. {total} frames "
    expect(got == wanted, f"{hint}should give masks {wanted}, not {got}.")
    hint = "Neighbouring patches should overlap by half: move on by `n_frames // 2`."
    expect(total < 40 or 9 <= patches <= 15, hint)
    right = torch.stack([magnitude, 2 * magnitude], dim=1)
    near = torch.isclose(masks, right, rtol=1e-4, atol=1e-4).flatten(0, -2).all(dim=0)
    test = "With a net that returns its input, the masks should be the magnitude itself"
    half = min(4, total // 2)
    hint = f"{test}; yours is wrong in the first frames: is there half a patch of silence before?"
    expect(near[:half].all() or not near[half:-half].all(), hint)
    hint = f"{test}; yours is wrong in the last frames: is there enough silence after the song?"
    expect(near[-half:].all() or not near[half:-half].all(), hint)
    hint = f"{test}: divide each frame by the sum of the weights that it received."
    expect(near.all(), hint)
