"""D3Net: U-Nets of dense blocks, one for each band and one for all bands.

Takahashi and Mitsufuji 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from common.models.d3_blocks import D2Block, D3Block
from common.models.d3_sizes import BandSize
from common.models.mask_inference import LogMagnitude


class Upsample(nn.Module):
    """Double bins and frames by a transposed convolution.

    x: (b, i, f, n) → (b, i, 2 f, 2 n).
    """

    def __init__(self, n_channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(n_channels)
        self.conv = nn.ConvTranspose2d(n_channels, n_channels, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x))


class BandNet(nn.Module):
    """A U-Net of D3 blocks for one band.

    x: (b, c, f, n) → (b, last growth, f, n); f and n must be multiples of
    2^depth. Takahashi and Mitsufuji 2020.
    """

    def __init__(self, size: BandSize, n_channels: int):
        super().__init__()
        self.first = nn.Conv2d(n_channels, size.n_features, 3, padding=1)
        self.depth = size.depth
        self.blocks, self.ups = nn.ModuleList(), nn.ModuleList()
        n_in = size.n_features
        levels = zip(size.growth, size.n_layers, size.n_blocks, strict=True)
        for level, (growth, n_layers, n_blocks) in enumerate(levels):
            if level > self.depth:  # in the decoder, with a skip
                self.ups.append(Upsample(n_in))
                n_in += size.growth[2 * self.depth - level]
            self.blocks.append(D3Block(n_in, growth, n_layers, n_blocks))
            n_in = growth

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        skips = []
        for block in self.blocks[: self.depth]:
            skips.append(block(x))
            x = functional.avg_pool2d(skips[-1], 2)
        x = self.blocks[self.depth](x)
        decoder = zip(self.ups, self.blocks[self.depth + 1 :], strict=True)
        for up, block in decoder:
            x = block(torch.cat([up(x), skips.pop()], dim=1))
        return x


class GatedConv(nn.Module):
    """Estimate a value for every bin, multiplied by a gate in [0, 1].

    x: (b, i, f, n) → (b, o, f, n), of either sign.
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(n_in)
        self.value = nn.Conv2d(n_in, n_out, 1)
        self.gate = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return torch.sigmoid(self.gate(x)) * self.value(x)


class D3Body(nn.Module):
    """Process each band and the full spectrum, and combine the features.

    x: (b, c, f, n) → (b, growth, f, n), with all bands stacked along f.
    A 1 × 1 convolution gives every band the same number of feature maps;
    growth, n_layers: of the D2 block at the end.
    """

    def __init__(
        self,
        n_channels: int,
        bands: Sequence[BandSize],
        full: BandSize,
        growth: int = 12,
        n_layers: int = 3,
    ):
        super().__init__()
        self.n_bins, self.growth = [band.n_bins for band in bands], growth
        self.unit = 2 ** max(size.depth for size in (*bands, full))
        self.bands = nn.ModuleList(BandNet(band, n_channels) for band in bands)
        self.full = BandNet(full, n_channels)
        widest = max(band.growth[-1] for band in bands)
        self.match = nn.ModuleList()
        for k in (band.growth[-1] for band in bands):
            widen = nn.Sequential(nn.BatchNorm2d(k), nn.Conv2d(k, widest, 1))
            self.match.append(widen if k < widest else nn.Identity())
        self.last = D2Block(widest + full.growth[-1], growth, n_layers)

    def forward(self, x: Tensor) -> Tensor:
        # CPUs convolve faster if the channels of a bin are adjacent in memory.
        x = x.contiguous(memory_format=torch.channels_last)
        rows = [n * x.shape[2] // sum(self.n_bins) for n in self.n_bins]
        parts = zip(self.bands, self.match, x.split(rows, 2), strict=True)
        features = [match(band(part)) for band, match, part in parts]
        x = torch.cat([torch.cat(features, dim=2), self.full(x)], dim=1)
        return self.last(x)


class D3Net(nn.Module):
    """Estimate a mask per source.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), not negative.
    The net reads `n_channels` channels at once and moves `fold` × `fold` bins
    into channels; above the bands of its body the mask is 1. `size`: as for
    `D3Body`. The paper's net does not fold, its input is not in decibels, and
    it estimates magnitudes. Takahashi and Mitsufuji 2020.
    """

    def __init__(
        self,
        n_bins: int,
        n_sources: int = 1,
        n_channels: int = 2,
        fold: int = 1,
        **size: object,
    ):
        super().__init__()
        self.n_channels, self.fold = n_channels, fold
        self.log_magnitude = LogMagnitude(n_bins)
        self.body = D3Body(n_channels * fold**2, **size)
        n_out = n_sources * n_channels * fold**2
        self.gate = GatedConv(self.body.growth, n_out)
        each_bin = torch.ones(n_sources, 1, sum(self.body.n_bins), 1)
        self.output_scale = nn.Parameter(each_bin)
        self.output_mean = nn.Parameter(each_bin / n_sources)

    def forward(self, magnitude: Tensor) -> Tensor:
        b, c, n_frames = len(magnitude), self.n_channels, magnitude.shape[-1]
        n_bins = sum(self.body.n_bins)
        x = self.log_magnitude(magnitude)[:, :, :n_bins]
        x = functional.pad(x, (0, -n_frames % (self.fold * self.body.unit)))
        x = rearrange(x, "b (g c) f n -> (b g) c f n", c=c)
        x = self.gate(self.body(functional.pixel_unshuffle(x, self.fold)))
        x = functional.pixel_shuffle(x, self.fold)[..., :n_frames]
        x = rearrange(x, "(b g) (s c) f n -> b s (g c) f n", b=b, c=c)
        masks = functional.relu(x * self.output_scale + self.output_mean)
        above = (0, 0, 0, magnitude.shape[2] - n_bins)
        return functional.pad(masks, above, value=1.0)
