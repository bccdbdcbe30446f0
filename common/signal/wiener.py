"""Multichannel Wiener filtering: estimates that use positions and add up to the mixture."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 10.0
"""Mixtures are scaled so that no magnitude is above this, for the sake of small numbers."""


def solve_hermitian(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve a small system of equations in every bin, by elimination.

    matrix: (i, j, f, n), Hermitian and positive definite, right: (i, f, n) →
    (j, f, n). Such matrices need no exchange of rows, so that a few sums and
    products do, which every device has.
    """
    equations = zip(matrix, right, strict=True)
    rows = [torch.cat([row, x[None]]) for row, x in equations]
    for i in range(len(rows)):
        solved = rows[i][1:] / rows[i][0].real
        rows = [
            solved if j == i else row[1:] - row[0] * solved
            for j, row in enumerate(rows)
        ]
    return torch.cat(rows)


def expectation_maximization(
    estimates: Tensor, mixture: Tensor, n_iter: int = 1, epsilon: float = 1e-10
) -> Tensor:
    """Refine complex spectra of all sources with one covariance for each.

    estimates: (s, c, f, n), mixture: (c, f, n), complex → (s, c, f, n). Each
    iteration computes the power of every source per bin and its spatial
    covariance per frequency, and filters the mixture with both. Nugraha et
    al. 2016; Uhlich et al. 2017.
    """
    noise = torch.eye(len(mixture)).to(mixture)[..., None, None]
    for _ in range(n_iter):
        power = estimates.abs().square().mean(dim=1)  # (s, f, n)
        outer = torch.einsum("sifn,sjfn->sijf", estimates, estimates.conj())
        covariance = outer / (power.sum(dim=-1) + epsilon)[:, None, None]
        # Without the noise, equal channels would make `whole` singular.
        floor = epsilon**0.5 + 1e-6 * power.sum(dim=0)
        power = power.to(mixture.dtype)
        whole = torch.einsum("sfn,sijf->ijfn", power, covariance)
        white = solve_hermitian(whole + floor * noise, mixture)
        filtered = torch.einsum("sijf,jfn->sifn", covariance, white)
        estimates = power[:, None] * filtered
    return estimates


def wiener_filter(
    magnitudes: Tensor,
    mixture: Tensor,
    n_iter: int = 1,
    n_frames: int = 300,
    rest: bool = False,
) -> Tensor:
    """From estimated magnitudes to complex spectra of all sources.

    magnitudes: (s, c, f, n), mixture: complex (c, f, n) → (s, c, f, n). Starts
    from the mixture's phase; with `n_iter` above 0 every block of `n_frames`
    is refined by itself, so that sources may move. `rest`: there are more
    sources than these, and what they leave over is filtered as one of them.
    """
    estimates = torch.polar(magnitudes, mixture.angle().expand_as(magnitudes))
    if n_iter == 0:
        return estimates
    if rest:
        others = mixture - estimates.sum(dim=0)
        estimates = torch.cat([estimates, others[None]])
    refined = []
    blocks = estimates.split(n_frames, -1), mixture.split(n_frames, -1)
    for y, x in zip(*blocks, strict=True):
        scale = (x.abs().max() / LARGEST).clamp(min=1.0)
        y = expectation_maximization(y / scale, x / scale, n_iter)
        refined.append(scale * y)
    return torch.cat(refined, dim=-1)[: len(magnitudes)]
