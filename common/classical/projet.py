"""PROJET: projections of a stereo recording at many angles, modelled by sources at a few positions.

An angle of 0 is the left channel, 90° the right one; angles are in radians. A spectrum `(2, f, n)`
is complex, left channel first. Fitzgerald, Liutkus and Badeau 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from common import SAMPLE_RATE
from common.classical.nmf import FLOOR
from common.signal.stft import STFT


def angle_grid(n: int) -> Tensor:
    """`n` angles (n,) evenly over 180°, starting at the centre, 45°.

    From 90° to 180° the two channels have opposite signs: such positions are
    outside the loudspeakers. Another 180° only reverses both signs.
    """
    return math.pi / 4 + torch.arange(n) * math.pi / n


def project_channels(spectrum: Tensor, angles: Tensor) -> Tensor:
    """Project two channels on angles: (2, f, n), (m,) → complex (m, f, n).

    A projection is largest for a sound at its angle, and zero for a sound 90°
    away from it. Fitzgerald et al. 2016.
    """
    left, right = spectrum
    angles = angles[:, None, None]
    return angles.cos() * left + angles.sin() * right


def projection_gains(angles: Tensor, positions: Tensor) -> Tensor:
    """Gain of each position in each projection: (m,), (l,) → (m, l)."""
    return (positions[None] - angles[:, None]).cos().abs() + FLOOR


def update_power(
    projections: Tensor, source_gains: Tensor, power: Tensor
) -> Tensor:
    """One multiplicative update of the power of each source in each bin.

    projections: (m, p), magnitudes; source_gains: (m, s), the gain of each
    source in each projection; power: (s, p) → (s, p). The Kullback-Leibler
    divergence between projections and model never increases.
    """
    ratio = projections / (source_gains @ power + FLOOR)
    denominator = source_gains.sum(dim=0)[:, None] + FLOOR
    return power * (source_gains.T @ ratio) / denominator


def update_panning(
    projections: Tensor, gains: Tensor, panning: Tensor, power: Tensor
) -> Tensor:
    """One multiplicative update of the position of each source: → (l, s).

    projections: (m, p); gains: (m, l); panning: (l, s); power: (s, p). The
    divergence never increases, and zeros stay zero.
    """
    ratio = projections / (gains @ panning @ power + FLOOR)
    numerator = gains.T @ (ratio @ power.T)
    denominator = gains.sum(dim=0)[:, None] * power.sum(dim=1)
    return panning * numerator / (denominator + FLOOR)


def projet(
    projections: Tensor, gains: Tensor, panning: Tensor, n_iter: int = 20
) -> tuple[Tensor, Tensor]:
    """Estimate the positions of the sources, and their power in each bin.

    projections: (m, p), magnitudes; gains: (m, l); panning: (l, s), initial
    share of each source at each position → panning, columns that sum to 1,
    and power (s, p). Fitzgerald et al. 2016.
    """
    panning = panning / panning.sum(dim=0)
    power = projections.mean(dim=0).expand(panning.shape[1], -1) + FLOOR
    for _ in range(n_iter):
        power = update_power(projections, gains @ panning, power)
        panning = update_panning(projections, gains, panning, power)
        total = panning.sum(dim=0) + FLOOR
        panning, power = panning / total, power * total[:, None]
    return panning, power


def from_projections(masked: Tensor, angles: Tensor) -> Tensor:
    """Two channels from projections: (..., m, f, n) → (..., 2, f, n).

    The least-squares solution from all projections together.
    """
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    back = torch.linalg.pinv(directions).to(masked.dtype)
    return torch.einsum("cm,...mfn->...cfn", back, masked)


def unmix(
    spectrum: Tensor, angles: Tensor, source_gains: Tensor, power: Tensor
) -> Tensor:
    """Mask every projection, and return to two channels: → (s, 2, f, n).

    spectrum: (2, f, n); source_gains: (m, s) and power (s, p) as `projet`
    finds them, p being all bins. The stems add up to the spectrum.
    """
    _, n_bins, n_frames = spectrum.shape
    part = source_gains.T[:, :, None] * power[:, None] + FLOOR  # (s, m, p)
    masks = (part / part.sum(dim=0)).unflatten(-1, (n_bins, n_frames))
    return from_projections(masks * project_channels(spectrum, angles), angles)


@dataclass(frozen=True)
class Projet:
    """Split a song into its centre, `no_other`, and the rest, `other`.

    n_angles: how many projections; n_positions: how many positions, over 180°;
    n_centre: how many of them count as the centre, on each side of 45°.
    mixture: (b, 2, t) → stems: (b, 2, 2, t), which add up to the mixture.
    """

    n_angles: int = 6
    n_positions: int = 24
    n_centre: int = 1
    n_iter: int = 20
    stft: STFT = STFT()
    sources: tuple[str, ...] = ("other", "no_other")
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    segment: float = 20.0

    def __call__(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        stems = torch.stack([self.stems(x) for x in spectrum])
        return self.stft.inverse(stems, mixture.shape[-1])

    def stems(self, spectrum: Tensor) -> Tensor:
        """Spectra of `other` and the centre: (2, f, n) → (2, 2, f, n)."""
        angles = angle_grid(self.n_angles)
        positions = angle_grid(self.n_positions)
        steps = torch.arange(self.n_positions)
        steps = torch.minimum(steps, self.n_positions - steps)
        centre = (steps <= self.n_centre).float()
        start = torch.stack([1 - centre, centre], dim=1)
        gains = projection_gains(angles, positions)
        projections = project_channels(spectrum, angles).abs().flatten(1)
        panning, power = projet(projections, gains, start, self.n_iter)
        return unmix(spectrum, angles, gains @ panning, power)
