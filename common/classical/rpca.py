"""Robust PCA: the band is of low rank, the singer is sparse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def shrink(x: Tensor, by: Tensor | float) -> Tensor:
    """Move every number towards zero by so much, and those that are nearer to zero."""
    return x.sign() * (x.abs() - by).clamp(min=0)


def robust_pca(matrix: Tensor, n_iter: int = 100, tolerance: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Split a matrix into one of low rank and a sparse one that add up to it.

    matrix: (f, n) → two of the same shape. Minimises the sum of singular
    values of the first plus λ times the sum of magnitudes of the second, with
    λ = 1 / √max(f, n), by the inexact augmented Lagrangian of Lin et al. 2010,
    algorithm 5. Candès et al. 2011.
    """
    weight = max(matrix.shape) ** -0.5
    size = matrix.norm().clamp(min=1e-12)
    largest = torch.linalg.matrix_norm(matrix, 2).clamp(min=1e-12)
    sparse = torch.zeros_like(matrix)
    dual = matrix / torch.maximum(largest, matrix.abs().max() / weight)
    penalty = 1.25 / largest
    for _ in range(n_iter):
        u, values, v = torch.linalg.svd(matrix - sparse + dual / penalty, full_matrices=False)
        low_rank = (u * shrink(values, 1 / penalty)) @ v
        sparse = shrink(matrix - low_rank + dual / penalty, weight / penalty)
        missing = matrix - low_rank - sparse
        dual = dual + penalty * missing
        penalty = 1.5 * penalty
        if missing.norm() < tolerance * size:
            break
    return low_rank, sparse


@dataclass(frozen=True)
class RPCA:
    """Mask the bins in which the low-rank part is the stronger. Huang et al. 2012, eq. 4.

    magnitude: (c, f, n) → mask of the background (c, f, n), 0 or 1. A `gain`
    above 1 hears more singer.
    """

    gain: float = 1.0
    n_iter: int = 100

    def __call__(self, magnitude: Tensor) -> Tensor:
        masks = []
        for channel in magnitude:
            low_rank, sparse = robust_pca(channel, self.n_iter)
            masks.append(low_rank.abs() >= self.gain * sparse.abs())
        return torch.stack(masks).to(magnitude.dtype)
