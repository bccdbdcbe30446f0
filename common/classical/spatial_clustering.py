"""Spatial clustering: bins become points by their level and phase differences, and k-means groups
the points."""

from __future__ import annotations

import torch
from torch import Tensor

from common.signal.k_means import k_means
from common.signal.masks import EPSILON


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


def cluster_positions(
    spectrum: Tensor, n_positions: int, seed: int = 0
) -> Tensor:
    """Masks of zeros and ones from k-means: (2, f, n) → (s, f, n).

    Bins weigh what they sound; the heaviest cluster is the first.
    """
    _, n_bins, n_frames = spectrum.shape
    points = points_on_sphere(spectrum).flatten(1).T
    weights = spectrum.abs().square().sum(dim=0).flatten() + EPSILON
    start = spread_out(points, weights, n_positions, seed)
    centroids = k_means(points, weights, start, n_iter=50)
    nearest = torch.cdist(points, centroids).argmin(dim=1)
    masks = torch.stack([(nearest == i).float() for i in range(n_positions)])
    order = (masks @ weights).argsort(descending=True)
    return masks[order].reshape(n_positions, n_bins, n_frames)
