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
            "between its taps, not behind",
        ),
        "negative": (padded(least=None), "never negative"),
        "the odd zero in front": (padded(behind=False), "odd zero goes behind"),
        "half a kernel on each side": (
            lambda size, kernel, stride, dilation: ((kernel // 2) * dilation,) * 2,
            "depend on the stride",
        ),
        "no stride": (
            lambda size, kernel, stride, dilation: padded_by_the_end(size, kernel, 1, dilation),
            "depend on the stride",
        ),
    },
)


def shared_by_the_largest(masked: Tensor, exponent: float = 2.0) -> Tensor:
    powers = (masked / masked.amax(dim=0).clamp(min=1e-12)) ** exponent
    total = powers.sum(dim=0)
    return torch.where(total > 0, powers / total.clamp(min=1e-12), 1 / len(masked))


def shared_by_softmax(masked: Tensor, exponent: float = 2.0) -> Tensor:
    return functional.softmax(exponent * torch.log(masked + 1e-12), dim=0)


def shared_in_numpy(masked: Tensor, exponent: float = 2.0) -> np.ndarray:
    powers = masked.numpy().astype(np.float64) ** exponent
    total = powers.sum(axis=0)
    equal = np.full(powers.shape, 1 / len(powers))
    return np.divide(powers, total, out=equal, where=total > 0)


def shared_source_by_source(masked: Tensor, exponent: float = 2.0) -> Tensor:
    ratios = [sum((other + 1e-9) ** exponent for other in masked.double()) for _ in masked]
    masks = [
        (x + 1e-9) ** exponent / total for x, total in zip(masked.double(), ratios, strict=True)
    ]
    return torch.stack(masks)


def shared(powers: Callable[[Tensor, float], Tensor], dim: int = 0) -> Callable[..., Tensor]:
    """The shares of something else than powers, or over another axis."""

    def share(masked: Tensor, exponent: float = 2.0) -> Tensor:
        found = powers(masked, exponent) + 1e-10 / len(masked)
        return found / found.sum(dim=dim, keepdim=True)

    return share


def shared_in_place(masked: Tensor, exponent: float = 2.0) -> Tensor:
    masked /= masked.amax(dim=0) + 1e-10
    masked **= exponent
    return (masked + 1e-10 / 3) / (masked.sum(dim=0) + 1e-10)


def shared_with_nan(masked: Tensor, exponent: float = 2.0) -> Tensor:
    powers = (masked / masked.max()) ** exponent
    return powers / powers.sum(dim=0)


def shared_at_a_fixed_scale(masked: Tensor, exponent: float = 2.0) -> Tensor:
    powers = (masked / 100) ** exponent
    total = powers.sum(dim=0)
    return torch.where(total > 0, powers / total, 1 / len(masked))


def shared_by_thirds(masked: Tensor, exponent: float = 2.0) -> Tensor:
    powers = (masked / (masked.amax(dim=0) + 1e-10)) ** exponent
    return (powers + 1e-10 / 3) / (powers.sum(dim=0) + 1e-10)


SHARED_MASKS = Answers(
    right={
        "divided by the largest": shared_by_the_largest,
        "by softmax": shared_by_softmax,
        "in NumPy, in float64": shared_in_numpy,
        "source by source, in float64": shared_source_by_source,
    },
    wrong={
        "no exponent": (shared(lambda m, e: m), "masks of exponent 1"),
        "always squares": (shared(lambda m, e: m**2), "whatever exponent was asked"),
        "raised after division": (
            lambda m, e: shared_by_the_largest(m, 1.0) ** e,
            "should add up to 1",
        ),
        "over the bins": (shared(lambda m, e: m**e, dim=1), "sum over sources"),
        "softmax of the magnitudes": (
            lambda m, e: functional.softmax(e * m, dim=0),
            "Raise every magnitude",
        ),
        "NaN in silence": (shared_with_nan, "Silence gives NaN"),
        "zeros in silence": (
            lambda m, e: shared_by_the_largest(m, e) * (m.sum(0) > 0),
            "get equal parts",
        ),
        "a third for two sources": (shared_by_thirds, "get equal parts"),
        "infinite": (shared(lambda m, e: m**e), "become too large"),
        "clipped": (shared(lambda m, e: (m**e).clamp(max=1e30)), "become too large"),
        "vanished": (
            shared_at_a_fixed_scale,
            "become too small",
        ),
        "in place": (shared_in_place, "given as they were"),
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
        "no norms": (missized(norm=0), "what all norms hold"),
        "one number per norm": (missized(norm=1), "two numbers per feature map"),
        "running statistics": (missized(norm=4), "running means"),
        "the deepest norm left out": (missized(deepest=False), "the deepest norm"),
        "no biases": (missized(bias=0), "has its biases"),
        "no last convolution": (missized(head=0), "the last convolution is missing"),
        "a last convolution of 7 by 7": (missized(head=50), "gaps between taps"),
        "a last convolution of 5 by 5": (missized(head=26), "convolution is 4 by 4"),
        "no skips": (missized(skips=1.0), "a skip is read"),
        "a skip at the bottom": (missized(first_skip=2.0), "the first step up read"),
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
            "hop should last",
        ),
        "longer at a lower rate": (
            lambda rate: (round(4096 * 44100 / rate), round(1024 * 44100 / rate), 44100 / rate),
            "same duration",
        ),
        "the factor upside down": (
            lambda rate: (*window_by_rounding(rate)[:2], rate / 44100),
            "which way should",
        ),
        "no factor": (lambda rate: (*window_by_rounding(rate)[:2], 1.0), "half as large"),
        "a factor for energies": (
            lambda rate: (*window_by_rounding(rate)[:2], (44100 / rate) ** 2),
            "not of energies",
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

ANSWERS = {
    "same_padding": SAME_PADDING,
    "shared_masks": SHARED_MASKS,
    "n_weights": N_WEIGHTS,
    "transform_for": TRANSFORM_FOR,
}
