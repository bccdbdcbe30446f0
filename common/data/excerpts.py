"""Random excerpts of tracks: what nets learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.data.decoded import DecodedTrack
from common.data.effects import (
    change_speed,
    random_equaliser,
    random_room,
    random_saturation,
    random_speeds,
    random_width,
    samples_needed,
)
from common.data.musdb_folder import TrackOnDisk
from common.data.tracks import Track
from common.support.errors import UsageError


@dataclass(frozen=True)
class Augment:
    """What `Excerpts` changes at random to make new music out of old.

    remix: chance that an excerpt takes every stem from another song and offset;
    gain: lowest and highest gain per stem in dB; swap_channels: exchange left and right;
    flip_polarity: turn the waveform upside down. Uhlich et al. 2017.
    speed, width, saturation, equaliser, room: the chance of each effect in `common.data.effects`
    for a stem; stems of one song change their speed together.
    """

    remix: float = 0.5
    gain: tuple[float, float] = (-6.0, 3.0)
    swap_channels: bool = True
    flip_polarity: bool = True
    speed: float = 0.0
    width: float = 0.0
    saturation: float = 0.0
    equaliser: float = 0.0
    room: float = 0.0

    def facts(self) -> dict[str, object]:
        """What a model card says; an effect only where it is on."""
        effects = ("speed", "width", "saturation", "equaliser", "room")
        return {k: v for k, v in asdict(self).items() if k not in effects or v}


NO_AUGMENT = Augment(remix=0.0, gain=(0.0, 0.0), swap_channels=False, flip_polarity=False)
"""Excerpts as they were recorded."""


@dataclass(frozen=True, eq=False)
class Excerpts(Dataset):
    """Random excerpts of tracks, in memory (fast) or on disk.

    Item i is `(mixture (c, t), sources (s, c, t))`. It depends on `(seed, i)` alone, so training
    that stops and resumes at item i sees what it would have seen. Any i ≥ 0 is legal. With
    `n_channels` 1 an item keeps one channel: half the work for nets that separate each by itself.
    """

    tracks: Sequence[Track | DecodedTrack | TrackOnDisk]
    seconds: float
    seed: int = 0
    augment: Augment = field(default_factory=Augment)
    n_channels: int = 2

    def __post_init__(self):
        if not self.tracks:
            raise UsageError("there are no tracks to draw excerpts from")

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, index))
        effects = np.random.default_rng((self.seed, index, 1))  # on or off, they move no other draw
        n_sources = len(self.tracks[0].source_names)
        remix = rng.random() < self.augment.remix
        shared = self._draw_offset(rng)
        speeds = random_speeds(n_sources, not remix, self.augment.speed, effects)
        sources = torch.stack(
            [
                self._stem(s, *(self._draw_offset(rng) if remix else shared), speed, rng, effects)
                for s, speed in enumerate(speeds)
            ]
        )
        return sources.sum(dim=0), sources

    def _draw_offset(self, rng: np.random.Generator) -> tuple[int, float]:
        """A track, and where in it the excerpt begins (0 its start, 1 the last possible offset)."""
        return int(rng.integers(len(self.tracks))), float(rng.random())

    def _stem(
        self,
        source: int,
        track: int,
        where: float,
        speed: float,
        rng: np.random.Generator,
        effects: np.random.Generator,
    ) -> Tensor:
        """One stem of one excerpt, `(c, t)`, padded with silence where the track is shorter."""
        n_samples = round(self.seconds * self.tracks[track].sample_rate)
        n_read = samples_needed(speed, n_samples)
        first = round(where * max(self.tracks[track].n_samples - n_read, 0))
        audio = self.tracks[track].read(source, first, n_read)
        audio = torch.nn.functional.pad(audio, (0, n_read - audio.shape[-1]))
        gain = 10 ** (rng.uniform(*self.augment.gain) / 20)
        if self.augment.flip_polarity and rng.random() < 0.5:
            gain = -gain
        if self.augment.swap_channels and rng.random() < 0.5:
            audio = audio.flip(0)
        if effects.random() < self.augment.width:
            audio = random_width(audio, effects)
        audio = audio[: self.n_channels]
        if speed != 1.0:
            audio = change_speed(audio, speed, n_samples)
        return self._coloured(audio, self.tracks[track].sample_rate, effects) * gain

    def _coloured(self, audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
        """The stem after those effects that do not look at the other channel, by their chances."""
        if rng.random() < self.augment.saturation:
            audio = random_saturation(audio, rng)
        if rng.random() < self.augment.equaliser:
            audio = random_equaliser(audio, sample_rate, rng)
        if rng.random() < self.augment.room:
            audio = random_room(audio, sample_rate, rng)
        return audio
