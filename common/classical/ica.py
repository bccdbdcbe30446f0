"""Independent component analysis: as many microphones as sources, and nothing else known."""

from __future__ import annotations

import torch
from torch import Tensor


def whiten(mixtures: Tensor) -> tuple[Tensor, Tensor]:
    """Turn and stretch mixtures until they are uncorrelated and equally loud.

    mixtures: (c, t) → whitened (c, t) and the matrix (c, c) that did it.
    Raises ValueError where the channels are no more than copies of each other.
    """
    centred = mixtures - mixtures.mean(dim=1, keepdim=True)
    covariance = centred @ centred.T / centred.shape[1]
    power, axes = torch.linalg.eigh(covariance)
    if power[0] <= 1e-6 * power[-1]:
        raise ValueError("the channels carry fewer signals than there are")
    matrix = axes.T / power.sqrt()[:, None]
    return matrix @ centred, matrix


def fast_ica(
    mixtures: Tensor, n_iter: int = 200, tolerance: float = 1e-6, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Find the sources of as many mixtures, in any order and at any level.

    mixtures: (c, t) → sources (c, t) of unit power, and the unmixing matrix
    (c, c). Turns the whitened mixtures until each is as far from Gaussian as
    it gets. Raises ValueError as `whiten`. Hyvärinen 1999, with
    symmetric decorrelation.
    """
    white, whitening = whiten(mixtures)
    generator = torch.Generator().manual_seed(seed)
    turn = torch.rand(len(white), len(white), generator=generator)
    turn = turn.to(white.dtype)
    for _ in range(n_iter):
        bent = torch.tanh(turn @ white)
        slope = (1 - bent.square()).mean(dim=1, keepdim=True)
        new = bent @ white.T / white.shape[1] - slope * turn
        u, _, v = torch.linalg.svd(new)
        new = u @ v  # the nearest matrix that only turns
        settled = (new * turn).sum(dim=1).abs().min() > 1 - tolerance
        turn = new
        if settled:
            break
    return turn @ white, turn @ whitening
