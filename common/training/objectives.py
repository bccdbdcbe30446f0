"""Objectives: what training minimises.

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
from torch.nn import functional

from common.data.activity import active_frames
from common.signal.masks import apply_mask, owned_bins
from common.signal.stft import STFT
from common.training.losses import affinity_loss, l1


@dataclass(frozen=True)
class ActivityObjective:
    """Masks and activity at once; `weight` is how much the second counts.

    mixture: (b, 2, t) and sources: (b, s, 2, t) as `with_gate` makes them, a
    side of the sound and the gate, which a gain may have scaled. The net
    answers with masks (b, s, c, f, n) and activity (b, n), whose sigmoid is
    a probability.
    """

    stft: STFT
    weight: float = 0.1

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        sound, gate = mixture[:, :1], mixture[:, 1]
        answer = net(self.stft(sound).abs())
        masking = PhaseSensitiveObjective(self.stft)
        error = masking(lambda _: answer.masks, sound, sources[:, :, :1])
        activity = functional.binary_cross_entropy_with_logits(
            answer.activity, active_frames(gate, self.stft)
        )
        return error + self.weight * activity


@dataclass(frozen=True)
class MaskObjective:
    """L1 distance between the masked mixture and the sources, in magnitude.

    The net maps magnitude `(b, c, f, n)` to masks `(b, s, c, f, n)`.
    Huang et al. 2014 train through masks, too, with squared errors.
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

    Each excerpt and stem has a root of its own, so that loud ones do not
    dominate the loss, which is the mean of all roots. The squared error alone
    has its minimum at the phase-sensitive mask. After Erdogan et al. 2015.
    """

    stft: STFT

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        spectrum = self.stft(mixture)
        estimates = apply_mask(net(spectrum.abs()), spectrum)
        error = torch.view_as_real(estimates - self.stft(sources))
        energy = error.square().mean(dim=(2, 3, 4, 5))  # (b, s)
        # The gradient of the root is infinite at zero, which is silence.
        return (energy + 1e-10).sqrt().mean()


@dataclass(frozen=True)
class MagnitudeObjective:
    """L1 distance between the estimated magnitudes and the sources'."""

    stft: STFT

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        magnitude = self.stft(mixture).abs()
        return l1(net(magnitude), self.stft(sources).abs())


@dataclass(frozen=True)
class ClusteringObjective:
    """A clustering loss between a net's embeddings and the dominant sources.

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
    """The weighted sum of a clustering loss and the mask loss.

    The embeddings' loss is multiplied by `weight`, the masks' by 1 - `weight`.
    The net returns `embeddings` and `masks`; `loss` is one of the two
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
        embeddings = clustering(lambda _: answer.embeddings, mixture, sources)
        masks = masking(lambda _: answer.masks, mixture, sources)
        return self.weight * embeddings + (1 - self.weight) * masks
