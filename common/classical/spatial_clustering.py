"""Spatial clustering: bins become points by their level and phase differences, and k-means groups
the points."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-10
"""Keeps a division by the energy of silence at zero instead of NaN."""


def points_on_sphere(spectrum: Tensor) -> Tensor:
    """Level and phase difference of every bin (2, f, n) as a point: (3, f, n).

    Left against right; in phase against out of phase; left a quarter turn
    ahead against behind. The points lie on a sphere of radius 1, and silence
    in its middle. Known from polarised light as Stokes parameters.
    """
    left, right = spectrum
    energy = spectrum.abs().square().sum(dim=0) + EPSILON
    shared = 2 * left * right.conj()
    sides = left.abs().square() - right.abs().square()
    return torch.stack([sides, shared.real, shared.imag]) / energy


def spread_out(
    points: Tensor, weights: Tensor, n: int, seed: int = 0
) -> Tensor:
    """`n` of the points (p, d) to start from, far apart: (n, d).

    Each is drawn with a chance that grows with its weight and with the squared
    distance to those drawn before. Arthur and Vassilvitskii 2007.
    """
    generator = torch.Generator().manual_seed(seed)
    chance, chosen = weights.clone(), []
    for _ in range(n):
        steps = chance.double().cumsum(0)
        at = torch.rand((), generator=generator) * steps[-1]
        chosen.append(points[torch.searchsorted(steps, at.double())])
        centres = torch.stack(chosen)
        nearest = torch.cdist(points, centres).amin(dim=1)
        chance = weights * nearest.square()
    return centres


def k_means(
    points: Tensor, weights: Tensor, centres: Tensor, n_iter: int = 50
) -> tuple[Tensor, Tensor]:
    """Move each centre to the mean of the points that are nearest to it.

    points: (p, d), weights: (p,), centres: (k, d), where to start → the centre
    that is nearest to each point (p,), and the centres. A centre to which no
    weight is near stays where it is. Lloyd 1982.
    """
    for _ in range(n_iter):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        mine = torch.zeros(len(centres), len(points))
        mine[nearest, torch.arange(len(points))] = weights
        total = mine.sum(dim=1, keepdim=True)
        moved = torch.where(total > 0, mine @ points / total, centres)
        if torch.allclose(moved, centres, atol=1e-6):
            break
        centres = moved
    return nearest, centres


def cluster_places(spectrum: Tensor, n_places: int, seed: int = 0) -> Tensor:
    """Masks of zeros and ones from k-means: (2, f, n) → (s, f, n).

    Bins weigh what they sound; the heaviest cluster is the first.
    """
    _, n_bins, n_frames = spectrum.shape
    points = points_on_sphere(spectrum).flatten(1).T
    weights = spectrum.abs().square().sum(dim=0).flatten() + EPSILON
    start = spread_out(points, weights, n_places, seed)
    nearest, _ = k_means(points, weights, start)
    masks = torch.stack([(nearest == i).float() for i in range(n_places)])
    order = (masks @ weights).argsort(descending=True)
    return masks[order].reshape(n_places, n_bins, n_frames)
