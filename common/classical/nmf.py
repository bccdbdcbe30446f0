"""Non-negative matrix factorization: a spectrogram as a sum of sounds, each with its own score."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common import SAMPLE_RATE, SOURCES
from common.masks import apply_mask
from common.stft import STFT

EPSILON = 1e-8
"""Added to magnitudes and models, so that no logarithm and no division meets zero."""


def beta_divergence(data: Tensor, model: Tensor, beta: float) -> Tensor:
    """How badly a model fits: the sum over all entries of two non-negative matrices.

    beta 2: half the squared (Euclidean) distance; 1: Kullback-Leibler; 0:
    Itakura-Saito. Févotte and Idier 2011, eq. 2.
    """
    if beta == 2:
        return 0.5 * (data - model).square().sum()
    ratio = data / model
    if beta == 1:
        return (data * ratio.log() - data + model).sum()
    if beta == 0:
        return (ratio - ratio.log() - 1).sum()
    raise ValueError(f"beta must be 2, 1 or 0, not {beta}")


def update_activations(data: Tensor, sounds: Tensor, activations: Tensor, beta: float) -> Tensor:
    """One multiplicative step for the activations; the divergence never grows.

    data: (f, n), sounds: (f, k), activations: (k, n) → (k, n). The exponent
    ½ makes the step monotone for Itakura-Saito. Févotte and Idier 2011, eq. 41.
    """
    model = sounds @ activations + EPSILON
    pull = sounds.T @ (data * model ** (beta - 2))
    push = sounds.T @ model ** (beta - 1)
    ratio = pull / (push + EPSILON)
    return activations * (ratio if beta >= 1 else ratio.sqrt())


def nmf(
    data: Tensor,
    n_components: int,
    beta: float = 1.0,
    n_iter: int = 100,
    sounds: Tensor | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor, list[float]]:
    """Factor a magnitude spectrogram into sounds and their activations.

    data: (f, n), linear → sounds (f, k) of unit sum, activations (k, n), and
    the divergence before and after every step. With `sounds` given they stay
    as they are, and only the activations are found. Lee and Seung 2001.
    """
    data = data + EPSILON
    generator = torch.Generator().manual_seed(seed)
    fixed = sounds is not None
    if not fixed:
        sounds = torch.rand(data.shape[0], n_components, generator=generator) + 0.1
    activations = torch.rand(n_components, data.shape[1], generator=generator) + 0.1
    activations = activations * data.mean() / (sounds @ activations).mean()
    losses = [beta_divergence(data, sounds @ activations + EPSILON, beta).item()]
    for _ in range(n_iter):
        activations = update_activations(data, sounds, activations, beta)
        if not fixed:
            # Seen from the side, sounds are the activations of the transposed spectrogram.
            sounds = update_activations(data.T, activations.T, sounds.T, beta).T
        losses.append(beta_divergence(data, sounds @ activations + EPSILON, beta).item())
    scale = sounds.sum(dim=0).clamp(min=EPSILON)
    return sounds / scale, activations * scale[:, None], losses


@dataclass(frozen=True, eq=False)
class SupervisedNMF:
    """Explain a mixture by sounds that were learnt from each stem alone.

    dictionaries: (s, f, k), one set of sounds per source. mixture: (b, c, t) →
    stems: (b, s, c, t); each gets the share of every bin that its own sounds
    explain. Smaragdis et al. 2007.
    """

    dictionaries: Tensor
    beta: float = 1.0
    n_iter: int = 60
    stft: STFT = STFT()
    sources: tuple[str, ...] = SOURCES
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    segment: float = 20.0

    def __call__(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        masks = torch.stack([self.masks(x) for x in spectrum.abs()])
        return self.stft.inverse(apply_mask(masks, spectrum), mixture.shape[-1])

    def masks(self, magnitude: Tensor) -> Tensor:
        """Magnitude (c, f, n) → masks (s, c, f, n), which add up to 1."""
        n_sources, n_bins, n_components = self.dictionaries.shape
        sounds = self.dictionaries.transpose(0, 1).reshape(n_bins, -1)
        data = magnitude.transpose(0, 1).flatten(1)  # the channels one after another
        _, activations, _ = nmf(data, sounds.shape[1], self.beta, self.n_iter, sounds)
        scores = activations.reshape(n_sources, n_components, -1)
        models = (self.dictionaries / self.dictionaries.sum(dim=1, keepdim=True)) @ scores + EPSILON
        masks = models / models.sum(dim=0)
        return masks.reshape(n_sources, n_bins, *magnitude.shape[::2]).transpose(1, 2)
