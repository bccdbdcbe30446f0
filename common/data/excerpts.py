"""Random excerpts of tracks for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.data.decoded import DecodedTrack
from common.data.effects import (
    period,
    play,
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
    """Random changes that `Excerpts` makes as data augmentation.

    remix: probability that an excerpt takes every stem from another song and offset;
    gain: lowest and highest gain per stem in dB; swap_channels: exchange left and right;
    flip_polarity: invert the sign of the waveform. Uhlich et al. 2017.
    speed, width, saturation, equaliser, room: probability of each effect in `common.data.effects`
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

    @property
    def effects(self) -> dict[str, float]:
        """The effects with a probability above 0."""
        names = ("speed", "width", "saturation", "equaliser", "room")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def facts(self) -> dict[str, object]:
        """The settings for a model card; effects only if they are on."""
        always = ("remix", "gain", "swap_channels", "flip_polarity")
        return {name: getattr(self, name) for name in always} | self.effects


NO_AUGMENT = Augment(remix=0.0, gain=(0.0, 0.0), swap_channels=False, flip_polarity=False)
"""Excerpts without augmentation."""


@dataclass(frozen=True, eq=False)
class Excerpts(Dataset):
    """Random excerpts of tracks, in memory (fast) or on disk.

    Item i is `(mixture (c, t), sources (s, c, t))`. It depends on `(seed, i)` alone, so training
    that stops and resumes at item i gets the same excerpts. Any i ≥ 0 is valid. With `n_channels` 1
    an item keeps one channel: half the work for nets that separate each channel independently.
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
        effects = np.random.default_rng((self.seed, index, 1))  # leave all other draws unchanged
        n_sources = len(self.tracks[0].source_names)
        remix = rng.random() < self.augment.remix
        shared = self._draw_offset(rng)
        speeds = random_speeds(n_sources, not remix, self.augment.speed, effects)
        stems = [
            self._stem(s, *(self._draw_offset(rng) if remix else shared), speed, rng, effects)
            for s, speed in enumerate(speeds)
        ]
        sources = self._played(stems, speeds, effects)
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
        """The excerpt of one stem, `(c, t)`, padded with silence where the track is shorter."""
        rate = self.tracks[track].sample_rate
        n_samples = samples_needed(speed, round(self.seconds * rate), rate)
        first = round(where * max(self.tracks[track].n_samples - n_samples, 0))
        audio = self.tracks[track].read(source, first, n_samples)
        audio = torch.nn.functional.pad(audio, (0, n_samples - audio.shape[-1]))
        gain = 10 ** (rng.uniform(*self.augment.gain) / 20)
        if self.augment.flip_polarity and rng.random() < 0.5:
            gain = -gain
        if self.augment.swap_channels and rng.random() < 0.5:
            audio = audio.flip(0)
        if effects.random() < self.augment.width:
            audio = random_width(audio, effects)
        audio = audio[: self.n_channels]
        if effects.random() < self.augment.saturation:
            audio = random_saturation(audio, effects)
        return audio * gain

    def _played(self, stems: list[Tensor], speeds: list[float], rng: np.random.Generator) -> Tensor:
        """The stems `(s, c, t)` at their speeds, some through an equaliser, some in a room."""
        rate, n_channels = self.tracks[0].sample_rate, len(stems[0])
        n_samples = round(self.seconds * rate)
        n_bins = period(n_samples, rate) // 2 + 1
        filters = []
        for _ in stems:
            filters.append(responses := [])
            if rng.random() < self.augment.equaliser:
                responses.append(random_equaliser(n_bins, rate, rng))
            if rng.random() < self.augment.room:
                responses.append(random_room(n_bins, rate, rng)[:n_channels])
        if changed := [s for s in range(len(stems)) if filters[s] or speeds[s] != 1.0]:
            settings = [[x[s] for s in changed] for x in (stems, speeds, filters)]
            for s, audio in zip(changed, play(*settings, n_samples, rate), strict=True):
                stems[s] = audio
        return torch.stack(stems)
