"""Spatial clustering: the level and phase difference of every bin is a point that k-means
clusters."""

from __future__ import annotations

import torch
from torch import Tensor

from common.signal.k_means import k_means
from common.signal.masks import EPSILON


def points_on_sphere(spectrum: Tensor) -> Tensor:
    """Level and phase difference of every bin (2, f, n) as a point: (3, f, n).

    Coordinates: left against right; in phase against out of phase; left ahead
    against left behind by 90°. All points lie on the unit sphere, except that
    silence is at its centre. The normalised Stokes parameters of optics.
    """
    left, right = spectrum
    energy = spectrum.abs().square().sum(dim=0) + EPSILON
    shared = 2 * left * right.conj()
    sides = left.abs().square() - right.abs().square()
    return torch.stack([sides, shared.real, shared.imag]) / energy


def k_means_plus_plus(
    points: Tensor, weights: Tensor, n: int, seed: int = 0
) -> Tensor:
    """Initial centroids far apart, chosen among the points (p, d): (n, d).

    Each is drawn with a probability proportional to its weight times its
    squared distance to those drawn before. Arthur and Vassilvitskii 2007.
    """
    generator = torch.Generator().manual_seed(seed)
    chance, chosen = weights.clone(), []
    for _ in range(n):
        steps = chance.double().cumsum(0)
        at = torch.rand((), generator=generator) * steps[-1]
        chosen.append(points[torch.searchsorted(steps, at.double())])
        centroids = torch.stack(chosen)
        nearest = torch.cdist(points, centroids).amin(dim=1)
        chance = weights * nearest.square()
    return centroids


def cluster_positions(
    spectrum: Tensor, n_positions: int, seed: int = 0
) -> Tensor:
    """Binary masks from k-means: (2, f, n) → (s, f, n).

    A bin's weight is its energy; the cluster with most energy comes first.
    """
    _, n_bins, n_frames = spectrum.shape
    points = points_on_sphere(spectrum).flatten(1).T
    weights = spectrum.abs().square().sum(dim=0).flatten() + EPSILON
    start = k_means_plus_plus(points, weights, n_positions, seed)
    centroids = k_means(points, weights, start, n_iter=50)
    nearest = torch.cdist(points, centroids).argmin(dim=1)
    masks = torch.stack([(nearest == i).float() for i in range(n_positions)])
    order = (masks @ weights).argsort(descending=True)
    return masks[order].reshape(n_positions, n_bins, n_frames)
