"""The composer's tables and options, and the MIDI and JSON files beside the audio."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from soundfont_samples import recordings

from common.songs.random_streams import stream
from common.songs.sound.instruments import FAMILIES, SPLITS, programs
from common.songs.sound.sampler import DRUM_BANK, default_soundfont
from common.songs.writing import lyrics
from common.songs.writing.compose import compose, song_json, to_midi
from common.songs.writing.grooves import DRUMS, PERCUSSION
from common.songs.writing.score import Variety
from common.songs.writing.theory import PROGRESSIONS, numeral, voicing


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((-1,), "0 or more"),
        ((1, "dev"), "unknown split 'dev'"),
        ((1, "train", 3.9), "at least 4 seconds"),
        ((1, "train", float("nan")), "at least 4 seconds"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        compose(*arguments)


def test_tables_are_sound():
    for name, groove in DRUMS.items():
        assert {len(line) for line in groove.values()} == {12 if "waltz" in name else 16}, name
    assert {len(line) for lines in PERCUSSION.values() for _, line in lines} == {16}
    for progressions in PROGRESSIONS.values():
        for text in (text for texts in progressions.values() for text in texts):
            assert len(text.split()) in (4, 12)
            assert all(0 <= numeral(n)[0] < 12 for bar in text.split() for n in bar.split("-"))
    assert numeral("bVII") == (10, "") and numeral("iim7b5") == (2, "m7b5")
    for text in ("VIII", "Iwrong", "x"):
        with pytest.raises(ValueError, match="numeral|quality"):
            numeral(text)


def test_which_sounds_of_the_test_are_recordings_that_training_programs_play():
    """Check what instruments.py and chapter 8 say about shared recordings."""
    found = recordings(Path(default_soundfont()))

    def played(family: str, split: str) -> set[int]:
        bank = DRUM_BANK if "kit" in family else 0
        return set().union(*(found[bank, program] for program in programs(family, split)))

    families = [name for name in FAMILIES if name not in ("voice", "drum synth")]
    training = set().union(*(played(family, "train") for family in families))
    shared = {name for name in families if played(name, "test") <= training}
    assert {"acoustic kit", "soft kit", "strings", "brass"} <= shared
    own = {name for name in families if not played(name, "test") & training}
    assert {"electric bass", "acoustic guitar", "reeds", "pipes", "plucked"} <= own


def test_voices_lead_smoothly():
    # C to F keeps the c; every voice moves by a whole tone at most.
    first = voicing((0, 4, 7), (), 52, 72)
    second = voicing((5, 9, 0), first, 52, 72)
    assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) <= 4
    assert set(first) & set(second)


def test_poorer_generators_vary_less():
    plain = [compose(seed, "train", variety=Variety(styles=False)) for seed in range(20)]
    assert {(song.style, song.tempo) for song in plain} == {("rock", 110.0)}
    assert len({song.sections for song in plain}) == 1
    assert len({song.chords for song in plain}) > 15
    few = [
        compose(seed, split, variety=Variety(timbres=False))
        for seed in range(40)
        for split in SPLITS
    ]
    for stem, limit in (("drums", 1), ("bass", 1), ("other", 2)):
        sounds = {p.program for song in few for p in song.parts if p.stem == stem}
        assert len(sounds) <= limit
    alone = [compose(seed, variety=Variety(voices=False)) for seed in range(30)]
    voices = [p for song in alone for p in song.parts if p.stem == "vocals"]
    assert {part.program for part in voices} == {0}
    assert all(42.9 <= note.pitch <= 64.1 for part in voices for note in part.notes)


def test_titles_are_unique_and_safe():
    titles = {
        lyrics.title(seed, split, stream(seed, split, "title"))
        for seed in range(1000)
        for split in SPLITS
    }
    assert len(titles) == len({title.lower() for title in titles}) == 3000
    assert all(
        re.fullmatch(r"[A-Za-z ]+ - [A-Za-z ]+ \((take|rehearsal|session) \d+\)", title)
        for title in titles
    )
    assert compose(5).title in titles


def test_midi_and_json_tell_the_song():
    song = compose(11)
    midi = to_midi(song)
    assert [i.name for i in midi.instruments] == [part.name for part in song.parts]
    for instrument, part in zip(midi.instruments, song.parts, strict=True):
        assert len(instrument.notes) == len(part.notes)
        assert instrument.is_drum == (part.stem == "drums")
        assert instrument.program in (52, 53, 54) or part.stem != "vocals"
    assert midi.get_end_time() <= song.duration
    told = json.loads(json.dumps(song_json(song)))
    assert told["title"] == song.title and told["style"] == song.style
    assert told["sections"][-1]["end"] == song.duration
    assert [part["n_notes"] for part in told["parts"]] == [len(p.notes) for p in song.parts]
    voice = next(part for part in told["parts"] if part["instrument"] == "voice")
    assert len(voice["syllables"]) == voice["n_notes"]


def test_harmonies_follow_the_tune_without_leaping():
    leaps, together = [], []
    for seed in range(60):
        parts = {part.name: part.notes for part in compose(seed).parts}
        if "vocals harmony" not in parts:
            continue
        harmony = [round(note.pitch) for note in parts["vocals harmony"]]
        leaps += np.abs(np.diff(harmony)).tolist()
        onsets = np.array([note.start for note in parts["vocals"]])
        together += [np.abs(onsets - note.start).min() for note in parts["vocals harmony"]]
    assert len(leaps) > 100
    assert np.mean(np.array(leaps) > 9) < 0.02
    assert np.quantile(together, 0.95) < 0.06
