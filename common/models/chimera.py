"""Chimera: a recurrent stack with two heads, one for embeddings and one for masks.

Luo et al. 2017; Wang, Le Roux and Hershey 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from common.models.deep_clustering import EmbeddingHead
from common.models.mask_inference import LogMagnitude, MaskHead, RecurrentStack


class ChimeraOutput(NamedTuple):
    """The outputs of both heads: embeddings (b, c, f, n, d), masks (b, s, c, f, n)."""

    embeddings: Tensor
    masks: Tensor


class Chimera(nn.Module):
    """Estimate an embedding of every bin and one soft mask per source.

    magnitude: (b, c, f, n), linear → ChimeraOutput. Each channel is processed
    by itself. `centroids` (s, d) as in DeepClustering. Luo et al. 2017;
    Wang et al. 2018.
    """

    def __init__(
        self,
        n_bins: int = 1025,
        n_sources: int = 4,
        n_dimensions: int = 8,
        hidden_size: int = 44,
        n_layers: int = 2,
        dropout: float = 0.3,
    ):
        super().__init__()
        self.log_magnitude = LogMagnitude(n_bins)
        self.stack = RecurrentStack(n_bins, hidden_size, n_layers, dropout)
        n_features = 2 * hidden_size
        self.embeddings = EmbeddingHead(n_features, n_bins, n_dimensions)
        self.masks = MaskHead(n_features, n_bins, n_sources)
        centroids = torch.zeros(n_sources, n_dimensions)
        self.register_buffer("centroids", centroids)

    def forward(self, magnitude: Tensor) -> ChimeraOutput:
        size = {"c": magnitude.shape[1]}
        x = self.log_magnitude(magnitude)
        features = self.stack(rearrange(x, "b c f n -> (b c) n f"))
        embeddings, masks = self.embeddings(features), self.masks(features)
        return ChimeraOutput(
            rearrange(embeddings, "(b c) f n d -> b c f n d", **size),
            rearrange(masks, "(b c) s f n -> b s c f n", **size),
        )


class MaskBranch(nn.Module):
    """The mask net inside a Chimera.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in [0, 1].
    """

    def __init__(self, net: Chimera):
        super().__init__()
        self.net = net

    def forward(self, magnitude: Tensor) -> Tensor:
        return self.net(magnitude).masks


class EmbeddingBranch(nn.Module):
    """The clustering net inside a Chimera.

    magnitude: (b, c, f, n), linear → embeddings: (b, c, f, n, d), of length 1.
    """

    def __init__(self, net: Chimera):
        super().__init__()
        self.net = net

    @property
    def centroids(self) -> Tensor:
        """The mean embedding of each source in the training songs, (s, d)."""
        return self.net.centroids

    def forward(self, magnitude: Tensor) -> Tensor:
        return self.net(magnitude).embeddings
