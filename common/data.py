"""What nets learn from: the embedded songs, the real excerpt, and random excerpts of tracks.

`load_tracks` reads any folder in MUSDB18 layout; `embedded_tracks` reads the songs of this book,
which are rendered on first use; `Excerpts` draws training examples from either.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common import SAMPLE_RATE
from common.audio import resample
from common.errors import UsageError
from common.musdb_folder import VALID_EVERY, TrackOnDisk, load_tracks
from common.scale import scale
from common.tracks import Track


@dataclass(frozen=True)
class Augment:
    """What `Excerpts` changes at random to make new music out of old.

    remix: chance that an excerpt takes every stem from another song and place;
    gain: lowest and highest gain per stem in dB; swap_channels: exchange left and right;
    flip_polarity: turn the waveform upside down. Uhlich et al. 2017.
    """

    remix: float = 0.5
    gain: tuple[float, float] = (-6.0, 3.0)
    swap_channels: bool = True
    flip_polarity: bool = True


NO_AUGMENT = Augment(remix=0.0, gain=(0.0, 0.0), swap_channels=False, flip_polarity=False)
"""Excerpts as they were recorded."""


@dataclass(frozen=True, eq=False)
class Excerpts(Dataset):
    """Random excerpts of tracks, in memory (fast) or on disk.

    Item i is `(mixture (c, t), sources (s, c, t))`. It depends on `(seed, i)` alone, so training
    that stops and resumes at item i sees what it would have seen. Any i ≥ 0 is legal. With
    `n_channels` 1 an item keeps one channel: half the work for nets that separate each by itself.
    """

    tracks: Sequence[Track | TrackOnDisk]
    seconds: float
    seed: int = 0
    augment: Augment = field(default_factory=Augment)
    n_channels: int = 2

    def __post_init__(self):
        if not self.tracks:
            raise UsageError("there are no tracks to draw excerpts from")

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, index))
        n_sources = len(self.tracks[0].source_names)
        remix = rng.random() < self.augment.remix
        shared = self._place(rng)
        sources = torch.stack(
            [self._stem(s, *(self._place(rng) if remix else shared), rng) for s in range(n_sources)]
        )
        return sources.sum(dim=0), sources

    def _place(self, rng: np.random.Generator) -> tuple[int, float]:
        """A track, and where in it the excerpt begins (0 its start, 1 the last possible place)."""
        return int(rng.integers(len(self.tracks))), float(rng.random())

    def _stem(self, source: int, track: int, where: float, rng: np.random.Generator) -> Tensor:
        """One stem of one excerpt, `(c, t)`, padded with silence where the track is shorter."""
        n_samples = round(self.seconds * self.tracks[track].sample_rate)
        first = round(where * max(self.tracks[track].n_samples - n_samples, 0))
        audio = self.tracks[track].read(source, first, n_samples)
        audio = torch.nn.functional.pad(audio, (0, n_samples - audio.shape[-1]))
        gain = 10 ** (rng.uniform(*self.augment.gain) / 20)
        if self.augment.flip_polarity and rng.random() < 0.5:
            gain = -gain
        if self.augment.swap_channels and rng.random() < 0.5:
            audio = audio.flip(0)
        return audio[: self.n_channels] * gain


def data_home() -> Path:
    """Where rendered songs are kept: `COMMON_DATA`, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "take-music-apart"
    return Path(os.environ.get("COMMON_DATA", default))


@dataclass(frozen=True)
class SongSet:
    """A set of embedded songs: how many, how long, from which seed, at which rate."""

    n_train: int
    n_test: int
    seconds: float
    seed: int = 0
    sample_rate: int = SAMPLE_RATE


SONG_SETS = {
    "smoke": SongSet(n_train=6, n_test=2, seconds=8.0),
    "live": SongSet(n_train=24, n_test=8, seconds=24.0),
    "zoo": SongSet(n_train=360, n_test=0, seconds=24.0, seed=1),
}
"""The sets by scale. Only "live" has a test split that counts; "zoo" learns from other songs."""


def songs_folder(songs: SongSet) -> Path:
    """Where a set of embedded songs lies, whether or not it has been rendered."""
    from common.songs.dataset import generator_hash

    name = f"songs-{generator_hash()}-{songs.seconds:g}s-seed{songs.seed}-{songs.sample_rate}hz"
    return data_home() / name


def embedded_songs(
    songs: SongSet | None = None, n_train: int | None = None, n_test: int | None = None
) -> Path:
    """Folder of the embedded songs, rendered on first use; by default the set of this scale.

    `n_train` and `n_test` ask for the first so many songs only, for those who cannot wait. The
    folder's name holds a hash of the generator: another generator, another folder.
    """
    from common.songs.dataset import write_set

    songs = songs or SONG_SETS[scale()]
    counts = {
        "n_train": songs.n_train if n_train is None else n_train,
        "n_test": songs.n_test if n_test is None else n_test,
    }
    return write_set(
        songs_folder(songs),
        **counts,
        seconds=songs.seconds,
        seed=songs.seed,
        sample_rate=songs.sample_rate,
    )


def render_rest() -> subprocess.Popen | None:
    """Render this scale's songs in a process of its own, so that a reader can read on meanwhile.

    Songs that are there can be read at once; whoever asks for others waits for them. Returns the
    process, or None where nothing is missing.
    """
    from common.songs.dataset import missing_tracks

    songs = SONG_SETS[scale()]
    counts = {"train": songs.n_train, "test": songs.n_test}
    if not missing_tracks(songs_folder(songs), counts, songs.seconds, songs.seed):
        return None
    code = "from common.data import embedded_songs; embedded_songs()"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code], **quiet)


def embedded_tracks(
    split: str, limit: int | None = None, songs: SongSet | None = None
) -> list[Track]:
    """Tracks of the embedded songs in memory: "train", "valid" or "test" of this scale's set.

    Asking for test tracks, or for the first few training tracks, renders no more than those.
    """
    songs = songs or SONG_SETS[scale()]
    if split == "test":
        root = embedded_songs(songs, n_train=0, n_test=limit)
    elif split == "train" and limit is not None:
        # Every sixth training track serves validation, so `limit` others lie in a few more.
        root = embedded_songs(
            songs, min(limit + (limit - 1) // (VALID_EVERY - 1), songs.n_train), 0
        )
    else:
        root = embedded_songs(songs, n_test=0)
    return load_tracks(root, split, songs.sample_rate, limit=limit)


def real_excerpt(sample_rate: int = 44100) -> Track:
    """Six seconds of real music with stems: The Easton Ellises, "Falcon 69" (CC BY-NC-SA 3.0).

    It comes with `stempeg`. Its own mixture is mastered and is not the sum of its stems, so the
    mixture of this track is the sum. For listening and measuring, never for training.
    """
    import stempeg

    stems, rate = stempeg.read_stems(stempeg.example_stem_path())
    audio = torch.from_numpy(np.moveaxis(stems, -1, 1).astype(np.float32))
    sources = resample(audio[1:], round(rate), sample_rate)
    return Track("The Easton Ellises - Falcon 69", sources, sample_rate)
