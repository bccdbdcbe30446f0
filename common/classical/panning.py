"""Where a sound stands between two channels: placing it, and reading its place back.

A position runs from -1 (left) over 0 (the middle) to 1 (right). A spectrum `(2, f, n)` is complex,
left first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from common.signal.masks import EPSILON


def pan_gains(position: float) -> Tensor:
    """Gains (2,) that put a sound at a position, left first.

    Their squares add up to 1 wherever it is, so its power does not change on
    the way from one side to the other: the constant-power law.
    """
    angle = (position + 1) * math.pi / 4
    return torch.tensor([math.cos(angle), math.sin(angle)])


def place(sound: Tensor, position: float, delay: float = 0.0) -> Tensor:
    """Put a mono sound (t,) at a position: → (2, t).

    delay: how many samples later the right channel hears it, whole or not;
    below 0 the left channel is late. What runs out at the end is lost.
    """
    late = torch.tensor([max(-delay, 0.0), max(delay, 0.0)])
    length = len(sound) + math.ceil(abs(delay)) + 64
    turns = torch.arange(length // 2 + 1) / length
    shift = torch.polar(torch.ones(()), -2 * math.pi * late[:, None] * turns)
    spectrum = torch.fft.rfft(sound, length) * shift
    both = torch.fft.irfft(spectrum, length)[:, : len(sound)]
    return pan_gains(position)[:, None] * both


def positions(spectrum: Tensor) -> Tensor:
    """Where every bin (2, f, n) stands by its levels: → (f, n), from -1 to 1.

    This undoes `pan_gains`, provided that a single sound fills the bin.
    """
    left, right = spectrum.abs()
    return torch.atan2(right, left) * 4 / math.pi - 1


def panning_histogram(spectrum: Tensor, n_cells: int = 81) -> Tensor:
    """Which share of the energy of (2, f, n) stands where: → (n_cells,).

    The cells divide the way from left to right; the shares add up to 1, or to
    0 for silence. After Avendano 2003.
    """
    where = positions(spectrum).flatten()
    cell = ((where + 1) / 2 * n_cells).long().clamp(0, n_cells - 1)
    energy = spectrum.abs().square().sum(dim=0).flatten()
    found = torch.zeros(n_cells).index_add(0, cell, energy)
    return found / found.sum().clamp(min=EPSILON)


def middle_and_side(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Half the sum and half the difference of (2, t): → (t,), (t,).

    Left is middle + side, right is middle - side.
    """
    left, right = audio
    return (left + right) / 2, (left - right) / 2
