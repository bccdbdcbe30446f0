"""Composed songs: form, harmony, registers, variety, and separate sounds for training and test."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from common.songs.sound.instruments import (
    FAMILIES,
    SPLITS,
    VOICE_RANGES,
    programs,
)
from common.songs.writing.compose import compose
from common.songs.writing.score import CONSONANTS, VOWELS, Part, Song, Syllable
from common.songs.writing.styles import STYLES

ALONE = ("bass", "riff", "lead", "double", "harmony")
RING = {"drums": 0.4, "bass": 0.15, "other": 0.15, "vocals": 0.1}
"""Seconds for which even the shortest note of a stem is heard."""


@pytest.fixture(scope="module")
def songs() -> dict[str, list[Song]]:
    return {split: [compose(seed, split) for seed in range(150)] for split in SPLITS}


def everything(songs: dict[str, list[Song]]) -> list[Song]:
    return [song for split in SPLITS for song in songs[split]]


def tune(song: Song) -> Part:
    """The part that carries the melody: the lead voice, or else the lead instrument."""
    leads = [part for part in song.parts if part.role == "lead"]
    return next((part for part in leads if part.instrument == "voice"), leads[0])


def silence(song: Song, stem: str) -> float:
    """The share of the song in which a stem plays nothing."""
    heard = np.zeros(int(song.duration / 0.05), bool)
    for part in song.parts:
        if part.stem == stem:
            for note in part.notes:
                end = max(note.end, note.start + RING[stem])
                heard[int(note.start / 0.05) : int(end / 0.05) + 1] = True
    return 1 - heard.mean()


def chord_under(song: Song, seconds: float) -> tuple[int, ...]:
    """The pitch classes of the chord at a time, from the root up; players may be 60 ms early."""
    return [chord for chord in song.chords if chord.start <= seconds + 0.06][-1].pitch_classes


def entropy(pitches: list[float]) -> float:
    """Entropy of the pitch classes, in bits."""
    counts = np.bincount(np.round(pitches).astype(int) % 12) / len(pitches)
    return float(-(counts[counts > 0] * np.log2(counts[counts > 0])).sum())


def check_form(song: Song) -> None:
    """Check that sections are whole bars, and that notes are in time, in register, one per key."""
    beats = STYLES[song.style].beats
    bar = beats * 60 / song.tempo
    assert 70 - 1e-9 <= song.tempo <= 170 + 1e-9
    assert len(song.sections) >= 2
    assert song.sections[0].start == 0 and song.sections[-1].end == song.duration
    for before, after in zip(song.sections, song.sections[1:], strict=False):
        assert before.end == pytest.approx(after.start)
        assert before.end / bar == pytest.approx(round(before.end / bar))
    for part in song.parts:
        assert part.notes
        ends: dict[float, float] = {}
        for note in part.notes:
            assert 0 <= note.start < note.end <= song.duration - min(1.2, 0.15 * song.duration)
            assert 1 <= note.velocity <= 127
            assert part.stem == "drums" or 20 <= note.pitch <= 108
            key = 0.0 if part.role in ALONE else note.pitch
            assert note.start >= ends.get(key, 0.0) - 1e-9, "a key is struck while it sounds"
            ends[key] = note.end
        assert [n.start for n in part.notes] == sorted(n.start for n in part.notes)


@pytest.mark.parametrize("seconds", [4.0, 8.0, 24.0, 61.5, 240.0])
@pytest.mark.parametrize("split", SPLITS)
def test_any_length_makes_a_whole_song(seconds, split):
    for seed in range(30 if seconds < 60 else 6):
        song = compose(seed, split, seconds)
        assert song.duration == seconds
        check_form(song)
        assert {part.stem for part in song.parts} >= {"drums", "bass", "other"}


def test_same_seed_same_song():
    assert compose(7, "test", 20.0) == compose(7, "test", 20.0)
    assert compose(7, "test", 20.0) != compose(8, "test", 20.0)
    assert compose(7, "test").parts != compose(7, "train").parts


def test_no_two_songs_share_a_melody(songs):
    seen, openings = Counter(), Counter()
    for song in [*everything(songs), *(compose(seed) for seed in range(150, 200))]:
        notes = tune(song).notes
        grid = [round(note.start * song.tempo / 60 * 4) for note in notes]
        pitches = [round(note.pitch) for note in notes]
        steps = tuple(zip(np.diff(pitches).tolist(), np.diff(grid).tolist(), strict=True))
        seen[steps] += 1
        if len(steps) >= 12:
            openings[steps[:12]] += 1
    assert max(seen.values()) == 1
    assert max(openings.values()) == 1 and len(openings) > 200


def test_training_and_test_share_no_sound(songs):
    for family in FAMILIES:
        assert not set(programs(family, "train")) & set(programs(family, "test")), family
    used = {
        split: {
            (part.instrument, part.stem == "drums", part.program)
            for song in songs[split]
            for part in song.parts
        }
        for split in SPLITS
    }
    assert not used["train"] & used["test"] and not used["valid"] & used["test"]
    voices = {split: {p for i, _, p in used[split] if i == "voice"} for split in SPLITS}
    assert voices["train"] <= set(range(48)) and len(voices["train"]) > 40
    assert voices["test"] <= set(range(48, 64)) and len(voices["test"]) > 12
    with pytest.raises(ValueError, match="unknown family"):
        programs("theremin", "train")
    with pytest.raises(ValueError, match="unknown split"):
        programs("piano", "dev")


def test_sixty_programs_and_all_kits_are_in_use(songs):
    pitched = {
        part.program
        for song in songs["train"]
        for part in song.parts
        if part.stem in ("bass", "other")
    }
    assert len(pitched) >= 60
    assert not pitched & {52, 53, 54, 85, 91}, "choirs belong to no stem but vocals"
    drums = [part for song in everything(songs) for part in song.parts if part.role == "drums"]
    # The kits of TimGM6mb.sf2.
    kits = {part.program for part in drums if part.instrument == "sampled"}
    assert kits == {0, 8, 16, 24, 25, 32, 40, 48}
    presets = {part.program for part in drums if part.instrument == "drum synth"}
    assert presets == set(range(16))


def test_styles_differ(songs):
    counts = Counter(song.style for song in everything(songs))
    assert len(counts) == len(STYLES) >= 12
    assert max(counts.values()) < 3.5 * min(counts.values())
    assert len({style.grooves for style in STYLES.values()}) == len(STYLES)
    assert len({style.tempo for style in STYLES.values()}) > 12
    assert len({style.layers for style in STYLES.values()}) == len(STYLES)
    tempos = [song.tempo for song in everything(songs)]
    assert min(tempos) < 80 and max(tempos) > 160


def test_harmony_moves_and_the_tune_fits_it(songs):
    strong, roots, chords, bits = [], [], [], []
    for song in everything(songs):
        beat = 60 / song.tempo
        bar = STYLES[song.style].beats * beat
        chords.append(len({chord.symbol for chord in song.chords}))
        assert song.chords[-1].symbol.startswith(song.key)
        for part in song.parts:
            if part.role == "lead" and part.stem == "vocals":
                heavy = [n for n in part.notes if n.end - n.start > 0.9 * beat]
                strong += [round(n.pitch) % 12 in chord_under(song, n.start) for n in heavy]
            if part.stem == "bass":
                ones = [n for n in part.notes if abs((n.start + bar / 2) % bar - bar / 2) < 0.05]
                roots += [n.pitch % 12 == chord_under(song, n.start)[0] for n in ones]
        other = [n.pitch for part in song.parts if part.stem == "other" for n in part.notes]
        bits.append(entropy(other))
        assert chords[-1] >= 2
    assert np.mean(strong) > 0.9
    assert np.mean(roots) > 0.95
    assert np.median(chords) >= 4
    # Seven equally used scale tones would be 2.8 bits, a drone 0.
    assert 2.4 < np.median(bits) < 3.2 and np.quantile(bits, 0.02) > 1.8


def test_every_song_has_a_band_and_nearly_every_song_a_singer(songs):
    others = [sum(p.stem == "other" for p in song.parts) for song in everything(songs)]
    assert np.mean(np.array(others) >= 2) > 0.85
    sung = [any(p.stem == "vocals" for p in song.parts) for song in everything(songs)]
    assert 0.9 < np.mean(sung) < 1
    roles = Counter(p.role for song in everything(songs) for p in song.parts)
    assert set(roles) == {"drums", "percussion", "bass", "chords", "pad", "arpeggio", "riff",
                          "lead", "double", "harmony"}  # fmt: skip
    assert min(roles.values()) > 20


def test_registers_suit_the_players(songs):
    for song in everything(songs):
        for part in song.parts:
            pitches = [note.pitch for note in part.notes]
            if part.stem == "bass":
                assert 28 <= min(pitches) and max(pitches) <= 52
            if part.instrument == "voice":
                low, high = VOICE_RANGES[part.program % 3]
                assert low - 0.1 <= min(pitches) and max(pitches) <= high + 0.1


@pytest.mark.parametrize(
    "stem, low, high",
    [("drums", 0.05, 0.25), ("bass", 0.05, 0.30), ("other", 0.0, 0.20), ("vocals", 0.25, 0.55)],
)
def test_stems_rest_now_and_then(songs, stem, low, high):
    shares = [silence(song, stem) for song in songs["train"]]
    assert low < np.median(shares) < high
    # In some songs the stem rests much longer than in the median song.
    assert np.quantile(shares, 0.9) > np.median(shares) + 0.05


def test_singers_sing_words_in_phrases(songs):
    lengths, syllables = [], set()
    for song in everything(songs):
        for part in song.parts:
            if part.instrument != "voice":
                continue
            for note in part.notes:
                assert isinstance(note, Syllable)
                assert note.vowel in VOWELS and note.consonant in CONSONANTS
                syllables.add((note.consonant, note.vowel))
            if part.role == "lead":
                gaps = [b.start - a.end for a, b in zip(part.notes, part.notes[1:], strict=False)]
                lengths.append(len(part.notes) / (1 + sum(gap > 0.35 for gap in gaps)))
    assert len(syllables) > 150
    assert 3 < np.median(lengths) < 14, "notes per phrase"


def test_choruses_return_and_drums_fill():
    # A chorus loses its end if the band stops for a bar; most of it is the same each time.
    kept, fills = [], []
    for seed in range(12):
        song = compose(seed, "train", 150.0)
        lines = []
        beat = 60 / song.tempo
        for section in (s for s in song.sections if s.name == "chorus"):
            lines.append(
                {
                    (round((n.start - section.start) / beat * 2), round(n.pitch))
                    for n in tune(song).notes
                    if section.start - 0.05 <= n.start < section.end - 0.1
                }
            )
        kept += [len(lines[0] & line) / len(lines[0]) for line in lines[1:] if lines[0]]
        drums = next(part for part in song.parts if part.role == "drums")
        fills.append(sum(note.pitch in (41, 43, 45, 47, 48, 50) for note in drums.notes))
    assert np.median(kept) > 0.8
    assert np.median(fills) > 3
