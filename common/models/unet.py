"""U-Net: an encoder and a decoder of strided convolutions, joined by skip connections.

Jansson et al. 2017, after Ronneberger et al. 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class EncoderBlock(nn.Module):
    """Halve both sides by a strided convolution.

    x: (b, i, f, n) → (b, o, f / 2, n / 2).
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel_size=5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), 0.2)


class DecoderBlock(nn.Module):
    """Double both sides by a transposed convolution.

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


def decoder_blocks(
    channels: Sequence[int],
    n_sources: int,
    dropout: float,
    skips: Sequence[int] | None = None,
) -> tuple[nn.ModuleList, nn.ConvTranspose2d]:
    """Decoder blocks and head for an encoder with `channels` at each level.

    skips: the feature maps that each skip connection carries, by default all
    of them; the bottleneck has none. The first three blocks use dropout.
    """
    skips = channels[:-1] if skips is None else skips
    blocks, n_in = nn.ModuleList(), channels[-1]
    levels = zip(channels[-2::-1], skips[::-1], strict=True)
    for level, (n_out, n_skip) in enumerate(levels):
        drop = dropout if level < 3 else 0.0
        blocks.append(DecoderBlock(n_in, n_out, drop))
        n_in = n_out + n_skip
    head = nn.ConvTranspose2d(
        n_in, n_sources, kernel_size=5, stride=2, padding=2, output_padding=1
    )
    return blocks, head


def fold_channels(magnitude: Tensor, unit: int) -> Tensor:
    """Fold audio channels into the batch; make both sides multiples of `unit`.

    magnitude: (b, c, f, n) → (b c, 1, f', n'). The remaining highest bins are
    cropped, and zeros are appended after the last frame.
    """
    n_bins, n_frames = magnitude.shape[-2:]
    x = rearrange(magnitude, "b c f n -> (b c) 1 f n")
    x = x[:, :, : n_bins - n_bins % unit]
    return functional.pad(x, (0, -n_frames % unit))


def unfold_channels(x: Tensor, magnitude: Tensor) -> Tensor:
    """Undo `fold_channels`: cropped bins get the values of the last bin.

    x: (b c, s, f', n') → (b, s, c, f, n), f and n as in `magnitude`.
    """
    n_channels, n_bins, n_frames = magnitude.shape[1:]
    x = x[..., :n_frames]
    missing = n_bins - x.shape[-2]
    x = functional.pad(x, (0, 0, 0, missing), mode="replicate")
    return rearrange(x, "(b c) s f n -> b s c f n", c=n_channels)


class UNet(nn.Module):
    """Estimate one soft mask per source.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in [0, 1]; each
    audio channel by itself. channels: feature maps at each level; power: the
    exponent that compresses magnitudes. Jansson et al. 2017.
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
        self.decoder, self.head = decoder_blocks(channels, n_sources, dropout)

    def encode(self, x: Tensor) -> list[Tensor]:
        """The feature maps of every level, the bottleneck last."""
        return [x := block(x) for block in self.encoder]

    def decode(self, features: list[Tensor]) -> Tensor:
        """Upsample, and concatenate the skip connection at each level."""
        x = features[-1]
        for block, skip in zip(self.decoder, features[-2::-1], strict=True):
            x = torch.cat([block(x), skip], dim=1)
        return x

    def logits(self, magnitude: Tensor) -> Tensor:
        """The masks before the sigmoid, of any size and sign."""
        x = fold_channels(magnitude**self.power, self.unit)
        x = self.head(self.decode(self.encode(x)))
        return unfold_channels(x, magnitude)

    def forward(self, magnitude: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(magnitude))


class PerSource(nn.Module):
    """Concatenate the masks of several nets, one net per source.

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
    """Apply a mask net to patches of a song, and concatenate the masks.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n). Of the `n_frames`
    of a patch, `margin` at either end are only context, and their masks are
    discarded. Jansson et al. 2017: 128 frames, no margin.
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
