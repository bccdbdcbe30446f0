"""Which recorded sounds a song draws from a library, beside those that every installation has."""

from __future__ import annotations

from pathlib import Path

from common.songs.random_streams import flip, pick, stream
from common.songs.sound import sampler
from common.songs.sound.drumkits import plays, read_kit
from common.songs.sound.library import Library, sound_name
from common.songs.sound.speakers import Speaker, draw_speaker, speakers
from common.songs.writing.score import Part, Song

KIT_CHANCE = 0.5
"""How often a recorded kit plays a drum part that one of the library's kits can play."""

VOICE_CHANCE = 0.5
"""How often a recorded speaker sings all that is sung in a song."""

Sound = Path | Speaker
"""A soundfont, a drum kit or someone who sings."""


def cast(song: Song, library: Library | None) -> dict[str, Sound]:
    """The recorded sounds of a song: part name → sound.

    Parts that are not named keep their usual sounds, as all do in songs that are not for training,
    or that do not vary their timbres or voices. Every instrument draws from a stream of its own.
    """
    if library is None or song.split != "train":
        return {}
    chosen: dict[str, Sound | None] = {}
    if song.variety.timbres:
        played = [part for part in song.parts if part.instrument != "voice"]
        chosen |= {part.name: _choose(part, song, library) for part in played}
    if song.variety.voices:
        chosen |= _singers(song, library)
    return {name: sound for name, sound in chosen.items() if sound}


def sound_names(sounds: dict[str, Sound]) -> dict[str, str]:
    """A cast as song.json tells it."""
    return {
        part: sound.name if isinstance(sound, Speaker) else sound_name(sound)
        for part, sound in sounds.items()
    }


def _choose(part: Part, song: Song, library: Library) -> Path | None:
    rng = stream(song.seed, song.split, "sound " + part.name)
    if part.stem == "drums":
        pitches = {round(note.pitch) for note in part.notes}
        kits = [kit for kit in library.kits if plays(read_kit(kit), pitches)]
        return pick(rng, kits) if kits and flip(rng, KIT_CHANCE) else None
    fonts = [font for font in library.soundfonts if part.program in sampler.programs(str(font))]
    return pick(rng, (None, *fonts))


def _singers(song: Song, library: Library) -> dict[str, Sound]:
    """One speaker for every sung part; who it is depends on where the first part lies."""
    rng = stream(song.seed, song.split, "speaker")
    sung = [part for part in song.parts if part.instrument == "voice"]
    if not sung or not library.voices or not flip(rng, VOICE_CHANCE):
        return {}
    everyone = speakers(library.voices)
    speaker = draw_speaker(everyone, sung[0].notes, rng) if everyone else None
    return {part.name: speaker for part in sung if speaker}
