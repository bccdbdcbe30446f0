"""Robust PCA: a low-rank accompaniment and a sparse voice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.signal.masks import EPSILON


def shrink(x: Tensor, by: Tensor | float) -> Tensor:
    """Soft thresholding: reduce every magnitude by `by`, at most to zero."""
    return x.sign() * (x.abs() - by).clamp(min=0)


def robust_pca(
    matrix: Tensor, n_iter: int = 100, tolerance: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """Split a matrix into a low-rank and a sparse matrix that add up to it.

    matrix: (f, n) → two of the same shape. Minimises the sum of singular
    values of the first plus λ times the sum of magnitudes of the second, with
    λ = 1 / √max(f, n), until less than `tolerance` of the norm is unexplained.
    Candès et al. 2011; Lin et al. 2010, algorithm 5.
    """
    weight = max(matrix.shape) ** -0.5
    size = matrix.norm().clamp(min=EPSILON)
    largest = torch.linalg.matrix_norm(matrix, 2).clamp(min=EPSILON)
    sparse = torch.zeros_like(matrix)
    dual = matrix / torch.maximum(largest, matrix.abs().max() / weight)
    penalty = 1.25 / largest
    for _ in range(n_iter):
        target = matrix - sparse + dual / penalty
        u, values, v = torch.linalg.svd(target, full_matrices=False)
        low_rank = (u * shrink(values, 1 / penalty)) @ v
        target = matrix - low_rank + dual / penalty
        sparse = shrink(target, weight / penalty)
        missing = matrix - low_rank - sparse
        dual = dual + penalty * missing
        penalty = 1.5 * penalty
        if missing.norm() < tolerance * size:
            break
    return low_rank, sparse


@dataclass(frozen=True)
class RPCA:
    """Mask of the low-rank part: its share of the energy of each bin.

    magnitude: (c, f, n) → mask of the background (c, f, n), in [0, 1], the
    same for all channels. Huang et al. 2012, whose mask is 0 or 1.
    """

    n_iter: int = 100
    tolerance: float = 1e-3

    def __call__(self, magnitude: Tensor) -> Tensor:
        middle = magnitude.mean(dim=0)
        low_rank, sparse = robust_pca(middle, self.n_iter, self.tolerance)
        low_rank, sparse = low_rank.square(), sparse.square()
        mask = low_rank / (low_rank + sparse + EPSILON)
        return mask.expand_as(magnitude).clone()
