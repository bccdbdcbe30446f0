"""Answers to the exercises of chapter 14, U-Net."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from answers import Answers
from common.models.unet import UNet
from common.signal.stft import STFT


def seen_from_the_top(n_levels: int, kernel: int = 5, stride: int = 2) -> int:
    seen, step = 1, 1
    for _ in range(n_levels):
        seen += (kernel - 1) * step
        step *= stride
    return seen


def seen_from_the_bottom(n_levels: int, kernel: int = 5, stride: int = 2) -> int:
    seen = 1
    for _ in range(n_levels):
        seen = (seen - 1) * stride + kernel
    return seen


def seen_in_one_formula(n_levels: int, kernel: int = 5, stride: int = 2) -> float:
    return 1 + (kernel - 1) * (stride**n_levels - 1) / (stride - 1)


def seen_in_numpy(n_levels: int, kernel: int = 5, stride: int = 2) -> np.integer:
    return 1 + np.sum((kernel - 1) * stride ** np.arange(n_levels))


def seen_with_growing_steps(n_levels: int, kernel: int = 5, stride: int = 2) -> int:
    steps = [1, *(stride + level for level in range(n_levels))][:n_levels]
    return 1 + (kernel - 1) * sum(steps)


FIELD_OF_VIEW = Answers(
    right={
        "from the first level": seen_from_the_top,
        "from the last level": seen_from_the_bottom,
        "in one formula": seen_in_one_formula,
        "in NumPy": seen_in_numpy,
    },
    wrong={
        "starts at zero": (
            lambda n, k=5, s=2: sum((k - 1) * s**level for level in range(n)),
            "sees one frame: itself",
        ),
        "one stride too many": (
            lambda n, k=5, s=2: 1 + sum((k - 1) * s ** (level + 1) for level in range(n)),
            "After one level",
        ),
        "windows side by side": (
            lambda n, k=5, s=2: k**n,
            "windows share frames",
        ),
        "windows that overlap by all but one frame": (
            lambda n, k=5, s=2: 1 + (k - 1) * n,
            "as if neighbours were one frame apart",
        ),
        "two windows for five": (
            lambda n, k=5, s=2: 1 if n == 0 else k + s * (n - 1),
            "How many numbers of the first level",
        ),
        "steps that grow by the same amount": (
            seen_with_growing_steps,
            "by what factor",
        ),
        "the kernel's size is fixed": (
            lambda n, k=5, s=2: 1 + 4 * sum(s**level for level in range(n)),
            "not for 3: use `kernel`",
        ),
        "the stride is fixed": (
            lambda n, k=5, s=2: 1 + (k - 1) * (2**n - 1),
            "not for 3: use `stride`",
        ),
    },
)


def layers(channels: Sequence[int], n_sources: int) -> list[tuple[int, int, bool]]:
    """Feature maps in, feature maps out and whether a norm follows, for each convolution."""
    down = [1, *channels]
    found = [(i, o, True) for i, o in zip(down[:-1], down[1:], strict=True)]
    outs = [*channels[-2::-1], n_sources]
    ins = [channels[-1], *(2 * n for n in channels[-2::-1])]
    norms = [True] * (len(channels) - 1) + [False]
    return found + list(zip(ins, outs, norms, strict=True))


def listed(channels: Sequence[int], n_sources: int) -> int:
    return sum(25 * i * o + o + 2 * o * norm for i, o, norm in layers(channels, n_sources))


def tabled(channels: Sequence[int], n_sources: int) -> np.integer:
    i, o, norm = np.array(layers(channels, n_sources)).T
    return (25 * i * o + o + 2 * o * norm).sum()


def recursive(channels: Sequence[int], n_sources: int) -> int:
    def below(n_in: int, rest: Sequence[int]) -> int:
        out, *deeper = rest
        total = 25 * n_in * out + 3 * out
        if not deeper:
            return total
        decoder = deeper[0] * (2 if len(deeper) > 1 else 1)
        return total + below(out, deeper) + 25 * decoder * out + 3 * out

    head = channels[0] * (2 if len(channels) > 1 else 1)
    return below(1, channels) + 25 * head * n_sources + n_sources


def built(channels: Sequence[int], n_sources: int) -> int:
    return sum(p.numel() for p in UNet(n_sources, channels).parameters())


def miscount(
    skips: bool = True,
    head_skip: bool = True,
    bottom_skip: bool = False,
    biases: int = 1,
    norm: int = 2,
    head_norm: bool = False,
    first: int = 1,
) -> Callable[[Sequence[int], int], int]:
    """A count with one thing overlooked."""

    def count(channels: Sequence[int], n_sources: int) -> int:
        total = 0
        for place, (i, o, normed) in enumerate(layers(channels, n_sources)):
            up, last = place >= len(channels), place == 2 * len(channels) - 1
            if up and not skips and place > len(channels):
                i //= 2
            elif last and not head_skip:
                i //= 2
            elif bottom_skip and place == len(channels):
                i *= 2
            elif place == 0:
                i = first
            total += 25 * i * o + biases * o + norm * o * (normed or head_norm)
        return total

    return count


WEIGHTS = Answers(
    right={
        "layer by layer": listed,
        "as a table": tabled,
        "recursively": recursive,
        "by building it": built,
    },
    wrong={
        "no norms": (miscount(norm=0), "batch normalisation"),
        "one number per norm": (miscount(norm=1), "two numbers for each"),
        "running statistics count": (miscount(norm=4), "running mean"),
        "the head is normalised": (miscount(head_norm=True), "head is not normalised"),
        "no biases": (miscount(biases=0), "adds a bias"),
        "no skips": (miscount(skips=False), "count no skip"),
        "the head reads no skip": (miscount(head_skip=False), "The head reads"),
        "a skip at the bottom": (miscount(bottom_skip=True), "lowest decoder block"),
        "stereo input": (miscount(first=2), "one channel at a time"),
    },
)


def loud_in_decibels(audio: Tensor, stft: STFT, below: float = 30.0) -> Tensor:
    level = 10 * torch.log10(stft(audio).abs().pow(2).sum(dim=(0, 1)))
    return level - level.max() > -below


def loud_in_numpy(audio: Tensor, stft: STFT, below: float = 30.0) -> np.ndarray:
    energy = (np.abs(stft(audio).numpy()) ** 2).sum(axis=(0, 1)).astype(np.float64)
    return energy > energy.max() * 10 ** (-below / 10)


def loud_frame_by_frame(audio: Tensor, stft: STFT, below: float = 30.0) -> list[bool]:
    energies = [float((frame.abs() ** 2).sum()) for frame in stft(audio).unbind(-1)]
    if max(energies) == 0:
        return [False] * len(energies)
    return [e > 0 and 10 * math.log10(max(energies) / e) < below for e in energies]


def loud_by_mean_energy(audio: Tensor, stft: STFT, below: float = 30.0) -> Tensor:
    energy = stft(audio.double()).abs().square().mean(dim=(0, 1))
    return ((energy > 0) & (energy / energy.max() > 10 ** (-below / 10))).float()


def loud_if(
    measure: Callable[[Tensor], Tensor], factor: float = 10.0, strict: bool = True
) -> Callable[[Tensor, STFT, float], Tensor]:
    """Labels from another measure of a frame than its energy, of a magnitude (c, f, n)."""

    def label(audio: Tensor, stft: STFT, below: float = 30.0) -> Tensor:
        size = measure(stft(audio).abs())
        least = size.max() * 10 ** (-below / factor)
        return size > least if strict else size >= least

    return label


def energy(magnitude: Tensor) -> Tensor:
    return magnitude.square().sum(dim=(0, 1))


def loud_of_downmix(audio: Tensor, stft: STFT, below: float = 30.0) -> Tensor:
    return loud_in_decibels(audio.mean(dim=0, keepdim=True), stft, below)


def loud_in_full_scale(audio: Tensor, stft: STFT, below: float = 30.0) -> Tensor:
    return 10 * torch.log10(energy(stft(audio).abs())) > 30 - below


def loud_against_the_mean(audio: Tensor, stft: STFT, below: float = 30.0) -> Tensor:
    size = energy(stft(audio).abs())
    return size > size.mean() * 10 ** (-below / 10)


LOUD_FRAMES = Answers(
    right={
        "in decibels": loud_in_decibels,
        "in NumPy": loud_in_numpy,
        "frame by frame": loud_frame_by_frame,
        "by mean energy, as numbers": loud_by_mean_energy,
    },
    wrong={
        "20 times the logarithm": (loud_if(energy, 20.0), "squared already"),
        "sum of magnitudes": (
            loud_if(lambda m: m.sum(dim=(0, 1)), 20.0),
            "add the squares up",
        ),
        "square of the sum of magnitudes": (
            loud_if(lambda m: m.sum(dim=(0, 1)).square()),
            "add the squares up",
        ),
        "the largest bin": (loud_if(lambda m: m.square().amax(dim=(0, 1))), "over all bins"),
        "one label per channel": (loud_if(lambda m: m.square().sum(dim=1)), "One answer per frame"),
        "the first channel only": (
            loud_if(lambda m: m[0].square().sum(dim=0)),
            "only the first channel",
        ),
        "the louder channel": (
            loud_if(lambda m: m.square().sum(dim=1).amax(dim=0)),
            "only the louder channel",
        ),
        "a mono downmix": (loud_of_downmix, "sign cancel"),
        "a fixed threshold": (loud_in_full_scale, "Turning the stem down"),
        "against the mean": (loud_against_the_mean, "loudest frame"),
        "always 30 dB": (
            lambda audio, stft, below: loud_in_decibels(audio, stft),
            "depend on `below`",
        ),
        "silence is loud": (loud_if(energy, strict=False), "silent stem"),
    },
)


def triangle(n_frames: int) -> Tensor:
    ramp = (torch.arange(n_frames // 2) + 0.5) / (n_frames // 2)
    return torch.cat([ramp, ramp.flip(0)])


def blend(
    window: Callable[[int], Tensor],
    hop: float = 0.5,
    front: float = 0.5,
    divide: bool = True,
    cut: bool = True,
    room: int = 0,
) -> Callable[..., Tensor]:
    """Patches weighted by a window; `hop`, `front` and `room` in patches before and between."""

    def separate(net: Callable, magnitude: Tensor, n_frames: int = 128) -> Tensor:
        total, step = magnitude.shape[-1], int(hop * n_frames)
        before = int(front * n_frames)
        after = n_frames + -(total + before) % step
        x = functional.pad(magnitude, (before, after))
        weight = window(n_frames)
        masks, sums = 0.0, torch.zeros(x.shape[-1])
        for first in range(0, x.shape[-1] - n_frames + 1, step):
            part = x[..., first : first + n_frames]
            answer = net(functional.pad(part, (room, room)))
            answer = answer[..., room : room + n_frames] * weight
            masks = masks + functional.pad(answer, (first, x.shape[-1] - first - n_frames))
            sums[first : first + n_frames] += weight
        masks = masks / sums if divide else masks
        return masks[..., before : before + total] if cut else masks[..., before:]

    return separate


def blended_at_once(net: Callable, magnitude: Tensor, n_frames: int = 128) -> Tensor:
    """All patches in one batch."""
    half, total = n_frames // 2, magnitude.shape[-1]
    x = functional.pad(magnitude, (half, half + -total % half))
    parts = x.unfold(-1, n_frames, half)
    b, c, f, p, n = parts.shape
    answers = net(parts.permute(0, 3, 1, 2, 4).reshape(b * p, c, f, n))
    answers = answers.reshape(b, p, *answers.shape[1:]) * triangle(n_frames)
    masks = torch.zeros(*answers.shape[:1], *answers.shape[2:-1], x.shape[-1])
    for number in range(p):
        masks[..., number * half : number * half + n_frames] += answers[:, number]
    return masks[..., half : half + total]


def blended_for_one_source(net: Callable, magnitude: Tensor, n_frames: int = 128) -> Tensor:
    return blend(triangle)(lambda x: net(x)[:, :1], magnitude, n_frames)


def blended_without_an_end(net: Callable, magnitude: Tensor, n_frames: int = 128) -> Tensor:
    half, weight = n_frames // 2, triangle(n_frames)
    x = functional.pad(magnitude, (half, 0))
    masks, sums = 0.0, torch.full((x.shape[-1],), 1e-9)
    for first in range(0, x.shape[-1] - n_frames + 1, half):
        answer = net(x[..., first : first + n_frames]) * weight
        masks = masks + functional.pad(answer, (first, x.shape[-1] - first - n_frames))
        sums[first : first + n_frames] += weight
    return (masks / sums)[..., half : half + magnitude.shape[-1]]


BLENDED_PATCHES = Answers(
    right={
        "a triangle, patch by patch": blend(triangle),
        "a Hann window": blend(torch.hann_window),
        "a sine window": blend(lambda n: torch.hann_window(n).sqrt()),
        "all patches in one batch": blended_at_once,
        "a window of 64 bits": blend(lambda n: triangle(n).double()),
        "an array": lambda net, x, n_frames: blend(triangle)(net, x, n_frames).numpy(),
        "more silence before": blend(triangle, front=1.5),
    },
    wrong={
        "equal weights": (blend(torch.ones), "still seams"),
        "most at the edges": (blend(lambda n: 1.01 - triangle(n)), "most in its middle"),
        "not divided": (
            blend(lambda n: torch.hann_window(n).sqrt(), divide=False),
            "divide each frame",
        ),
        "nothing before the song": (
            blend(torch.hann_window, front=0.0),
            "first frames",
        ),
        "patches side by side": (blend(triangle, hop=1.0), "overlap by half"),
        "a hop of one quarter": (blend(triangle, hop=0.25), "overlap by half"),
        "the end is not cut off": (blend(triangle, cut=False), "as many frames"),
        "patches with margins": (blend(triangle, room=2), "`n_frames` frames"),
        "one source only": (blended_for_one_source, "all sources"),
        "the last frames are forgotten": (blended_without_an_end, "last frames"),
    },
)

ANSWERS = {
    "field_of_view": FIELD_OF_VIEW,
    "weights": WEIGHTS,
    "loud_frames": LOUD_FRAMES,
    "blended_patches": BLENDED_PATCHES,
}
