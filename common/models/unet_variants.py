"""Variants of the U-Net, each of which changes one thing.

Narrow skip connections, masks that add up to 1, one net conditioned on the source, a net per
band, and a second output for the activity of a source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from common.models.unet import EncoderBlock, UNet, decoder_blocks, fold_channels, unfold_channels
from common.signal.masks import EPSILON, apply_mask


class NarrowSkip(nn.Module):
    """Reduce the feature maps of a skip connection to a few, or to none.

    x: (b, i, f, n) → (b, o, f, n).
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel_size=1) if n_out else None

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :0] if self.conv is None else self.conv(x)


class NarrowSkipUNet(UNet):
    """A U-Net whose skip connections carry a share of the feature maps.

    Shapes as in UNet. share: 1 for as many feature maps as there are, 0 for
    no skip connections. After the first version of the stem player AI Player.
    """

    def __init__(
        self,
        share: float = 0.25,
        n_sources: int = 4,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
        power: float = 1.0,
    ):
        super().__init__(n_sources, channels, dropout, power)
        kept = [round(share * n) for n in channels[:-1]]
        self.skips = nn.ModuleList(map(NarrowSkip, channels[:-1], kept))
        self.decoder, self.head = decoder_blocks(
            channels, n_sources, dropout, kept
        )

    def decode(self, features: list[Tensor]) -> Tensor:
        *fine, bottleneck = features
        narrow = [skip(x) for skip, x in zip(self.skips, fine, strict=True)]
        return super().decode([*narrow, bottleneck])


class SoftmaxUNet(UNet):
    """A U-Net with a softmax over the sources: masks add up to 1."""

    def forward(self, magnitude: Tensor) -> Tensor:
        return torch.softmax(self.logits(magnitude), dim=1)


class SharedMasks(nn.Module):
    """Divide the masks of a net by their sum, so that they add up to 1.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), in [0, 1].
    power: 1 for shares of the masked magnitudes, 2 for shares of their
    energies. Where all are zero, the shares are equal.
    """

    def __init__(self, net: nn.Module, power: float = 1.0):
        super().__init__()
        self.net, self.power = net, power

    def forward(self, magnitude: Tensor) -> Tensor:
        shares = apply_mask(self.net(magnitude), magnitude) ** self.power
        total = shares.sum(dim=1, keepdim=True) + EPSILON
        return (shares + EPSILON / shares.shape[1]) / total


class ConditionedBlock(EncoderBlock):
    """An encoder block with a scale and a shift for each feature map.

    x: (b, i, f, n), scale and shift: (b, o) → (b, o, f / 2, n / 2).
    FiLM: Perez et al. 2018.
    """

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        x = scale[..., None, None] * x + shift[..., None, None]
        return functional.leaky_relu(x, 0.2)


class ConditionedUNet(UNet):
    """One U-Net for all sources, conditioned on the source.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), one pass for
    each source. Meseguer-Brocal and Peeters 2019, with a scale and a shift
    per feature map and a table of them in place of a control net.
    """

    def __init__(
        self,
        n_sources: int = 4,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
        power: float = 1.0,
    ):
        super().__init__(1, channels, dropout, power)
        levels = [1, *channels]
        self.encoder = nn.ModuleList(map(ConditionedBlock, levels, channels))
        self.scales = nn.Parameter(torch.ones(n_sources, sum(channels)))
        self.shifts = nn.Parameter(torch.zeros(n_sources, sum(channels)))
        self.widths = list(channels)

    def mask_of(self, condition: Tensor, magnitude: Tensor) -> Tensor:
        """condition: (b, s), such as one-hot rows → masks: (b, 1, c, f, n)."""
        each = repeat(condition, "b s -> (b c) s", c=magnitude.shape[1])
        scales = (each @ self.scales).split(self.widths, dim=1)
        shifts = (each @ self.shifts).split(self.widths, dim=1)
        x, features = fold_channels(magnitude**self.power, self.unit), []
        for block, scale, shift in zip(
            self.encoder, scales, shifts, strict=True
        ):
            x = block(x, scale, shift)
            features.append(x)
        x = self.head(self.decode(features))
        return torch.sigmoid(unfold_channels(x, magnitude))

    def forward(self, magnitude: Tensor) -> Tensor:
        one_hot = torch.eye(len(self.scales), device=magnitude.device)
        size = {"b": len(magnitude), "s": len(one_hot)}
        every = repeat(one_hot, "q s -> (b q) s", b=size["b"])
        x = repeat(magnitude, "b c f n -> (b s) c f n", s=size["s"])
        masks = self.mask_of(every, x)
        return rearrange(masks, "(b s) 1 c f n -> b s c f n", **size)


class BandWise(nn.Module):
    """A mask net for each band of frequencies.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n). edges: the
    bin at which each band ends; the last band has the remaining bins.
    """

    def __init__(self, nets: Sequence[nn.Module], edges: Sequence[int]):
        super().__init__()
        self.nets, self.edges = nn.ModuleList(nets), tuple(edges)

    def forward(self, magnitude: Tensor) -> Tensor:
        bands = magnitude.tensor_split(self.edges, dim=2)
        masks = [net(x) for net, x in zip(self.nets, bands, strict=True)]
        return torch.cat(masks, dim=3)


class ActivityOutput(NamedTuple):
    """Masks (b, s, c, f, n), and activity (b, n): logits, above 0 where the source is active."""

    masks: Tensor
    activity: Tensor


class ActivityUNet(UNet):
    """A U-Net that also estimates in which frames one source is active.

    magnitude: (b, c, f, n), linear → ActivityOutput. Stoller et al. 2018
    estimate both with one net.
    """

    def __init__(
        self,
        n_sources: int = 4,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
        power: float = 1.0,
    ):
        super().__init__(n_sources, channels, dropout, power)
        n_pooled = 4 * channels[0]
        self.activity_head = nn.Conv1d(n_pooled, 1, kernel_size=9, padding=4)

    def forward(self, magnitude: Tensor) -> ActivityOutput:
        size = {"c": magnitude.shape[1]}
        x = fold_channels(magnitude**self.power, self.unit)
        x = self.decode(self.encode(x))
        masks = torch.sigmoid(unfold_channels(self.head(x), magnitude))
        pooled = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        logits = self.activity_head(pooled)
        logits = repeat(logits, "a 1 n -> a (n half)", half=2)
        logits = rearrange(logits, "(b c) n -> b c n", **size).mean(dim=1)
        return ActivityOutput(masks, logits[:, : magnitude.shape[-1]])
