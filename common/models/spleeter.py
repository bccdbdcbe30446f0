"""Spleeter: a U-Net per source over both channels, with the padding of TensorFlow.

Hennequin et al. 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from common.models.unet_variants import SharedMasks


class EncoderBlock(nn.Module):
    """Halve both sides; return the convolution and its activation.

    x: (b, i, n, f) → two of (b, o, n / 2, f / 2). The padding is TensorFlow's:
    one row before and two behind.
    """

    def __init__(self, n_in: int, n_out: int, elu: bool, momentum: float):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel_size=5, stride=2)
        self.norm = nn.BatchNorm2d(n_out, eps=1e-3, momentum=momentum)
        self.activation = nn.ELU() if elu else nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.conv(functional.pad(x, (1, 2, 1, 2)))
        return raw, self.activation(self.norm(raw))


class DecoderBlock(nn.Module):
    """Double both sides by a transposed convolution.

    x: (b, i, n, f) → (b, o, 2 n, 2 f). The norm comes after the activation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        elu: bool,
        momentum: float,
        dropout: float,
    ):
        super().__init__()
        self.conv = nn.ConvTranspose2d(n_in, n_out, kernel_size=5, stride=2)
        self.activation = nn.ELU() if elu else nn.ReLU()
        self.norm = nn.BatchNorm2d(n_out, eps=1e-3, momentum=momentum)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)[..., 1:-2, 1:-2]
        return self.dropout(self.norm(self.activation(x)))


class SpleeterNet(nn.Module):
    """Estimate one source's mask for both channels at once.

    magnitude: (b, c, f, n), linear → mask: (b, 1, c, f, n), in [0, 1], zero
    from `max_bin` on. elu: the activations of the published four stems, not
    of the two; momentum: how fast running statistics follow the batches;
    power: the exponent that compresses magnitudes. Hennequin et al. 2020.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        n_channels: int = 2,
        elu: bool = False,
        max_bin: int = 1024,
        dropout: float = 0.5,
        momentum: float = 0.01,
        power: float = 1.0,
    ):
        super().__init__()
        self.max_bin, self.power = max_bin, power
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for n_in, n_out in pairwise([n_channels, *channels]):
            self.encoder.append(EncoderBlock(n_in, n_out, elu, momentum))
        # Nothing uses the deepest norm, but published checkpoints have it.
        self.encoder[-1].norm.requires_grad_(False)
        for level, (n_in, n_out) in enumerate(pairwise([*channels[::-1], 1])):
            both = n_in if level == 0 else 2 * n_in
            drop = dropout if level < 3 else 0.0
            block = DecoderBlock(both, n_out, elu, momentum, drop)
            self.decoder.append(block)
        self.head = nn.Conv2d(1, n_channels, 4, dilation=2, padding=3)

    def forward(self, magnitude: Tensor) -> Tensor:
        mask = estimate_mask(self, magnitude[:, :, : self.max_bin])
        missing = magnitude.shape[2] - mask.shape[3]
        return functional.pad(mask, (0, 0, 0, missing))


def estimate_mask(net: SpleeterNet, magnitude: Tensor) -> Tensor:
    """Encode and decode: magnitude (b, c, f, n) → mask (b, 1, c, f, n).

    The feature maps are transposed: TensorFlow's have time before frequency.
    """
    n_bins, n_frames = magnitude.shape[2:]
    unit = 2 ** len(net.encoder)
    x = rearrange(magnitude**net.power, "b c f n -> b c n f")
    x = functional.pad(x, (0, -n_bins % unit, 0, -n_frames % unit))
    skips = []
    for block in net.encoder:
        raw, x = block(x)
        skips.append(raw)
    x = net.decoder[0](skips.pop())
    for block in net.decoder[1:]:
        x = block(torch.cat([skips.pop(), x], dim=1))
    mask = torch.sigmoid(net.head(x))[..., :n_frames, :n_bins]
    return rearrange(mask, "b c n f -> b 1 c f n")


class RatioMasks(SharedMasks):
    """Masks of a net as shares of the energy of each bin.

    magnitude: (b, c, f, n), linear → masks: (b, s, c, f, n), which add up to 1
    below `max_bin`. At higher bins they are zero, or, with `average`, the mean
    of the mask over the lower bins of the frame. Hennequin et al. 2020.
    """

    def __init__(
        self,
        net: nn.Module,
        max_bin: int = 1024,
        average: bool = False,
    ):
        super().__init__(net, power=2.0)
        self.max_bin, self.average = max_bin, average

    def forward(self, magnitude: Tensor) -> Tensor:
        masks = super().forward(magnitude[:, :, : self.max_bin])
        top = masks.mean(dim=3, keepdim=True) * float(self.average)
        missing = magnitude.shape[2] - masks.shape[3]
        return torch.cat([masks, top.expand(-1, -1, -1, missing, -1)], dim=3)
