"""Separation of a repeating background from a voice: REPET, REPET-SIM and the 2DFT.

Each method turns magnitude (c, f, n) into a mask of the background (c, f, n), in [0, 1];
`BackgroundSeparator` computes the stems from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from common.signal.masks import EPSILON

ROUNDING = 1e-8
"""Share of the maximum below which a standard deviation counts as rounding error."""


def beat_spectrum(power: Tensor) -> Tensor:
    """Similarity of a power spectrogram to itself after each lag in frames.

    power: (f, n) → (n,), 1 at lag 0. The autocorrelation over time, divided by
    the number of overlapping frames, and averaged over bins. Foote and
    Uchihashi 2001; Rafii and Pardo 2013, eq. 1.
    """
    n_frames = power.shape[-1]
    spectrum = torch.fft.rfft(power, 2 * n_frames)
    correlation = torch.fft.irfft(spectrum.abs().square())[..., :n_frames]
    beats = correlation.mean(dim=0) / torch.arange(n_frames, 0, -1)
    return beats / beats[0].clamp(min=EPSILON)


def repeating_period(beats: Tensor, shortest: int, longest: int) -> int:
    """The lag with the highest beat spectrum (n,), within limits in frames.

    The period must fit three times into the song: longer lags are left out.
    """
    longest = max(min(longest, len(beats) // 3), 1)
    shortest = min(shortest, longest)
    return shortest + int(beats[shortest : longest + 1].argmax())


def share(model: Tensor, magnitude: Tensor) -> Tensor:
    """Share of a magnitude (c, f, n) that a model explains, in [0, 1]."""
    return torch.minimum(model, magnitude) / (magnitude + EPSILON)


@dataclass(frozen=True)
class Repet:
    """Mask of what repeats with a fixed period. Rafii and Pardo 2013.

    shortest, longest: limits of the period, in frames. The model of the
    background is the median over all periods, taken at the same position in
    the period; NaN fills the last period and is left out of the median.
    """

    shortest: int = 35
    longest: int = 344

    def __call__(self, magnitude: Tensor) -> Tensor:
        n_frames = magnitude.shape[-1]
        beats = beat_spectrum(magnitude.square().mean(dim=0))
        period = repeating_period(beats, self.shortest, self.longest)
        missing = -n_frames % period
        padded = functional.pad(magnitude, (0, missing), value=torch.nan)
        periods = rearrange(padded, "c f (r p) -> r c f p", p=period)
        median = periods.nanquantile(0.5, dim=0)
        model = repeat(median, "c f p -> c f (r p)", r=len(periods))
        return share(model[..., :n_frames], magnitude)


def frame_similarity(magnitude: Tensor) -> Tensor:
    """Cosine of the angle between any two frames: (f, n) → (n, n), in [0, 1].

    Rafii and Pardo 2012, eq. 1.
    """
    frames = functional.normalize(magnitude, dim=0)
    return frames.T @ frames


def most_similar(row: Tensor, distance: int, n_most: int) -> Tensor:
    """Indices of the `n_most` highest peaks of a row (n,), highest first.

    A peak is the highest value within `distance` frames on either side.
    """
    width = 2 * distance + 1
    highest = functional.max_pool1d(row[None], width, 1, distance)[0]
    peaks = (row == highest).nonzero()[:, 0]
    return peaks[row[peaks].argsort(descending=True)][:n_most]


@dataclass(frozen=True)
class RepetSim:
    """Mask of what repeats at any time, without a fixed period.

    n_most: largest number of similar frames; distance: the smallest distance
    between them, in frames. The model of a frame is the median over the frames
    most similar to it, including itself. Rafii and Pardo 2012.
    """

    n_most: int = 100
    distance: int = 43

    def __call__(self, magnitude: Tensor) -> Tensor:
        similarity = frame_similarity(magnitude.mean(dim=0))
        model = torch.empty_like(magnitude)
        for frame, row in enumerate(similarity):
            alike = most_similar(row, self.distance, self.n_most)
            model[..., frame] = magnitude[..., alike].quantile(0.5, dim=-1)
        return share(model, magnitude)


def peaks_of(transform: Tensor, neighbourhood: tuple[int, int]) -> Tensor:
    """Prominence of the peaks of a 2-D spectrum: (f, n) → [0, 1].

    The distance of a peak from the mean of its neighbourhood, in standard
    deviations, and 0 where a point is not the highest of its neighbourhood.
    """
    height = torch.fft.fftshift(transform.abs()).double().numpy()
    mean = ndimage.uniform_filter(height, neighbourhood)
    spread = ndimage.uniform_filter(height**2, neighbourhood) - mean**2
    least = ROUNDING * (height.max() + EPSILON)
    prominence = (height - mean) / (spread.clip(0) ** 0.5 + least)
    is_peak = height == ndimage.maximum_filter(height, neighbourhood)
    peaks = torch.fft.ifftshift(torch.from_numpy(prominence * is_peak))
    return (peaks / peaks.max().clamp(min=EPSILON)).to(transform.real.dtype)


@dataclass(frozen=True)
class FT2D:
    """Mask of what is periodic in the spectrogram, treated as an image.

    The two-dimensional Fourier transform of a repeating spectrogram has a few
    sharp peaks; the inverse transform of these peaks is the background.
    neighbourhood: the size within which a peak is the highest point.
    Seetharaman et al. 2017.
    """

    neighbourhood: tuple[int, int] = (1, 25)

    def __call__(self, magnitude: Tensor) -> Tensor:
        transforms = torch.fft.fft2(magnitude)
        peaks = [peaks_of(x, self.neighbourhood) for x in transforms]
        peaks = torch.stack(peaks)
        model = torch.fft.ifft2(peaks * transforms).abs()
        mask = share(model, magnitude)
        return mask / mask.amax(dim=(-2, -1), keepdim=True).clamp(min=EPSILON)
