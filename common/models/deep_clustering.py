"""Deep clustering: a net whose embeddings of bins form one cluster per source.

Hershey et al. 2016; Luo et al. 2017.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from common.models.mask_inference import LogMagnitude, RecurrentStack


class EmbeddingHead(nn.Module):
    """Map the features of each frame to one unit vector per bin.

    features: (b, n, n_features) → embeddings: (b, f, n, d), of length 1.
    """

    def __init__(self, n_features: int, n_bins: int, n_dimensions: int):
        super().__init__()
        self.n_bins = n_bins
        self.linear = nn.Linear(n_features, n_bins * n_dimensions)

    def forward(self, features: Tensor) -> Tensor:
        x = self.linear(features)
        x = rearrange(x, "b n (f d) -> b f n d", f=self.n_bins)
        return functional.normalize(x, dim=-1)


class DeepClustering(nn.Module):
    """Estimate an embedding of every bin.

    magnitude: (b, c, f, n), linear → embeddings: (b, c, f, n, d), of length 1.
    Each channel is processed by itself. `centroids` (s, d) are the mean
    embeddings of the sources in the training songs; they are not trained,
    `store_centroids` writes them afterwards. Hershey et al. 2016.
    """

    def __init__(
        self,
        n_bins: int = 1025,
        n_sources: int = 4,
        n_dimensions: int = 10,
        hidden_size: int = 48,
        n_layers: int = 2,
        dropout: float = 0.3,
    ):
        super().__init__()
        self.log_magnitude = LogMagnitude(n_bins)
        self.stack = RecurrentStack(n_bins, hidden_size, n_layers, dropout)
        self.head = EmbeddingHead(2 * hidden_size, n_bins, n_dimensions)
        centroids = torch.zeros(n_sources, n_dimensions)
        self.register_buffer("centroids", centroids)

    def forward(self, magnitude: Tensor) -> Tensor:
        n_channels = magnitude.shape[1]
        x = self.log_magnitude(magnitude)
        x = self.stack(rearrange(x, "b c f n -> (b c) n f"))
        embeddings = self.head(x)
        return rearrange(embeddings, "(b c) f n d -> b c f n d", c=n_channels)
