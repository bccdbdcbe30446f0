"""Answers to the exercises on the variants of the U-Net, the page beside chapter 14."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from einops import einsum, rearrange
from torch import Tensor
from torch.nn import functional

from answers import Answers
from common.signal.stft import STFT


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


def film_by_product(x: Tensor, condition: Tensor, scales: Tensor, shifts: Tensor) -> Tensor:
    scale, shift = condition @ scales, condition @ shifts
    return scale[:, :, None, None] * x + shift[:, :, None, None]


def film_by_einsum(x: Tensor, condition: Tensor, scales: Tensor, shifts: Tensor) -> Tensor:
    scaled = einsum(condition, scales, x, "b s, s i, b i f n -> b i f n")
    return scaled + rearrange(condition @ shifts, "b i -> b i 1 1")


def film_in_a_loop(x: Tensor, condition: Tensor, scales: Tensor, shifts: Tensor) -> Tensor:
    out = torch.empty_like(x)
    for item, wish in enumerate(condition):
        for number in range(x.shape[1]):
            scale = sum(a * b for a, b in zip(wish, scales[:, number], strict=True))
            shift = sum(a * b for a, b in zip(wish, shifts[:, number], strict=True))
            out[item, number] = scale * x[item, number] + shift
    return out


def film_in_numpy(x: Tensor, condition: Tensor, scales: Tensor, shifts: Tensor) -> np.ndarray:
    x, condition, scales, shifts = (a.numpy() for a in (x, condition, scales, shifts))
    return x * (condition @ scales)[:, :, None, None] + (condition @ shifts)[:, :, None, None]


def film_with(
    scale: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
    shift: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
) -> Callable[..., Tensor]:
    """FiLM with another scale or shift (b, i), of the condition and a table."""

    def modulate(x: Tensor, condition: Tensor, scales: Tensor, shifts: Tensor) -> Tensor:
        a, b = scale(condition, scales), shift(condition, shifts)
        return a[..., None, None] * x + b[..., None, None]

    return modulate


def nothing(condition: Tensor, table: Tensor) -> Tensor:
    return 0 * condition @ table


def row_of_the_largest(condition: Tensor, table: Tensor) -> Tensor:
    return table[condition.argmax(dim=1)]


def row_of_the_first(condition: Tensor, table: Tensor) -> Tensor:
    return (condition[:1] @ table).expand(len(condition), -1)


def row_of_the_item(condition: Tensor, table: Tensor) -> Tensor:
    return table[: len(condition)]


def shifted_first(x: Tensor, condition: Tensor, scales: Tensor, shifts: Tensor) -> Tensor:
    shifted = x + (condition @ shifts)[..., None, None]
    return (condition @ scales)[..., None, None] * shifted


FILM = Answers(
    right={
        "a matrix product": film_by_product,
        "einsum": film_by_einsum,
        "a loop": film_in_a_loop,
        "in NumPy": film_in_numpy,
    },
    wrong={
        "no effect": (lambda x, c, a, b: x, "has no effect"),
        "no shift": (film_with(shift=nothing), "shift is missing"),
        "no scale": (film_with(scale=lambda c, t: nothing(c, t) + 1), "scale is missing"),
        "shift before scale": (shifted_first, "you scale the shift"),
        "one plus scale": (film_with(scale=lambda c, t: 1 + c @ t), "do not add 1"),
        "exchanged": (lambda x, c, a, b: film_by_product(x, c, b, a), "are exchanged"),
        "the first condition for all": (
            film_with(row_of_the_first, row_of_the_first),
            "each has its own",
        ),
        "rows in the order of the batch": (
            film_with(row_of_the_item, row_of_the_item),
            "the condition selects a row",
        ),
        "only one-hot": (film_with(row_of_the_largest, row_of_the_largest), "mixture of sources"),
        "a mean over feature maps": (
            film_with(scale=lambda c, t: (c @ t).mean(dim=1, keepdim=True)),
            "Each feature map has one scale",
        ),
        "one channel": (
            lambda *given: film_by_product(*given)[:, :1],
            "should not change",
        ),
    },
)


def averaged(scores: Tensor, size: int = 25) -> Tensor:
    kernel = torch.full((1, 1, size), 1 / size)
    return functional.conv1d(scores[None, None], kernel, padding=size // 2)[0, 0]


def median_of_neighbours(scores: Tensor) -> Tensor:
    return functional.pad(scores[None], (11, 11), mode="reflect")[0].unfold(0, 23, 1).median(-1)[0]


def averaged_with_a_hann_window(scores: Tensor) -> np.ndarray:
    window = np.hanning(43)
    return np.convolve(scores.numpy(), window / window.sum(), mode="same")


def smoothed_both_ways(scores: Tensor) -> list[float]:
    """An exponential mean, forwards and then backwards."""
    values = scores.tolist()
    for _ in range(2):
        mean, smooth = values[0], []
        for value in values:
            mean += 0.12 * (value - mean)
            smooth.append(mean)
        values = smooth[::-1]
    return values


SMOOTHED = Answers(
    right={
        "a moving average": averaged,
        "a median filter": median_of_neighbours,
        "a Hann window": averaged_with_a_hann_window,
        "forwards and backwards": smoothed_both_ways,
    },
    wrong={
        "as they are": (lambda scores: scores, "no better than the scores of single frames"),
        "probabilities": (torch.sigmoid, "no better than the scores of single frames"),
        "three frames": (lambda scores: averaged(scores, 3), "How long is a phrase"),
        "a hundred frames": (lambda scores: averaged(scores, 101), "This is no better"),
        "the past only": (
            lambda scores: functional.pad(scores, (24, 0)).unfold(0, 25, 1).mean(-1),
            "comes too late",
        ),
        "the future only": (
            lambda scores: functional.pad(scores, (0, 24)).unfold(0, 25, 1).mean(-1),
            "comes too early",
        ),
        "decided first": (
            lambda scores: averaged((scores > 0.5).float(), 5).round(decimals=3),
            "You decide before you smooth",
        ),
        "negative": (lambda scores: -averaged(scores), "below one half"),
        "the mean": (lambda scores: scores.mean(), "One number per frame"),
        "NaN": (lambda scores: averaged(scores) / 0 * 0, "infinite or NaN"),
    },
)

ANSWERS = {
    "loud_frames": LOUD_FRAMES,
    "film": FILM,
    "smoothed": SMOOTHED,
}
