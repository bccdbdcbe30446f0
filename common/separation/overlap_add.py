"""Overlap-add: a recording in overlapping segments, separated one by one and cross-faded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd

import torch
from torch import Tensor, nn

from common.separation.separators import Separator, leaves_a_rest
from common.signal.resampling import match_channels, resample
from common.signal.stft import STFT

OVERLAP = 0.25
"""The share of a segment that overlaps with the next one and is cross-faded."""


@dataclass(frozen=True)
class Plan:
    """How a recording is cut: segment and hop in samples of the recording's own rate.

    Both are multiples of `unit`, the shortest duration that is a whole number of samples at the
    recording's rate and at the separator's, so that resampled segments stay aligned.
    """

    sample_rate: int
    net_rate: int
    segment: int
    hop: int

    @classmethod
    def make(cls, segment: float, sample_rate: int, net_rate: int) -> Plan:
        unit = sample_rate // gcd(sample_rate, net_rate)
        hop = max(round(segment * (1 - OVERLAP) * sample_rate / unit), 1) * unit
        overlap = max(round(segment * OVERLAP * sample_rate / unit), 1) * unit
        return cls(sample_rate, net_rate, hop + overlap, hop)

    @property
    def overlap(self) -> int:
        return self.segment - self.hop


def stream(
    separator: Separator, blocks: Iterator[Tensor], plan: Plan, device: torch.device
) -> Iterator[Tensor]:
    """Separate a recording that arrives in blocks `(c, t)` of any length; yields `(s, c, t)`.

    Neighbouring segments overlap and are cross-faded linearly, so their weights add up to one
    everywhere. Only one segment is in memory at a time: memory does not grow with length.
    """
    fade = (torch.arange(plan.overlap) + 0.5) / plan.overlap
    tail = None
    for segment, is_last in segments(blocks, plan):
        stems = separate_segment(separator, segment, plan, device)
        if tail is not None:
            stems[..., : plan.overlap] = tail * (1 - fade) + stems[..., : plan.overlap] * fade
        if is_last:
            yield stems
        else:
            yield stems[..., : plan.hop]
            tail = stems[..., plan.hop :]


class Again:
    """An iterable that calls `make` again for each iteration."""

    def __init__(self, make: Callable[[], Iterator[Tensor]]):
        self.make = make

    def __iter__(self) -> Iterator[Tensor]:
        return self.make()


def after_listening(
    separator: Separator,
    blocks: Callable[[], Iterator[Tensor]],
    plan: Plan,
    device: torch.device,
) -> Separator:
    """The separator, or what its method `listen`, if it has one, returns for the whole recording.

    blocks: returns the recording from its beginning, each time it is called.
    """
    if not hasattr(separator, "listen"):
        return separator

    def inputs() -> Iterator[Tensor]:
        for segment, _ in segments(blocks(), plan):
            yield net_input(separator, segment, plan)[1].to(device)

    return separator.listen(Again(inputs))


def segments(blocks: Iterator[Tensor], plan: Plan) -> Iterator[tuple[Tensor, bool]]:
    """Cut a stream of blocks into overlapping segments; the last one may be shorter."""
    buffer = torch.empty(0)
    for block in blocks:
        buffer = torch.cat([buffer, block], dim=-1)
        while buffer.shape[-1] > plan.segment:
            yield buffer[..., : plan.segment], False
            buffer = buffer[..., plan.hop :]
    yield buffer, True


def net_input(separator: Separator, mixture: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """One segment `(c, t)` in groups of as many channels as the net takes, `(b, c, t)`.

    Returns them at the recording's rate and at the net's.
    """
    width = separator.n_channels
    groups = torch.stack([match_channels(group, width) for group in mixture.split(width)])
    return groups, resample(groups, plan.sample_rate, plan.net_rate)


def separate_segment(
    separator: Separator, mixture: Tensor, plan: Plan, device: torch.device
) -> Tensor:
    """Separate one segment `(c, t)` at the recording's rate → `(s, c, t)`."""
    n_channels, n_samples = mixture.shape
    groups, audio = net_input(separator, mixture, plan)
    stems = separator(audio.to(device)).cpu()
    band = resample(audio, plan.net_rate, plan.sample_rate)[..., :n_samples]
    stems_at_rate = resample(stems, plan.net_rate, plan.sample_rate)[..., :n_samples]
    if plan.sample_rate > plan.net_rate:
        rest = leaves_a_rest(separator.sources)
        stems_at_rate = stems_at_rate + share_top(stems, audio, groups - band, rest)
    return join_channels(stems_at_rate, n_channels, separator.n_channels)


def join_channels(stems: Tensor, n_channels: int, width: int) -> Tensor:
    """Stems of channel groups `(b, s, c, t)` → `(s, c, t)` with the recording's channels."""
    joined = [
        match_channels(group, n) if (n := min(width, n_channels - i * width)) < width else group
        for i, group in enumerate(stems)
    ]
    return torch.cat(joined, dim=-2)


def share_top(stems: Tensor, audio: Tensor, top: Tensor, rest: bool) -> Tensor:
    """Give each stem its share of the band above the net's band.

    stems: (b, s, c, t), audio: (b, c, t) at the net's rate; top: (b, c, t) at the recording's.
    The share is that of the energy in the octave below, frame by frame. The shares add up to 1;
    with `rest`, the mixture minus the stems has a share too.
    """
    stft = STFT(1024, 256)
    n_sources = stems.shape[1]
    if rest:
        left = audio[:, None] - stems.sum(dim=1, keepdim=True)
        stems = torch.cat([stems, left], dim=1)
    octave = stft(stems)[..., stft.n_bins // 2 :, :]
    energy = octave.abs().square().sum(dim=(2, 3)) + 1e-12
    # Averaging over a second would smear drums, no averaging would flutter: use 5 frames, 60 ms.
    energy = nn.functional.avg_pool1d(energy, 5, stride=1, padding=2, count_include_pad=False)
    share = energy / energy.sum(dim=1, keepdim=True)
    share = nn.functional.interpolate(share, size=top.shape[-1], mode="linear", align_corners=True)
    return share[:, :n_sources, None] * top[:, None]
