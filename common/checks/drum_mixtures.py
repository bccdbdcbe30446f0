"""Small mixtures of drums and pitched instruments, factored, for an exercise of chapter 06."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.classical.nmf import FLOOR, nmf

N_COMPONENTS = 10

Feature = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Factored:
    """Templates (f, k), activations (k, n), and the spectrograms (f, n) that were added."""

    templates: Tensor
    activations: Tensor
    drums: Tensor
    pitched: Tensor

    @property
    def masks(self) -> Tensor:
        """The share of every component, (k, f, n)."""
        models = torch.einsum("fk,kn->kfn", self.templates, self.activations)
        return models / (models.sum(dim=0) + FLOOR)


def factored(seed: int) -> Factored:
    """Three drums and four pitched instruments, in more components than sounds."""
    generator = torch.Generator().manual_seed(seed)
    bins, frames = torch.arange(60.0), torch.arange(120)
    envelopes = [torch.exp(-bins / 6), torch.full((60,), 0.2), 0.3 * torch.exp((bins - 59) / 15)]
    spectra = torch.stack(envelopes, dim=1) * (torch.rand(60, 3, generator=generator) + 0.5)
    hits = [(frames + begin) % every for begin, every in ((0, 16), (8, 16), (4, 8))]
    drums = spectra @ 0.55 ** torch.stack(hits)
    pitched = torch.zeros_like(drums)
    for pitch, n_harmonics in ((3, 4), (7, 6), (9, 6), (25, 2)):
        spectrum = 0.02 * torch.rand(60, generator=generator)  # breath
        spectrum[pitch : pitch * n_harmonics + 1 : pitch] += 1 / torch.arange(1.0, n_harmonics + 1)
        notes = (torch.rand(10, generator=generator) < 0.5).repeat_interleave(12)
        pitched += torch.outer(spectrum, notes * 0.97 ** (frames % 12))
    templates, activations, _ = nmf(drums + pitched, N_COMPONENTS, n_iter=200, seed=seed)
    return Factored(templates, activations, drums, pitched)


def mean_sdr(mixtures: Sequence[Factored], chosen: Sequence[Tensor]) -> float:
    """Mean SDR of the drums over mixtures, in dB, with the components `chosen` as drums."""
    ratios = []
    for mixture, these in zip(mixtures, chosen, strict=True):
        estimate = mixture.masks[these].sum(dim=0) * (mixture.drums + mixture.pitched)
        error = (mixture.drums - estimate).square().sum()
        ratios.append(10 * torch.log10(mixture.drums.square().sum() / error))
    return torch.stack(ratios).mean().item()


def owned(mixture: Factored) -> Tensor:
    """The components that take more energy from the drums than from the rest, (k,)."""
    energy = [
        torch.einsum("kfn,fn->k", mixture.masks**2, source**2)
        for source in (mixture.drums, mixture.pitched)
    ]
    return energy[0] > energy[1]


def brightest(mixture: Factored) -> Tensor:
    """The three components of the highest spectral centroid, (k,)."""
    values = centroid(mixture.templates, mixture.activations)
    return values >= values.topk(3).values.min()


def centroid(templates: Tensor, activations: Tensor) -> Tensor:
    """The mean bin of every template, (k,)."""
    return (torch.arange(len(templates))[:, None] * templates).sum(dim=0) / templates.sum(dim=0)


def flatness(templates: Tensor, activations: Tensor) -> Tensor:
    """Geometric over arithmetic mean of every template, (k,)."""
    return (templates + FLOOR).log().mean(dim=0).exp() / templates.mean(dim=0)


def loudness(templates: Tensor, activations: Tensor) -> Tensor:
    """The sum of every component over bins and frames, (k,)."""
    return templates.sum(dim=0) * activations.sum(dim=1)


def follows(mixtures: Sequence[Factored], chosen: Sequence[Tensor], feature: Feature) -> bool:
    """Whether in every mixture the chosen components have the largest, or smallest, values."""
    above, below = [], []
    for mixture, these in zip(mixtures, chosen, strict=True):
        if not these.any() or these.all():
            return False
        values = feature(mixture.templates, mixture.activations)
        above.append(values[these].min() > values[~these].max())
        below.append(values[these].max() < values[~these].min())
    return all(above) or all(below)
