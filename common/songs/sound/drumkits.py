"""Recorded drum kits: the recordings for each General MIDI drum note and velocity.

Kits are Hydrogen folders (a drumkit.xml beside its audio files) or the soundfonts of avldrums.lv2,
which have their own key map (src/midnam.h there).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from common.songs.sound.drumsynth import METALS, SKINS, TOMS

EXCLUDED = {
    "Audiophob": "effects for dubstep: its cowbell is a bass note, its crash lasts 0.4 s",
    "rumpf_kit_z01_h2": "slices of beats: its hats, crash and toms do not sound like these",
}
"""Hydrogen folders that are not used, and why."""


@dataclass(frozen=True)
class Sample:
    """One recording: a file, or a key of a soundfont.

    low and high: its range of velocities (0 to 1); gain: linear, at velocity 1; tune: semitones;
    pan: linear gains left and right.
    """

    path: Path
    low: float = 0.0
    high: float = 1.0
    gain: float = 1.0
    tune: float = 0.0
    pan: tuple[float, float] = (1.0, 1.0)
    key: int | None = None


Drum = tuple[Sample, ...]
"""The recordings of one drum; several may have the same range of velocities."""

Kit = dict[int, tuple[Drum, ...]]
"""General MIDI note → alternative drums for it."""

# Pattern of a Hydrogen instrument's name → General MIDI note or None; the first match counts.
NAMES: tuple[tuple[str, int | None], ...] = (
    (r"rim ?shot", 40),
    (r"side ?stick|\brim\b|\bstick\b", 37),
    (r"choke|roll|swish|zap|fx|whistle|glass|snap|click|tom ?hi\d|head|mute", None),
    (r"tambourine", 54),
    (r"cowbell|(sangban|dununba|kenkeni)\d bell", 56),
    (r"maraca|shaker", 70),
    (r"clave", 75),
    (r"wood ?block hi", 76),
    (r"wood ?block lo", 77),
    (r"agogo hi", 67),
    (r"agogo lo", 68),
    (r"clap", 39),
    (r"bongo hi", 60),
    (r"bongo lo", 61),
    (r"djembe\d slap", 62),
    (r"djembe\d tone|conga 1", 63),
    (r"djembe\d bass|conga 2|cajon thump", 64),
    (r"(?=.*(hat|hh))(?=.*(open|\bop\b|ohh|free))", 46),
    (r"(?=.*(hat|hh))(?=.*(pedal|foot|\bpd\b))", 44),
    (r"hat|hh", 42),
    (r"kick|bass ?drum", 36),
    (r"snare", 38),
    (r"bell|\bcup\b", 53),
    (r"bow|^(?!.*crash.*ride).*ride", 51),
    (r"china", 52),
    (r"splash", 55),
    (r"crash", 49),
    (r"floor|tom low|low tom", 43),
    (r"tom mid|middle tom|tom 2|^tom$", 47),
    (r"tom hi|high tom|tom 1", 50),
)

# General MIDI note → keys of the avldrums soundfonts. Their keys 48, 50, 52 and 58 are not used: a
# swished hat and choked cymbals.
AVLDRUMS = {key: (key,) for key in (36, 37, 38, 39, 40, 42, 44, 46, 49, 51, 53, 54, 55, 56, 57, 59)}
AVLDRUMS |= {41: (43, 41), 47: (45, 47), 52: (60,), 70: (61,)}
AVLDRUMS_LAYERS = 5

# (Notes that sound alike, substitutes for kits that have none of these). Without substitutes, such
# a kit cannot play the group.
SIMILAR: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((35, 36), ()),
    ((38, 40), ()),
    ((42, 44, 46), ()),
    ((39,), (40, 38)),
    ((37, 31), (75, 76, 40, 38)),
    ((75, 76, 77, 73, 74), ()),
    ((49, 57, 52, 55), (59, 51, 53, 46)),
    ((51, 59), (53, 49, 57, 52, 55, 42)),
    ((53,), (51, 59, 49, 42)),
    (tuple(TOMS), (64, 63, 36, 38)),
    (tuple(SKINS), ()),
    (tuple(METALS), ()),
    ((54, 70, 69, 82), ()),
)
TUNES = {note: 12 * np.log2(ratio) for notes in (TOMS, SKINS) for note, ratio in notes.items()}
MAX_TUNING = 5.0
"""Maximum tuning, in semitones, of a drum that replaces a similar one."""


@lru_cache(maxsize=32)
def read_kit(path: Path) -> Kit:
    """Read a Hydrogen kit's folder or a soundfont of avldrums. ValueError if it is neither."""
    if path.is_file():
        return {
            note: tuple(map(_avl_drum, [path] * len(keys), keys)) for note, keys in AVLDRUMS.items()
        }
    try:
        tree = ElementTree.parse(path / "drumkit.xml")
    except (OSError, ElementTree.ParseError) as error:
        raise ValueError(f"{path} holds no readable drum kit: {error}") from error
    kit: dict[int, list[Drum]] = {}
    for instrument in _below(tree.getroot(), "instrument"):
        note, drum = note_named(_text(instrument, "name", "")), _hydrogen_drum(path, instrument)
        if note is not None and drum:
            kit.setdefault(note, []).append(drum)
    if not kit:
        raise ValueError(f"{path} holds no readable drum kit: none of its drums is known")
    return {note: tuple(drums) for note, drums in kit.items()}


def note_named(name: str) -> int | None:
    """The General MIDI note for an instrument of this name, or None."""
    return next((note for pattern, note in NAMES if re.search(pattern, name.lower())), None)


def plays(kit: Kit, notes: Iterable[int]) -> bool:
    """Whether a kit can play these notes; other drums may replace cymbals, toms, claps and rims."""
    for note in notes:
        group, instead = _similar(note)
        if note not in kit and not instead and not any(other in kit for other in group):
            return False
    return True


def nearest(kit: Kit, note: int) -> tuple[int, float]:
    """The most similar note that the kit has, and the tuning of its drum in semitones."""
    group, instead = _similar(note)
    tune = TUNES.get(note, 0.0)
    near = sorted(group, key=lambda other: abs(TUNES.get(other, tune) - tune))
    ways = (note, *near, *instead, *sorted(kit))
    found = next(other for other in ways if other in kit)
    shift = tune - TUNES.get(found, tune) if found in group else 0.0
    return found, float(np.clip(shift, -MAX_TUNING, MAX_TUNING))


def _similar(note: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return next((pair for pair in SIMILAR if note in pair[0]), SIMILAR[-1])


def _avl_drum(path: Path, key: int) -> Drum:
    """A key's velocity layers, each rendered at its middle velocity, for which `gain` corrects."""
    edges = np.arange(AVLDRUMS_LAYERS + 1) / AVLDRUMS_LAYERS
    return tuple(
        Sample(path, low, high, gain=2 / (low + high), key=key)
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    )


def _hydrogen_drum(folder: Path, instrument: ElementTree.Element) -> Drum:
    """An instrument's existing samples; old kit files have one sample and no layers."""
    volume = _number(instrument, "volume", 1.0) * _number(instrument, "gain", 1.0)
    pan = _number(instrument, "pan_L", 1.0), _number(instrument, "pan_R", 1.0)
    layers = list(_below(instrument, "layer")) or [instrument]
    samples = (
        Sample(
            folder / _text(layer, "filename", ""),
            _number(layer, "min", 0.0),
            _number(layer, "max", 1.0),
            volume * (_number(layer, "gain", 1.0) if layer is not instrument else 1.0),
            _number(layer, "pitch", 0.0),
            pan,
        )
        for layer in layers
    )
    return tuple(sample for sample in samples if sample.path.is_file())


def _below(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Every descendant with this tag, with or without Hydrogen's namespace."""
    return (other for other in element.iter() if other.tag.rpartition("}")[2] == tag)


def _text(element: ElementTree.Element, tag: str, default: str) -> str:
    for child in element:
        if child.tag.rpartition("}")[2] == tag and child.text:
            return child.text.strip()
    return default


def _number(element: ElementTree.Element, tag: str, default: float) -> float:
    return float(_text(element, tag, str(default)))
