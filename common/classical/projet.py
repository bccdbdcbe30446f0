"""PROJET: look at a recording from many angles, and explain all views by a few places.

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

    The second quarter holds places beyond the loudspeakers, at which the
    channels are out of phase. After 180° a place is the same, upside down.
    """
    return math.pi / 4 + torch.arange(n) * math.pi / n


def views(spectrum: Tensor, angles: Tensor) -> Tensor:
    """One channel per angle out of two: (2, f, n), (m,) → complex (m, f, n).

    A view shows best what stands at its angle, and not at all what stands 90°
    away. Fitzgerald et al. 2016.
    """
    left, right = spectrum
    angles = angles[:, None, None]
    return angles.cos() * left + angles.sin() * right


def visibility(angles: Tensor, places: Tensor) -> Tensor:
    """How much of each place is seen at each angle: (m,), (l,) → (m, l)."""
    return (places[None] - angles[:, None]).cos().abs() + FLOOR


def update_loudness(seen: Tensor, shape: Tensor, loudness: Tensor) -> Tensor:
    """One multiplicative step for how loud each source is in each bin.

    seen: (m, p), magnitudes of the views; shape: (m, s), what each source
    shows at each angle; loudness: (s, p) → (s, p). The Kullback-Leibler
    divergence between views and model never grows.
    """
    ratio = seen / (shape @ loudness + FLOOR)
    push = shape.sum(dim=0)[:, None] + FLOOR
    return loudness * (shape.T @ ratio) / push


def update_spread(
    seen: Tensor, visible: Tensor, spread: Tensor, loudness: Tensor
) -> Tensor:
    """One multiplicative step for where each source stands: → (l, s).

    seen: (m, p); visible: (m, l); spread: (l, s); loudness: (s, p). The
    divergence never grows, and what is zero stays zero.
    """
    ratio = seen / (visible @ spread @ loudness + FLOOR)
    pull = visible.T @ (ratio @ loudness.T)
    push = visible.sum(dim=0)[:, None] * loudness.sum(dim=1)
    return spread * pull / (push + FLOOR)


def projet(
    seen: Tensor, visible: Tensor, spread: Tensor, n_iter: int = 20
) -> tuple[Tensor, Tensor]:
    """Find where each source stands and how loud it is in each bin.

    seen: (m, p), magnitudes of the views; visible: (m, l); spread: (l, s), how
    much of a source is thought to stand at each place → spread, columns
    summing to 1, and loudness (s, p). Fitzgerald et al. 2016.
    """
    spread = spread / spread.sum(dim=0)
    loudness = seen.mean(dim=0).expand(spread.shape[1], -1) + FLOOR
    for _ in range(n_iter):
        loudness = update_loudness(seen, visible @ spread, loudness)
        spread = update_spread(seen, visible, spread, loudness)
        total = spread.sum(dim=0) + FLOOR
        spread, loudness = spread / total, loudness * total[:, None]
    return spread, loudness


def from_views(masked: Tensor, angles: Tensor) -> Tensor:
    """The channels that fit the views best: (..., m, f, n) → (..., 2, f, n)."""
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    back = torch.linalg.pinv(directions).to(masked.dtype)
    return torch.einsum("cm,...mfn->...cfn", back, masked)


def unmix(
    spectrum: Tensor, angles: Tensor, shape: Tensor, loudness: Tensor
) -> Tensor:
    """Share out every view, and return to two channels: → (s, 2, f, n).

    spectrum: (2, f, n); shape: (m, s) and loudness (s, p) as `projet` finds
    them, p being all bins. The stems add up to the spectrum.
    """
    _, n_bins, n_frames = spectrum.shape
    part = shape.T[:, :, None] * loudness[:, None] + FLOOR  # (s, m, p)
    masks = (part / part.sum(dim=0)).unflatten(-1, (n_bins, n_frames))
    return from_views(masks * views(spectrum, angles), angles)


@dataclass(frozen=True)
class Projet:
    """Give a song's middle one stem and what stands elsewhere the other.

    n_angles: how many views; n_places: how many places, half way round;
    n_middle: how many of them, to either side, still count as the middle.
    mixture: (b, 2, t) → stems: (b, 2, 2, t), which add up to the mixture.
    """

    n_angles: int = 6
    n_places: int = 24
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
        angles, places = circle(self.n_angles), circle(self.n_places)
        steps = torch.arange(self.n_places)
        steps = torch.minimum(steps, self.n_places - steps)
        middle = (steps <= self.n_middle).float()
        spread = torch.stack([1 - middle, middle], dim=1)
        visible = visibility(angles, places)
        seen = views(spectrum, angles).abs().flatten(1)
        found, loudness = projet(seen, visible, spread, self.n_iter)
        return unmix(spectrum, angles, visible @ found, loudness)
