"""k-means, for chapter 7's points on a sphere and chapter 12's embeddings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def k_means(
    points: Tensor,
    weights: Tensor,
    centroids: Tensor,
    n_iter: int = 10,
    pull: float = 0.0,
) -> Tensor:
    """Move each centroid to the mean of the points that are nearest to it.

    points: (i, d), weights: (i,), centroids: (k, d), where to start → (k, d).
    A centroid that no weight is nearest to stays where it is or, with a pull,
    goes back to where it started. Lloyd 1982.
    pull: how much each centroid's starting point counts in its mean, as a
    part of the weight of all points; 0 is plain k-means.
    """
    start, held = centroids, pull * weights.sum()
    for _ in range(n_iter):
        nearest = torch.cdist(points, centroids).argmin(dim=-1)
        owned = functional.one_hot(nearest, len(centroids)) * weights[:, None]
        total = owned.sum(dim=0)[:, None] + held
        means = (owned.mT @ points + held * start) / total.clamp(min=1e-12)
        moved = torch.where(total > 0, means, centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids
