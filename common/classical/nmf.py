"""Non-negative matrix factorisation: a spectrogram as templates times activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from safetensors.torch import load_file
from torch import Tensor

from common import SAMPLE_RATE, SOURCES
from common.data.tracks import Track
from common.signal.masks import apply_mask
from common.signal.stft import STFT

FLOOR = 1e-8
"""Added to magnitudes and models to avoid the logarithm of zero and division by zero."""

DICTIONARIES = Path(__file__).with_name("dictionaries.safetensors")
"""Templates, trained on the embedded training songs by `python -m common.experiments.nmf`."""


def beta_divergence(data: Tensor, model: Tensor, beta: float) -> Tensor:
    """Divergence of a model from the data: the sum over all entries.

    data, model: positive, of one shape. beta 2: half the squared (Euclidean)
    distance; 1: Kullback-Leibler; 0: Itakura-Saito. Févotte and Idier 2011.
    Raises ValueError for any other beta.
    """
    if beta == 2:
        return 0.5 * (data - model).square().sum()
    ratio = data / model
    if beta == 1:
        return (data * ratio.log() - data + model).sum()
    if beta == 0:
        return (ratio - ratio.log() - 1).sum()
    raise ValueError(f"beta must be 2, 1 or 0, not {beta}")


def update_activations(
    data: Tensor, templates: Tensor, activations: Tensor, beta: float
) -> Tensor:
    """One multiplicative update of the activations.

    data: (f, n), templates: (f, k), activations: (k, n) → (k, n). It never
    increases the divergence; Itakura-Saito needs the root of the ratio.
    Févotte and Idier 2011, section 4.
    """
    model = templates @ activations + FLOOR
    numerator = templates.T @ (data * model ** (beta - 2))
    denominator = templates.T @ model ** (beta - 1)
    ratio = numerator / (denominator + FLOOR)
    return activations * (ratio if beta >= 1 else ratio.sqrt())


def nmf(
    data: Tensor,
    n_components: int,
    beta: float = 1.0,
    n_iter: int = 100,
    templates: Tensor | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor, list[float]]:
    """Factor a magnitude spectrogram into templates and their activations.

    data: (f, n), linear → templates (f, k) that sum to 1, activations (k, n),
    and the divergence before and after every step. Given `templates` stay
    fixed and set the number of components. Lee and Seung 2001.
    """
    data = data + FLOOR
    generator = torch.Generator().manual_seed(seed)
    fixed = templates is not None
    if not fixed:
        shape = len(data), n_components
        templates = torch.rand(shape, generator=generator).to(data) + 0.1
    shape = templates.shape[1], data.shape[1]
    activations = torch.rand(shape, generator=generator).to(data) + 0.1
    activations *= data.mean() / (templates @ activations).mean()
    losses = []
    for step in range(n_iter + 1):
        if step > 0:
            given = data, templates, activations
            activations = update_activations(*given, beta)
        if step > 0 and not fixed:
            # Transposed, templates take the role of activations.
            transposed = data.T, activations.T, templates.T
            templates = update_activations(*transposed, beta).T
        model = templates @ activations + FLOOR
        losses.append(beta_divergence(data, model, beta).item())
    scale = templates.sum(dim=0).clamp(min=FLOOR)
    return templates / scale, activations * scale[:, None], losses


def sounding_frames(
    tracks: Sequence[Track], source: str, stft: STFT, n_each: int = 150
) -> Tensor:
    """Frames of one stem in which it is active, a few from every track.

    → magnitudes of the stem in mono, (f, n). Frames 26 dB and more below the
    loudest of their track are left out, and all tracks are equally loud.
    """
    found = []
    for seed, track in enumerate(tracks):
        magnitude = stft(track[source].mean(dim=0)).abs()
        level = magnitude.sum(dim=0)
        loud = (level > 0.05 * level.max()).nonzero()[:, 0]
        generator = torch.Generator().manual_seed(seed)
        some = torch.randperm(len(loud), generator=generator)[:n_each]
        frames = magnitude[:, loud[some]]
        found.append(frames / frames.mean().clamp(min=FLOOR))
    return torch.cat(found, dim=1)


@dataclass(frozen=True, eq=False)
class SupervisedNMF:
    """Model a mixture with templates that were trained on each stem alone.

    dictionaries: (s, f, k), the templates of each source. mixture: (b, c, t) →
    stems: (b, s, c, t), which add up to the mixture; each gets the share of
    every bin that its own templates model. Smaragdis et al. 2007.
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
        stems = apply_mask(masks, spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])

    def masks(self, magnitude: Tensor) -> Tensor:
        """Magnitude (c, f, n) → masks (s, c, f, n), which add up to 1."""
        data = rearrange(magnitude, "c f n -> f (c n)")
        templates = rearrange(self.dictionaries, "s f k -> f (s k)")
        templates = templates / templates.sum(dim=0)
        given = data, templates.shape[1], self.beta, self.n_iter, templates
        _, activations, _ = nmf(*given)
        s, c = len(self.sources), len(magnitude)
        activations = rearrange(activations, "(s k) n -> s k n", s=s)
        templates = rearrange(templates, "f (s k) -> s f k", s=s)
        models = templates @ activations + FLOOR
        masks = models / models.sum(dim=0)
        return rearrange(masks, "s f (c n) -> s c f n", c=c)


def trained_nmf() -> SupervisedNMF:
    """The separator with the committed dictionaries."""
    return SupervisedNMF(load_file(DICTIONARIES)["templates"].float())
