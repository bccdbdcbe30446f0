"""Folders in MUSDB18 layout: MUSDB18 (STEMS), MUSDB18-HQ (wav), the 7-second previews.

The embedded songs have the layout of MUSDB18-HQ. Validation tracks are those in a folder valid/
beside train/ and test/ if there is one, else those that `musdb` names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
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
    import stempeg

VALID_EVERY = 6
"""Without valid/ and tracks that musdb names, every sixth training track is for validation."""

STEMS = ".stem.mp4"

FOREIGN = {"@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini"}
"""Files of operating systems and network storage, besides names with a leading dot."""


def is_foreign(path: Path) -> bool:
    """Whether a file or folder belongs to the system and not to a data set."""
    return path.name.startswith(".") or path.name in FOREIGN


@dataclass(frozen=True)
class Entry:
    """A track of a folder in MUSDB18 layout that has not been read yet.

    path: its mixture.wav, or its .stem.mp4 file. Length and rate are looked up on first use.
    """

    name: str
    path: Path

    @property
    def is_wav(self) -> bool:
        """Whether each stem is a wav file of its own."""
        return not self.path.name.endswith(STEMS)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Length in samples, and sample rate in Hz."""
        if self.is_wav:
            frames, rate, _ = wav_shape(self.path)
            return frames, rate
        info = stem_info(self.path)
        return info.samples(0), info.sample_rate(0)

    @property
    def samples(self) -> int:
        """Length in samples."""
        return self.shape[0]

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return self.shape[1]

    def stem(self, index: int, start: int = 0, length: int | None = None) -> np.ndarray:
        """Samples (t, c) of stem `index`: 0 is the mixture, then the sources in order.

        Raises UsageError for a file that cannot be read.
        """
        if self.is_wav:
            # The files themselves, not ffmpeg's 16-bit pipe: several times faster, any bit depth.
            path = self.path.with_name(f"{('mixture', *SOURCES)[index]}.wav")
            return read_wav(path, start, -1 if length is None else length)
        return read_stems(self.path, index, start, length)


def wav_shape(path: Path) -> tuple[int, int, int]:
    """Samples, rate and channels of a wav file. Raises UsageError for any other file."""
    import soundfile

    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise UsageError(f"{path} cannot be read as audio ({error.error_string})") from error
    return info.frames, info.samplerate, info.channels


def read_wav(path: Path, start: int, length: int) -> np.ndarray:
    """Samples (t, c) of a wav file. Raises UsageError where it is damaged."""
    import soundfile

    try:
        return soundfile.read(path, length, start, dtype="float32", always_2d=True)[0]
    except soundfile.LibsndfileError as error:
        raise UsageError(f"{path} cannot be read as audio ({error.error_string})") from error


def stem_info(path: Path) -> stempeg.Info:
    """What ffprobe reports about a .stem.mp4 file; cached unless the file changes.

    Raises UsageError where it cannot be read, or does not hold five streams.
    """
    about = path.stat()
    return _probe(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1024)
def _probe(path: Path, size: int, changed: int) -> stempeg.Info:
    import ffmpeg
    import stempeg

    try:
        info = stempeg.Info(str(path))
    except ffmpeg.Error as error:
        raise UsageError(f"{path} cannot be read as audio (ffprobe refuses it)") from error
    if info.nb_audio_streams != 1 + len(SOURCES):
        raise UsageError(f"{path} holds {info.nb_audio_streams} audio streams instead of five")
    return info


def read_stems(
    path: Path, index: int | None, start: int = 0, length: int | None = None
) -> np.ndarray:
    """Samples (t, c) of one stream of a .stem.mp4 file, or of all of them, (s, t, c).

    Raises UsageError where it is damaged.
    """
    import ffmpeg
    import stempeg

    info = stem_info(path)
    rate = info.sample_rate(0)
    try:
        audio, _ = stempeg.read_stems(
            str(path),
            start=start / rate,
            duration=None if length is None else length / rate,
            stem_id=index,
            info=info,
            ffmpeg_format="s16le",
        )
    except (ffmpeg.Error, Warning, RuntimeError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as audio ({error})") from error
    return audio.astype(np.float32)


def open_database(root: str | Path, split: str) -> list[Entry]:
    """List the tracks of a folder in MUSDB18 layout without reading their audio.

    split: "train", "valid" or "test". Without a folder valid/, some training tracks are held out.
    Raises UsageError where the folder is missing, empty, incomplete or mixes both kinds of tracks.
    """
    import musdb

    root = Path(root)
    has_valid = (root / "valid").is_dir()
    subset = root / ("train" if split == "valid" and not has_valid else split)
    if split not in ("train", "valid", "test"):
        raise UsageError(f"no split {split!r}: choose train, valid or test")
    if not subset.is_dir():
        raise UsageError(f"{root} is not in MUSDB18 layout: it has no folder {subset.name}/")
    tracks = sorted(_entries(subset), key=_order)
    if not tracks:
        raise UsageError(f"{subset} holds no tracks: neither *.stem.mp4 nor folders with wav files")
    if split == "test" or has_valid:
        return tracks
    named = musdb.DB(root=str(root), subsets=[]).setup["validation_tracks"]
    valid = [track for track in tracks if track.name in named]
    valid = valid or tracks[VALID_EVERY - 1 :: VALID_EVERY]
    return valid if split == "valid" else [track for track in tracks if track not in valid]


def _entries(subset: Path) -> list[Entry]:
    """The tracks of one subset; wav folders are checked."""
    ours = [path for path in subset.iterdir() if not is_foreign(path)]
    files = [path for path in ours if path.name.endswith(STEMS)]
    folders = sorted(path for path in ours if path.is_dir())
    if not files:
        for folder in folders:
            _check_wav_folder(folder)
        return [Entry(folder.name, folder / "mixture.wav") for folder in folders]
    if folders := [folder for folder in folders if any(folder.glob("*.wav"))]:
        raise UsageError(
            f"{subset} mixes two kinds, {len(files)} *.stem.mp4 file(s) and {len(folders)} "
            "folder(s) with wav files; keep one kind"
        )
    return [Entry(path.name.removesuffix(STEMS), path) for path in files]


def _order(track: Entry) -> tuple[int, str]:
    """Embedded songs in the order they are made, so that a set's beginning is always the same."""
    card = track.path.parent / "song.json"
    seed = json.loads(card.read_text(encoding="utf-8"))["seed"] if card.exists() else 0
    return seed, track.name


def _check_wav_folder(folder: Path) -> None:
    """Raise UsageError for a track that lacks a file, or whose files differ in length or rate."""
    shapes = {}
    for name in ("mixture", *SOURCES):
        path = folder / f"{name}.wav"
        if not path.is_file():
            raise UsageError(f"{folder} is incomplete: {path.name} is missing")
        shapes[path.name] = wav_shape(path)
    for name, shape in shapes.items():
        if shape != shapes["mixture.wav"]:
            frames, rate, channels = shape
            raise UsageError(
                f"{folder / name} does not match its mixture: {frames} samples at {rate} Hz in "
                f"{channels} channel(s) instead of {shapes['mixture.wav'][0]} samples at "
                f"{shapes['mixture.wav'][1]} Hz in {shapes['mixture.wav'][2]}"
            )


def read_track(entry: Entry, sample_rate: int = SAMPLE_RATE, n_channels: int = 2) -> Track:
    """Read one track of `open_database` into memory, resampled and with `n_channels` channels.

    Raises UsageError for a file that cannot be read or holds NaN or infinite samples.
    """
    if entry.is_wav:
        stems = np.stack([entry.stem(index) for index in range(1 + len(SOURCES))])
    else:
        stems = read_stems(entry.path, None)
    if not np.isfinite(stems).all():
        raise UsageError(f"{entry.name} holds NaN or infinite samples")
    stems = np.moveaxis(stems, -1, 1)
    audio = match_channels(resample(torch.from_numpy(stems), entry.rate, sample_rate), n_channels)
    folder = entry.path.parent if entry.is_wav else None
    return Track(entry.name, audio[1:], sample_rate, SOURCES, audio[0], folder)


def load_tracks(
    root: str | Path,
    split: str,
    sample_rate: int = SAMPLE_RATE,
    n_channels: int = 2,
    limit: int | None = None,
) -> list[Track]:
    """Read the tracks of one split of a folder in MUSDB18 layout into memory.

    In the order of their names; embedded songs in the order in which they were made.
    """
    return list(iterate_tracks(root, split, sample_rate, n_channels, limit))


def iterate_tracks(
    root: str | Path,
    split: str,
    sample_rate: int = SAMPLE_RATE,
    n_channels: int = 2,
    limit: int | None = None,
) -> Iterator[Track]:
    """Like `load_tracks`, but reads one track at a time and keeps none."""
    entries = open_database(root, split)[:limit]
    return (read_track(entry, sample_rate, n_channels) for entry in entries)


@dataclass(frozen=True, eq=False)
class TrackOnDisk:
    """A track on disk that reads only the requested samples: slower than `Track`, but any size."""

    entry: Entry
    sample_rate: int = SAMPLE_RATE
    n_channels: int = 2
    source_names: tuple[str, ...] = SOURCES

    @property
    def n_samples(self) -> int:
        """Length in samples at `sample_rate`."""
        return -(-self.entry.samples * self.sample_rate // self.entry.rate)

    def read(self, source: int, first: int, n_samples: int) -> Tensor:
        """Samples `first` to `first + n_samples` of one source by index, `(c, t)`.

        Raises UsageError for a file that cannot be read or holds NaN or infinite samples.
        """
        rate = self.entry.rate
        start, length = first * rate // self.sample_rate, -(-n_samples * rate // self.sample_rate)
        audio = self.entry.stem(1 + SOURCES.index(self.source_names[source]), start, length)
        if not np.isfinite(audio).all():
            raise UsageError(f"{self.entry.name} holds NaN or infinite samples")
        audio = resample(torch.from_numpy(audio.T.copy()), rate, self.sample_rate)
        return match_channels(audio, self.n_channels)[:, :n_samples]
