"""Which recorded sounds a song draws from a library, beside those that every installation has."""

from __future__ import annotations

from pathlib import Path

from common.songs.random_streams import flip, pick, stream
from common.songs.sound import sampler
from common.songs.sound.drumkits import plays, read_kit
from common.songs.sound.library import Library
from common.songs.writing.score import Part, Song

KIT_CHANCE = 0.5
"""How often a recorded kit plays a drum part that one of the library's kits can play."""


def cast(song: Song, library: Library | None) -> dict[str, Path]:
    """The recorded sounds of a song: part name → soundfont or drum kit.

    Parts that are not named keep their usual sounds, as all do in songs that are not for training
    or that do not vary their timbres. Every part draws from a stream of its own.
    """
    if library is None or song.split != "train" or not song.variety.timbres:
        return {}
    chosen = {part.name: _choose(part, song, library) for part in song.parts}
    return {name: sound for name, sound in chosen.items() if sound}


def _choose(part: Part, song: Song, library: Library) -> Path | None:
    rng = stream(song.seed, song.split, "sound " + part.name)
    if part.instrument == "voice":
        return None
    if part.stem == "drums":
        pitches = {round(note.pitch) for note in part.notes}
        kits = [kit for kit in library.kits if plays(read_kit(kit), pitches)]
        return pick(rng, kits) if kits and flip(rng, KIT_CHANCE) else None
    fonts = [font for font in library.soundfonts if part.program in sampler.programs(str(font))]
    return pick(rng, (None, *fonts))
