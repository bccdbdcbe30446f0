"""Checks of chapter 14, U-Net."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from common.checks import check, expect
from common.models.unet import UNet
from common.signal.stft import STFT


@check
def field_of_view(function: Callable[[int, int, int], int]) -> str:
    """Exercise 1: how many frames a number has seen."""
    expect(function(0, 5, 2) == 1, "With no level at all a number sees one frame: itself.")
    expect(function(1, 5, 2) == 5, "After one level a number has seen one window, `kernel` frames.")
    two = function(2, 5, 2)
    expect(
        two != 25, "You multiply as if windows lay side by side, but these windows share frames."
    )
    expect(two != 9, "You count as if neighbours were one frame apart: how far does a stride move?")
    hint = "How many numbers of the first level does one of the second read? Draw their windows."
    expect(two == 13, hint)
    hint = (
        "One and two levels are right, for six you are not: by what factor does the distance "
        "between neighbours grow with each level?"
    )
    expect(function(6, 5, 2) == 253, hint)
    expect(function(3, 3, 2) == 15, "Right for windows of 5 frames, not for 3: use `kernel`.")
    expect(function(3, 5, 3) == 53, "Right for a stride of 2, not for 3: use `stride`.")
    hint = "Not right for 3 levels of windows of 8 frames with a stride of 4."
    expect(function(3, 8, 4) == 148, hint)
    expect(function(2, 2, 2) == 4, "Not right for 2 levels of windows of 2 frames.")
    return "At the bottom of Jansson's net one number has seen 253 frames."


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
        -2 * maps: "Every block also has a batch normalisation, with numbers that are learned.",
        -maps: "A batch normalisation learns two numbers for each feature map.",
        2 * maps: "The running mean and variance of a norm are not learned.",
        2 * n_sources: "The head is not normalised.",
        -maps
        - n_sources: "Every convolution adds a bias (an offset) to each feature map it makes.",
        -maps
        - n_sources
        - 2 * maps: "Biases (offsets) and batch normalisations learn numbers too.",
        -head - inner: "Decoder blocks read the block below and a skip; you count no skip.",
        -inner: "The decoder blocks between the lowest one and the head read a skip, too.",
        -head: "The head reads a skip, too.",
        25 * channels[-1] * channels[-2]: "The lowest decoder block has no skip beside it.",
        25 * channels[0]: "A `UNet` takes one channel at a time, so its first input is one map.",
    }
    expect(off not in slips, slips.get(off, ""))
    case = f"{len(channels)} levels of {channels} feature maps and {n_sources} masks"
    expect(off == 0, f"For {case} you count {abs(off):,} too {'many' if off > 0 else 'few'}.")


def stem_to_label() -> Tensor:
    """Noise at several levels, tones, and sound on one side or out of phase, (2, t)."""
    generator = torch.Generator().manual_seed(0)
    tone = torch.sin(torch.arange(640) * torch.pi / 4) * 2**0.5
    parts = []
    for kind, dB in (
        *(("noise", dB) for dB in (0, -15, -25, -35, -80)),
        *(("tone", dB) for dB in (-17, -24)),
        *(("right", dB) for dB in (-12, -22)),
        ("against", -10),
    ):
        noise = torch.randn(2, 640, generator=generator)
        left = tone if kind == "tone" else noise[0]
        sides = {
            "noise": noise,
            "tone": torch.stack([tone, tone]),
            "right": torch.stack([0 * left, left * 2**0.5]),
            "against": torch.stack([left, -left]),
        }
        parts.append(sides[kind] * 10 ** (dB / 20))
    return torch.cat(parts, dim=1)


def mistaken_levels(spectrum: Tensor) -> dict[str, Tensor]:
    """What people take for a frame's level in dB, (n,), by the hint that it gets."""
    magnitude = spectrum.abs()
    energy = magnitude.square()
    return {
        "A level in dB is 20 times the logarithm of a magnitude, but only ten times that of an "
        "energy, which is squared already.": 20 * energy.sum(dim=(0, 1)).log10(),
        "An energy is a sum of squares: first square the magnitudes, then add the squares up.": 20
        * magnitude.sum(dim=(0, 1)).log10(),
        "Add the energy up over all bins, instead of taking the largest.": 10
        * energy.amax(dim=(0, 1)).log10(),
        "Here only the first channel decides: add up the energy of every channel.": 10
        * energy[0].sum(dim=0).log10(),
        "Here only the louder channel decides: add up the energy of every channel.": 10
        * energy.sum(dim=1).amax(dim=0).log10(),
        "Channels of opposite sign cancel when you add their sound: add their energy.": 10
        * spectrum.sum(dim=0).abs().square().sum(dim=0).log10(),
    }


@check
def loud_frames(function: Callable[[Tensor, STFT, float], Tensor]) -> str:
    """Exercise 3: labels from a stem's level."""
    stft, audio = STFT(64, 16), stem_to_label()
    spectrum = stft(audio)
    energy = spectrum.abs().square().sum(dim=(0, 1))
    level = 10 * torch.log10(energy / energy.max())
    got = torch.as_tensor(function(audio, stft, 20.0))
    hint = f"One answer per frame: the shape should be {tuple(level.shape)}, not "
    expect(got.shape == level.shape, f"{hint}{tuple(got.shape)}.")
    got = got.bool()
    quieter = torch.as_tensor(function(0.01 * audio, stft, 20.0)).bool()
    expect(torch.equal(quieter, got), "Turning the stem down should not change when it is loud.")
    for hint, other in mistaken_levels(spectrum).items():
        expect(not torch.equal(got, other - other.max() > -20), hint)
    deeper = torch.as_tensor(function(audio, stft, 30.0)).bool()
    hint = "The answer should depend on `below`: more frames are loud at 30 dB than at 20 dB."
    expect(not torch.equal(deeper, got), hint)
    for below, labels in ((20, got), (30, deeper)):
        clear = (level + below).abs() > 0.05
        expect(
            torch.equal(labels[clear], (level > -below)[clear]),
            f"At `below={below}` a frame is loud if its energy, over all bins and channels, is "
            f"less than {below} dB under the energy of the loudest frame.",
        )
    silent = torch.as_tensor(function(torch.zeros(2, 320), stft, 20.0)).bool()
    expect(not silent.any(), "In a silent stem no frame is loud.")
    return f"{int(got.sum())} of {len(got)} frames are loud."


@check
def blended_patches(function: Callable[..., Tensor]) -> str:
    """Exercise 4: patches that overlap by half and are cross-faded."""
    generator = torch.Generator().manual_seed(0)
    for total in (40, 37, 8, 3):
        magnitude = torch.rand(1, 2, 5, total, generator=generator)
        expect_the_same_back(function, magnitude)
    ramp = torch.arange(40.0).expand(1, 1, 1, 40)

    def flat(part: Tensor) -> Tensor:
        return part.mean(dim=-1, keepdim=True).expand_as(part).unsqueeze(1)

    steps = torch.as_tensor(function(flat, ramp, 8))[0, 0, 0, 0, 8:32].diff()
    hint = "A patch's frames should count most in its middle and least at its edges."
    expect(steps.min() > -0.01, hint)
    expect(
        steps.max() < 2.5,
        "There are still seams: the weight of a patch should rise from its first frame to its "
        "middle and fall again.",
    )
    return f"No seam is left: neighbouring frames differ by {steps.max():.1f} at most."


def expect_the_same_back(function: Callable[..., Tensor], magnitude: Tensor) -> None:
    """Try patches with a net whose masks are what it sees, and twice that."""
    n_items, total = magnitude.shape[0], magnitude.shape[-1]
    sizes, patches = set(), 0

    def same(part: Tensor) -> Tensor:
        nonlocal patches
        sizes.add(part.shape[-1])
        patches += part.shape[0] // n_items
        return torch.stack([part, 2 * part], dim=1)

    masks = torch.as_tensor(function(same, magnitude, 8)).float()
    hint = "The net should see patches of `n_frames` frames, neither longer nor shorter."
    expect(sizes == {8}, hint)
    wanted = (n_items, 2, *magnitude.shape[1:])
    got = tuple(masks.shape)
    expect(got[1:2] == (2,), "Keep the masks of all sources that the net gives, `(b, s, c, f, n)`.")
    hint = f"There should be as many frames as in `magnitude`: cut off the silence. {total} frames "
    expect(got == wanted, f"{hint}should give masks {wanted}, not {got}.")
    hint = "Neighbouring patches should overlap by half: move on by `n_frames // 2`."
    expect(total < 40 or 9 <= patches <= 15, hint)
    right = torch.stack([magnitude, 2 * magnitude], dim=1)
    near = torch.isclose(masks, right, rtol=1e-4, atol=1e-4).flatten(0, -2).all(dim=0)
    test = "The masks of a net that gives back what it sees should be the magnitude itself"
    half = min(4, total // 2)
    hint = f"{test}; yours is wrong in the first frames: is there half a patch of silence before?"
    expect(near[:half].all() or not near[half:-half].all(), hint)
    hint = f"{test}; yours is wrong in the last frames: is there enough silence after the song?"
    expect(near[-half:].all() or not near[half:-half].all(), hint)
    hint = f"{test}: divide each frame by the sum of the weights that it got."
    expect(near.all(), hint)
