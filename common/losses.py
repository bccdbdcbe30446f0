"""Losses, one function each, and the objectives that training minimises.

An objective is called as `objective(net, mixture, sources) -> scalar`, with `mixture` `(b, c, t)`
and `sources` `(b, s, c, t)`. It owns the transform and only ever calls `net(x)`, so that it works
the same when the net is wrapped for several processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from common.masks import EPSILON, apply_mask, ideal_binary_mask
from common.stft import STFT


def l1(estimates: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of two tensors of the same shape: magnitudes or samples."""
    return (estimates - targets).abs().mean()


@dataclass(frozen=True)
class MaskObjective:
    """L1 distance between the masked mixture and the sources, in magnitude.

    The net answers magnitude `(b, c, f, n)` with masks `(b, s, c, f, n)`.
    Huang et al. 2014, eq. 5, with L1 in place of squares.
    """

    stft: STFT

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        magnitude = self.stft(mixture).abs()
        estimates = apply_mask(net(magnitude), magnitude)
        return l1(estimates, self.stft(sources).abs())


@dataclass(frozen=True)
class PhaseSensitiveObjective:
    """Root mean square error of the masked mixture, as a complex spectrum.

    A net that is unsure does well to answer with the mean of what may be, not
    with silence as under L1, and a bin whose phase is wrong is turned down.
    Erdogan et al. 2015, eq. 8, with the root taken over the whole batch.
    """

    stft: STFT

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        spectrum = self.stft(mixture)
        estimates = apply_mask(net(spectrum.abs()), spectrum)
        error = torch.view_as_real(estimates - self.stft(sources))
        return error.square().mean().sqrt()


@dataclass(frozen=True)
class MagnitudeObjective:
    """L1 distance of the magnitudes that the net predicts to the sources'."""

    stft: STFT

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        magnitude = self.stft(mixture).abs()
        return l1(net(magnitude), self.stft(sources).abs())


def affinity_loss(
    embeddings: Tensor, labels: Tensor, weights: Tensor
) -> Tensor:
    """How badly the likeness of two bins tells whether one source owns both.

    embeddings: (b, i, d), labels: (b, i, s), one-hot; weights: (b, i), adding
    up to 1 → (b,). The weighted mean, over all pairs of bins, of
    (⟨v_i, v_j⟩ − ⟨y_i, y_j⟩)², from d × d and smaller matrices only.
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
    """How much of the embeddings' spread the sources do not explain.

    Shapes as in `affinity_loss`; the result lies between d less the number
    of sources, or 0, and d. A cloud that is wide in one direction and flat
    in another is made round first. Wang et al. 2018.
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


def bin_weights(magnitude: Tensor, floor: float = -40.0) -> Tensor:
    """How much each bin counts: its magnitude's share, and silence nothing.

    magnitude: (b, i), linear → (b, i), adding up to 1, or 0 in silence. Bins
    more than `-floor` dB below the loudest do not count at all.
    """
    loudest = magnitude.amax(dim=-1, keepdim=True)
    heard = magnitude * (magnitude > loudest * 10 ** (floor / 20))
    return heard / heard.sum(dim=-1, keepdim=True).clamp(min=EPSILON)


def owned_bins(mixture: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """Who owns which bin, and how much it counts, each channel by itself.

    mixture: (b, c, f, n), sources: (b, s, c, f, n), spectra → labels:
    (b c, f n, s), one-hot, of the source that is loudest; weights: (b c, f n).
    """
    labels = ideal_binary_mask(sources)
    labels = rearrange(labels, "b s c f n -> (b c) (f n) s")
    magnitude = rearrange(mixture.abs(), "b c f n -> (b c) (f n)")
    return labels, bin_weights(magnitude)


@dataclass(frozen=True)
class ClusteringObjective:
    """A clustering loss between a net's embeddings and who owns which bin.

    The net answers magnitude `(b, c, f, n)` with embeddings
    `(b, c, f, n, d)`; `loss` is `affinity_loss` or `whitened_kmeans_loss`.
    """

    stft: STFT
    loss: Callable[[Tensor, Tensor, Tensor], Tensor] = affinity_loss

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        spectrum = self.stft(mixture)
        labels, weights = owned_bins(spectrum, self.stft(sources))
        v = rearrange(net(spectrum.abs()), "b c f n d -> (b c) (f n) d")
        return self.loss(v, labels, weights).mean()


@dataclass(frozen=True)
class ChimeraObjective:
    """Both heads at once: `weight` for places, the rest for masks.

    The net answers with `embeddings` and `masks`; `loss` is one of the two
    clustering losses. Luo et al. 2017; the phase-sensitive error for the
    masks as in Wang et al. 2018.
    """

    stft: STFT
    weight: float = 0.75
    loss: Callable[[Tensor, Tensor, Tensor], Tensor] = affinity_loss

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        answer = net(self.stft(mixture).abs())
        clustering = ClusteringObjective(self.stft, self.loss)
        masking = PhaseSensitiveObjective(self.stft)
        places = clustering(lambda _: answer.embeddings, mixture, sources)
        masks = masking(lambda _: answer.masks, mixture, sources)
        return self.weight * places + (1 - self.weight) * masks
