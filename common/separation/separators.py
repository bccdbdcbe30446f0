"""Separators: from a net and a mixture to stems."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from common import SAMPLE_RATE, SOURCES
from common.signal.masks import apply_mask
from common.signal.stft import STFT
from common.signal.wiener import wiener_filter
from common.support.errors import UsageError


class Separator(Protocol):
    """Turns audio `(b, c, t)` into stems `(b, s, c, t)` at its own rate and channel count."""

    sources: tuple[str, ...]
    sample_rate: int
    n_channels: int
    segment: float
    """The longest input in seconds."""

    def __call__(self, mixture: Tensor) -> Tensor: ...


def leaves_a_rest(sources: tuple[str, ...]) -> bool:
    """Whether a mixture holds more than these sources: a single one, or some of the four stems."""
    return len(sources) == 1 or set(sources) < set(SOURCES)


class MaskSeparator(nn.Module):
    """Separate with a mask net: mask the spectrum, keep the phase, invert.

    mixture: (b, c, t) → stems: (b, s, c, t).
    """

    def __init__(
        self,
        net: nn.Module,
        stft: STFT,
        sources: tuple[str, ...] = SOURCES,
        sample_rate: int = SAMPLE_RATE,
        n_channels: int = 2,
        segment: float = 20.0,
    ):
        super().__init__()
        self.net, self.stft = net, stft
        self.sources, self.sample_rate = sources, sample_rate
        self.n_channels, self.segment = n_channels, segment

    @torch.inference_mode()
    def forward(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        stems = apply_mask(self.net(spectrum.abs()), spectrum)
        return self.stft.inverse(stems, mixture.shape[-1])


class WienerSeparator(MaskSeparator):
    """Separate with a mask net, then refine all stems by the Wiener filter.

    mixture: (b, c, t) → stems: (b, s, c, t). n_iter: iterations of
    the filter; n_frames: frames per block; rest: the mixture holds more than
    `sources`. Stöter et al. 2019.
    """

    def __init__(self, *settings, n_iter=1, n_frames=300, rest=False, **more):
        super().__init__(*settings, **more)
        self.filter = {"n_iter": n_iter, "n_frames": n_frames, "rest": rest}

    @torch.inference_mode()
    def forward(self, mixture: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        magnitude = spectrum.abs()
        estimates = apply_mask(self.net(magnitude), magnitude)
        stems = [
            wiener_filter(y, x, **self.filter)
            for y, x in zip(estimates, spectrum, strict=True)
        ]
        return self.stft.inverse(torch.stack(stems), mixture.shape[-1])


class TwoStems(nn.Module):
    """Keep one source of a separator and add up all the others.

    The second stem is the mixture minus the first, so that the two add up to the mixture.
    """

    def __init__(self, separator: Separator, source: str):
        super().__init__()
        if source not in separator.sources:
            raise UsageError(f"no {source!r} here; the model gives {', '.join(separator.sources)}")
        self.separator, self.index = separator, separator.sources.index(source)
        self.sources = (source, "accompaniment" if source == "vocals" else f"no_{source}")
        self.sample_rate, self.n_channels = separator.sample_rate, separator.n_channels
        self.segment = separator.segment

    def listen(self, segments: Iterable[Tensor]) -> TwoStems:
        """A copy whose separator has processed the recording, if it has a method `listen`."""
        listen = getattr(self.separator, "listen", None)
        return TwoStems(listen(segments), self.sources[0]) if listen else self

    def forward(self, mixture: Tensor) -> Tensor:
        stem = self.separator(mixture)[:, self.index]
        return torch.stack([stem, mixture - stem], dim=1)
