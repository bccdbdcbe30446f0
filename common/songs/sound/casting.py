"""Choose the recorded sounds that a song uses from a library, instead of the default ones."""

from __future__ import annotations

from pathlib import Path

from common.songs.random_streams import flip, pick, stream
from common.songs.sound import sampler
from common.songs.sound.drumkits import plays, read_kit
from common.songs.sound.library import Library, sound_name
from common.songs.sound.speakers import Speaker, draw_speaker, speakers
from common.songs.writing.score import Part, Song

KIT_CHANCE = 0.5
"""Probability of a recorded kit for a drum part that one of the library's kits can play."""

VOICE_CHANCE = 0.5
"""Probability that a recorded speaker sings all vocals of a song."""

Sound = Path | Speaker
"""A soundfont, a drum kit or a speaker."""


def cast(song: Song, library: Library | None) -> dict[str, Sound]:
    """Choose the recorded sounds of a song: part name → sound.

    The other parts keep their default sounds. Only training songs use recorded sounds, and only for
    what they vary: timbres for instruments, voices for vocals. Each part has its own random stream.
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
    """The names of chosen sounds, by part, for song.json."""
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
    """One speaker for all sung parts, drawn to suit the pitches of the first."""
    rng = stream(song.seed, song.split, "speaker")
    sung = [part for part in song.parts if part.instrument == "voice"]
    if not sung or not library.voices or not flip(rng, VOICE_CHANCE):
        return {}
    everyone = speakers(library.voices)
    speaker = draw_speaker(everyone, sung[0].notes, rng) if everyone else None
    return {part.name: speaker for part in sung if speaker}
