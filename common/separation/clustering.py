"""From embeddings to masks: k-means that starts from the sources' mean embeddings in training."""

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
"""How many bins of each segment k-means uses; fewer in a long recording."""
MOST_POINTS = 100_000
"""About how many bins of a whole recording it uses: all points of 20 segments."""


def cluster_masks(
    embeddings: Tensor, centroids: Tensor, hardness: float
) -> Tensor:
    """Soft masks from the squared distances of a bin to all centroids.

    embeddings: (b, c, f, n, d), centroids: (s, d) → masks: (b, s, c, f, n),
    with the sum 1 over s. A large `hardness` gives nearly the whole bin to
    the nearest centroid, and 0 gives every source the same share.
    """
    squared = torch.cdist(embeddings.flatten(0, -2), centroids).square()
    masks = torch.softmax(-hardness * squared, dim=-1)
    return masks.reshape(*embeddings.shape[:-1], -1).movedim(-1, 1)


@torch.no_grad()
def class_centroids(
    net: nn.Module, excerpts: Dataset, stft: STFT, n_excerpts: int = 64
) -> Tensor:
    """The mean embedding of each source over the first excerpts: (s, d).

    Every bin counts for its dominant source, with its weight.
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
    """Embeddings and weights of at most `n_points` bins that are not quiet.

    embeddings: (b, c, f, n, d), magnitude: (b, c, f, n) → (i, d) and (i,).
    The draw is random with a fixed seed, and the weights are scaled up for
    the bins that were left out.
    """
    level = magnitude.flatten()
    (loud,) = bin_weights(level[None])[0].nonzero(as_tuple=True)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(loud), generator=generator)
    drawn = loud[order[:n_points].to(loud.device)]
    factor = max(len(loud) / n_points, 1.0)
    return embeddings.flatten(0, -2)[drawn], factor * level[drawn]


def all_points(
    loud: Iterable[tuple[Tensor, Tensor]], most: int
) -> tuple[Tensor, Tensor]:
    """Points and weights of all segments together, about `most` of them.

    loud: the results of `loud_points`, one per segment. When there are too
    many points, every second one of all segments is left out, of later
    segments as well, and the weights of the others are scaled up.
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
    """Every `step`-th point (i, d); the weights (i,) are scaled up for all."""
    few = weights[::step]
    return points[::step].clone(), few * (len(weights) / max(len(few), 1))


class ClusteringSeparator(MaskSeparator):
    """Separate with a clustering net: find the sources' centroids, then mask.

    mixture: (b, c, t) → stems: (b, s, c, t). k-means starts from the net's
    `centroids`, so that cluster s is source s. After `listen`, all segments
    of a recording use the same clusters.
    hardness: see `cluster_masks`; pull: see `k_means`.
    """

    def __init__(self, *settings, hardness=3.0, pull=0.5, **more):
        super().__init__(*settings, **more)
        self.hardness, self.pull = hardness, pull
        self.found: Tensor | None = None

    @torch.inference_mode()
    def listen(self, segments: Iterable[Tensor]) -> MaskSeparator:
        """A copy whose centroids are found in all segments of a recording."""
        magnitudes = (self.stft(segment).abs() for segment in segments)
        loud = (loud_points(self.net(x), x, N_POINTS) for x in magnitudes)
        points, weights = all_points(loud, MOST_POINTS)
        start = self.net.centroids
        fitted = copy(self)
        fitted.found = k_means(points, weights, start, pull=self.pull)
        return fitted

    @torch.inference_mode()
    def forward(self, mixture: Tensor) -> Tensor:
        if self.found is None:  # each recording of the batch by itself
            return torch.cat([self.listen([x])(x) for x in mixture.split(1)])
        spectrum = self.stft(mixture)
        embeddings = self.net(spectrum.abs())
        masks = cluster_masks(embeddings, self.found, self.hardness)
        stems = apply_mask(masks, spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])
