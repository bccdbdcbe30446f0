"""DUET: a histogram of level differences and delays, its peaks, and a mask for each peak.

A spectrum `(2, f, n)` is complex, left channel first; a delay is the number of samples by which
the right channel is late. Yilmaz and Rickard 2004.
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
"""Added to the levels of both channels, so that their ratio is 1 where both are silent."""


class Peak(NamedTuple):
    """Symmetric attenuation a - 1/a and delay in samples of one source."""

    attenuation: float
    delay: float

    @property
    def gain(self) -> float:
        """The ratio a of the right channel's level to the left one's."""
        return (self.attenuation + math.sqrt(self.attenuation**2 + 4)) / 2


def angular_frequencies(n_bins: int) -> Tensor:
    """Each bin's frequency in radians per sample: (f, 1), from 0 to π."""
    return torch.linspace(0, math.pi, n_bins)[:, None]


def differences(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric attenuation and delay in samples of every bin, (f, n) each.

    The attenuation is 0 in the centre and has opposite signs left and right. A
    delay is exact while it is shorter than half a period of the bin's
    frequency; at 0 Hz it is set to 0. Yilmaz and Rickard 2004.
    """
    left, right = spectrum
    ratio = (right.abs() + LEVEL_FLOOR) / (left.abs() + LEVEL_FLOOR)
    phase = -(right * left.conj()).angle()
    phase[0] = 0
    delay = phase / angular_frequencies(len(phase)).clamp(min=EPSILON)
    return ratio - 1 / ratio, delay


def difference_histogram(
    spectrum: Tensor, max_attenuation: float, max_delay: float, n_cells: int
) -> Tensor:
    """Weight of the bins (2, f, n) over attenuation and delay.

    → (n_cells, n_cells): rows are attenuations from -max_attenuation to
    max_attenuation, columns delays from -max_delay to max_delay in samples. A
    bin's weight is |L|·|R|. Frequencies at which `max_delay` exceeds half a
    period are left out, because their delays are ambiguous.
    """
    attenuation, delay = differences(spectrum)
    weight = (spectrum[0] * spectrum[1]).abs()
    safe = angular_frequencies(len(weight)) * max_delay < math.pi
    inside = (attenuation.abs() < max_attenuation) & (delay.abs() < max_delay)
    chosen = inside & safe.expand_as(inside)
    row = (attenuation[chosen] / max_attenuation + 1) / 2 * n_cells
    column = (delay[chosen] / max_delay + 1) / 2 * n_cells
    cell = row.long().clamp(max=n_cells - 1) * n_cells
    cell = cell + column.long().clamp(max=n_cells - 1)
    weights = torch.zeros(n_cells**2).index_add(0, cell, weight[chosen])
    return weights.reshape(n_cells, n_cells)


def highest_peaks(
    histogram: Tensor, n_peaks: int, min_distance: int, smooth: int = 3
) -> list[tuple[int, int]]:
    """Cells (row, column) of the highest peaks of a histogram, highest first.

    The histogram is averaged twice over `smooth` cells each way: once would
    turn a lone cell into a plateau. Cells within `min_distance` of a peak
    belong to it. Fewer than `n_peaks` are found where no weight is left.
    """
    left = histogram.numpy()
    for _ in range(2):
        left = ndimage.uniform_filter(left, smooth, mode="nearest")
    left = torch.from_numpy(left)
    found = []
    while len(found) < n_peaks and left.max() > 0:
        row, column = divmod(int(left.argmax()), left.shape[1])
        found.append((row, column))
        first, last = max(row - min_distance, 0), row + min_distance
        start, end = max(column - min_distance, 0), column + min_distance
        left[first : last + 1, start : end + 1] = 0
    return found


def residuals(spectrum: Tensor, peaks: list[Peak]) -> Tensor:
    """Energy of each bin that a source at a peak does not explain: (s, f, n).

    What remains of both channels (2, f, n) after the least-squares fit of a
    single source with that peak's level ratio and delay. Yilmaz and Rickard
    2004.
    """
    left, right = spectrum
    found = []
    for peak in peaks:
        phase = -peak.delay * angular_frequencies(len(left))
        error = peak.gain * torch.polar(torch.ones(()), phase) * left - right
        found.append(error.abs().square() / (1 + peak.gain**2))
    return torch.stack(found)


@dataclass(frozen=True)
class Duet:
    """Binary masks of sources at different positions, found blindly.

    n_sources: how many peaks to look for; max_attenuation, max_delay: range of
    the histogram, the delay in samples; min_distance: between two peaks, in
    cells. spectrum: (2, f, n) → masks (s, f, n), one of which is 1 in each
    bin, the mask of the highest peak first. Yilmaz and Rickard 2004.
    """

    n_sources: int
    max_attenuation: float = 3.0
    max_delay: float = 8.0
    n_cells: int = 61
    min_distance: int = 8

    def peaks(self, spectrum: Tensor) -> list[Peak]:
        """Attenuation and delay at the centres of the highest cells."""
        limits = self.max_attenuation, self.max_delay
        weights = difference_histogram(spectrum, *limits, self.n_cells)
        cells = highest_peaks(weights, self.n_sources, self.min_distance)
        steps = [[(2 * i + 1) / self.n_cells - 1 for i in c] for c in cells]
        found = [Peak(a * limits[0], d * limits[1]) for a, d in steps]
        return found or [Peak(0.0, 0.0)]

    def __call__(self, spectrum: Tensor) -> Tensor:
        error = residuals(spectrum, self.peaks(spectrum))
        best = error.argmin(dim=0)
        return torch.stack([(best == i).float() for i in range(len(error))])


@dataclass(frozen=True)
class CentreDuet:
    """Split a song into its centre, `no_other`, and the rest, `other`.

    duet: finds the peak of the centre in a histogram of the centre only;
    tolerance: the share of a bin's energy that the centre may not explain.
    mixture: (b, 2, t) → stems: (b, 2, 2, t), which add up to the mixture.
    """

    duet: Duet = Duet(1, max_attenuation=0.5, max_delay=0.5, n_cells=21)
    tolerance: float = 0.2
    stft: STFT = STFT()
    sources: tuple[str, ...] = ("other", "no_other")
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    segment: float = 30.0

    def __call__(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        centre = torch.stack([self.centre(x) for x in spectrum])
        masks = torch.stack([1 - centre, centre], dim=1)[:, :, None]
        stems = apply_mask(masks, spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])

    def centre(self, spectrum: Tensor) -> Tensor:
        """Binary mask of the centre of a spectrum: (2, f, n) → (f, n)."""
        error = residuals(spectrum, self.duet.peaks(spectrum)[:1])[0]
        energy = spectrum.abs().square().sum(dim=0)
        return (error <= self.tolerance * energy).float()
