"""PROJET: project a recording at many angles, and model all projections by a few positions.

An angle of 0 is the left channel, 90° the right one; angles are in radians. A spectrum `(2, f, n)`
is complex, left first. Fitzgerald, Liutkus and Badeau 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from common import SAMPLE_RATE
from common.classical.nmf import FLOOR
from common.signal.stft import STFT


def circle(n: int) -> Tensor:
    """`n` angles (n,) half way round, first that of the middle, 45°.

    The second quarter holds positions beyond the loudspeakers, at which the
    channels are out of phase. 180° further the position is the same, with the
    sign reversed.
    """
    return math.pi / 4 + torch.arange(n) * math.pi / n


def project_channels(spectrum: Tensor, angles: Tensor) -> Tensor:
    """One channel per angle out of two: (2, f, n), (m,) → complex (m, f, n).

    A projection is largest for a sound at its angle, and zero for one that is
    90° away. Fitzgerald et al. 2016.
    """
    left, right = spectrum
    angles = angles[:, None, None]
    return angles.cos() * left + angles.sin() * right


def projection_gains(angles: Tensor, positions: Tensor) -> Tensor:
    """Gain of each position in each projection: (m,), (l,) → (m, l)."""
    return (positions[None] - angles[:, None]).cos().abs() + FLOOR


def update_power(projections: Tensor, shape: Tensor, power: Tensor) -> Tensor:
    """One multiplicative step for how loud each source is in each bin.

    projections: (m, p), magnitudes; shape: (m, s), the gain of each source in
    each projection; power: (s, p) → (s, p). The Kullback-Leibler divergence
    between projections and model never grows.
    """
    ratio = projections / (shape @ power + FLOOR)
    denominator = shape.sum(dim=0)[:, None] + FLOOR
    return power * (shape.T @ ratio) / denominator


def update_spread(
    projections: Tensor, gains: Tensor, spread: Tensor, power: Tensor
) -> Tensor:
    """One multiplicative step for where each source stands: → (l, s).

    projections: (m, p); gains: (m, l); spread: (l, s); power: (s, p). The
    divergence never grows, and what is zero stays zero.
    """
    ratio = projections / (gains @ spread @ power + FLOOR)
    numerator = gains.T @ (ratio @ power.T)
    denominator = gains.sum(dim=0)[:, None] * power.sum(dim=1)
    return spread * numerator / (denominator + FLOOR)


def projet(
    projections: Tensor, gains: Tensor, spread: Tensor, n_iter: int = 20
) -> tuple[Tensor, Tensor]:
    """Find where each source stands and how loud it is in each bin.

    projections: (m, p), magnitudes; gains: (m, l); spread: (l, s), the share
    of a source at each position to start from → spread, columns summing to 1,
    and power (s, p). Fitzgerald et al. 2016.
    """
    spread = spread / spread.sum(dim=0)
    power = projections.mean(dim=0).expand(spread.shape[1], -1) + FLOOR
    for _ in range(n_iter):
        power = update_power(projections, gains @ spread, power)
        spread = update_spread(projections, gains, spread, power)
        total = spread.sum(dim=0) + FLOOR
        spread, power = spread / total, power * total[:, None]
    return spread, power


def from_projections(masked: Tensor, angles: Tensor) -> Tensor:
    """The channels that fit best, (..., m, f, n) → (..., 2, f, n).

    By least squares, from all projections together.
    """
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    back = torch.linalg.pinv(directions).to(masked.dtype)
    return torch.einsum("cm,...mfn->...cfn", back, masked)


def unmix(
    spectrum: Tensor, angles: Tensor, shape: Tensor, power: Tensor
) -> Tensor:
    """Share out every projection, and return to two channels: → (s, 2, f, n).

    spectrum: (2, f, n); shape: (m, s) and power (s, p) as `projet` finds
    them, p being all bins. The stems add up to the spectrum.
    """
    _, n_bins, n_frames = spectrum.shape
    part = shape.T[:, :, None] * power[:, None] + FLOOR  # (s, m, p)
    masks = (part / part.sum(dim=0)).unflatten(-1, (n_bins, n_frames))
    return from_projections(masks * project_channels(spectrum, angles), angles)


@dataclass(frozen=True)
class Projet:
    """Give a song's middle one stem and what stands elsewhere the other.

    n_angles: how many projections; n_positions: how many positions, half way
    round; n_middle: how many of them, to either side, count as the middle.
    mixture: (b, 2, t) → stems: (b, 2, 2, t), which add up to the mixture.
    """

    n_angles: int = 6
    n_positions: int = 24
    n_middle: int = 1
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
        """Spectrum (2, f, n) → those of other and the rest, (2, 2, f, n)."""
        angles, positions = circle(self.n_angles), circle(self.n_positions)
        steps = torch.arange(self.n_positions)
        steps = torch.minimum(steps, self.n_positions - steps)
        middle = (steps <= self.n_middle).float()
        spread = torch.stack([1 - middle, middle], dim=1)
        gains = projection_gains(angles, positions)
        projections = project_channels(spectrum, angles).abs().flatten(1)
        found, power = projet(projections, gains, spread, self.n_iter)
        return unmix(spectrum, angles, gains @ found, power)
