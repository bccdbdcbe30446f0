"""U-Net: a net that looks at a spectrogram as at a picture, from far away and from near.

Jansson et al. 2017, after Ronneberger et al. 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class EncoderBlock(nn.Module):
    """Halve the picture and look for patterns in it.

    x: (b, i, f, n) → (b, o, f / 2, n / 2).
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel_size=5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), 0.2)


class DecoderBlock(nn.Module):
    """Double the picture and paint finer patterns into it.

    x: (b, i, f, n) → (b, o, 2 f, 2 n).
    """

    def __init__(self, n_in: int, n_out: int, dropout: float = 0.0):
        super().__init__()
        self.conv = nn.ConvTranspose2d(
            n_in, n_out, kernel_size=5, stride=2, padding=2, output_padding=1
        )
        self.norm = nn.BatchNorm2d(n_out)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(functional.relu(self.norm(self.conv(x))))


class UNet(nn.Module):
    """Estimate one soft mask per source.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in [0, 1]. Each
    audio channel is separated by itself. channels: how many patterns each
    level looks for; power: what magnitudes are raised to before the net sees
    them. Jansson et al. 2017, section 3.
    """

    def __init__(
        self,
        n_sources: int = 4,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
        power: float = 1.0,
    ):
        super().__init__()
        self.power, self.unit = power, 2 ** len(channels)
        down = [1, *channels]
        up = [*reversed(channels), n_sources]
        self.encoder = nn.ModuleList(map(EncoderBlock, down, channels))
        self.decoder = nn.ModuleList()
        for level, (n_in, n_out) in enumerate(zip(up, up[1:-1], strict=False)):
            both = n_in if level == 0 else 2 * n_in
            drop = dropout if level < 3 else 0.0
            self.decoder.append(DecoderBlock(both, n_out, drop))
        self.head = nn.ConvTranspose2d(
            2 * channels[0], n_sources, 5, stride=2, padding=2, output_padding=1
        )

    def forward(self, magnitude: Tensor) -> Tensor:
        n_channels, n_bins, n_frames = magnitude.shape[1:]
        x = rearrange(magnitude**self.power, "b c f n -> (b c) 1 f n")
        x = x[:, :, : n_bins - n_bins % self.unit]
        x = functional.pad(x, (0, -n_frames % self.unit))
        seen = []
        for block in self.encoder:
            x = block(x)
            seen.append(x)
        x = self.decoder[0](seen.pop())
        for block in self.decoder[1:]:
            x = block(torch.cat([x, seen.pop()], dim=1))
        masks = torch.sigmoid(self.head(torch.cat([x, seen.pop()], dim=1)))
        masks = masks[..., :n_frames]
        missing = n_bins - masks.shape[-2]
        masks = functional.pad(masks, (0, 0, 0, missing), mode="replicate")
        return rearrange(masks, "(b c) s f n -> b s c f n", c=n_channels)


class PerSource(nn.Module):
    """Several nets that each mask one source, side by side.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in the order of
    `nets`.
    """

    def __init__(self, nets: Mapping[str, nn.Module]):
        super().__init__()
        self.nets = nn.ModuleDict(nets)

    def forward(self, magnitude: Tensor) -> Tensor:
        masks = [net(magnitude) for net in self.nets.values()]
        return torch.cat(masks, dim=1)
