"""Losses, one function each, and the objectives that training minimises.

An objective is called as `objective(net, mixture, sources) -> scalar`, with `mixture` `(b, c, t)`
and `sources` `(b, s, c, t)`. It owns the transform and only ever calls `net(x)`, so that it works
the same when the net is wrapped for several processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.masks import apply_mask
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
