"""Independent component analysis: as many microphones as sources, mixed without delays."""

from __future__ import annotations

import torch
from torch import Tensor


def whiten(mixtures: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate and scale mixtures until they are uncorrelated and of unit power.

    mixtures: (c, t) → whitened (c, t) and the whitening matrix (c, c).
    Raises ValueError where they carry fewer signals than there are channels.
    """
    centred = mixtures - mixtures.mean(dim=1, keepdim=True)
    covariance = centred @ centred.T / centred.shape[1]
    power, axes = torch.linalg.eigh(covariance)
    if power[0] <= 1e-6 * power[-1]:
        raise ValueError("there are fewer signals than channels")
    matrix = axes.T / power.sqrt()[:, None]
    return matrix @ centred, matrix


def fast_ica(
    mixtures: Tensor, n_iter: int = 200, tolerance: float = 1e-6, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Estimate as many sources as there are mixtures, in arbitrary order.

    mixtures: (c, t) → sources (c, t) of unit power, and the unmixing matrix
    (c, c). Rotates the whitened mixtures until each is as far from Gaussian as
    possible. Raises ValueError as `whiten`. Hyvärinen 1999, with
    symmetric decorrelation.
    """
    white, whitening = whiten(mixtures)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.rand(len(white), len(white), generator=generator)
    rotation = rotation.to(white.dtype)
    for _ in range(n_iter):
        activation = torch.tanh(rotation @ white)
        slope = (1 - activation.square()).mean(dim=1, keepdim=True)
        new = activation @ white.T / white.shape[1] - slope * rotation
        u, _, v = torch.linalg.svd(new)
        new = u @ v  # the nearest orthogonal matrix
        settled = (new * rotation).sum(dim=1).abs().min() > 1 - tolerance
        rotation = new
        if settled:
            break
    return rotation @ white, rotation @ whitening
