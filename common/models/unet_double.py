"""The U-Net of image segmentation: two convolutions at each level, and pooling between levels.

Ronneberger et al. 2015, with padded convolutions and batch normalisation, as is common today.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class DoubleConv(nn.Sequential):
    """Two convolutions of 3 × 3 bins, each normalised and rectified.

    x: (b, i, f, n) → (b, o, f, n).
    """

    def __init__(self, n_in: int, n_out: int):
        layers = []
        for n in (n_in, n_out):
            # The normalisation has a bias of its own.
            conv = nn.Conv2d(n, n_out, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(n_out), nn.ReLU()]
        super().__init__(*layers)


class UpBlock(nn.Module):
    """Double both sides, and convolve the result with the skip connection.

    x: (b, i, f, n), skip: (b, o, f', n') → (b, o, f', n').
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(n_in, n_out, 2, stride=2)
        self.conv = DoubleConv(2 * n_out, n_out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.enlarge(x)
        if x.shape != skip.shape:
            x = functional.interpolate(x, size=skip.shape[2:])
        return self.conv(torch.cat([skip, x], dim=1))


class DoubleUNet(nn.Module):
    """Estimate one soft mask per source, with two convolutions per level.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in [0, 1]. Each
    audio channel is separated by itself. Where pooling has dropped a bin or a
    frame, the decoder resizes to the skip. Ronneberger et al. 2015.
    """

    def __init__(
        self,
        n_sources: int = 4,
        channels: Sequence[int] = (64, 128, 256, 512),
        power: float = 1.0,
    ):
        super().__init__()
        self.power, self.unit = power, 2 ** len(channels)
        levels = [1, *channels, 2 * channels[-1]]
        self.encoder = nn.ModuleList(map(DoubleConv, levels, levels[1:]))
        up = levels[::-1]
        self.decoder = nn.ModuleList(map(UpBlock, up, up[1:-1]))
        self.head = nn.Conv2d(channels[0], n_sources, kernel_size=1)

    def forward(self, magnitude: Tensor) -> Tensor:
        n_channels, n_bins, n_frames = magnitude.shape[1:]
        x = rearrange(magnitude**self.power, "b c f n -> (b c) 1 f n")
        # Pooling needs one bin and one frame in the bottleneck.
        short = [max(self.unit - size, 0) for size in (n_frames, n_bins)]
        x = functional.pad(x, (0, short[0], 0, short[1]))
        skips = [self.encoder[0](x)]
        for block in self.encoder[1:]:
            skips.append(block(functional.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for block in self.decoder:
            x = block(x, skips.pop())
        masks = torch.sigmoid(self.head(x))[:, :, :n_bins, :n_frames]
        return rearrange(masks, "(b c) s f n -> b s c f n", c=n_channels)
