"""Answers to the exercises of chapter 14, U-Net."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from answers import Answers
from common.models.unet import UNet


def from_the_first_level(n_levels: int, kernel: int = 5, stride: int = 2) -> int:
    seen, step = 1, 1
    for _ in range(n_levels):
        seen += (kernel - 1) * step
        step *= stride
    return seen


def from_the_last_level(n_levels: int, kernel: int = 5, stride: int = 2) -> int:
    seen = 1
    for _ in range(n_levels):
        seen = (seen - 1) * stride + kernel
    return seen


def in_one_formula(n_levels: int, kernel: int = 5, stride: int = 2) -> float:
    return 1 + (kernel - 1) * (stride**n_levels - 1) / (stride - 1)


def field_in_numpy(n_levels: int, kernel: int = 5, stride: int = 2) -> np.integer:
    return 1 + np.sum((kernel - 1) * stride ** np.arange(n_levels))


def with_growing_steps(n_levels: int, kernel: int = 5, stride: int = 2) -> int:
    steps = [1, *(stride + level for level in range(n_levels))][:n_levels]
    return 1 + (kernel - 1) * sum(steps)


RECEPTIVE_FIELD = Answers(
    right={
        "from the first level": from_the_first_level,
        "from the last level": from_the_last_level,
        "in one formula": in_one_formula,
        "in NumPy": field_in_numpy,
    },
    wrong={
        "starts at zero": (
            lambda n, k=5, s=2: sum((k - 1) * s**level for level in range(n)),
            "depends on one frame, itself",
        ),
        "one stride too many": (
            lambda n, k=5, s=2: 1 + sum((k - 1) * s ** (level + 1) for level in range(n)),
            "After one level",
        ),
        "windows side by side": (
            lambda n, k=5, s=2: k**n,
            "these windows overlap",
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
            with_growing_steps,
            "By what factor",
        ),
        "the kernel's size is fixed": (
            lambda n, k=5, s=2: 1 + 4 * sum(s**level for level in range(n)),
            "but not for 3: use `kernel`",
        ),
        "the stride is fixed": (
            lambda n, k=5, s=2: 1 + (k - 1) * (2**n - 1),
            "but not for 3: use `stride`",
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
    bottleneck_skip: bool = False,
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
            elif bottleneck_skip and place == len(channels):
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
        "a skip at the bottleneck": (miscount(bottleneck_skip=True), "reads the bottleneck alone"),
        "stereo input": (miscount(first=2), "one channel at a time"),
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
        "weights that are too flat": (blend(lambda n: triangle(n).sqrt()), "a good answer has"),
        "equal weights": (blend(torch.ones), "boundaries are still there"),
        "most at the edges": (
            blend(lambda n: 1.01 - triangle(n)),
            "should have the largest weight",
        ),
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
    "receptive_field": RECEPTIVE_FIELD,
    "weights": WEIGHTS,
    "blended_patches": BLENDED_PATCHES,
}
