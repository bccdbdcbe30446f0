"""The length that audio files state, where they end, and where several were concatenated.

Decoders read a truncated file, and parts of concatenated files, without an error.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple


class Chunks(NamedTuple):
    """A container of chunks: where they begin, and how the header of one is laid out."""

    start: int
    header: str
    audio: bytes
    align: int


CHUNKS = {
    b"RIFF": Chunks(12, "<4sI", b"data", 2),
    b"RF64": Chunks(12, "<4sI", b"data", 2),
    b"RIFX": Chunks(12, ">4sI", b"data", 2),
    b"FORM": Chunks(12, ">4sI", b"SSND", 2),
    b"caff": Chunks(8, ">4sq", b"data", 1),
    b"riff": Chunks(40, "<4s12xq", b"data", 8),
}


def promised_bytes(path: Path) -> tuple[int, int]:
    """How many bytes of audio a header states and how many there are; (0, 0) if it states none.

    Knows wav, rf64, aiff, caf, w64 and au. A program that writes to a pipe cannot know the size and
    writes a placeholder, which states nothing.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        magic = file.read(4)
        if magic == b".snd":
            start, promised = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
        elif magic in CHUNKS:
            start, promised = audio_chunk(file, CHUNKS[magic])
        else:
            return 0, 0
    from_pipe = 2**31 - 2**16 <= promised <= 2**31 or 2**32 - 2**16 <= promised < 2**32
    if not 0 < promised < 2**60 or from_pipe:
        return 0, 0
    return promised, min(size - start, promised)


def audio_chunk(file: BinaryIO, layout: Chunks) -> tuple[int, int]:
    """Where the samples begin and how many bytes the header states; (0, 0) if none are found."""
    at, n_header, large = layout.start, struct.calcsize(layout.header), 0
    while True:
        file.seek(at)
        header = file.read(n_header)
        if len(header) < n_header:
            return 0, 0
        name, size = struct.unpack(layout.header, header)
        size -= n_header if layout.align == 8 else 0  # w64 counts a chunk's header as well
        if name == b"ds64":
            large = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if name == layout.audio:
            return at + n_header, large if large and size == 2**32 - 1 else size
        if size < 0:
            return 0, 0
        at += n_header + -(-size // layout.align) * layout.align


class Ogg(NamedTuple):
    """The borders of the concatenated files in bytes, and whether the last one is complete."""

    borders: list[int]
    is_whole: bool

    @property
    def links(self) -> Iterator[tuple[int, int]]:
        return pairwise(self.borders)


def ogg_links(path: Path) -> Ogg:
    """Find where Ogg files were concatenated (RFC 3533): a stream begins after data of another."""
    borders, end, begins, ends = [0], 0, True, False
    with mapped(path) as data:
        while 0 <= (at := data.find(b"OggS", end)) <= len(data) - 27:
            is_first, n_segments = bool(data[at + 5] & 2), data[at + 26]
            if is_first and not begins:
                borders.append(at)
            begins, ends = is_first, bool(data[at + 5] & 4)
            end = at + 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
        # The last page ends the stream, it is complete, and no other one begins.
        is_whole = ends and end <= len(data) and at < 0
        return Ogg([*borders, len(data)], is_whole)


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file, memory-mapped."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG_MARK = re.compile(b"\xff|ID3")
KBITS_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def mpeg_frame(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Bytes and samples of the MPEG layer III frame at a byte; (0, 0) where none begins."""
    header = int.from_bytes(data[at : at + 4], "big")
    version, kbits, rate = header >> 19 & 3, header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or header >> 17 & 3 != 1:
        return 0, 0
    if version == 1 or kbits in (0, 15) or rate == 3:
        return 0, 0
    n_samples = 1152 if version == 3 else 576
    bits = 1000 * (KBITS if version == 3 else KBITS_LOW)[kbits]
    padding = header >> 9 & 1
    return n_samples // 8 * bits // MPEG_RATES[version][rate] + padding, n_samples


class Mpeg(NamedTuple):
    """Samples in whole frames, where the last of them ends, and whether a part of one follows."""

    n_samples: int
    end: int
    breaks_off: bool


def mpeg_frames(path: Path) -> Mpeg:
    """Find all frames of an mp3 file (ISO 11172-3), skipping tags and other data."""
    at = end = n_samples = 0
    breaks_off = False
    with mapped(path) as data:
        while 0 <= at < len(data) - 3:
            n_bytes, n_more = mpeg_frame(data, at)
            follows = at == end and n_samples > 0
            if n_bytes and follows and at + n_bytes > len(data):
                breaks_off = True
                break
            # Data in a picture, say, can look like a frame; a real one is next to another frame.
            if n_bytes and (follows or mpeg_frame(data, at + n_bytes)[0]):
                at = end = at + n_bytes
                n_samples += n_more
            elif data[at : at + 3] == b"ID3":
                at += 10 + sum(byte << 7 * k for k, byte in enumerate(data[at + 6 : at + 10][::-1]))
            else:
                found = MPEG_MARK.search(data, at + 1)
                at = found.start() if found else -1
    return Mpeg(n_samples, end, breaks_off)
