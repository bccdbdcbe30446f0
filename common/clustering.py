"""From embeddings to masks: k-means that starts where the training songs' sources lie."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.data import Dataset

from common import SAMPLE_RATE, SOURCES
from common.losses import bin_weights, owned_bins
from common.masks import apply_mask
from common.stft import STFT


def kmeans(points: Tensor, weights: Tensor, centroids: Tensor, n_iter: int = 10) -> Tensor:
    """Move each centroid to the middle of the points that are nearest to it.

    points: (i, d), weights: (i,), centroids: (k, d) → (k, d). A centroid that
    no point is nearest to stays where it is. Lloyd 1982.
    """
    for _ in range(n_iter):
        nearest = torch.cdist(points, centroids).argmin(dim=-1)
        owned = nn.functional.one_hot(nearest, len(centroids)) * weights[:, None]
        total = owned.sum(dim=0)[:, None]
        middles = owned.mT @ points / total.clamp(min=1e-12)
        centroids = torch.where(total > 0, middles, centroids)
    return centroids


def cluster_masks(embeddings: Tensor, centroids: Tensor, hardness: float) -> Tensor:
    """Share out every bin by how near it lies to each centroid.

    embeddings: (b, c, f, n, d), centroids: (s, d) → masks: (b, s, c, f, n),
    adding up to 1. A high `hardness` gives the whole bin to the nearest.
    """
    flat = embeddings.reshape(-1, embeddings.shape[-1])
    squared = torch.cdist(flat, centroids).square()
    masks = torch.softmax(-hardness * squared, dim=-1)
    return masks.reshape(*embeddings.shape[:-1], -1).movedim(-1, 1)


def class_centroids(net: nn.Module, excerpts: Dataset, stft: STFT, n_excerpts: int = 64) -> Tensor:
    """Where a clustering net puts each source on average, over the first few excerpts.

    Every bin counts by its magnitude for the source that owns it. Returns (s, d).
    """
    total = count = 0.0
    with torch.no_grad():
        for mixture, sources in map(excerpts.__getitem__, range(n_excerpts)):
            spectrum = stft(mixture)[None]
            labels, weights = owned_bins(spectrum, stft(sources)[None])
            places = rearrange(net(spectrum.abs()), "b c f n d -> (b c) (f n) d")
            owned = (labels * weights[..., None]).mT
            total = total + (owned @ places).sum(dim=0)
            count = count + owned.sum(dim=(0, 2))
    return total / count[:, None].clamp(min=1e-12)


def store_centroids(net: nn.Module, excerpts: Dataset, stft: STFT) -> None:
    """Write `class_centroids` into a trained net's `centroids`, where its checkpoint keeps them."""
    net.centroids.copy_(class_centroids(net, excerpts, stft))


def loud_points(embeddings: Tensor, magnitude: Tensor, n_points: int) -> tuple[Tensor, Tensor]:
    """The places and weights of a recording's bins that count, `n_points` of them at most.

    embeddings: (b, c, f, n, d), magnitude: (b, c, f, n) → (i, d) and (i,). Bins are drawn by a
    generator of its own, so the same recording gives the same points.
    """
    weights = bin_weights(magnitude.reshape(1, -1))[0]
    (heard,) = weights.nonzero(as_tuple=True)
    if len(heard) > n_points:
        order = torch.randperm(len(heard), generator=torch.Generator().manual_seed(0))
        heard = heard[order[:n_points].to(heard.device)]
    loudness = magnitude.reshape(-1)[heard]
    return embeddings.reshape(-1, embeddings.shape[-1])[heard], loudness


class ClusteringSeparator(nn.Module):
    """Separate with a clustering net: find the sources' places in a recording, then mask.

    mixture: (b, c, t) → stems: (b, s, c, t). k-means starts from the net's `centroids`, so that
    cluster s is source s; both channels, and after `listen` a whole recording, are clustered
    at once, so that it stays so. hardness: see `cluster_masks`.
    """

    def __init__(
        self,
        net: nn.Module,
        stft: STFT,
        sources: tuple[str, ...] = SOURCES,
        sample_rate: int = SAMPLE_RATE,
        n_channels: int = 2,
        segment: float = 20.0,
        hardness: float = 4.0,
        n_points: int = 5000,
    ):
        super().__init__()
        self.net, self.stft = net, stft
        self.sources, self.sample_rate = sources, sample_rate
        self.n_channels, self.segment = n_channels, segment
        self.hardness, self.n_points = hardness, n_points
        self.found: Tensor | None = None

    @torch.inference_mode()
    def listen(self, segments: Iterable[Tensor]) -> ClusteringSeparator:
        """The same separator with one set of centroids for a recording in segments (b, c, t)."""
        heard = copy(self)
        heard.found = self.cluster(segments)
        return heard

    def cluster(self, segments: Iterable[Tensor]) -> Tensor:
        """Where the sources lie in a recording: the centroids (s, d) of all its segments."""
        points, weights = [], []
        for segment in segments:
            magnitude = self.stft(segment).abs()
            places, loudness = loud_points(self.net(magnitude), magnitude, self.n_points)
            points.append(places)
            weights.append(loudness)
        return kmeans(torch.cat(points), torch.cat(weights), self.net.centroids)

    @torch.inference_mode()
    def forward(self, mixture: Tensor) -> Tensor:
        stems = [self.separate(one[None]) for one in mixture]
        return torch.cat(stems)

    def separate(self, mixture: Tensor) -> Tensor:
        """One recording (1, c, t) → stems (1, s, c, t)."""
        centroids = self.cluster([mixture]) if self.found is None else self.found
        spectrum = self.stft(mixture)
        masks = cluster_masks(self.net(spectrum.abs()), centroids, self.hardness)
        return self.stft.inverse(apply_mask(masks, spectrum), mixture.shape[-1])
