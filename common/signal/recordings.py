"""Audio files: checked and read in blocks, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import soundfile
import torch
from torch import Tensor

from common.support.errors import UsageError

BLOCK = 2**18
"""Samples read at a time: 6 s at 44.1 kHz."""


@dataclass(frozen=True)
class Recording:
    """An open audio file: `path` is what the person named, `file` what is read."""

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
        """All samples in blocks `(c, t)`. Raises UsageError where they end too early."""
        self.file.seek(0)
        n_read = 0
        try:
            for block in self.file.blocks(BLOCK, dtype="float32", always_2d=True):
                n_read += len(block)
                yield torch.from_numpy(block.T.copy())
        except soundfile.LibsndfileError as error:
            raise UsageError(f"{self.path} is damaged ({error.error_string})") from error
        if n_read < self.n_samples:
            raise truncated(self.path)


def truncated(path: Path) -> UsageError:
    return UsageError(f"{path} is truncated: it ends before its header says; copy it again")


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open an audio file of any kind that libsndfile or ffmpeg can read.

    Raises UsageError, in one line, for a file that is missing, a folder, empty, cut short or
    not audio.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name the audio files in it")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            file = soundfile.SoundFile(path)
        except soundfile.LibsndfileError:
            file = soundfile.SoundFile(decode(path, Path(scratch)))
        with file:
            if file.frames == 0:
                raise UsageError(f"{path} holds no samples")
            if file.format == "WAV" and wav_is_cut_short(path):
                raise truncated(path)
            yield Recording(path, file)


def wav_is_cut_short(path: Path) -> bool:
    """Whether a RIFF header promises more bytes than the file has.

    libsndfile reads such a file without a word. Programs that write to a pipe cannot know the
    size and put 0 or 0xFFFFFFFF there, which promises nothing.
    """
    with open(path, "rb") as file:
        header = file.read(8)
    promised = int.from_bytes(header[4:8], "little")
    return header[:4] == b"RIFF" and promised < 0xFFFFFF00 and promised + 8 > path.stat().st_size


def decode(path: Path, scratch: Path) -> Path:
    """Decode the first audio stream of any file to a wav file in `scratch`, with ffmpeg."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise UsageError(f"{path} is no wav, flac, ogg or mp3 file; install ffmpeg to read others")
    wav = scratch / "decoded.wav"
    command = [
        ffmpeg,
        "-v",
        "error",
        "-nostdin",
        "-xerror",
        "-i",
        str(path.absolute()),
        "-map",
        "0:a:0",
    ]
    command += ["-c:a", "pcm_f32le", "-rf64", "auto", str(wav)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        raise UsageError(f"{path} is not audio, or damaged: neither libsndfile nor ffmpeg reads it")
    return wav


class StemWriter:
    """Writes `folder/<source>.wav` for every source; as a context, all of them or none.

    The files grow under temporary names and are renamed when the block ends well; otherwise
    they are removed, and so is the folder if it was made for them.
    """

    def __init__(self, folder: Path, sources: Sequence[str], like: Recording):
        self.paths = {source: folder / f"{source}.wav" for source in sources}
        self.partial = {
            p: p.with_name(f".{p.name}.{os.getpid()}.part") for p in self.paths.values()
        }
        self.folder, self.like = folder, like
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
                file = soundfile.SoundFile(
                    path,
                    "w",
                    self.like.sample_rate,
                    self.like.n_channels,
                    "FLOAT",
                    format=container,
                )
                self.files.append(file)
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
        for file in self.files:
            file.close()
        if kind is None:
            for path, partial in self.partial.items():
                os.replace(partial, path)
        else:
            self._remove()

    def _remove(self) -> None:
        for file in self.files:
            file.close()
        for partial in self.partial.values():
            if self.folder.is_dir():
                partial.unlink(missing_ok=True)
        for folder in self.made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
