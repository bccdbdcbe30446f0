"""Losses: one function each."""

from __future__ import annotations

import torch
from torch import Tensor


def l1(estimates: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of two tensors of the same shape: magnitudes or samples."""
    return (estimates - targets).abs().mean()


def affinity_loss(
    embeddings: Tensor, labels: Tensor, weights: Tensor
) -> Tensor:
    """Squared error of the affinities, the weighted mean over pairs of bins.

    embeddings: (b, i, d), labels: (b, i, s), one-hot, weights: (b, i), with
    the sum 1 → (b,). The sum of w_i w_j (⟨v_i, v_j⟩ − ⟨y_i, y_j⟩)² over all
    i and j, from matrices with at most max(d, s) rows and columns.
    Hershey et al. 2016; weights: Wang et al. 2018.
    """
    root = weights.sqrt().unsqueeze(-1)
    v, y = root * embeddings, root * labels

    def energy(a: Tensor, b: Tensor) -> Tensor:
        return (a.mT @ b).square().sum(dim=(-2, -1))

    return energy(v, v) - 2 * energy(v, y) + energy(y, y)


def whitened_kmeans_loss(
    embeddings: Tensor,
    labels: Tensor,
    weights: Tensor,
    epsilon: float = 1e-4,
) -> Tensor:
    """Squared error of replacing each whitened embedding by its source's mean.

    Shapes as in `affinity_loss`; the result is at most d, and at least the
    larger of d − s and 0. Whitening makes it invariant to invertible linear
    maps of the embeddings, apart from `epsilon`. Wang et al. 2018.
    """
    root = weights.sqrt().unsqueeze(-1)
    v, y = root * embeddings, root * labels
    n_dimensions, n_sources = v.shape[-1], y.shape[-1]
    spread = v.mT @ v + epsilon * torch.eye(n_dimensions, device=v.device)
    sizes = y.mT @ y + epsilon * torch.eye(n_sources, device=y.device)
    shared = v.mT @ y
    explained = torch.linalg.solve(sizes, shared.mT)
    explained = torch.linalg.solve(spread, shared @ explained)
    return n_dimensions - explained.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
