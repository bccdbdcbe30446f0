"""Decode compressed audio to a file whose length is what was read, not what a header states."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from common.signal.containers import Mpeg, mpeg_frames, ogg_links
from common.support.errors import UsageError

STEP = 4096
"""Samples that libsndfile decodes at a time."""
BINARY = getattr(os, "O_BINARY", 0)  # Windows would change line ends
UNKNOWN = 2**62
"""libsndfile gives a length above this to a file whose header has none."""
NO_SEEK = 39
"""libsndfile's error at the end of such a file, where soundfile seeks to its own position."""

# Vorbis I specification, 4.3.9, and RFC 7845, 5.1.1.2: the file's channels in the order of
# WAVEFORMATEXTENSIBLE. With 1, 2 or 4 channels the two orders are the same.
OGG_CHANNELS = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 5, 3, 4],
    7: [0, 2, 1, 6, 5, 3, 4],
    8: [0, 2, 1, 7, 5, 6, 3, 4],
}


class Decoded(NamedTuple):
    """A decoded file, the seconds that its source states (0: none), and what went wrong."""

    file: Path
    promised: float = 0.0
    breaks_off: bool = False
    error: str = ""


def open_sound(path: Path) -> soundfile.SoundFile | None:
    """Open a file with libsndfile, whatever its name is; None where libsndfile cannot read it."""
    # By its descriptor, since soundfile accepts names in UTF-8 only and takes `.raw` for a format.
    try:
        return soundfile.SoundFile(os.open(path, os.O_RDONLY | BINARY))
    except soundfile.LibsndfileError:
        return None


def create_sound(path: Path, rate: int, n_channels: int, container: str) -> soundfile.SoundFile:
    """Create a file of 32-bit floats; raises OSError where it cannot be created."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | BINARY, 0o666)
    return soundfile.SoundFile(number, "w", rate, n_channels, "FLOAT", format=container)


def decode(path: Path, scratch: Path, file: soundfile.SoundFile | None) -> Decoded:
    """Decode an audio file into `scratch`; `file` is the opened file, if libsndfile can open it.

    libsndfile decodes Ogg, ffmpeg everything else; without ffmpeg, libsndfile decodes what it can.
    Raises UsageError for a file that cannot be decoded, for example because it is not audio or the
    disk is full, or of which only a part could be read.
    """
    if file and file.format == "OGG":
        return decode_ogg(path, scratch, file)
    is_mp3 = path.suffix.lower() == ".mp3" or (file and file.subtype == "MPEG_LAYER_III")
    mpeg = mpeg_frames(path) if is_mp3 else Mpeg(0, 0, False)
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg:
        try:
            return decode_with_ffmpeg(ffmpeg, path, scratch, mpeg)
        except UsageError:
            if file is None or is_mp3 or file.format == "FLAC":
                raise
    if file is None:
        raise UsageError(f"{path} is no wav, flac, ogg or mp3 file; install ffmpeg to read others")
    return decode_with_libsndfile(path, scratch, file, mpeg)


def decode_with_ffmpeg(ffmpeg: str, path: Path, scratch: Path, mpeg: Mpeg) -> Decoded:
    """Decode the first audio stream of any file with ffmpeg, skipping damaged packets."""
    wav = scratch / "decoded.wav"
    source = ["-err_detect", "crccheck+explode", "-i", str(path.absolute())]
    if mpeg.n_samples:  # ffmpeg would make frames of a tag after the last one, or of a part of one
        part = f"subfile,,start,0,end,{mpeg.end},,:{path.absolute()}"
        source = ["-f", "mp3", "-i", part]
    command = [ffmpeg, "-v", "level+info", "-nostats", "-nostdin", *source, "-map", "0:a:0"]
    command += ["-c:a", "pcm_f32le", "-rf64", "auto", str(wav)]
    done = subprocess.run(command, capture_output=True, check=False)
    log = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        said = (errors_in(log) or [f"exit code {done.returncode}"])[-1]
        raise UsageError(f"cannot decode {path}; ffmpeg says: {said}")
    # Before that line, ffmpeg also reports errors in other streams, such as pictures.
    errors = errors_in(log.partition("[info] Input #0")[2])
    error = f"ffmpeg says: {errors[0]}" if errors else ""
    with open(path, "rb") as file:
        is_ogg = file.read(4) == b"OggS"
    breaks_off = mpeg.breaks_off or (is_ogg and not ogg_links(path).is_whole)
    return Decoded(wav, promised_seconds(log), breaks_off, error)


def errors_in(log: str) -> list[str]:
    """What ffmpeg, run with `-v level+info`, calls an error."""
    return re.findall(r"^(?:\[.* @ \w+\] )?\[(?:error|fatal)\] (.*)$", log, re.MULTILINE)


def promised_seconds(log: str) -> float:
    """The duration that ffmpeg states; 0 if it is an estimate or may be that of a video stream."""
    found = re.search(r"^\[info\]   Duration: (\d+):(\d+):([\d.]+)", log, re.MULTILINE)
    film = r"^\[info\]   Stream #0:.*: Video: (?!.*attached pic)"
    has_pictures = re.search(film, log, re.MULTILINE)
    if not found or has_pictures or "Estimating duration from bitrate" in log:
        return 0.0
    hours, minutes, seconds = map(float, found.groups())
    return 3600 * hours + 60 * minutes + seconds


def decode_with_libsndfile(
    path: Path, scratch: Path, file: soundfile.SoundFile, mpeg: Mpeg
) -> Decoded:
    """Decode what libsndfile reads, where ffmpeg is missing or does not know the format."""
    wav = scratch / "decoded.w64"
    with create_sound(wav, file.samplerate, file.channels, "W64") as target:
        error = copy(file, target)
    if target.frames < mpeg.n_samples - 4 * 1152:  # less the coder's delay and padding
        raise UsageError(f"libsndfile reads only a part of {path}; install ffmpeg to read it all")
    known = 0 if mpeg.n_samples or file.frames > UNKNOWN else file.frames
    error = "" if target.frames == known else error  # the error came after the last sample
    return Decoded(wav, known / file.samplerate, mpeg.breaks_off, error)


def decode_ogg(path: Path, scratch: Path, file: soundfile.SoundFile) -> Decoded:
    """Decode an Ogg file with libsndfile, one link after another if several were concatenated."""
    ogg, error, wav = ogg_links(path), "", scratch / "decoded.w64"
    with create_sound(wav, file.samplerate, file.channels, "W64") as target:
        for begin, end in ogg.links:
            link = open_sound(copy_bytes(path, scratch / "link.ogg", begin, end))
            if link is None:
                error = f"no audio can be read from byte {begin} to byte {end}"
                continue
            with link:
                check_same(path, target, link)
                order = OGG_CHANNELS.get(link.channels) if link.subtype != "FLAC" else None
                before = target.frames
                error = copy(link, target, order) or error
                if link.frames < UNKNOWN and (lost := before + link.frames - target.frames) > 0:
                    error = f"{lost} samples of it are lost"
        return Decoded(wav, breaks_off=not ogg.is_whole, error=error)


def check_same(path: Path, target: soundfile.SoundFile, link: soundfile.SoundFile) -> None:
    """Raise UsageError where a file changes its rate or its number of channels."""
    old, new = (f"{file.samplerate} Hz, {file.channels} channels" for file in (target, link))
    if old != new:
        second = target.frames / target.samplerate
        raise UsageError(f"{path} changes from {old} to {new} at {second:.2f} s: split it there")


def copy(
    file: soundfile.SoundFile, target: soundfile.SoundFile, order: list[int] | None = None
) -> str:
    """Copy all samples that can be read, channels in the given order; returns what went wrong."""
    error, is_last = "", False
    while not is_last:
        # After an error `block` holds what was read, but not how much: the rest is NaN.
        block = np.full((STEP, file.channels), np.nan, np.float32)
        try:
            n_read = len(file.read(out=block))
        except soundfile.LibsndfileError as found:
            error = "" if found.code == NO_SEEK else found.error_string
            is_last = True
            n_read = int(np.isfinite(block).all(axis=1).cumprod().sum())
        if n_read == 0:
            break
        try:
            target.write(block[:n_read, order] if order else block[:n_read])
        except soundfile.LibsndfileError as found:
            raise UsageError(f"cannot write what was decoded: {found.error_string}") from found
    return error


def copy_bytes(path: Path, target: Path, begin: int, end: int) -> Path:
    """Write the bytes of `path` from `begin` to `end` to `target`."""
    with open(path, "rb") as source, open(target, "wb") as copied:
        source.seek(begin)
        while (left := end - source.tell()) > 0 and (block := source.read(min(left, 2**20))):
            copied.write(block)
    return target
