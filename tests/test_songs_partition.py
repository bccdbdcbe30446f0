"""Three partitions of timbres: training, validation and test songs that share no sound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import musdb
import pytest

from common.data import SONG_SETS, SongSet, embedded, embedded_tracks, load_tracks
from common.data.decoded import decode, decoded_tracks, training_tracks
from common.data.embedded import songs_folder
from common.data.musdb_folder import open_database
from common.recipes import train, training
from common.songs.dataset import song_seed, write_set
from common.songs.sound.instruments import FAMILIES, HELD_OUT, STAND_INS, preferred, programs
from common.songs.writing.compose import compose, song_json
from common.songs.writing.score import Song
from common.songs.writing.styles import STYLES
from common.support.errors import UsageError

RATE = 22050
TINY = {"n_train": 2, "n_valid": 2, "n_test": 1, "seconds": 5.0, "sample_rate": RATE}
KITS = [family for family in FAMILIES if "kit" in family]
PITCHED = [name for name in FAMILIES if name not in (*KITS, "drum synth", "voice")]


def sounds(songs: Iterable[Song]) -> set[tuple[str, bool, int]]:
    """All sounds of some songs, as (instrument, whether it is in the drums, program)."""
    return {(p.instrument, p.stem == "drums", p.program) for song in songs for p in song.parts}


@pytest.fixture(scope="module")
def heard() -> dict[str, set[tuple[str, bool, int]]]:
    """The sounds of a set with validation songs, over 300 seeds of each split."""
    return {
        split: sounds(
            compose(song_seed(4, split, seed), split, 24.0, held_out=True) for seed in range(300)
        )
        for split in ("train", "valid", "test")
    }


def test_no_two_splits_share_a_sound(heard):
    for one, other in combinations(heard, 2):
        assert not heard[one] & heard[other], (one, other)


def test_validation_songs_play_all_that_is_held_out_and_nothing_else(heard):
    held_out = {("voice", False, number) for number in HELD_OUT["voice"]}
    held_out |= {("drum synth", True, number) for number in HELD_OUT["drum synth"]}
    held_out |= {("sampled", True, kit) for kit in HELD_OUT["soft kit"]}
    pitched = [number for name in PITCHED for number in HELD_OUT.get(name, ())]
    held_out |= {("sampled", False, number) for number in pitched}
    assert heard["valid"] == held_out


def test_training_songs_play_all_else(heard):
    everything = sounds(compose(song_seed(4, "train", seed)) for seed in range(300))
    assert heard["valid"] & everything == heard["valid"], "nothing is held out by default"
    assert heard["train"] | heard["valid"] == everything


def test_every_family_with_three_programs_keeps_one_for_validation():
    for family, (given, _) in FAMILIES.items():
        kept = HELD_OUT.get(family, ())
        wanted = {"drum synth": 2, "voice": 8}.get(family, int(len(given) >= 3))
        assert len(kept) == wanted and set(kept) <= set(given), family
        assert (family in STAND_INS) == (not kept), family
    assert set(STAND_INS.values()) <= set(HELD_OUT)
    first, second = HELD_OUT["drum synth"]
    assert first % 4 != second % 4, "two presets of one family"
    assert {number % 3 for number in HELD_OUT["voice"]} == {0, 1, 2}


@pytest.mark.parametrize("kind", [PITCHED, KITS], ids=["programs", "kits"])
def test_a_program_that_is_held_out_is_held_out_in_all_families(kind):
    left = {x for family in kind for x in programs(family, "train", held_out=True)}
    assert not left & {x for family in kind for x in HELD_OUT.get(family, ())}


def test_validation_prefers_families_with_sounds_of_their_own():
    assert preferred(("clean guitar", "organ", "brass"), "valid") == ("organ",)
    assert preferred(("clean guitar", "brass"), "valid") == ("clean guitar", "brass")
    assert preferred(("clean guitar", "organ"), "train") == ("clean guitar", "organ")
    assert programs("clean guitar", "valid") == HELD_OUT["acoustic guitar"]
    songs = [compose(seed, "valid") for seed in range(200)]
    assert {song.style for song in songs} == set(STYLES)
    assert all({p.stem for p in song.parts} >= {"drums", "bass", "other"} for song in songs)


COMPOSED = "f861c5cc5b71f225c3080f96ff37f2650bd95efd1143c4efb82267d8e3d8a49a"
"""sha256 over 50 songs of the default set, from before any sound could be held out."""


def test_the_default_songs_are_composed_as_before():
    digest = hashlib.sha256()
    for split in ("train", "test"):
        for index in range(25):
            song = compose(song_seed(0, split, index), split)
            sections = [(x.name, round(x.start, 4), round(x.end, 4)) for x in song.sections]
            chords = [(x.symbol, round(x.start, 4)) for x in song.chords]
            facts = [song.title, song.style, round(song.tempo, 6), song.key, song.mode]
            facts += [sections, chords]
            for p in song.parts:
                notes = [
                    (round(n.start, 4), round(n.end, 4), round(n.pitch, 3), n.velocity)
                    for n in p.notes
                ]
                facts.append([p.name, p.stem, p.role, p.instrument, p.program, notes])
            digest.update(repr(facts).encode())
            assert "held_out" not in song_json(song)
    assert digest.hexdigest() == COMPOSED


def test_a_song_can_be_composed_again_from_what_is_written_beside_it():
    song = compose(12, "train", 24.0, held_out=True)
    told = song_json(song)
    assert told["held_out"] is True
    made = compose(told["seed"], told["split"], told["duration"], held_out=told["held_out"])
    assert made == song
    assert "held_out" not in song_json(compose(12, "valid", held_out=True))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp("songs") / "set", **TINY, progress=False)


def names(root: Path, split: str) -> set[str]:
    return {folder.name for folder in (root / split).iterdir()}


def test_a_set_with_validation_songs_is_read_as_three_splits(root):
    splits = {split: load_tracks(root, split) for split in ("train", "valid", "test")}
    assert [len(tracks) for tracks in splits.values()] == [2, 2, 1]
    for split, tracks in splits.items():
        assert {track.name for track in tracks} == names(root, split)
    assert len({track.name for tracks in splits.values() for track in tracks}) == 5
    for folder in (root / "train").iterdir():
        assert json.loads((folder / "song.json").read_text(encoding="utf-8"))["held_out"] is True


def test_musdb_reads_its_training_and_test_songs(root):
    database = musdb.DB(root=str(root), is_wav=True)
    assert {track.name for track in database} == names(root, "train") | names(root, "test")


def test_decoded_it_has_the_same_splits(root, tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path))
    for split in ("train", "valid"):
        found = training_tracks(decode(root, RATE), split, RATE)
        assert {track.name for track in found} == names(root, split)


def test_validation_songs_that_change_are_decoded_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path / "home"))
    few = {**TINY, "n_train": 1, "n_test": 0}
    root = write_set(tmp_path / "set", **{**few, "n_valid": 1}, progress=False)
    assert len(decoded_tracks(decode(root, RATE), "valid", RATE)) == 1
    write_set(root, **few, progress=False)
    assert len(decoded_tracks(decode(root, RATE), "valid", RATE)) == 2


def test_training_validates_on_the_validation_songs(root, tmp_path, monkeypatch):
    made = {}

    class Spy(training.ValidationLoss):
        def __init__(self, objective, excerpts, n_excerpts):
            made["valid"] = {track.name for track in excerpts.tracks}
            super().__init__(objective, excerpts, n_excerpts)

    fit = training.fit

    def spy(net, objective, excerpts, *more):
        made["train"] = {track.name for track in excerpts.tracks}
        return fit(net, objective, excerpts, *more)

    monkeypatch.setattr(training, "ValidationLoss", Spy)
    monkeypatch.setattr(training, "fit", spy)
    train("mask-inference", "smoke", root=root, folder=tmp_path / "run")
    assert made == {split: names(root, split) for split in ("train", "valid")}
    card = json.loads((tmp_path / "run" / "songs.json").read_text(encoding="utf-8"))
    assert card["held_out"] is True and card["n_valid"] == 2


def test_an_empty_folder_of_validation_songs_is_named(root, tmp_path):
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
    (tmp_path / "train" / "Song").symlink_to(next((root / "train").iterdir()))
    assert len(open_database(tmp_path, "train")) == 1
    with pytest.raises(UsageError, match="valid holds no tracks"):
        open_database(tmp_path, "valid")


def test_set_json_says_what_is_held_out_and_sets_do_not_mix(root, tmp_path):
    card = json.loads((root / "set.json").read_text(encoding="utf-8"))
    assert card["held_out"] is True and card["n_valid"] == 2 and "sounds" not in card
    whole = {**TINY, "n_valid": 0}
    with pytest.raises(ValueError, match="another held_out"):
        write_set(root, **whole, progress=False)
    assert write_set(root, **whole, held_out=True, progress=False) == root
    plain = write_set(tmp_path, **{**whole, "n_train": 0}, progress=False)
    card = json.loads((plain / "set.json").read_text(encoding="utf-8"))
    assert not {"held_out", "n_valid", "sounds"} & card.keys()
    assert not (plain / "valid").exists()
    with pytest.raises(ValueError, match="another held_out"):
        write_set(plain, **TINY, progress=False)


def test_a_sets_folder_names_what_is_not_usual(tmp_path, monkeypatch):
    assert songs_folder(SONG_SETS["live"]).name == "songs-v1-24s-seed0-22050hz"
    monkeypatch.setenv("COMMON_SOUNDS", str(tmp_path))
    wide = songs_folder(SONG_SETS["wide"]).name
    assert wide.startswith("songs-v1-24s-seed4-22050hz-40valid-soundfonts-kits-voices-")
    font = tmp_path / "usr/share/sounds/sf2/FluidR3_GM.sf2"
    font.parent.mkdir(parents=True)
    font.touch()
    assert songs_folder(SONG_SETS["wide"]).name != wide, "what is installed later is another set"


def test_asking_for_one_split_renders_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path))
    songs = SongSet(n_train=3, n_test=0, seconds=5.0, seed=9, n_valid=2)
    root = songs_folder(songs)
    valid = embedded_tracks("valid", limit=1, songs=songs)
    assert [len(names(root, split)) for split in ("train", "valid")] == [0, 1]
    found = embedded_tracks("train", limit=2, songs=songs)
    assert [len(names(root, split)) for split in ("train", "valid")] == [2, 1]
    assert len(found) == 2 and not {x.name for x in found} & {x.name for x in valid}
    assert len(embedded_tracks("train", songs=songs)) == 3


def test_the_test_is_that_of_two_sets(tmp_path, monkeypatch):
    assert SONG_SETS["live"].n_test + SONG_SETS["more-test"].n_test == 40
    titles = {
        compose(song_seed(songs.seed, "test", index), "test", songs.seconds).title
        for songs in (SONG_SETS["live"], SONG_SETS["more-test"])
        for index in range(songs.n_test)
    }
    assert len(titles) == 40, "results are paired by the songs' names"
    monkeypatch.setenv("COMMON_DATA", str(tmp_path))
    for name, seed in (("live", 0), ("more-test", 3)):
        monkeypatch.setitem(SONG_SETS, name, SongSet(0, 1, 5.0, seed))
    found = embedded.test_tracks(8000)
    assert [track.sample_rate for track in found] == [8000, 8000]
    assert len({track.name for track in found}) == 2
