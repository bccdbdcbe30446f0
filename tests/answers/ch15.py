"""Answers to the exercises of chapter 15, Spleeter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from answers import Answers
from common.models.spleeter import SpleeterNet


def padded_by_the_end(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple:
    last = (math.ceil(size / stride) - 1) * stride
    total = max(last + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def padded_by_the_rest(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> list:
    total = (kernel - 1) * dilation + 1 - (size % stride or stride)
    before, odd = divmod(max(0, total), 2)
    return [before, before + odd]


def padded_by_trying(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> np.ndarray:
    wanted, zeros = -(-size // stride), np.array([0, 0])
    while (size + zeros.sum() - dilation * (kernel - 1) - 1) // stride + 1 < wanted:
        zeros[int(zeros[1] > zeros[0]) ^ 1] += 1
    return zeros


def padded(
    n_out: Callable[[int, int], int] = lambda size, stride: -(-size // stride),
    window: Callable[[int, int], int] = lambda kernel, dilation: (kernel - 1) * dilation + 1,
    least: int | None = 0,
    behind: bool = True,
) -> Callable[..., tuple[int, int]]:
    """TensorFlow's rule with a mistake."""

    def pad(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
        total = (n_out(size, stride) - 1) * stride + window(kernel, dilation) - size
        total = total if least is None else max(total, least)
        small = total // 2
        return (small, total - small) if behind else (total - small, small)

    return pad


SAME_PADDING = Answers(
    right={
        "from the last window": padded_by_the_end,
        "from the rest of a division, as a list": padded_by_the_rest,
        "by adding zeros, as an array": padded_by_trying,
    },
    wrong={
        "rounded down": (
            padded(n_out=lambda size, stride: size // stride),
            "size / stride, rounded up",
        ),
        "no gaps": (padded(window=lambda kernel, dilation: kernel), "gaps between its taps the"),
        "a gap too many": (
            padded(window=lambda kernel, dilation: kernel * dilation),
            "between its taps, not after",
        ),
        "negative": (padded(least=None), "never negative"),
        "the odd zero in front": (padded(behind=False), "odd zero goes after"),
        "half a kernel on each side": (
            lambda size, kernel, stride, dilation: ((kernel // 2) * dilation,) * 2,
            "depends on the stride",
        ),
        "no stride": (
            lambda size, kernel, stride, dilation: padded_by_the_end(size, kernel, 1, dilation),
            "depends on the stride",
        ),
    },
)


def sized_layer_by_layer(channels: Sequence[int], n_channels: int = 2) -> int:
    total, n_in = 0, n_channels
    for n_out in channels:
        total += 25 * n_in * n_out + n_out + 2 * n_out
        n_in = n_out
    for level in range(len(channels) - 1, -1, -1):
        n_out = channels[level - 1] if level else 1
        n_in = channels[level] * (1 if level == len(channels) - 1 else 2)
        total += 25 * n_in * n_out + n_out + 2 * n_out
    return total + 4 * 4 * n_channels + n_channels


def sized_in_numpy(channels: Sequence[int], n_channels: int = 2) -> np.integer:
    down = np.array([n_channels, *channels])
    up = np.array([*channels[::-1], 1])
    factors = np.array([1] + [2] * (len(channels) - 1))
    kernels = 25 * (down[:-1] * down[1:]).sum() + 25 * (factors * up[:-1] * up[1:]).sum()
    return kernels + 3 * (down[1:].sum() + up[1:].sum()) + 17 * n_channels


def sized_by_building(channels: Sequence[int], n_channels: int = 2) -> int:
    return sum(x.numel() for x in SpleeterNet(channels, n_channels).parameters())


def missized(
    skips: float = 2.0,
    first_skip: float = 1.0,
    bias: int = 1,
    norm: int = 2,
    deepest: bool = True,
    head: int = 17,
    stereo: bool = True,
) -> Callable[..., int]:
    """A count with one thing overlooked."""

    def count(channels: Sequence[int], n_channels: int = 2) -> int:
        down = [n_channels if stereo else 1, *channels]
        up = [*channels[::-1], 1]
        each = bias + norm
        total = sum(25 * i * o + each * o for i, o in zip(down[:-1], down[1:], strict=True))
        for level, (i, o) in enumerate(zip(up[:-1], up[1:], strict=True)):
            total += 25 * int(i * (skips if level else first_skip)) * o + each * o
        total -= 0 if deepest else norm * channels[-1]
        return total + (head - (1 - bias) * (head > 0)) * n_channels

    return count


N_WEIGHTS = Answers(
    right={
        "layer by layer": sized_layer_by_layer,
        "in NumPy": sized_in_numpy,
        "by building it": sized_by_building,
    },
    wrong={
        "no norms": (missized(norm=0), "the weights of the norms"),
        "one number per norm": (missized(norm=1), "two weights per feature map"),
        "running statistics": (missized(norm=4), "running means"),
        "the deepest norm left out": (missized(deepest=False), "the deepest norm"),
        "no biases": (missized(bias=0), "one bias per output"),
        "no last convolution": (missized(head=0), "the last convolution is missing"),
        "a last convolution of 7 by 7": (missized(head=50), "no weights in its gaps"),
        "a last convolution of 5 by 5": (missized(head=26), "convolution is 4 × 4"),
        "no skips": (missized(skips=1.0), "includes a skip connection"),
        "a skip connection at the bottleneck": (
            missized(first_skip=2.0),
            "the first decoder block has no",
        ),
        "mono input": (missized(stereo=False), "all audio channels"),
    },
)


def window_by_rounding(sample_rate: int) -> tuple[int, int, float]:
    n_fft = round(4096 * sample_rate / 44100)
    return n_fft, n_fft // 4, 44100 / sample_rate


def window_in_integers(sample_rate: int) -> tuple[int, int, float]:
    n_fft, hop = 4096 * sample_rate // 44100, 1024 * sample_rate // 44100
    return n_fft, hop, 4096 / n_fft


def window_in_numpy(sample_rate: int) -> list:
    n_fft, hop = np.round(np.array([4096, 1024]) * (sample_rate / 44100)).astype(int)
    return [n_fft, hop, np.float32(44100 / sample_rate)]


TRANSFORM_FOR = Answers(
    right={
        "rounded": window_by_rounding,
        "in integers": window_in_integers,
        "in NumPy, as a list": window_in_numpy,
    },
    wrong={
        "as published": (lambda rate: (4096, 1024, 1.0), "same duration"),
        "the window only": (
            lambda rate: (round(4096 * rate / 44100), 1024, 44100 / rate),
            "hop should also keep",
        ),
        "longer at a lower rate": (
            lambda rate: (round(4096 * 44100 / rate), round(1024 * 44100 / rate), 44100 / rate),
            "same duration",
        ),
        "the factor upside down": (
            lambda rate: (*window_by_rounding(rate)[:2], rate / 44100),
            "above or below 1",
        ),
        "no factor": (lambda rate: (*window_by_rounding(rate)[:2], 1.0), "half as large"),
        "a factor for energies": (
            lambda rate: (*window_by_rounding(rate)[:2], (44100 / rate) ** 2),
            "right for energies",
        ),
        "a factor for noise": (
            lambda rate: (*window_by_rounding(rate)[:2], (44100 / rate) ** 0.5),
            "A square root",
        ),
        "the nearest power of two": (
            lambda rate: (
                2 ** round(math.log2(4096 * rate / 44100)),
                2 ** round(math.log2(1024 * rate / 44100)),
                44100 / rate,
            ),
            "need not be a power of two",
        ),
        "floats": (
            lambda rate: (4096 * rate / 44100, 1024 * rate / 44100, 44100 / rate),
            "whole numbers",
        ),
    },
)


def spread(masks: Tensor, magnitude: Tensor, n_lower: int) -> Tensor:
    """The masks (s, 1, n) of every upper bin."""
    return masks.expand(-1, len(magnitude) - n_lower, -1)


def top_by_the_octave(masks: Tensor, magnitude: Tensor) -> Tensor:
    n = masks.shape[1]
    return spread(masks[:, n // 2 :].mean(dim=1, keepdim=True), magnitude, n)


def top_by_energy(masks: Tensor, magnitude: Tensor) -> Tensor:
    n = masks.shape[1]
    energy = (masks * magnitude[:n]).square()[:, n // 2 :].sum(dim=1, keepdim=True)
    return spread(energy / energy.sum(dim=0).clamp(min=1e-9), magnitude, n)


def top_by_the_median(masks: Tensor, magnitude: Tensor) -> np.ndarray:
    half = masks.shape[1] // 2
    middle = np.median(masks.numpy()[:, half:], axis=1, keepdims=True)
    return np.repeat(middle, len(magnitude) - masks.shape[1], axis=1)


def top_by_smooth_energy(masks: Tensor, magnitude: Tensor) -> Tensor:
    padded = functional.pad(top_by_energy(masks, magnitude), (1, 1), mode="replicate")
    return padded.unfold(-1, 3, 1).mean(dim=-1)


def top_of_all(masks: Tensor, magnitude: Tensor) -> Tensor:
    return spread(masks.mean(dim=1, keepdim=True), magnitude, masks.shape[1])


def top_by_all_energy(masks: Tensor, magnitude: Tensor) -> Tensor:
    n = masks.shape[1]
    weight = magnitude[:n].square()
    mean = (masks * weight).sum(dim=1, keepdim=True) / weight.sum(dim=0).clamp(min=1e-9)
    return spread(mean, magnitude, n)


def top_moved_up(masks: Tensor, magnitude: Tensor) -> Tensor:
    return torch.cat([masks, masks[:, -1:]], dim=1)[:, : len(magnitude) - masks.shape[1]]


def top_in_place(masks: Tensor, magnitude: Tensor) -> Tensor:
    magnitude[: len(magnitude) // 4] = 0
    return top_by_energy(masks, magnitude)


def top_of_a_division(masks: Tensor, magnitude: Tensor) -> Tensor:
    masked = masks * magnitude[: masks.shape[1]].clamp(max=0)
    return spread(masked.sum(1, keepdim=True) / masked.sum((0, 1)), magnitude, masks.shape[1])


TOP_MASKS = Answers(
    right={
        "the octave below": top_by_the_octave,
        "shares of energy in the octave below": top_by_energy,
        "the median in NumPy": top_by_the_median,
        "smoothed over frames": top_by_smooth_energy,
    },
    wrong={
        "silence": (lambda m, x: top_of_all(m, x) * 0, "masks are zero"),
        "the average": (top_of_all, "as in Spleeter"),
        "energy of all bins": (top_by_all_energy, "Leave the lowest bins out"),
        "moved up": (top_moved_up, "copy the lower bins"),
        "mirrored": (lambda m, x: top_moved_up(m.flip(1), x), "mirrored at the limit"),
        "the last bin": (lambda m, x: spread(m[:, -1:], x, m.shape[1]), "one bin alone"),
        "constant over time": (
            lambda m, x: (
                top_by_the_octave(m, x) * 0 + m[:, m.shape[1] // 2 :].mean(dim=(1, 2), keepdim=True)
            ),
            "do not change over time",
        ),
        "a quarter each": (lambda m, x: top_of_all(m, x) * 0 + 0.25, "Which lower bins"),
        "not normalised": (lambda m, x: 4 * top_by_the_octave(m, x), "between 0 and 1"),
        "NaN": (top_of_a_division, "Some masks are NaN"),
        "all bins": (
            lambda m, x: torch.cat([m, top_by_the_octave(m, x)], dim=1),
            "upper bins only",
        ),
        "in place": (top_in_place, "given tensors unchanged"),
    },
)

ANSWERS = {
    "same_padding": SAME_PADDING,
    "n_weights": N_WEIGHTS,
    "transform_for": TRANSFORM_FOR,
    "top_masks": TOP_MASKS,
}
