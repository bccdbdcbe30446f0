"""Panning: a sound at a position between two channels, and the position read from the channels.

A position runs from -1 (left) over 0 (centre) to 1 (right). A spectrum `(2, f, n)` is complex,
left channel first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from common.signal.masks import EPSILON


def pan_gains(position: float) -> Tensor:
    """Gains (2,) that pan a sound to a position, left first.

    Constant-power law: the squares of the gains add up to 1, so the power of
    the sound is the same at every position.
    """
    angle = (position + 1) * math.pi / 4
    return torch.tensor([math.cos(angle), math.sin(angle)])


def place(sound: Tensor, position: float, delay: float = 0.0) -> Tensor:
    """Pan a mono sound (t,) to a position and delay one channel: → (2, t).

    delay: by how many samples the right channel is late, whole or fractional;
    if negative, the left channel is late. The end that is shifted out is lost.
    """
    late = torch.tensor([max(-delay, 0.0), max(delay, 0.0)])
    length = len(sound) + math.ceil(abs(delay)) + 64
    turns = torch.arange(length // 2 + 1) / length
    shift = torch.polar(torch.ones(()), -2 * math.pi * late[:, None] * turns)
    spectrum = torch.fft.rfft(sound, length) * shift
    both = torch.fft.irfft(spectrum, length)[:, : len(sound)]
    return pan_gains(position)[:, None] * both


def positions(spectrum: Tensor) -> Tensor:
    """Position of every bin (2, f, n) from its two levels: → (f, n), -1 to 1.

    The inverse of `pan_gains` where a single source is active in the bin.
    """
    left, right = spectrum.abs()
    return torch.atan2(right, left) * 4 / math.pi - 1


def panning_histogram(spectrum: Tensor, n_cells: int = 81) -> Tensor:
    """Share of the energy of (2, f, n) at each position: → (n_cells,).

    The cells divide the range from left to right evenly; the shares add up to
    1, or to 0 for silence. After Avendano 2003.
    """
    where = positions(spectrum).flatten()
    cell = ((where + 1) / 2 * n_cells).long().clamp(0, n_cells - 1)
    energy = spectrum.abs().square().sum(dim=0).flatten()
    found = torch.zeros(n_cells).index_add(0, cell, energy)
    return found / found.sum().clamp(min=EPSILON)


def mid_side(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Half the sum and half the difference of (2, t): → (t,), (t,).

    The left channel is mid + side, the right channel is mid - side.
    """
    left, right = audio
    return (left + right) / 2, (left - right) / 2
