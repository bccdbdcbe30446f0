"""A U-Net that sees both channels at once."""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor

from common.models.unet import EncoderBlock, UNet, fold_channels, unfold_channels


class StereoUNet(UNet):
    """A U-Net that sees all audio channels at once, and so where sources stand.

    Shapes as in UNet, but for exactly `n_channels` channels.
    """

    def __init__(
        self,
        n_channels: int = 2,
        n_sources: int = 4,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
        power: float = 1.0,
    ):
        super().__init__(n_sources * n_channels, channels, dropout, power)
        self.encoder[0] = EncoderBlock(n_channels, channels[0])
        self.n_channels = n_channels

    def logits(self, magnitude: Tensor) -> Tensor:
        size = {"c": self.n_channels}
        x = fold_channels(magnitude**self.power, self.unit)
        x = rearrange(x, "(b c) 1 f n -> b c f n", **size)
        x = self.head(self.decode(self.encode(x)))
        x = rearrange(x, "b (s c) f n -> (b c) s f n", **size)
        return unfold_channels(x, magnitude)
