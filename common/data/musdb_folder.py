"""Folders in MUSDB18 layout, read through `musdb`.

MUSDB18 (STEMS), MUSDB18-HQ (wav), the 7-second previews and the embedded songs all look alike
from here on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from common import SAMPLE_RATE, SOURCES
from common.data.tracks import Track
from common.signal.resampling import match_channels, resample
from common.support.errors import UsageError

if TYPE_CHECKING:
    import musdb

VALID_EVERY = 6
"""Where musdb names no validation tracks, every sixth training track serves as one."""

IN_MEMORY = 8e9
"""Bytes of float32 audio up to which training reads a whole folder into memory."""


def open_database(root: str | Path, split: str) -> list[musdb.audio_classes.MultiTrack]:
    """List the tracks of a folder in MUSDB18 layout without reading their audio.

    split: "train", "valid" (a held-out part of the training tracks) or "test".
    Raises UsageError where the folder is missing, empty or incomplete.
    """
    import musdb

    root = Path(root)
    subset = root / ("test" if split == "test" else "train")
    if split not in ("train", "valid", "test"):
        raise UsageError(f"no split {split!r}: there are train, valid and test")
    if not subset.is_dir():
        raise UsageError(f"{root} is not in MUSDB18 layout: it has no folder {subset.name}/")
    is_wav = not any(subset.glob("*.stem.mp4"))
    if is_wav:
        _check_wav_folders(subset)
    database = musdb.DB(root=str(root), is_wav=is_wav, subsets=subset.name)
    if not database.tracks:
        raise UsageError(f"{subset} holds no tracks: neither *.stem.mp4 nor folders with wav files")
    tracks = sorted(database.tracks, key=_order)
    if split == "test":
        return tracks
    named = database.setup["validation_tracks"]
    valid = [track for track in tracks if track.name in named]
    valid = valid or tracks[VALID_EVERY - 1 :: VALID_EVERY]
    return valid if split == "valid" else [track for track in tracks if track not in valid]


def _order(track: musdb.audio_classes.MultiTrack) -> tuple[int, str]:
    """Embedded songs in the order they are made, so that a set's beginning is always the same."""
    card = Path(track.path).parent / "song.json"
    seed = json.loads(card.read_text(encoding="utf-8"))["seed"] if card.exists() else 0
    return seed, track.name


def _check_wav_folders(subset: Path) -> None:
    """Raise UsageError for a track that lacks a file, or whose files differ in length or rate."""
    import soundfile

    for folder in sorted(path for path in subset.iterdir() if path.is_dir()):
        shapes = {}
        for name in ("mixture", *SOURCES):
            path = folder / f"{name}.wav"
            if not path.is_file():
                raise UsageError(f"{folder} is incomplete: {path.name} is missing")
            try:
                info = soundfile.info(path)
            except soundfile.LibsndfileError as error:
                raise UsageError(
                    f"{path} cannot be read as audio ({error.error_string})"
                ) from error
            shapes[path.name] = (info.frames, info.samplerate, info.channels)
        for name, shape in shapes.items():
            if shape != shapes["mixture.wav"]:
                frames, rate, channels = shape
                raise UsageError(
                    f"{folder / name} does not match its mixture: {frames} samples at {rate} Hz in "
                    f"{channels} channel(s) instead of {shapes['mixture.wav'][0]} samples at "
                    f"{shapes['mixture.wav'][1]} Hz in {shapes['mixture.wav'][2]}"
                )


def read_track(
    entry: musdb.audio_classes.MultiTrack, sample_rate: int = SAMPLE_RATE, n_channels: int = 2
) -> Track:
    """Read one track of `open_database` into memory, resampled and with `n_channels` channels."""
    import soundfile

    if entry.is_wav:
        # The files themselves, not ffmpeg's 16-bit pipe: several times faster, any bit depth.
        paths = [entry.path, *(entry.sources[name].path for name in SOURCES)]
        stems = np.stack(
            [soundfile.read(path, dtype="float32", always_2d=True)[0] for path in paths]
        )
    else:
        stems = entry.stems.astype(np.float32)
    stems = np.moveaxis(stems, -1, 1)
    audio = match_channels(
        resample(torch.from_numpy(stems), round(entry.rate), sample_rate), n_channels
    )
    folder = Path(entry.path).parent if entry.is_wav else None
    return Track(entry.name, audio[1:], sample_rate, SOURCES, audio[0], folder)


def load_tracks(
    root: str | Path,
    split: str,
    sample_rate: int = SAMPLE_RATE,
    n_channels: int = 2,
    limit: int | None = None,
) -> list[Track]:
    """Read the tracks of one split of a folder in MUSDB18 layout into memory, in name order."""
    entries = open_database(root, split)[:limit]
    return [read_track(entry, sample_rate, n_channels) for entry in entries]


@dataclass(frozen=True, eq=False)
class TrackOnDisk:
    """A track that reads only what is asked for: slower than `Track`, but any size fits."""

    entry: musdb.audio_classes.MultiTrack
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    source_names: tuple[str, ...] = SOURCES

    @property
    def n_samples(self) -> int:
        """Length in samples at `sample_rate`."""
        return -(-self.entry.samples * self.sample_rate // round(self.entry.rate))

    def read(self, source: int, first: int, n_samples: int) -> Tensor:
        """Samples `first` to `first + n_samples` of one source by index, `(c, t)`."""
        import soundfile

        rate = round(self.entry.rate)
        stem = self.entry.sources[self.source_names[source]]
        start, length = first * rate // self.sample_rate, -(-n_samples * rate // self.sample_rate)
        if self.entry.is_wav:
            audio, _ = soundfile.read(stem.path, length, start, dtype="float32", always_2d=True)
        else:
            self.entry.chunk_start, self.entry.chunk_duration = start / rate, length / rate
            audio = stem.audio.astype(np.float32)
        audio = resample(torch.from_numpy(audio.T.copy()), rate, self.sample_rate)
        return match_channels(audio, self.n_channels)[:, :n_samples]


def training_tracks(
    root: str | Path, split: str, sample_rate: int = SAMPLE_RATE, n_channels: int = 2
) -> list[Track] | list[TrackOnDisk]:
    """Tracks to draw excerpts from: in memory if they take less than `IN_MEMORY` bytes there."""
    tracks = [TrackOnDisk(entry, sample_rate, n_channels) for entry in open_database(root, split)]
    n_bytes = 4 * n_channels * (1 + len(SOURCES)) * sum(track.n_samples for track in tracks)
    if n_bytes > IN_MEMORY:
        return tracks
    return [read_track(track.entry, sample_rate, n_channels) for track in tracks]
