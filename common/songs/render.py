"""Render a composed song: play its parts, process them and sum them into stems."""

from __future__ import annotations

import numpy as np
import soxr

from common.songs.mixing import mixdown
from common.songs.mixing.mix_settings import draw_mix_settings, draw_strip
from common.songs.sound import drumsynth, recorded_drums, sampler
from common.songs.sound.casting import Sound, cast
from common.songs.sound.library import Library
from common.songs.sound.recorded_voice import sing_recorded
from common.songs.sound.singing import sing
from common.songs.sound.voices import voice
from common.songs.writing.score import Part, Song

RATE = sampler.RATE
STEMS = ("drums", "bass", "other", "vocals")
FADE = 0.02
"""Seconds of fade-out at the end, so that a reverb tail does not end in a click."""


def render(
    song: Song,
    sample_rate: int = 44100,
    soundfont: str | None = None,
    library: Library | None = None,
) -> dict[str, np.ndarray]:
    """Render a song's four stems; their sum is the mixture.

    → {stem: (2, t) float32} with t = round(song.duration * sample_rate). The peak of
    every stem and of the sum is at most 0.95. The same song gives the same samples. `soundfont` is
    the path of another .sf2 file. With a library, some parts of a training song use recorded
    sounds (`casting.cast`).
    """
    n_samples = round(song.duration * RATE)
    seed = [song.seed, int(song.split == "test")]
    settings = draw_mix_settings(song, np.random.default_rng([*seed, 1]))
    sounds = cast(song, library)
    stems = {}
    for s, stem in enumerate(STEMS):
        parts = []
        for p, part in enumerate(part for part in song.parts if part.stem == stem and part.notes):
            rng = np.random.default_rng([*seed, 2 + s, p])
            audio = play_part(part, n_samples, rng, soundfont, sounds.get(part.name))
            strip = draw_strip(part, p, song, rng)
            if np.abs(audio).max() > 1e-6:
                parts.append((mixdown.run_strip(audio, strip), strip))
        if parts:
            stems[stem] = mixdown.mix_stem(stem, parts, settings, dry=not song.variety.effects)
        else:
            stems[stem] = np.zeros((2, n_samples), np.float32)
    if sample_rate != RATE:
        length = round(song.duration * sample_rate)
        stems = {stem: _resample(audio, sample_rate, length) for stem, audio in stems.items()}
    fade = np.clip(np.arange(stems["drums"].shape[1])[::-1] / (FADE * sample_rate), 0, 1)
    stems = {stem: audio * fade.astype(np.float32) for stem, audio in stems.items()}
    return mixdown.fit_headroom(stems)


def play_part(
    part: Part,
    n_samples: int,
    rng: np.random.Generator,
    soundfont: str | None = None,
    sound: Sound | None = None,
) -> np.ndarray:
    """Play one part without effects: → (c, t) float32 at 44.1 kHz; c is 1 for voices, 2 otherwise.

    `sound` replaces the part's default sound by a recorded one: a soundfont, a kit or a speaker.
    """
    if part.instrument == "voice":
        singer, sings = (sound, sing_recorded) if sound else (voice(part.program), sing)
        sung = sings(part.notes, singer, n_samples / RATE, RATE, rng)
        return np.pad(sung[:n_samples], (0, max(0, n_samples - len(sung))))[None]
    drums = part.stem == "drums"
    # Draw this for a recorded sound too, so that the mix settings stay the same.
    seed = int(rng.integers(2**31)) if part.instrument == "drum synth" else 0
    if drums and sound:
        own = int(rng.spawn(1)[0].integers(2**31))
        return recorded_drums.play(part.notes, sound, n_samples, own)
    if part.instrument == "drum synth":
        return drumsynth.play(part.notes, part.program, n_samples, seed)
    return sampler.play(part.notes, part.program, n_samples, sound or soundfont, drums)


def _resample(audio: np.ndarray, sample_rate: int, length: int) -> np.ndarray:
    out = soxr.resample(np.ascontiguousarray(audio.T), RATE, sample_rate).T
    return np.pad(out, ((0, 0), (0, max(0, length - out.shape[1]))))[:, :length]
