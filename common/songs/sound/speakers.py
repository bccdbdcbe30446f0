"""Recorded people: which speakers are installed, and what of their speech can be sung."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from common.songs.sound.recordings import (
    POINTS,
    Recorded,
    cut,
    frame_levels,
    read_recording,
)
from common.songs.writing.score import Note
from common.support.files import data_home, locked, write_whole
from common.support.pyworld_compat import world

ANALYSIS_VERSION = 1
"""One more whenever the analysis of the same recordings gives other numbers."""

ENDINGS = {".ogg", ".oga", ".opus", ".wav", ".flac", ".mp3"}

MIN_SYLLABLES, MAX_RECORDINGS = 12, 30

MIN_BAND = 7000.0
"""Hz: recordings that end below are of no use for a song at 44.1 kHz."""

MIN_SNR = 25.0
"""dB between loud and quiet moments of a recording: below, the room would sing along."""

MAX_CLIPPED = 0.002
"""Part of the samples at full scale."""


@dataclass(frozen=True)
class Speaker:
    """Someone whose recordings can sing; `pitch` is that of the speech, as a MIDI number.

    `stretch` is a factor on all formants: 1.1 makes a smaller person of the same speaker.
    """

    name: str
    pitch: float
    path: Path
    stretch: float = 1.0


def speakers(library_voices: tuple[Path, ...]) -> tuple[Speaker, ...]:
    """Everyone who speaks well enough in the folders at and below those given, by name.

    A folder is a speaker. The first call analyses their recordings, seconds each, and keeps the
    result below data_home(); later calls read it. UsageError where WORLD is not installed then.
    """
    return _speakers(tuple(library_voices), data_home() / "voices")


def draw_speaker(
    everyone: Sequence[Speaker], notes: Sequence[Note], rng: np.random.Generator
) -> Speaker:
    """One of the speakers who could sing these notes, or of all if none could, a little stretched.

    People sing from about where they speak to an octave above. ValueError if there is nobody.
    """
    if not everyone:
        raise ValueError("there is nobody to draw a speaker from")
    pitch = np.median([note.pitch for note in notes]) if notes else 60.0
    fitting = [one for one in everyone if -1.0 <= pitch - one.pitch <= 13.0] or everyone
    chosen = fitting[int(rng.integers(len(fitting)))]
    return replace(chosen, stretch=float(rng.uniform(0.9, 1.12)))


@lru_cache(maxsize=8)
def _speakers(roots: tuple[Path, ...], cache: Path) -> tuple[Speaker, ...]:
    folders = {}
    for name, paths in sorted(_folders(roots)):
        sizes = ",".join(str(path.stat().st_size) for path in paths)
        digest = zlib.crc32(
            paths[0].read_bytes(), zlib.crc32(f"{ANALYSIS_VERSION} {sizes}".encode())
        )
        # The same recordings below two names are one speaker.
        folders.setdefault(digest, (f"{name.replace('/', '-')}-{digest:08x}.npz", name, paths))
    missing = [kept for kept in folders.values() if not (cache / kept[0]).exists()]
    if missing:
        world()
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache):  # another process waits, then finds the files there
            for file, name, paths in tqdm(missing, desc="speakers", unit="speaker"):
                if not (cache / file).exists():
                    analyse(name, paths, cache / file)
    found = []
    for file, name, _ in folders.values():
        with np.load(cache / file) as content:
            card = json.loads(str(content["card"]))
        if is_fit(card):
            found.append(Speaker(name, card["pitch"], cache / file))
    return tuple(sorted(found, key=lambda speaker: speaker.name))


def _folders(roots: tuple[Path, ...]) -> Iterator[tuple[str, list[Path]]]:
    """Names of folders with enough recordings of their own, and these."""
    for root in roots:
        for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
            if len(paths) >= MIN_SYLLABLES:
                yield "/".join(folder.parts[-3:]), paths


def is_fit(card: dict) -> bool:
    """Whether a speaker's recordings are many, wide, quiet and clean enough to sing with."""
    return (
        card["syllables"] >= MIN_SYLLABLES
        and card["band"] >= MIN_BAND
        and card["snr"] >= MIN_SNR
        and card["clipped"] <= MAX_CLIPPED
    )


def analyse(name: str, paths: list[Path], file: Path) -> None:
    """Write what can be sung of a speaker's recordings, and a card that says how good they are."""
    chosen = np.unique(np.linspace(0, len(paths) - 1, MAX_RECORDINGS).astype(int))
    syllables, qualities = [], []
    for index in chosen:
        if soundfile.info(paths[index]).samplerate < 2 * MIN_BAND:
            continue
        audio = read_recording(paths[index])
        syllable = cut(audio)
        if syllable is not None:
            syllables.append(syllable)
            qualities.append(quality(audio))
    card = {"name": name, "syllables": 0, "band": 0.0, "snr": 0.0, "clipped": 0.0, "pitch": 0.0}
    if syllables:
        card["snr"], card["clipped"] = np.median(qualities, 0)[0], np.mean(qualities, 0)[1]
        card["pitch"] = float(np.median([syllable.pitch for syllable in syllables]))
        # Far from it, the pitch was not heard right, and nor was what follows from it.
        syllables = [one for one in syllables if abs(one.pitch - card["pitch"]) < 10.0]
        card["syllables"] = len(syllables)
        card["band"] = band(np.concatenate([syllable.shape for syllable in syllables]))
    write_whole(file, lambda partial: _save(partial, card, syllables))


def _save(path: Path, card: dict, syllables: list[Recorded]) -> None:
    content: dict[str, object] = {"card": json.dumps(card)}
    if syllables:
        for part in ("shape", "noise", "level", "voiced"):
            content[part] = np.concatenate([getattr(syllable, part) for syllable in syllables])
        content["bounds"] = np.cumsum([len(syllable.level) for syllable in syllables])[:-1]
        for part in ("first", "last", "pitch", "formants", "hiss"):
            content[part] = np.array([getattr(syllable, part) for syllable in syllables])
    with path.open("wb") as file:
        np.savez_compressed(file, **content)


@lru_cache(maxsize=4)
def load(path: Path) -> tuple[Recorded, ...]:
    """The syllables of one speaker, in the order of the recordings' names."""
    with np.load(path) as content:
        parts = {name: content[name] for name in content.files if name != "card"}
    bounds = parts.pop("bounds")
    frames = [np.split(parts.pop(name), bounds) for name in ("shape", "noise", "level", "voiced")]
    rest = [parts[name].tolist() for name in ("first", "last", "pitch", "formants", "hiss")]
    return tuple(Recorded(*syllable) for syllable in zip(*frames, *rest, strict=True))


def quality(audio: np.ndarray) -> tuple[float, float]:
    """dB between loud and quiet frames of audio (t,), and the part of its samples at full scale."""
    loud = frame_levels(audio)
    loud = loud[loud > -90.0]  # silence that somebody cut in says nothing about the room
    low, high = np.quantile(loud, [0.05, 0.95])
    return float(high - low), float(np.mean(np.abs(audio) > 0.97))


def band(shape: np.ndarray) -> float:
    """Hz from which on the brightest envelopes (n, k) stay 55 dB and more below their peak."""
    bright = np.quantile(shape.astype(np.float32), 0.99, axis=0)
    return float(POINTS[np.flatnonzero(bright > bright.max() - 55.0).max()])
