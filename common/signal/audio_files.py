"""Audio files: checked and read in blocks, written completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import soundfile
import torch
from torch import Tensor

from common.signal.containers import promised_bytes
from common.signal.decoding import Decoded, create_sound, decode, open_sound
from common.support.errors import UsageError
from common.support.files import check_place

BLOCK = 2**18
"""Samples read at a time: 6 s at 44.1 kHz."""


PLAIN = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
"""The formats that libsndfile reads directly; all others are decoded first."""
TOLERANCE = 0.2
"""Tolerance in seconds of the length that a compressed file states: encoder delay, rounding."""


@dataclass(frozen=True)
class Recording:
    """An open audio file: `path` is what the user named, `file` what is read.

    Channels come in the order of WAVEFORMATEXTENSIBLE, whatever the container's own: front left,
    front right, centre, low frequencies, back left, back right, side left, side right.
    """

    path: Path
    file: soundfile.SoundFile

    @property
    def sample_rate(self) -> int:
        return self.file.samplerate

    @property
    def n_channels(self) -> int:
        return self.file.channels

    @property
    def n_samples(self) -> int:
        return self.file.frames

    def blocks(self) -> Iterator[Tensor]:
        """All samples in blocks `(c, t)`. Raises UsageError if the file becomes shorter."""
        self.file.seek(0)
        left = self.n_samples
        while left:
            block = self.file.read(min(BLOCK, left), dtype="float32", always_2d=True)
            if len(block) == 0:
                raise UsageError(f"{self.path} has become shorter while it was read")
            left -= len(block)
            yield torch.from_numpy(block.T.copy())


@contextmanager
def open_recording(path: Path, say: Callable[[str], None] = print) -> Iterator[Recording]:
    """Open an audio file of any kind that libsndfile or ffmpeg can read.

    The recording has exactly the samples that can be read. `say` receives one line about a file
    that is truncated or damaged. Raises UsageError, in one line, for a file that is missing, a
    folder, empty, not audio or without samples.
    """
    path = Path(path)
    check_file(path)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        file = open_sound(path)
        if file:
            stack.enter_context(file)
        decoded = Decoded(path)
        if not (file and file.frames and file.format != "FLAC" and file.subtype in PLAIN):
            decoded = decode(path, Path(scratch), file)
            file = stack.enter_context(soundfile.SoundFile(decoded.file))
        if file.frames == 0:
            raise UsageError(f"{path} holds no samples")
        if fault := what_is_missing(path, decoded, file):
            say(fault)
        yield Recording(path, file)


def check_file(path: Path) -> None:
    """Raise UsageError, in one line, where there is no file to read."""
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name the audio files in it")
    if not path.is_file():
        raise UsageError(f"{path} is not a file on a disk")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty")


def what_is_missing(path: Path, decoded: Decoded, file: soundfile.SoundFile) -> str:
    """One line about a file that is truncated or damaged; empty for a complete file."""
    length, promised = file.frames / file.samplerate, decoded.promised
    breaks_off = decoded.breaks_off or promised > length + TOLERANCE
    n_promised, n_there = promised_bytes(path)
    if n_there and (n_promised - n_there) * file.frames >= n_there:
        breaks_off, promised = True, length * n_promised / n_there
    if breaks_off:
        of = f" of {promised:.2f} s" if promised > length else ""
        return f"{path} breaks off at {length:.2f} s{of}"
    if decoded.error:
        return f"{path} is damaged, {length:.2f} s of it can be read; {decoded.error}"
    return ""


def stem_paths(path: Path, sources: Sequence[str], out: Path) -> dict[str, Path]:
    """Where the stems of a file are written: `out/<file's name without suffix>/<source>.wav`."""
    # "...wav" without its suffix would be "..", the folder above.
    name = path.stem if path.stem.strip(".") else path.name
    return {source: out / name / f"{source}.wav" for source in sources}


def check_stems(files: Sequence[Path], sources: Sequence[str], out: Path) -> None:
    """Check every input and every path of a stem, before long work.

    Raises UsageError for a missing file, two files whose stems would go to one folder, a path that
    cannot be written to, and a stem that would overwrite one of the files.
    """
    folders = set()
    for path in files:
        check_file(path)
    for path in files:
        stems = stem_paths(path, sources, out)
        folder = stems[sources[0]].parent
        if folder.resolve() in folders:
            raise UsageError(f"two of the files would both be written to {folder}; rename one")
        folders.add(folder.resolve())
        for stem in stems.values():
            check_place(stem)
            if stem.is_dir():
                raise UsageError(f"cannot write a stem: {stem} is a folder")
            if stem.exists() and any(stem.samefile(file) for file in files):
                raise UsageError(f"{stem} would be overwritten by a stem; choose another --out")


class StemWriter:
    """Writes one file per source; as a context manager, it completes all before the first appears.

    `paths` are in the order of the stems and in one folder; `like` gives rate, channels and length.
    The files have temporary names and are renamed when the block ends without an error; otherwise
    they are removed, and so is the folder if it was made for them. Raises UsageError where nothing
    can be written or renamed; the message names the files that have been renamed.
    """

    def __init__(self, paths: Sequence[Path], like: Recording):
        self.partial = {p: p.with_name(f".{p.name}.{os.getpid()}.part") for p in paths}
        self.folder, self.like = paths[0].parent, like
        self.made: list[Path] = []
        self.files: list[soundfile.SoundFile] = []

    def __enter__(self) -> Self:
        missing = self.folder
        while not missing.exists() and not missing.is_symlink():
            self.made.append(missing)
            missing = missing.parent
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            n_bytes = self.like.n_samples * self.like.n_channels * 4
            container = "WAV" if n_bytes < 2**32 - 2**16 else "RF64"
            for path in self.partial.values():
                rate, n_channels = self.like.sample_rate, self.like.n_channels
                self.files.append(create_sound(path, rate, n_channels, container))
        except (OSError, soundfile.LibsndfileError) as error:
            self._remove()
            raise UsageError(f"cannot write to {self.folder}: {error}") from error
        return self

    def write(self, stems: Tensor) -> None:
        """Append stems `(s, c, t)`."""
        for file, stem in zip(self.files, stems, strict=True):
            try:
                file.write(stem.T.numpy())
            except soundfile.LibsndfileError as error:
                raise UsageError(f"cannot write to {self.folder}: {error}") from error

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            error = self._close()
            if kind is None and error:
                raise UsageError(f"cannot write to {self.folder}: {error}")
            if kind is None:
                self._rename()
        finally:
            self._remove()

    def _close(self) -> str:
        """Close all files; returns the error of the last write, empty if there is none."""
        said = ""
        for file in self.files:
            try:
                file.close()
            except soundfile.LibsndfileError as error:
                said = str(error)
        return said

    def _rename(self) -> None:
        done: list[str] = []
        for path, partial in self.partial.items():
            try:
                os.replace(partial, path)
            except OSError as error:
                written = f"; written before it: {', '.join(done)}" if done else ""
                raise UsageError(f"cannot write {path}: {error.strerror}{written}") from error
            done.append(path.name)

    def _remove(self) -> None:
        self._close()
        for partial in self.partial.values():
            if self.folder.is_dir():
                partial.unlink(missing_ok=True)
        for folder in self.made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
