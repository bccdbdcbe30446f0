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
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(functional.relu(self.norm(self.conv(x))))


def way_up(
    channels: Sequence[int],
    n_sources: int,
    dropout: float,
    skips: Sequence[int] | None = None,
) -> tuple[nn.ModuleList, nn.ConvTranspose2d]:
    """Decoder blocks and head for an encoder of so many patterns per level.

    skips: how many patterns come over each skip, by default all that were
    seen; the coarsest level needs none. The first three blocks use dropout.
    """
    skips = channels[:-1] if skips is None else skips
    blocks, n_in = nn.ModuleList(), channels[-1]
    ways = zip(channels[-2::-1], skips[::-1], strict=True)
    for level, (n_out, n_skip) in enumerate(ways):
        drop = dropout if level < 3 else 0.0
        blocks.append(DecoderBlock(n_in, n_out, drop))
        n_in = n_out + n_skip
    head = nn.ConvTranspose2d(
        n_in, n_sources, kernel_size=5, stride=2, padding=2, output_padding=1
    )
    return blocks, head


def to_pictures(magnitude: Tensor, unit: int) -> Tensor:
    """Make every channel a picture whose sides `unit` divides.

    magnitude: (b, c, f, n) → (b c, 1, f', n'): the highest bins that are left
    over are cut off, and silence is put after the last frame.
    """
    n_bins, n_frames = magnitude.shape[-2:]
    x = rearrange(magnitude, "b c f n -> (b c) 1 f n")
    x = x[:, :, : n_bins - n_bins % unit]
    return functional.pad(x, (0, -n_frames % unit))


def from_pictures(x: Tensor, magnitude: Tensor) -> Tensor:
    """Undo `to_pictures`: what its last bin got is what the cut ones get.

    x: (b c, s, f', n') → (b, s, c, f, n), as `magnitude` (b, c, f, n) asks.
    """
    n_channels, n_bins, n_frames = magnitude.shape[1:]
    x = x[..., :n_frames]
    missing = n_bins - x.shape[-2]
    x = functional.pad(x, (0, 0, 0, missing), mode="replicate")
    return rearrange(x, "(b c) s f n -> b s c f n", c=n_channels)


class UNet(nn.Module):
    """Estimate one soft mask per source.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in [0, 1]; each
    audio channel by itself. channels: how many patterns each level looks for;
    power: what magnitudes are raised to first. Jansson et al. 2017.
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
        levels = [1, *channels]
        self.encoder = nn.ModuleList(map(EncoderBlock, levels, channels))
        self.decoder, self.head = way_up(channels, n_sources, dropout)

    def look(self, x: Tensor) -> list[Tensor]:
        """What every level has found, the finest first."""
        return [x := block(x) for block in self.encoder]

    def paint(self, seen: list[Tensor]) -> Tensor:
        """Go back up, and at each level lay what was seen there beside it."""
        x = seen[-1]
        for block, skip in zip(self.decoder, seen[-2::-1], strict=True):
            x = torch.cat([block(x), skip], dim=1)
        return x

    def numbers(self, magnitude: Tensor) -> Tensor:
        """The masks before the sigmoid, of any size and sign."""
        x = to_pictures(magnitude**self.power, self.unit)
        return from_pictures(self.head(self.paint(self.look(x))), magnitude)

    def forward(self, magnitude: Tensor) -> Tensor:
        return torch.sigmoid(self.numbers(magnitude))


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


class Patchwise(nn.Module):
    """Let a mask net see a song in patches, and lay its answers end to end.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n). Of the `n_frames`
    that the net sees at once, `margin` at either end are only context, and
    their masks are thrown away. Jansson et al. 2017: 128 frames, no margin.
    """

    def __init__(self, net: nn.Module, n_frames: int = 128, margin: int = 0):
        super().__init__()
        self.net, self.n_frames, self.margin = net, n_frames, margin

    def forward(self, magnitude: Tensor) -> Tensor:
        total = magnitude.shape[-1]
        kept = self.n_frames - 2 * self.margin
        after = self.margin + -total % kept
        x = functional.pad(magnitude, (self.margin, after))
        inside = slice(self.margin, self.n_frames - self.margin)
        masks = [
            self.net(x[..., first : first + self.n_frames])[..., inside]
            for first in range(0, total, kept)
        ]
        return torch.cat(masks, dim=-1)[..., :total]
