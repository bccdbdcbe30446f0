"""DUET: a map of level and time differences, its peaks, and a mask for each peak.

A spectrum `(2, f, n)` is complex, left first; a delay is how many samples later the right channel
hears a sound. Yilmaz and Rickard 2004.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from scipy import ndimage
from torch import Tensor

from common import SAMPLE_RATE
from common.signal.masks import EPSILON, apply_mask
from common.signal.stft import STFT

LEVEL_FLOOR = 1e-8
"""Added to the levels of both channels, so that where both are silent their ratio is 1."""


class Peak(NamedTuple):
    """A position: right over left, less left over right; delay in samples."""

    attenuation: float
    delay: float

    @property
    def gain(self) -> float:
        """The level of the right channel over that of the left."""
        return (self.attenuation + math.sqrt(self.attenuation**2 + 4)) / 2


def radians(n_bins: int) -> Tensor:
    """How far each bin's frequency turns in one sample: (f, 1), 0 to π."""
    return torch.linspace(0, math.pi, n_bins)[:, None]


def differences(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric attenuation and delay in samples of every bin, (f, n) each.

    The attenuation is 0 in the middle and changes its sign with the sides. A
    delay is exact as long as it is shorter than half a period of the bin's
    frequency; at 0 Hz it is 0. Yilmaz and Rickard 2004.
    """
    left, right = spectrum
    ratio = (right.abs() + LEVEL_FLOOR) / (left.abs() + LEVEL_FLOOR)
    turned = -(right * left.conj()).angle()
    turned[0] = 0
    delay = turned / radians(len(turned)).clamp(min=EPSILON)
    return ratio - 1 / ratio, delay


def difference_map(
    spectrum: Tensor, widest: float, longest: float, n_cells: int
) -> Tensor:
    """Which weight of the bins (2, f, n) has which differences.

    → (n_cells, n_cells), attenuation from -widest to widest first, then delay
    from -longest to longest, in samples. A bin weighs |L|·|R|. Frequencies at
    which `longest` exceeds half a period are left out, for their delays
    are ambiguous.
    """
    attenuation, delay = differences(spectrum)
    weight = (spectrum[0] * spectrum[1]).abs()
    safe = radians(len(weight)) * longest < math.pi
    inside = (attenuation.abs() < widest) & (delay.abs() < longest)
    chosen = inside & safe.expand_as(inside)
    row = (attenuation[chosen] / widest + 1) / 2 * n_cells
    column = (delay[chosen] / longest + 1) / 2 * n_cells
    cell = row.long().clamp(max=n_cells - 1) * n_cells
    cell = cell + column.long().clamp(max=n_cells - 1)
    weights = torch.zeros(n_cells**2).index_add(0, cell, weight[chosen])
    return weights.reshape(n_cells, n_cells)


def highest_peaks(
    weights: Tensor, n_peaks: int, apart: int, smooth: int = 3
) -> list[tuple[int, int]]:
    """Cells of the highest peaks of a map, highest first.

    The map is averaged twice over `smooth` cells each way: once would make a
    plateau of a lone cell. Whatever lies within `apart` cells of a peak
    belongs to it. Fewer than `n_peaks` are found where nothing is left over.
    """
    left = weights.numpy()
    for _ in range(2):
        left = ndimage.uniform_filter(left, smooth, mode="nearest")
    left = torch.from_numpy(left)
    found = []
    while len(found) < n_peaks and left.max() > 0:
        row, column = divmod(int(left.argmax()), left.shape[1])
        found.append((row, column))
        first, second = max(row - apart, 0), max(column - apart, 0)
        left[first : row + apart + 1, second : column + apart + 1] = 0
    return found


def misfits(spectrum: Tensor, peaks: list[Peak]) -> Tensor:
    """Energy of each bin that no sound at a peak can explain: (s, f, n).

    The least squares fit of one sound, at that position alone, to both
    channels (2, f, n), and what it leaves over. Yilmaz and Rickard 2004.
    """
    left, right = spectrum
    found = []
    for peak in peaks:
        turn = torch.polar(torch.ones(()), -peak.delay * radians(len(left)))
        missed = peak.gain * turn * left - right
        found.append(missed.abs().square() / (1 + peak.gain**2))
    return torch.stack(found)


@dataclass(frozen=True)
class Duet:
    """Masks of the positions of a recording's sources, found blindly.

    n_sources: how many are looked for; widest, longest: how far the map goes,
    in attenuation and in samples of delay; apart: distance of two peaks, in
    cells. spectrum: (2, f, n) → masks (s, f, n) of zeros and ones that add up
    to 1, the highest peak first. Yilmaz and Rickard 2004.
    """

    n_sources: int
    widest: float = 3.0
    longest: float = 8.0
    n_cells: int = 61
    apart: int = 8

    def peaks(self, spectrum: Tensor) -> list[Peak]:
        """The positions themselves: the centres of the highest cells."""
        reach = self.widest, self.longest
        weights = difference_map(spectrum, *reach, self.n_cells)
        cells = highest_peaks(weights, self.n_sources, self.apart)
        steps = [[(2 * i + 1) / self.n_cells - 1 for i in c] for c in cells]
        found = [Peak(a * reach[0], d * reach[1]) for a, d in steps]
        return found or [Peak(0.0, 0.0)]

    def __call__(self, spectrum: Tensor) -> Tensor:
        missed = misfits(spectrum, self.peaks(spectrum))
        best = missed.argmin(dim=0)
        return torch.stack([(best == i).float() for i in range(len(missed))])


@dataclass(frozen=True)
class CentreDuet:
    """Give a song's middle one stem and what stands elsewhere the other.

    duet: finds the peak of the middle, and so looks near it only; tolerance:
    the share of a bin's energy that the middle may leave unexplained. mixture:
    (b, 2, t) → stems: (b, 2, 2, t), which add up to the mixture.
    """

    duet: Duet = Duet(1, widest=0.5, longest=0.5, n_cells=21)
    tolerance: float = 0.2
    stft: STFT = STFT()
    sources: tuple[str, ...] = ("other", "no_other")
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    segment: float = 30.0

    def __call__(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        middle = torch.stack([self.middle(x) for x in spectrum])
        masks = torch.stack([1 - middle, middle], dim=1)[:, :, None]
        stems = apply_mask(masks, spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])

    def middle(self, spectrum: Tensor) -> Tensor:
        """1 where a bin of (2, f, n) comes from the middle: → (f, n)."""
        missed = misfits(spectrum, self.duet.peaks(spectrum)[:1])[0]
        energy = spectrum.abs().square().sum(dim=0)
        return (missed <= self.tolerance * energy).float()
