"""Recorded speakers: find those that are installed, and extract the syllables to sing with."""

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
"""Increase it whenever the analysis of the same recordings gives other numbers."""

ENDINGS = {".ogg", ".oga", ".opus", ".wav", ".flac", ".mp3"}

MIN_SYLLABLES, MAX_RECORDINGS = 12, 30

MIN_BAND = 7000.0
"""Minimum bandwidth of a speaker's recordings in Hz, for songs at 44.1 kHz."""

MIN_SNR = 25.0
"""Minimum difference in dB between loud and quiet frames: below it, room noise is audible."""

MAX_CLIPPED = 0.002
"""Maximum fraction of the samples at full scale."""


@dataclass(frozen=True)
class Speaker:
    """A speaker to sing with; `pitch` is that of the speech, as a MIDI number.

    `stretch` is a factor on all formants: with 1.1 the speaker sounds like a smaller person.
    """

    name: str
    pitch: float
    path: Path
    stretch: float = 1.0


def speakers(library_voices: tuple[Path, ...]) -> tuple[Speaker, ...]:
    """The speakers with good enough recordings in the given folders and below, by name.

    A folder is a speaker. The first call analyses the recordings, in seconds per speaker, and keeps
    the result below data_home(). UsageError if that call finds WORLD not installed.
    """
    return _speakers(tuple(library_voices), data_home() / "voices")


def draw_speaker(
    everyone: Sequence[Speaker], notes: Sequence[Note], rng: np.random.Generator
) -> Speaker:
    """Draw a speaker whose range fits the notes, or any if none fits, with a random stretch.

    A singer's range is about the octave above the speaking pitch. ValueError without speakers.
    """
    if not everyone:
        raise ValueError("there are no speakers to draw from")
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
        # The same recordings under two names are one speaker.
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
        if is_usable(card):
            found.append(Speaker(name, card["pitch"], cache / file))
    return tuple(sorted(found, key=lambda speaker: speaker.name))


def _folders(roots: tuple[Path, ...]) -> Iterator[tuple[str, list[Path]]]:
    """The name and the recordings of every folder with enough recordings."""
    for root in roots:
        for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
            if len(paths) >= MIN_SYLLABLES:
                yield "/".join(folder.parts[-3:]), paths


def is_usable(card: dict) -> bool:
    """Whether a speaker's recordings have the required number, bandwidth, SNR and clipping."""
    return (
        card["syllables"] >= MIN_SYLLABLES
        and card["band"] >= MIN_BAND
        and card["snr"] >= MIN_SNR
        and card["clipped"] <= MAX_CLIPPED
    )


def analyse(name: str, paths: list[Path], file: Path) -> None:
    """Write the syllables of a speaker's recordings, with a card of their quality, to `file`."""
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
        # Far from the median the estimated pitch is wrong, and so is what is computed from it.
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
    """dB between loud and quiet frames of audio (t,), and the fraction of clipped samples."""
    loud = frame_levels(audio)
    loud = loud[loud > -90.0]  # digital silence says nothing about the noise of the room
    low, high = np.quantile(loud, [0.05, 0.95])
    return float(high - low), float(np.mean(np.abs(audio) > 0.97))


def band(shape: np.ndarray) -> float:
    """Bandwidth in Hz: the brightest envelopes (n, k) stay 55 dB below their peak above it."""
    bright = np.quantile(shape.astype(np.float32), 0.99, axis=0)
    return float(POINTS[np.flatnonzero(bright > bright.max() - 55.0).max()])
