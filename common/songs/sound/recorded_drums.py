"""Recorded drums: play drum notes on a sampled kit, by velocity and with small variations."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from common.songs.sound import sampler
from common.songs.sound.drumkits import Sample, nearest, read_kit
from common.songs.sound.drumsynth import PANS, RATE, choke
from common.songs.writing.score import Note

LONGEST = 6.0
"""Maximum length of a sample in seconds; a large cymbal rings for twelve."""

ATTACK, QUIET = 0.02, 1e-3
"""Thresholds for the beginning and the end of a sample, relative to its peak."""

LEAD, FADE, RINGING = 0.001, 0.01, 0.25
"""Fades in seconds before a sample's beginning and after its end.

A sample that is cut while it still rings fades out over a fraction RINGING of its length.
"""

TAKES = 3
"""Number of slightly differently tuned versions of a sample, used in turn."""

KIT_TUNE, DRUM_TUNE, TAKE_TUNE = 1.0, 0.3, 0.12
"""Maximum detuning, in semitones, of a song's kit, of each of its drums and of each take."""

LEVEL_CHANGE = 1.0
"""Maximum random change of a hit's level, in dB."""


def play(notes: tuple[Note, ...], kit: Path, n_samples: int, seed: int = 0) -> np.ndarray:
    """Play General MIDI drum notes on a recorded kit: a Hydrogen folder or an avldrums soundfont.

    → (2, t) float32 at 44.1 kHz. The most similar drum replaces one that the kit lacks.
    """
    rng = np.random.default_rng([seed, 1])
    audio = np.zeros((2, n_samples), np.float32)
    drums: dict[int, _Drum] = {}
    starts = sorted((note.start, round(note.pitch), note.velocity) for note in notes)
    for i, (start, pitch, velocity) in enumerate(starts):
        if pitch not in drums:
            drums[pitch] = _Drum(kit, pitch, seed)
        sound = drums[pitch].strike(velocity / 127, rng)
        if pitch == 46:
            sound = choke(sound, start, starts[i + 1 :])
        first = int(start * RATE)
        length = min(sound.shape[1], n_samples - first)
        if length > 0:
            audio[:, first : first + length] += sound[:, :length]
    return audio


class _Drum:
    """One drum of a song: its samples, tuning and panning, and the next take."""

    def __init__(self, kit: Path, pitch: int, seed: int) -> None:
        found, self.tune = nearest(read_kit(kit), pitch)
        # All notes that fall back on this one choose the same drum.
        rng = np.random.default_rng([seed, 2, found])
        drums = read_kit(kit)[found]
        self.samples = drums[int(rng.integers(len(drums)))]
        self.tune += rng.uniform(-DRUM_TUNE, DRUM_TUNE)
        self.tune += np.random.default_rng([seed, 3]).uniform(-KIT_TUNE, KIT_TUNE)
        self.pan = PANS.get(pitch, 0.0)
        self.turn = 0
        self.takes: dict[tuple[Sample, int], np.ndarray] = {}

    def strike(self, velocity: float, rng: np.random.Generator) -> np.ndarray:
        """One hit (2, t) at a velocity from 0 to 1."""
        fitting = [s for s in self.samples if s.low <= velocity <= s.high]
        if not fitting:
            fitting = [min(self.samples, key=lambda s: abs((s.low + s.high) / 2 - velocity))]
        sample = fitting[self.turn % len(fitting)]
        take = self.turn % TAKES
        self.turn += int(rng.integers(1, 3))
        if (sample, take) not in self.takes:
            tune = self.tune + sample.tune + TAKE_TUNE * (take - 1) * rng.uniform(0.5, 1)
            self.takes[sample, take] = self._take(sample, tune)
        gain = velocity * 10 ** (rng.uniform(-LEVEL_CHANGE, LEVEL_CHANGE) / 20)
        return self.takes[sample, take] * np.float32(gain)

    def _take(self, sample: Sample, tune: float) -> np.ndarray:
        """Tune and pan a sample; stereo recordings and panned drums keep their panning."""
        audio = recording(sample)
        left, right = sample.pan
        if len(audio) == 1 and left == right:
            angle = (self.pan + 1) * np.pi / 4
            left, right = np.sqrt(2) * left * np.cos(angle), np.sqrt(2) * right * np.sin(angle)
        tuned = soxr.resample(audio.T, 2 ** (tune / 12), 1.0).T
        return tuned * (sample.gain * np.array([[left], [right]], np.float32))


@lru_cache(maxsize=160)
def recording(sample: Sample) -> np.ndarray:
    """Read a sample from its attack to its end: (1 or 2, t) float32 at 44.1 kHz."""
    if sample.key is not None:
        velocity = round(127 * (sample.low + sample.high) / 2)
        note = Note(0.0, LONGEST, float(sample.key), velocity)
        audio = sampler.play((note,), 0, int(LONGEST * RATE), str(sample.path))
    else:
        audio, rate = soundfile.read(sample.path, dtype="float32", always_2d=True)
        audio = soxr.resample(audio[: int(LONGEST * rate)], rate, RATE).T
    if len(audio) == 2 and np.array_equal(audio[0], audio[1]):
        audio = audio[:1]
    peaks = np.abs(audio).max(axis=0)
    if not peaks.any():
        return np.zeros((1, 1), np.float32)
    lead, fade = int(LEAD * RATE), int(FADE * RATE)
    if peaks[-fade:].max() > QUIET * peaks.max():
        fade = max(fade, int(RINGING * len(peaks)))
    first = max(int(np.argmax(peaks > ATTACK * peaks.max())) - lead, 0)
    last = int(np.flatnonzero(peaks > QUIET * peaks.max())[-1]) + fade
    audio = np.ascontiguousarray(audio[:, first:last], np.float32)
    ramp = np.arange(audio.shape[1], dtype=np.float32)
    return audio * np.minimum(1, ramp / lead) * np.minimum(1, ramp[::-1] / fade)
