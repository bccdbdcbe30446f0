"""Objectives: finite on silence, independent of how a batch is divided, fair to quiet stems."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from common.models.chimera import Chimera
from common.models.deep_clustering import DeepClustering
from common.models.mask_inference import MagnitudeInference, MaskInference
from common.models.unet_variants import ActivityUNet
from common.signal.stft import STFT
from common.training.losses import whitened_kmeans_loss
from common.training.objectives import (
    ActivityObjective,
    ChimeraObjective,
    ClusteringObjective,
    MagnitudeObjective,
    MaskObjective,
    PhaseSensitiveObjective,
)

TRANSFORM = STFT(64, 32)
SIZE = {"n_bins": TRANSFORM.n_bins, "hidden_size": 4, "n_layers": 1}

OBJECTIVES = {
    "masks, L1": (MaskObjective(TRANSFORM), lambda: MaskInference(**SIZE)),
    "masks, phase-sensitive": (PhaseSensitiveObjective(TRANSFORM), lambda: MaskInference(**SIZE)),
    "magnitudes": (MagnitudeObjective(TRANSFORM), lambda: MagnitudeInference(**SIZE)),
    "affinity": (ClusteringObjective(TRANSFORM), lambda: DeepClustering(**SIZE)),
    "whitened": (
        ClusteringObjective(TRANSFORM, whitened_kmeans_loss),
        lambda: DeepClustering(**SIZE),
    ),
    "both heads": (ChimeraObjective(TRANSFORM), lambda: Chimera(**SIZE)),
    "activity": (
        ActivityObjective(TRANSFORM),
        lambda: ActivityUNet(channels=(2, 4), dropout=0.0),
    ),
}
"""Name → objective, and a function that makes a suitable net."""


def batch(n_samples: int = 640, n_excerpts: int = 4) -> tuple[Tensor, Tensor]:
    """Noise at levels that differ between excerpts and stems; two channels, as activity needs."""
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(n_excerpts, 4, 2, n_samples, generator=generator)
    level = 10 ** torch.linspace(-3, 0, 4 * n_excerpts).reshape(n_excerpts, 4, 1, 1)
    sources = sources * level
    return sources.sum(dim=1), sources


def silent() -> tuple[Tensor, Tensor]:
    return tuple(torch.zeros_like(x) for x in batch())


def one_sample() -> tuple[Tensor, Tensor]:
    return batch(n_samples=1, n_excerpts=1)


def silent_stem() -> tuple[Tensor, Tensor]:
    sources = batch()[1]
    sources[:, 2] = 0
    return sources.sum(dim=1), sources


def one_stem_alone() -> tuple[Tensor, Tensor]:
    sources = batch()[1]
    sources[:, 1:] = 0
    return sources.sum(dim=1), sources


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("sound", [batch, silent, one_sample, silent_stem, one_stem_alone])
@pytest.mark.parametrize("training", [True, False])
def test_loss_and_gradients_are_finite(name, sound, training):
    objective, make = OBJECTIVES[name]
    torch.manual_seed(0)
    net = make().train(training)
    loss = objective(net, *sound())
    loss.backward()
    assert loss.shape == () and loss.isfinite() and loss >= 0
    for key, weight in net.named_parameters():
        assert weight.grad is None or weight.grad.isfinite().all(), key


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_half_batches_are_worth_the_whole(name):
    """So several processes, or accumulated gradients, have the same effect as one batch."""
    objective, make = OBJECTIVES[name]
    torch.manual_seed(0)
    net = make().eval()
    mixture, sources = batch()

    def gradient(*parts: slice) -> list[Tensor]:
        net.zero_grad()
        for part in parts:
            (objective(net, mixture[part], sources[part]) / len(parts)).backward()
        return [x.grad.clone() for x in net.parameters() if x.grad is not None]

    whole, halves = gradient(slice(4)), gradient(slice(2), slice(2, 4))
    for one, other in zip(whole, halves, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6 + 1e-5 * one.abs().max())


class Gains(nn.Module):
    """One mask value per source, so the gradient with respect to a stem is one number."""

    def __init__(self):
        super().__init__()
        self.masks = nn.Parameter(torch.full((4,), 0.5))

    def forward(self, magnitude: Tensor) -> Tensor:
        b, c, f, n = magnitude.shape
        return self.masks[None, :, None, None, None].expand(b, -1, c, f, n)


def test_a_quiet_excerpt_counts_as_much_as_a_loud_one():
    """The loss of both is the mean of the two, although one is 40 dB below the other."""
    objective = PhaseSensitiveObjective(TRANSFORM)
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 1, 4, 1, 640, generator=generator)

    def error(sources: Tensor) -> float:
        return objective(Gains(), sources.sum(dim=1), sources).item()

    together = torch.cat([one, 0.01 * other])
    assert error(together) == pytest.approx((error(one) + error(0.01 * other)) / 2, rel=1e-4)


def test_the_root_is_taken_stem_by_stem():
    """Four stems that are off by 1, 2, 3 and 4 times a spectrum cost 2.5 times its RMS."""
    mixture = torch.randn(1, 1, 640, generator=torch.Generator().manual_seed(0))
    masks = torch.arange(1.0, 5.0).reshape(1, 4, 1, 1, 1)
    silence = torch.zeros(1, 4, 1, 640)
    loss = PhaseSensitiveObjective(TRANSFORM)(lambda _: masks, mixture, silence)
    rms = torch.view_as_real(TRANSFORM(mixture)).square().mean().sqrt()
    torch.testing.assert_close(loss, 2.5 * rms, rtol=1e-4, atol=0)
