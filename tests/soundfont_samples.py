"""Read from a soundfont file which recordings its programs play."""

from __future__ import annotations

import struct
from pathlib import Path

INSTRUMENT, SAMPLE = 41, 53
"""Generators that name what a zone plays (SoundFont 2.04, section 8.1.2)."""


def recordings(soundfont: Path) -> dict[tuple[int, int], set[int]]:
    """(bank, program) → numbers of the recordings that it plays."""
    data = Path(soundfont).read_bytes()
    chunks: dict[str, bytes] = {}
    _walk(data, 0, len(data), chunks)
    presets = [*struct.iter_unpack("<20sHHHIII", chunks["phdr"])]
    instruments = [*struct.iter_unpack("<20sH", chunks["inst"])]
    in_preset = _zones(chunks["pbag"], chunks["pgen"], INSTRUMENT)
    in_instrument = _zones(chunks["ibag"], chunks["igen"], SAMPLE)
    found: dict[tuple[int, int], set[int]] = {}
    for this, following in zip(presets, presets[1:], strict=False):
        played = {x for zone in in_preset[this[3] : following[3]] for x in zone}
        spans = [(instruments[k][1], instruments[k + 1][1]) for k in played]
        zones = [zone for first, last in spans for zone in in_instrument[first:last]]
        found[this[2], this[1]] = {x for zone in zones for x in zone}
    return found


def _walk(data: bytes, start: int, end: int, chunks: dict[str, bytes]) -> None:
    while start < end:
        name, size = data[start : start + 4].decode(), *struct.unpack_from("<I", data, start + 4)
        if name in ("RIFF", "LIST"):
            _walk(data, start + 12, start + 8 + size, chunks)
        else:
            chunks[name] = data[start + 8 : start + 8 + size]
        start += 8 + size + size % 2


def _zones(bags: bytes, generators: bytes, wanted: int) -> list[list[int]]:
    """What each zone plays: the amounts of one generator."""
    starts = [first for first, _ in struct.iter_unpack("<HH", bags)]
    pairs = [*struct.iter_unpack("<HH", generators)]
    return [
        [amount for generator, amount in pairs[first:last] if generator == wanted]
        for first, last in zip(starts, starts[1:], strict=False)
    ]
