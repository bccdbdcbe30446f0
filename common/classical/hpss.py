"""Harmonic-percussive separation by two median filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from common import SAMPLE_RATE
from common.signal.masks import EPSILON, apply_mask
from common.signal.stft import STFT


def smooth_along(magnitude: Tensor, width: int, axis: int) -> Tensor:
    """Median over an odd number `width` of neighbours along one axis.

    magnitude: any shape → the same; axis -1 is time, axis -2 frequency. At the
    ends the magnitude is mirrored.
    """
    rows, half = magnitude.movedim(axis, -1).numpy(), width // 2
    margins = [(0, 0)] * (rows.ndim - 1) + [(half, half)]
    padded = np.pad(rows, margins, mode="symmetric")
    # SciPy filters one long row ten times as fast as many short ones.
    line = ndimage.median_filter(padded.ravel(), size=width)
    smooth = line.reshape(padded.shape)[..., half : half + rows.shape[-1]]
    return torch.from_numpy(smooth).movedim(-1, axis).contiguous()


def harmonic_percussive_masks(
    magnitude: Tensor, width: int = 31, margin: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Soft masks of the harmonic and of the percussive part.

    magnitude: (..., f, n), linear → two masks of the same shape, in [0, 1].
    A median over time estimates the harmonic part, and one over frequency the
    percussive part; the masks are their shares of the energy. With a margin
    above 1 the two add up to less than 1: a bin in which neither part is
    `margin` times as large as the other goes mostly to neither.
    Fitzgerald 2010, eq. 3-6; margin: Driedger et al. 2014.
    """
    harmonic = smooth_along(magnitude, width, axis=-1) ** 2
    percussive = smooth_along(magnitude, width, axis=-2) ** 2
    return (
        harmonic / (harmonic + margin**2 * percussive + EPSILON),
        percussive / (percussive + margin**2 * harmonic + EPSILON),
    )


@dataclass(frozen=True)
class HPSS:
    """Separate the drums as the percussive part. Fitzgerald 2010.

    width: of both median filters, in frames and in bins. mixture: (b, c, t) →
    stems: (b, 2, c, t), which add up to the mixture.
    """

    width: int = 31
    margin: float = 1.0
    stft: STFT = STFT()
    sources: tuple[str, ...] = ("drums", "no_drums")
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    segment: float = 30.0

    def __call__(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        _, drums = harmonic_percussive_masks(
            spectrum.abs(), self.width, self.margin
        )
        stems = apply_mask(torch.stack([drums, 1 - drums], dim=1), spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])
