"""From embeddings to masks: k-means that starts where the training songs' sources lie."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.data import Dataset

from common.separation.separators import MaskSeparator
from common.signal.k_means import k_means
from common.signal.masks import apply_mask, bin_weights, owned_bins
from common.signal.stft import STFT

N_POINTS = 5000
"""How many bins of each segment k-means looks at, of a long recording fewer."""
MOST_POINTS = 100_000
"""How many bins of a whole recording it looks at: 5 minutes in segments of 20 s."""


def cluster_masks(
    embeddings: Tensor, centroids: Tensor, hardness: float
) -> Tensor:
    """Share out every bin by how near it lies to each centroid.

    embeddings: (b, c, f, n, d), centroids: (s, d) → masks: (b, s, c, f, n),
    adding up to 1. A high `hardness` gives the whole bin to the nearest, 0
    the same part to each.
    """
    squared = torch.cdist(embeddings.flatten(0, -2), centroids).square()
    masks = torch.softmax(-hardness * squared, dim=-1)
    return masks.reshape(*embeddings.shape[:-1], -1).movedim(-1, 1)


@torch.no_grad()
def class_centroids(
    net: nn.Module, excerpts: Dataset, stft: STFT, n_excerpts: int = 64
) -> Tensor:
    """Where a clustering net puts each source on average: (s, d).

    Over the first few excerpts; every bin counts by its magnitude for the
    source that owns it.
    """
    total = count = 0.0
    for mixture, sources in map(excerpts.__getitem__, range(n_excerpts)):
        spectrum = stft(mixture)[None]
        labels, weights = owned_bins(spectrum, stft(sources)[None])
        embeddings = net(spectrum.abs())
        embeddings = rearrange(embeddings, "b c f n d -> (b c) (f n) d")
        owned = (labels * weights[..., None]).mT
        total = total + (owned @ embeddings).sum(dim=0)
        count = count + owned.sum(dim=(0, 2))
    return total / count[:, None].clamp(min=1e-12)


def store_centroids(net: nn.Module, excerpts: Dataset, stft: STFT) -> None:
    """Write `class_centroids` into a trained net's `centroids`, where its checkpoint keeps them."""
    net.centroids.copy_(class_centroids(net, excerpts, stft))


def loud_points(
    embeddings: Tensor, magnitude: Tensor, n_points: int
) -> tuple[Tensor, Tensor]:
    """The embeddings and weights of the bins that count, `n_points` at most.

    embeddings: (b, c, f, n, d), magnitude: (b, c, f, n) → (i, d) and (i,).
    Which bins are drawn is the same in every run, and each of them also
    stands for those that were left out.
    """
    level = magnitude.flatten()
    (heard,) = bin_weights(level[None])[0].nonzero(as_tuple=True)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(heard), generator=generator)
    drawn = heard[order[:n_points].to(heard.device)]
    stands_for = max(len(heard) / n_points, 1.0)
    return embeddings.flatten(0, -2)[drawn], stands_for * level[drawn]


def all_points(
    loud: Iterable[tuple[Tensor, Tensor]], most: int
) -> tuple[Tensor, Tensor]:
    """Points and weights of all segments together, hardly more than `most`.

    loud: what `loud_points` found in each. Where they become too many, half
    of each segment's go, later segments' too, and the others stand for them.
    """
    kept, step, total = [], 1, 0
    for points, weights in loud:
        kept.append(thinned(points, weights, step))
        total += len(kept[-1][0])
        if total > most:
            step *= 2
            kept = [thinned(*one, 2) for one in kept]
            total = sum(len(points) for points, _ in kept)
    points, weights = zip(*kept, strict=True)
    return torch.cat(points), torch.cat(weights)


def thinned(
    points: Tensor, weights: Tensor, step: int
) -> tuple[Tensor, Tensor]:
    """Every `step`-th of the points (i, d), with the weight (i,) of all."""
    few = weights[::step]
    return points[::step].clone(), few * (len(weights) / max(len(few), 1))


class ClusteringSeparator(MaskSeparator):
    """Separate with a clustering net: find the sources' centroids, then mask.

    mixture: (b, c, t) → stems: (b, s, c, t). k-means starts from the net's
    `centroids`, so that cluster s is source s; after `listen` one clustering
    serves a whole recording, so that it stays so.
    hardness: see `cluster_masks`; pull: see `k_means`.
    """

    def __init__(self, *settings, hardness=3.0, pull=0.5, **more):
        super().__init__(*settings, **more)
        self.hardness, self.pull = hardness, pull
        self.found: Tensor | None = None

    @torch.inference_mode()
    def listen(self, segments: Iterable[Tensor]) -> MaskSeparator:
        """The same, with the centroids found in a recording's segments."""
        magnitudes = (self.stft(segment).abs() for segment in segments)
        loud = (loud_points(self.net(x), x, N_POINTS) for x in magnitudes)
        points, weights = all_points(loud, MOST_POINTS)
        start = self.net.centroids
        heard = copy(self)
        heard.found = k_means(points, weights, start, pull=self.pull)
        return heard

    @torch.inference_mode()
    def forward(self, mixture: Tensor) -> Tensor:
        if self.found is None:  # each recording of the batch by itself
            return torch.cat([self.listen([x])(x) for x in mixture.split(1)])
        spectrum = self.stft(mixture)
        embeddings = self.net(spectrum.abs())
        masks = cluster_masks(embeddings, self.found, self.hardness)
        stems = apply_mask(masks, spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])
