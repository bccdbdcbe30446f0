"""From a net to stems: separators, and how they take music of any length, rate and channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from common import SAMPLE_RATE, SOURCES
from common.audio import match_channels, resample
from common.errors import UsageError
from common.masks import apply_mask
from common.recordings import StemWriter, open_recording
from common.stft import STFT
from common.wiener import wiener_filter

OVERLAP = 0.25
"""How much of a segment is shared with the next one, and cross-faded."""


class Separator(Protocol):
    """Turns audio `(b, c, t)` into stems `(b, s, c, t)` at its own rate and channel count."""

    sources: tuple[str, ...]
    sample_rate: int
    n_channels: int
    segment: float
    """The longest stretch, in seconds, that it takes at once."""

    def __call__(self, mixture: Tensor) -> Tensor: ...


class MaskSeparator(nn.Module):
    """Separate with a mask net: mask the spectrum, keep its phase, go back.

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
    """Separate with a mask net, then refine all stems by where they stand.

    mixture: (b, c, t) → stems: (b, s, c, t). n_iter: how often the filter is
    re-estimated; n_frames: for how long a source is taken to stand still;
    rest: the mixture holds more than `sources`. Stöter et al. 2019.
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
    """Keep one source of a separator and put all the others together.

    The second stem is the mixture less the first, so that the two add up to the mixture.
    """

    def __init__(self, separator: Separator, source: str):
        super().__init__()
        if source not in separator.sources:
            raise UsageError(f"no {source!r} here; the model gives {', '.join(separator.sources)}")
        self.separator, self.index = separator, separator.sources.index(source)
        self.sources = (source, "accompaniment" if source == "vocals" else f"no_{source}")
        self.sample_rate, self.n_channels = separator.sample_rate, separator.n_channels
        self.segment = separator.segment

    def listen(self, segments: Iterator[Tensor]) -> TwoStems:
        """The same with a separator that has heard the recording, where it wants to."""
        listen = getattr(self.separator, "listen", None)
        return TwoStems(listen(segments), self.sources[0]) if listen else self

    def forward(self, mixture: Tensor) -> Tensor:
        stem = self.separator(mixture)[:, self.index]
        return torch.stack([stem, mixture - stem], dim=1)


def separate(
    separator: Separator, mixture: Tensor, sample_rate: int, say: Callable[[str], None] = print
) -> Tensor:
    """Separate a recording of any length, rate and channel count.

    mixture: (c, t) → stems: (s, c, t), with exactly the input's channels and length.
    `say` is told when memory runs short. Raises UsageError for NaN or infinite samples.
    """

    def attempt(segment: float, device: torch.device) -> Tensor:
        plan = Plan.make(segment, sample_rate, separator.sample_rate)
        ready = after_listening(separator, iter([mixture]), plan, device)
        return torch.cat(list(stream(ready, iter([mixture]), plan, device)), dim=-1)

    return with_enough_memory(separator, attempt, say)


def separate_file(
    separator: Separator, path: Path, out: Path, say: Callable[[str], None] = print
) -> dict[str, Path]:
    """Separate an audio file into `out/<file stem>/<source>.wav`; returns the paths by source.

    Rate, channels and length are the input's; samples are 32-bit floats, so that loud stems do
    not clip. Works in blocks: memory does not grow with length. The stems appear when all are
    whole. Raises UsageError for a file that cannot be read or holds NaN or infinite samples.
    """

    def attempt(segment: float, device: torch.device) -> dict[str, Path]:
        with open_recording(path) as recording:
            plan = Plan.make(segment, recording.sample_rate, separator.sample_rate)
            n_segments = max(-(-(recording.n_samples - plan.overlap) // plan.hop), 1)
            ready = after_listening(separator, recording.blocks(), plan, device)
            with StemWriter(out / path.stem, separator.sources, recording) as writer:
                pieces = stream(ready, recording.blocks(), plan, device)
                for piece in tqdm(pieces, path.name, n_segments, unit="segment", leave=False):
                    writer.write(piece)
            return writer.paths

    return with_enough_memory(separator, attempt, say)


def with_enough_memory(
    separator: Separator,
    attempt: Callable[[float, torch.device], object],
    say: Callable[[str], None],
):
    """Call `attempt(segment, device)`; on a full GPU halve the segment twice, then use the CPU."""
    device = device_of(separator)
    for segment in (separator.segment, separator.segment / 2, separator.segment / 4):
        try:
            return attempt(segment, device)
        except torch.cuda.OutOfMemoryError:
            say(f"segments of {segment:g} s do not fit into the memory of {device}: trying less")
            torch.cuda.empty_cache()
    say("separating on the CPU instead")
    if isinstance(separator, nn.Module):
        separator.cpu()
    return attempt(separator.segment, torch.device("cpu"))


def device_of(separator: Separator) -> torch.device:
    """Where the separator's weights lie; the CPU for one without weights."""
    weights = separator.parameters() if isinstance(separator, nn.Module) else ()
    return next((weight.device for weight in weights), torch.device("cpu"))


@dataclass(frozen=True)
class Plan:
    """How a recording is cut: segment and hop in samples of the recording's own rate.

    Both are multiples of `unit`, the shortest stretch that is a whole number of samples at the
    recording's rate and at the separator's, so that resampled segments stay in step.
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

    Neighbouring segments overlap and are cross-faded along a line, so their weights add up to
    one everywhere. Only one segment is held at a time: memory does not grow with length.
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


def after_listening(
    separator: Separator, blocks: Iterator[Tensor], plan: Plan, device: torch.device
) -> Separator:
    """The separator, after it has heard the whole recording once if it has a method `listen`."""
    if not hasattr(separator, "listen"):
        return separator
    heard = (net_input(separator, segment, plan)[1] for segment, _ in segments(blocks, plan))
    return separator.listen(audio.to(device) for audio in heard)


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
    if not mixture.isfinite().all():
        raise UsageError("the recording holds NaN or infinite samples")
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
        stems_at_rate = stems_at_rate + share_top(stems, audio, groups - band, plan)
    return join_channels(stems_at_rate, n_channels, separator.n_channels)


def join_channels(stems: Tensor, n_channels: int, width: int) -> Tensor:
    """Stems of channel groups `(b, s, c, t)` → `(s, c, t)` with the recording's channels."""
    joined = [
        match_channels(group, n) if (n := min(width, n_channels - i * width)) < width else group
        for i, group in enumerate(stems)
    ]
    return torch.cat(joined, dim=-2)


def share_top(stems: Tensor, audio: Tensor, top: Tensor, plan: Plan) -> Tensor:
    """Give each stem its part of what lies above the net's band.

    stems: (b, s, c, t), audio: (b, c, t) at the net's rate; top: (b, c, t) at the recording's.
    A stem's part is its share of the energy in the octave below, frame by frame; the parts of
    several stems add up to the whole top. A single stem shares with the rest of the mixture.
    """
    stft = STFT(1024, 256)
    n_sources = stems.shape[1]
    if n_sources == 1:
        stems = torch.cat([stems, audio[:, None] - stems], dim=1)
    octave = stft(stems)[..., stft.n_bins // 2 :, :]
    energy = octave.abs().square().sum(dim=(2, 3)) + 1e-12
    # A second of smoothing would smear drums, none would flutter: average 5 frames, 60 ms.
    energy = nn.functional.avg_pool1d(energy, 5, stride=1, padding=2, count_include_pad=False)
    share = energy / energy.sum(dim=1, keepdim=True)
    share = nn.functional.interpolate(share, size=top.shape[-1], mode="linear", align_corners=True)
    return share[:, :n_sources, None] * top[:, None]
