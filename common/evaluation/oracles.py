"""Trivial and ideal bounds: separators that do nothing, and separators that know the answer.

`evaluate` measures them like any model, so that every number stands between two that need no
learning. A bound sees the whole track through `estimate(track)`, its true sources included, and
says so with `oracle = True`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from common import SOURCES
from common.data.tracks import Track
from common.signal.masks import (
    apply_mask,
    complex_mask,
    ideal_binary_mask,
    ideal_ratio_mask,
    phase_sensitive_mask,
    wiener_mask,
)
from common.signal.stft import STFT
from common.support.errors import UsageError


class Bound(Protocol):
    """Estimates the sources of a track whose true sources it may look at."""

    sources: tuple[str, ...]
    name: str
    oracle: ClassVar[bool] = True

    def estimate(self, track: Track) -> Tensor:
        """Estimates `(s, c, t)` of a track's sources, in the order of `.sources`."""


def parts_of(target: str, stems: Sequence[str], targets: Sequence[str]) -> list[int]:
    """Which of a track's stems make up a target, as indices into `stems`.

    A stem is itself; "no_drums" is all but the drums; "accompaniment" is what the other targets
    leave over, and all but the vocals where there is no other. Raises UsageError for any other
    name.
    """
    if target in stems:
        return [stems.index(target)]
    left_out = {target.removeprefix("no_")}
    if target == "accompaniment":
        left_out = set(targets) - {target} or {"vocals"}
    parts = [i for i, stem in enumerate(stems) if stem not in left_out]
    if not left_out <= set(stems) or not parts:
        raise UsageError(f"no source {target!r} in a track of {', '.join(stems)}")
    return parts


def true_sources(track: Track, sources: Sequence[str]) -> Tensor:
    """What a separator with these sources should give for a track: (s, c, t), by name."""
    parts = [parts_of(source, track.source_names, sources) for source in sources]
    return torch.stack([track.sources[part].sum(dim=0) for part in parts])


def with_the_rest(track: Track, sources: Sequence[str]) -> Tensor:
    """The true sources, and behind them, if some stems belong to none, the sum of those stems."""
    wanted = true_sources(track, sources)
    used = {i for source in sources for i in parts_of(source, track.source_names, sources)}
    rest = [i for i in range(len(track.source_names)) if i not in used]
    return torch.cat([wanted, track.sources[rest].sum(dim=0)[None]]) if rest else wanted


@dataclass(frozen=True)
class MixtureBound:
    """Every source is estimated by the mixture itself: what doing nothing is worth."""

    sources: tuple[str, ...] = SOURCES
    name: str = "mixture"
    oracle: ClassVar[bool] = True

    def estimate(self, track: Track) -> Tensor:
        return track.mixture.expand(len(self.sources), -1, -1).clone()


@dataclass(frozen=True)
class SilenceBound:
    """Every source is estimated by silence: 0 dB SDR, the least that saying anything must reach."""

    sources: tuple[str, ...] = SOURCES
    name: str = "silence"
    oracle: ClassVar[bool] = True

    def estimate(self, track: Track) -> Tensor:
        return torch.zeros(len(self.sources), *track.mixture.shape)


@dataclass(frozen=True)
class StaticFilterBound:
    """The best equaliser: one constant real gain per source, channel and bin, by least squares.

    The gain is the sum over frames of Re(source · conj(mixture)) over that of |mixture|².
    """

    sources: tuple[str, ...] = SOURCES
    stft: STFT = STFT()
    name: str = "static filter"
    oracle: ClassVar[bool] = True

    def estimate(self, track: Track) -> Tensor:
        mixture = self.stft(track.mixture)
        wanted = self.stft(true_sources(track, self.sources))
        shared = (wanted * mixture.conj()).real.sum(dim=-1, keepdim=True)
        gain = shared / mixture.abs().square().sum(dim=-1, keepdim=True).clamp(min=1e-20)
        return self.stft.inverse(gain * mixture, track.mixture.shape[-1])


@dataclass(frozen=True)
class MaskBound:
    """An ideal mask on the mixture: the ceiling for every net that predicts such masks.

    `mask_function` is one of `common.signal.masks`: source spectra (s, c, f, n) → masks of that
    shape.
    Stems that belong to none of `sources` take part in the competition as one more source.
    """

    mask_function: Callable[[Tensor], Tensor]
    stft: STFT = STFT()
    sources: tuple[str, ...] = SOURCES
    oracle: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.mask_function.__name__.replace("_", " ")

    def estimate(self, track: Track) -> Tensor:
        masks = self.mask_function(self.stft(with_the_rest(track, self.sources)))
        masked = apply_mask(masks[: len(self.sources)], self.stft(track.mixture))
        return self.stft.inverse(masked, track.mixture.shape[-1])


MASKS = (ideal_binary_mask, ideal_ratio_mask, wiener_mask, phase_sensitive_mask, complex_mask)

BOUNDS: dict[str, Bound] = {
    bound.name.replace(" ", "-"): bound
    for bound in (MixtureBound(), SilenceBound(), StaticFilterBound(), *map(MaskBound, MASKS))
}
"""Every bound by the name that the command line takes, such as "ideal-ratio-mask"."""
