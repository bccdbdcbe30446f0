"""Mask inference: a recurrent net that estimates masks from a magnitude spectrogram.

Hershey et al. 2016 describe the body, and Luo et al. 2017 estimate masks of music with it. The
masks are independent sigmoids.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn


class LogMagnitude(nn.Module):
    """Convert magnitudes to decibels with zero mean and unit variance.

    magnitude: (b, c, f, n), linear → same shape, normalised. Each bin has a
    mean and a scale of its own, which removes the average spectrum of music.
    """

    def __init__(self, n_bins: int, floor: float = 1e-4):
        super().__init__()
        self.floor = floor
        self.norm = nn.BatchNorm1d(n_bins)

    def forward(self, magnitude: Tensor) -> Tensor:
        level = 20 * torch.log10(magnitude.clamp(min=self.floor))
        n_channels = magnitude.shape[1]
        x = self.norm(rearrange(level, "b c f n -> (b c) f n"))
        return rearrange(x, "(b c) f n -> b c f n", c=n_channels)


class RecurrentStack(nn.Module):
    """Read the frames forwards and backwards, in one or more layers.

    x: (b, n, f) → (b, n, d), d = 2 · hidden_size: half for each direction.
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        n_layers: int,
        dropout: float,
    ):
        super().__init__()
        self.lstm = nn.LSTM(
            n_features,
            hidden_size,
            n_layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if n_layers > 1 else 0.0,
        )

    def forward(self, x: Tensor) -> Tensor:
        features, _ = self.lstm(x)
        return features


class MaskHead(nn.Module):
    """Map the features of each frame to one soft mask per source.

    features: (b, n, d) → masks: (b, s, f, n), in [0, 1].
    """

    def __init__(self, n_features: int, n_bins: int, n_sources: int):
        super().__init__()
        self.n_sources = n_sources
        self.linear = nn.Linear(n_features, n_sources * n_bins)

    def forward(self, features: Tensor) -> Tensor:
        x = self.linear(features)
        x = rearrange(x, "b n (s f) -> b s f n", s=self.n_sources)
        return torch.sigmoid(x)


class MaskInference(nn.Module):
    """Estimate one soft mask per source.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in [0, 1].
    Each channel is separated by itself. Luo et al. 2017.
    """

    def __init__(
        self,
        n_bins: int = 1025,
        n_sources: int = 4,
        hidden_size: int = 80,
        n_layers: int = 2,
        dropout: float = 0.3,
    ):
        super().__init__()
        self.log_magnitude = LogMagnitude(n_bins)
        self.stack = RecurrentStack(n_bins, hidden_size, n_layers, dropout)
        self.head = MaskHead(2 * hidden_size, n_bins, n_sources)

    def features(self, magnitude: Tensor) -> Tensor:
        """Magnitude (b, c, f, n) → features of each frame, (b c, n, d)."""
        x = self.log_magnitude(magnitude)
        return self.stack(rearrange(x, "b c f n -> (b c) n f"))

    def forward(self, magnitude: Tensor) -> Tensor:
        masks, c = self.head(self.features(magnitude)), magnitude.shape[1]
        return rearrange(masks, "(b c) s f n -> b s c f n", c=c)


class MagnitudeInference(MaskInference):
    """Estimate the magnitudes of the sources instead of masks.

    magnitude: (b, c, f, n), linear → magnitudes: (b, s, c, f, n), linear,
    not negative. The body and the number of weights stay the same.
    """

    def forward(self, magnitude: Tensor) -> Tensor:
        sizes = {"c": magnitude.shape[1], "s": self.head.n_sources}
        x = self.head.linear(self.features(magnitude))
        x = rearrange(x, "(b c) n (s f) -> b s c f n", **sizes)
        return nn.functional.softplus(x)
