"""Trivial and ideal bounds: baselines that do nothing, and oracles that know the true sources.

`evaluate` measures them like any model, so that results can be compared with a lower and an upper
bound. A bound receives the whole track in `estimate(track)`, including its true sources, and is
marked with `oracle = True`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from common import SOURCES
from common.data.tracks import Track, parts_of
from common.signal.masks import (
    apply_mask,
    complex_mask,
    ideal_binary_mask,
    ideal_ratio_mask,
    phase_sensitive_mask,
    wiener_mask,
)
from common.signal.stft import STFT


class Bound(Protocol):
    """Estimates the sources of a track, and may use its true sources."""

    sources: tuple[str, ...]
    name: str
    oracle: ClassVar[bool] = True

    def estimate(self, track: Track) -> Tensor:
        """Estimates `(s, c, t)` of a track's sources, in the order of `.sources`."""


def true_sources(track: Track, sources: Sequence[str]) -> Tensor:
    """The ideal output of a separator with these sources for a track: (s, c, t)."""
    return torch.stack([track[source] for source in sources])


def stems_of(track: Track, sources: Sequence[str]) -> list[int]:
    """Indices of the stems that make up these sources; a stem in two sources appears twice."""
    return sorted(i for source in sources for i in parts_of(source, track.source_names))


def with_the_rest(track: Track, sources: Sequence[str]) -> Tensor:
    """The true sources, followed by the sum of the stems that belong to none of them, if any."""
    wanted = true_sources(track, sources)
    used = stems_of(track, sources)
    rest = [i for i in range(len(track.source_names)) if i not in used]
    return torch.cat([wanted, track.sources[rest].sum(dim=0)[None]]) if rest else wanted


@dataclass(frozen=True)
class MixtureBound:
    """Estimate every source by the unchanged mixture."""

    sources: tuple[str, ...] = SOURCES
    name: str = "mixture"
    oracle: ClassVar[bool] = True

    def estimate(self, track: Track) -> Tensor:
        return track.mixture.expand(len(self.sources), -1, -1).clone()


@dataclass(frozen=True)
class SilenceBound:
    """Estimate every source by silence, which has an SDR of 0 dB."""

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
    """An ideal mask on the mixture: the upper bound for every net that predicts such masks.

    `mask_function` is one of `common.signal.masks`: source spectra (s, c, f, n) → masks of that
    shape.
    The stems that belong to none of `sources` are one more source for the mask function. If a stem
    belongs to two sources, the mask of each source is computed against the rest alone.
    """

    mask_function: Callable[[Tensor], Tensor]
    stft: STFT = STFT()
    sources: tuple[str, ...] = SOURCES
    oracle: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.mask_function.__name__.replace("_", " ")

    def estimate(self, track: Track) -> Tensor:
        used = stems_of(track, self.sources)
        if len(used) > len(set(used)):
            alone = (replace(self, sources=(source,)) for source in self.sources)
            return torch.cat([bound.estimate(track) for bound in alone])
        masks = self.mask_function(self.stft(with_the_rest(track, self.sources)))
        masked = apply_mask(masks[: len(self.sources)], self.stft(track.mixture))
        return self.stft.inverse(masked, track.mixture.shape[-1])


MASKS = (ideal_binary_mask, ideal_ratio_mask, wiener_mask, phase_sensitive_mask, complex_mask)

BOUNDS: dict[str, Bound] = {
    bound.name.replace(" ", "-"): bound
    for bound in (MixtureBound(), SilenceBound(), StaticFilterBound(), *map(MaskBound, MASKS))
}
"""Every bound by the name that the command line takes, such as "ideal-ratio-mask"."""
