"""Music decoded once: a folder of plain arrays that epochs, processes and machines share.

    FOLDER/decoded.json     rate, and for every track its name, split, length and file
    FOLDER/<hash>.npy       its sources (s, c, t) at that rate, float16

A file's name is a hash of the name, size and date of the music: changed music is decoded again, and
an interrupted decoding continues where it stopped. A folder holds no absolute path, so it can be
copied to another machine and passed to `--data` there; reading it needs only NumPy.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from common import SOURCES
from common.data.musdb_folder import (
    Entry,
    TrackOnDisk,
    is_foreign,
    open_database,
    read_track,
)
from common.data.tracks import Track
from common.support.errors import UsageError
from common.support.files import check_place, data_home, locked, write_json, write_whole

INDEX = "decoded.json"

IN_MEMORY = 8e9
"""Bytes of float32 audio up to which training reads wav files into memory."""


@dataclass(frozen=True, eq=False)
class DecodedTrack:
    """A decoded track on disk, of which any excerpt can be read.

    Other processes receive the file's name, never the audio.
    """

    name: str
    path: Path
    n_samples: int
    sample_rate: int
    source_names: tuple[str, ...] = SOURCES

    @cached_property
    def _audio(self) -> np.ndarray:
        return np.load(self.path, mmap_mode="r")

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in vars(self).items() if key != "_audio"}

    def read(self, source: int, first: int, n_samples: int) -> Tensor:
        """Samples `first` to `first + n_samples` of one source by index, `(c, t)`."""
        audio = self._audio[source, :, first : first + n_samples]
        return torch.from_numpy(audio.astype(np.float32))


def training_tracks(
    root: str | Path, split: str, sample_rate: int
) -> list[Track] | list[TrackOnDisk] | list[DecodedTrack]:
    """Tracks to draw excerpts from: "train" or "valid" of a folder in MUSDB18 layout.

    Wav files that take less than `IN_MEMORY` bytes as stereo are read into memory, and larger ones
    excerpt by excerpt; what needs ffmpeg or another rate is decoded once, into `data_home()`.
    `root` may be such a decoded folder itself.
    """
    root = Path(root)
    if (root / INDEX).exists():
        return decoded_tracks(root, split, sample_rate)
    entries = open_database(root, split)
    seconds = sum(entry.samples / entry.rate for entry in entries if entry.is_wav)
    small = 4 * 2 * (1 + len(SOURCES)) * seconds * sample_rate <= IN_MEMORY
    if small and all(entry.is_wav for entry in entries):
        return [read_track(entry, sample_rate) for entry in entries]
    if all(entry.is_wav and entry.rate == sample_rate for entry in entries):
        return [TrackOnDisk(entry, sample_rate) for entry in entries]
    return decoded_tracks(decode(root, sample_rate), split, sample_rate)


def decoded_tracks(folder: Path, split: str, sample_rate: int) -> list[DecodedTrack]:
    """The tracks of a decoded folder. Raises UsageError where it has another sample rate."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    if index["sample_rate"] != sample_rate:
        rate = index["sample_rate"]
        raise UsageError(
            f"{folder} is decoded at {rate} Hz, not at {sample_rate}: pass the original music"
        )
    return [
        DecodedTrack(about["name"], folder / about["file"], about["n_samples"], sample_rate)
        for about in index["tracks"]
        if about["split"] == split
    ]


def decode(root: str | Path, sample_rate: int) -> Path:
    """Decode the training and validation tracks of a folder in MUSDB18 layout; returns the folder.

    Done once for all processes: the first one decodes, the others wait. Raises UsageError for a
    track that cannot be read, and where nothing can be written.
    """
    root = Path(root).resolve()
    place = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    folder = data_home() / "decoded" / f"{root.name}-{place}-{sample_rate}hz"
    check_place(folder / INDEX)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        folders = [root / "train", *filter(Path.is_dir, [root / "valid"])]
        made_from = "-".join(digest(folder, sample_rate) for folder in folders)
        if not (folder / INDEX).exists() or made_from != json.loads(
            (folder / INDEX).read_text(encoding="utf-8")
        ).get("made_from"):
            _decode(root, folder, sample_rate, made_from)
    return folder


def _decode(root: Path, folder: Path, sample_rate: int, made_from: str) -> None:
    jobs = [(split, entry) for split in ("train", "valid") for entry in open_database(root, split)]
    tracks = []
    for split, entry in tqdm(jobs, desc="decoding", unit="track", leave=False):
        path = folder / f"{digest(music_of(entry), sample_rate)}.npy"
        if not path.exists():
            _write_array(path, read_track(entry, sample_rate).sources.numpy().astype(np.float16))
        n_samples = np.load(path, mmap_mode="r").shape[-1]
        about = {"name": entry.name, "split": split, "file": path.name, "n_samples": n_samples}
        tracks.append(about)
    content = {"sample_rate": sample_rate, "made_from": made_from, "tracks": tracks}
    write_json(folder / INDEX, content)
    for stale in set(folder.glob("*.npy")) - {folder / about["file"] for about in tracks}:
        stale.unlink()


def _write_array(path: Path, array: np.ndarray) -> None:
    def write(partial: Path) -> None:
        with open(partial, "wb") as file:
            np.save(file, array)

    write_whole(path, write)


def music_of(entry: Entry) -> Path:
    """The file or folder that holds all of a track."""
    return entry.path.parent if entry.is_wav else entry.path


def digest(path: Path, sample_rate: int) -> str:
    """A hash over names, sizes and dates of a file, or of all files below a folder."""
    paths = [path] if path.is_file() else _files(path)
    found = [sample_rate, path.name]
    for file in paths:
        about = file.stat()
        found.append((str(file.relative_to(path)), about.st_size, about.st_mtime_ns))
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(
            f"{folder.parent} is not in MUSDB18 layout: it has no folder {folder.name}/"
        )
    found = []
    for above, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_foreign(Path(name))]
        found += [Path(above, name) for name in names if not is_foreign(Path(name))]
    return sorted(path for path in found if path.is_file())
