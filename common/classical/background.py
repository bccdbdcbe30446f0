"""From a mask of the background to two stems, vocals and accompaniment."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from common import SAMPLE_RATE
from common.signal.masks import apply_mask
from common.signal.stft import STFT


@dataclass(frozen=True)
class BackgroundSeparator:
    """Separate the background from the voice, which is all the rest.

    background: magnitude (c, f, n) → mask of the background (c, f, n), in
    [0, 1]. mixture: (b, c, t) → stems: (b, 2, c, t), which add up to the
    mixture. Below `cutoff` Hz, where voices have little energy, everything is
    background.
    """

    background: Callable[[Tensor], Tensor]
    cutoff: float = 100.0
    stft: STFT = STFT()
    sources: tuple[str, ...] = ("vocals", "accompaniment")
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    segment: float = 60.0

    def __call__(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        masks = torch.stack([self.background(x) for x in spectrum.abs()])
        low = math.ceil(self.cutoff * self.stft.n_fft / self.sample_rate)
        masks[..., :low, :] = 1.0
        both = torch.stack([1 - masks, masks], dim=1)
        stems = apply_mask(both, spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])
