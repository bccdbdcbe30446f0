"""Recorded sounds: what is installed, drum kits of samples, and songs that use them."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.__main__ import main
from common.songs import render as rendering
from common.songs.dataset import write_set
from common.songs.render import render
from common.songs.sound import drumkits, library, recorded_drums, sampler
from common.songs.sound.casting import cast
from common.songs.sound.library import Library, installed, missing
from common.songs.sound.singing import sing
from common.songs.sound.voices import voice
from common.songs.track import write_track
from common.songs.writing.compose import compose
from common.songs.writing.score import Note, Syllable, Variety

RATE = 44100
DRUM = (
    "<instrument><name>{name}</name><volume>0.5</volume><pan_L>{left}</pan_L><pan_R>{right}</pan_R>"
    "{layers}</instrument>"
)
LAYER = "<layer><filename>{file}</filename><min>{low}</min><max>{high}</max><gain>1</gain></layer>"


def burst(frequency: float, seconds: float = 0.5, lead: float = 0.0) -> np.ndarray:
    """A decaying tone after `lead` seconds of silence: (t,)."""
    t = np.arange(int(seconds * RATE)) / RATE
    tone = 0.8 * np.cos(2 * np.pi * frequency * t) * np.exp(-t / 0.08)
    return np.concatenate([np.zeros(int(lead * RATE)), tone])


def drum(name: str, *files: str, left: float = 1, right: float = 1) -> str:
    """One instrument of a kit, its files in layers of equal width, softest first."""
    edges = np.linspace(0, 1, len(files) + 1)
    layers = "".join(
        LAYER.format(file=file, low=low, high=high)
        for file, low, high in zip(files, edges[:-1], edges[1:], strict=True)
    )
    return DRUM.format(name=name, left=left, right=right, layers=layers)


def write_kit(folder: Path, *drums: str) -> Path:
    """Write a kit with a low and a high recording; the high one starts with silence."""
    folder.mkdir(parents=True)
    soundfile.write(folder / "low.wav", burst(200), RATE)
    soundfile.write(folder / "high.wav", burst(2000, lead=0.1), RATE)
    xml = f"<drumkit_info><name>Tiny</name>{''.join(drums)}</drumkit_info>"
    (folder / "drumkit.xml").write_text(xml)
    return folder


@pytest.fixture
def kit(tmp_path) -> Path:
    return write_kit(
        tmp_path / "kit",
        drum("Kick", "low.wav"),
        drum("Snare", "low.wav", "high.wav"),
        drum("Closed HH", "high.wav", left=1, right=0.25),
        drum("Open HH", "low.wav"),
        drum("Tom Low", "low.wav"),
        drum("Zap", "high.wav"),
        drum("Crash", "gone.wav"),
    )


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A system with one other soundfont (a link to the default one), one kit and one speaker."""
    root = tmp_path / "system"
    fonts = root / "usr/share/sounds/sf2"
    fonts.mkdir(parents=True)
    (fonts / "FluidR3_GM.sf2").symlink_to(sampler.default_soundfont())
    write_kit(
        root / "usr/share/hydrogen/data/drumkits/Tiny",
        drum("Kick", "low.wav"),
        drum("Snare", "high.wav"),
        drum("Closed HH", "high.wav"),
    )
    (root / "usr/share/klettres/de/alpha").mkdir(parents=True)
    monkeypatch.setenv("COMMON_SOUNDS", str(root))
    return root


def stroke(pitch: int, velocity: int = 100, start: float = 0.1) -> Note:
    return Note(start, start + 0.1, float(pitch), velocity)


def level(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(audio**2)))


def pitch_of(audio: np.ndarray) -> float:
    """The strongest frequency in Hz of (2, t)."""
    power = np.abs(np.fft.rfft(audio.sum(axis=0)))
    return float(np.fft.rfftfreq(audio.shape[1], 1 / RATE)[power.argmax()])


def test_what_is_installed_is_found_and_the_rest_named(root):
    found = installed()
    assert found.names == ("FluidR3_GM.sf2", "Tiny", "klettres/de")
    assert all(path.exists() for path in (*found.soundfonts, *found.kits, *found.voices))
    assert installed(["kits"]) == Library(kits=found.kits)
    assert missing() == [
        "musescore-general-soundfont",
        "avldrums.lv2-soundfont",
        "ktuberling-data",
    ]
    assert missing(["kits"]) == ["avldrums.lv2-soundfont"]
    assert library.how_to_install(missing(["kits"])) == "apt install avldrums.lv2-soundfont"
    for ask in (installed, missing):
        with pytest.raises(ValueError, match="unknown kind of sounds 'drums'"):
            ask(["drums"])


def test_voices_are_left_out_where_nothing_can_make_them_sing(root, monkeypatch):
    monkeypatch.setattr(library, "has_world", lambda: False)
    assert installed().names == ("FluidR3_GM.sf2", "Tiny")
    assert missing(["voices"]) == ["ktuberling-data", "pyworld"]
    assert missing(["kits"]) == ["avldrums.lv2-soundfont"]
    told = library.how_to_install(missing(["voices"]))
    assert told == "apt install ktuberling-data && pip install pyworld"
    assert library.how_to_install(["pyworld"]) == "pip install pyworld"


def test_kits_that_are_left_out_and_other_dialects_are_not_listed(root, monkeypatch):
    (root / "usr/share/ktuberling/sounds/sr").mkdir(parents=True)
    (root / "usr/share/ktuberling/sounds/sr@latin").mkdir()
    monkeypatch.setitem(drumkits.EXCLUDED, "Tiny", "noises")
    assert installed(["kits", "voices"]).names == ("klettres/de", "ktuberling/sr")


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ('Kick (Tama Superstar 22")', 36),
        ("c3 - bass drum 1", 36),
        ("Pearl Snare Rimshot", 40),
        ("Rim Click (Pearl Free Floating Maple 14x3.5)", 37),
        ('Hi-Hat Semiopen (Paiste Alpha Metal edge 14")', 46),
        ("Hat Op Dirty", 46),
        ("Closed HH", 42),
        ("VariBreaks Hat 1 Pd", 44),
        ("Side OHH", 46),
        ('Ride Bell (Custom, Zagrebin 22")', 53),
        ("ride-crash20inch", 51),
        ('Crash/Ride (Paiste Rude Crash/Ride 18")', 49),
        ('Crash/Ride Bow (Paiste Rude Crash/Ride 18")', 51),
        ("Floor Tom", 43),
        ("Tom", 47),
        ('Tom High (Tama Superstar 12")', 50),
        ("Cowbell", 56),
        ("Djembe3 Tone", 63),
        ("Sabian Hat Choke", None),
        ("Zap 1", None),
        ("Sample: beats_08-37.flac", None),
        ("15", None),
    ],
)
def test_names_of_instruments_tell_their_notes(name, note):
    assert drumkits.note_named(name) == note


def test_a_kit_holds_the_drums_whose_files_are_there(kit):
    drums = drumkits.read_kit(kit)
    assert sorted(drums) == [36, 38, 42, 43, 46]
    ((soft, hard),) = drums[38]
    assert (soft.path.name, soft.low, soft.high, soft.gain) == ("low.wav", 0.0, 0.5, 0.5)
    assert (hard.path.name, hard.low, hard.high) == ("high.wav", 0.5, 1.0)


def test_a_folder_without_a_kit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no readable drum kit"):
        drumkits.read_kit(tmp_path)
    (tmp_path / "drumkit.xml").write_text("<drumkit_info><instrument>")
    with pytest.raises(ValueError, match="no readable drum kit"):
        drumkits.read_kit(tmp_path)
    strange = write_kit(tmp_path / "strange", drum("Whistle", "low.wav"))
    with pytest.raises(ValueError, match="none of its drums is known"):
        drumkits.read_kit(strange)


def test_missing_drums_fall_back_on_the_nearest(kit):
    drums = drumkits.read_kit(kit)
    assert drumkits.nearest(drums, 42) == (42, 0.0)
    assert drumkits.nearest(drums, 44)[0] == 42
    assert drumkits.nearest(drums, 40)[0] == 38
    assert drumkits.nearest(drums, 49)[0] == 46
    assert drumkits.nearest(drums, 41) == (43, pytest.approx(12 * np.log2(0.62 / 0.74)))
    assert drumkits.nearest(drums, 50) == (43, drumkits.MAX_TUNING)
    assert all(drumkits.nearest(drums, note)[0] in drums for note in range(27, 88))


def test_a_kit_plays_parts_whose_main_drums_it_has(kit):
    drums = drumkits.read_kit(kit)
    assert drumkits.plays(drums, (36, 38, 44, 49, 37, 39, 50))
    assert not drumkits.plays(drums, (36, 38, 54))
    assert not drumkits.plays(drums, (64,))
    assert not drumkits.plays(dict.fromkeys((36, 38), drums[36]), (36, 38, 42))


def test_every_stroke_sounds_on_its_beat(kit):
    for pitch in range(27, 88):
        audio = recorded_drums.play((stroke(pitch),), kit, 22050)
        assert audio.shape == (2, 22050) and audio.dtype == np.float32
        assert np.abs(audio).max() > 0.02, pitch
        assert np.abs(audio[:, :4410]).max() == 0.0
        # The high recording starts with 0.1 s of silence, which the hit must not have.
        assert np.abs(audio[:, 4410:4900]).max() > 0.5 * np.abs(audio).max(), pitch


def test_velocity_chooses_the_recording_and_the_level(kit):
    soft, middle, hard = (
        recorded_drums.play((stroke(38, velocity),), kit, 22050) for velocity in (20, 55, 120)
    )
    assert pitch_of(soft) == pytest.approx(200, rel=0.15)
    assert pitch_of(hard) == pytest.approx(2000, rel=0.15)
    assert level(middle) == pytest.approx(55 / 20 * level(soft), rel=0.3)


def test_no_two_strokes_are_alike_but_the_same_part_is(kit):
    notes = tuple(stroke(36, 100, 0.5 * i) for i in range(8))
    audio = recorded_drums.play(notes, kit, 4 * RATE)
    again = recorded_drums.play(notes, kit, 4 * RATE)
    assert np.array_equal(audio, again)
    assert not np.array_equal(audio, recorded_drums.play(notes, kit, 4 * RATE, seed=1))
    strokes = audio.reshape(2, 8, -1).swapaxes(0, 1)
    levels = [20 * np.log10(level(one)) for one in strokes]
    assert 0.3 < max(levels) - min(levels) <= 2.1
    for i in range(8):
        for j in range(i):
            assert not np.array_equal(strokes[i], strokes[j]), (i, j)


def test_equal_recordings_take_turns(tmp_path):
    both = "".join(LAYER.format(file=f, low=0, high=1) for f in ("low.wav", "high.wav"))
    kit = write_kit(tmp_path / "kit", DRUM.format(name="Kick", left=1, right=1, layers=both))
    notes = tuple(stroke(36, 100, 0.5 * i) for i in range(12))
    audio = recorded_drums.play(notes, kit, 6 * RATE).reshape(2, 12, -1).swapaxes(0, 1)
    heard = [pitch_of(one) > 800 for one in audio]
    assert 3 <= sum(heard) <= 9


def test_a_closed_hat_chokes_an_open_one(kit):
    free = recorded_drums.play((stroke(46),), kit, 22050)
    choked = recorded_drums.play((stroke(46), stroke(42, 1, 0.2)), kit, 22050)
    assert level(choked[:, 9500:]) < 0.3 * level(free[:, 9500:])


def test_kits_keep_their_panning_and_others_are_spread(kit):
    hat = recorded_drums.play((stroke(42),), kit, 22050)
    assert level(hat[0]) == pytest.approx(4 * level(hat[1]), rel=1e-3)
    tom, kick = (recorded_drums.play((stroke(note),), kit, 22050) for note in (43, 36))
    assert level(tom[1]) > 1.2 * level(tom[0])
    assert np.allclose(kick[0], kick[1])


def test_recordings_at_other_rates_and_in_stereo_stay_as_they_are(tmp_path):
    kit = write_kit(tmp_path / "kit", drum("Kick", "stereo.wav"))
    t = np.arange(11025) / 22050
    tone = np.cos(2 * np.pi * 200 * t) * np.exp(-t / 0.08)
    soundfile.write(kit / "stereo.wav", np.stack([0.5 * tone, 0.1 * tone], axis=1), 22050)
    audio = recorded_drums.play((stroke(36),), kit, 22050)
    assert level(audio[0]) == pytest.approx(5 * level(audio[1]), rel=0.01)
    assert pitch_of(audio) == pytest.approx(200, rel=0.1)


def test_a_recording_begins_and_ends_without_a_click(kit):
    soundfile.write(kit / "low.wav", np.full(RATE, 0.5), RATE)
    audio = recorded_drums.recording(drumkits.Sample(kit / "low.wav"))
    assert audio[0, 0] == audio[0, -1] == 0.0
    assert np.abs(np.diff(audio[0])).max() < 0.1


def test_a_recording_that_is_cut_short_fades_slowly_and_keeps_its_attack(kit):
    soundfile.write(kit / "low.wav", np.full(12 * RATE, 0.5), RATE)
    audio = recorded_drums.recording(drumkits.Sample(kit / "low.wav"))[0]
    assert len(audio) == pytest.approx(recorded_drums.LONGEST * RATE, abs=RATE // 10)
    half = audio[len(audio) // 2]
    assert half == pytest.approx(0.5, abs=0.01)
    assert 0 < audio[-RATE // 2] < 0.5 * half


def test_a_silent_file_is_silence(kit):
    soundfile.write(kit / "low.wav", np.zeros(RATE), RATE)
    audio = recorded_drums.play((stroke(36),), kit, 22050)
    assert not audio.any()


def test_a_soundfont_of_avldrums_is_a_kit_too():
    font = Path(sampler.default_soundfont())
    drums = drumkits.read_kit(font)
    assert drumkits.plays(drums, (36, 38, 42, 46, 49, 45, 48, 54))
    soft, hard = (recorded_drums.play((stroke(36, v),), font, RATE) for v in (40, 110))
    assert level(hard) > 2 * level(soft) > 1e-4


def test_the_programs_of_a_soundfont_are_read_from_its_header(tmp_path):
    assert sampler.programs(sampler.default_soundfont()) == frozenset(range(128))
    presets = [(b"Bass", 33, 0), (b"Kit", 0, 128), (b"EOP", 0, 0)]
    phdr = b"".join(struct.pack("<20s3H3I", *preset, 0, 0, 0, 0) for preset in presets)
    info, pdta = b"INFO" + b"ifil\4\0\0\0\2\0\1\0", b"pdta" + chunk(b"phdr", phdr)
    path = tmp_path / "small.sf2"
    path.write_bytes(chunk(b"RIFF", b"sfbk" + chunk(b"LIST", info) + chunk(b"LIST", pdta)))
    assert sampler.programs(str(path)) == {33}


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def test_songs_draw_every_sound_and_only_training_songs_do(root):
    found = installed()
    casts = [cast(compose(seed), found) for seed in range(30)]
    drawn = [sound for sounds in casts for sound in sounds.values()]
    assert set(drawn) == {*found.soundfonts, *found.kits}
    songs = [compose(seed) for seed in range(30)]
    sampled = sum(p.instrument == "sampled" and p.stem != "drums" for s in songs for p in s.parts)
    assert 0.3 < sum(sound in found.soundfonts for sound in drawn) / sampled < 0.7
    assert 5 <= sum("drums" in sounds for sounds in casts) <= 25
    assert casts == [cast(song, found) for song in songs]
    # The parts of a song draw independently of each other.
    tunes = [{p.name for p in song.parts if p.stem in ("bass", "other")} for song in songs]
    assert sum(0 < len(t & set(c)) < len(t) for t, c in zip(tunes, casts, strict=True)) > 10
    assert not any(cast(song, None) for song in songs)
    assert not any(cast(compose(seed, "test"), found) for seed in range(30))
    assert not any(cast(compose(s, variety=Variety(timbres=False)), found) for s in range(30))


def test_the_sound_of_a_part_does_not_depend_on_the_other_parts(root):
    song, found = compose(3), installed()
    whole = cast(song, found)
    for part in song.parts:
        alone = cast(replace(song, parts=(part,)), found)
        assert alone == {name: sound for name, sound in whole.items() if name == part.name}


def test_a_soundfont_without_the_program_is_not_drawn(root, monkeypatch):
    monkeypatch.setattr(sampler, "programs", lambda _: frozenset({33}))
    found = Library(soundfonts=installed().soundfonts)
    songs = {seed: compose(seed) for seed in range(30)}
    drawn = {
        part.program
        for song in songs.values()
        for part in song.parts
        if part.name in cast(song, found)
    }
    assert drawn == {33}


def training_song(found: Library, *stems: str) -> tuple[int, dict[str, Path]]:
    """The first seed whose cast has a sound for each of these stems."""
    for seed in range(100):
        song = compose(seed, "train", 6.0)
        sounds = cast(song, found)
        heard = {part.stem for part in song.parts if part.name in sounds and part.notes}
        if heard >= set(stems):
            return seed, sounds
    raise AssertionError("no song draws these")


def test_drawing_from_a_library_changes_nothing_else(root):
    """The other soundfont is a link to the default one, so the songs must be bit-identical."""
    fonts = Library(soundfonts=installed().soundfonts)
    seed, _ = training_song(fonts, "bass", "other")
    song = compose(seed, "train", 6.0)
    plain, wide = render(song, 22050), render(song, 22050, library=fonts)
    assert all(np.array_equal(plain[stem], wide[stem]) for stem in plain)


def test_a_recorded_kit_changes_the_drums_alone(root, monkeypatch):
    kits = Library(kits=installed().kits)
    seed, _ = training_song(kits, "drums")
    song = compose(seed, "train", 6.0)
    drawn = []
    draw = rendering.draw_strip
    monkeypatch.setattr(rendering, "draw_strip", lambda *a: drawn.append(draw(*a)) or drawn[-1])
    plain, wide = render(song, 22050), render(song, 22050, library=kits)
    assert drawn[: len(drawn) // 2] == drawn[len(drawn) // 2 :]
    for stem in plain:
        # All stems share one gain, which keeps their sum from clipping.
        alike = np.corrcoef(plain[stem].ravel(), wide[stem].ravel())[0, 1]
        assert (alike > 0.9999) == (stem != "drums"), stem
    assert level(wide["drums"]) == pytest.approx(level(plain["drums"]), rel=1.0)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Library:
    """Two speakers, recorded from the synthetic singer."""
    home = tmp_path_factory.mktemp("people")
    for name, number, pitch in (("man", 0, 45.0), ("woman", 1, 55.0)):
        (home / name).mkdir()
        for index, (vowel, consonant) in enumerate(product("aiue", ("s", "m", ""))):
            note = Syllable(0.2, 0.6, pitch, 90, vowel, consonant)
            audio = sing([note], voice(number), 0.8, RATE, np.random.default_rng(index))
            audio += 1e-4 * np.random.default_rng(index).standard_normal(len(audio))
            soundfile.write(home / name / f"{consonant}{vowel}.wav", audio, RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMON_DATA", str(home / "data"))
        yield Library(voices=(home / "man", home / "woman"))


def test_half_of_the_songs_are_sung_by_one_recorded_speaker(people):
    songs = [compose(seed) for seed in range(40)]
    sung = [{p.name for p in song.parts if p.instrument == "voice"} for song in songs]
    casts = [cast(song, people) for song in songs]
    assert all(set(c) in (set(), names) for c, names in zip(casts, sung, strict=True))
    assert 10 <= sum(map(bool, casts)) <= 30
    assert all(len(set(c.values())) == 1 for c in casts if c)
    heard = {speaker.name for c in casts for speaker in c.values()}
    assert len(heard) == 2
    assert casts == [cast(song, people) for song in songs]
    assert not any(cast(compose(seed, "test"), people) for seed in range(20))
    assert not any(cast(compose(s, variety=Variety(voices=False)), people) for s in range(20))
    assert any(cast(compose(s, variety=Variety(timbres=False)), people) for s in range(20))


def test_nobody_sings_where_no_recordings_are_good_enough(root):
    found = Library(voices=installed().voices)
    assert found.voices and not any(cast(compose(seed), found) for seed in range(20))


def test_a_recorded_speaker_changes_the_vocals_alone(people, tmp_path):
    seed, sounds = training_song(people, "vocals")
    song = compose(seed, "train", 6.0)
    plain, wide = render(song, 22050), render(song, 22050, library=people)
    for stem in plain:
        if plain[stem].any():
            alike = np.corrcoef(plain[stem].ravel(), wide[stem].ravel())[0, 1]
            assert (alike > 0.9999) == (stem != "vocals"), stem
    assert level(wide["vocals"]) > 0.01
    folder = write_track(tmp_path / "wide", song, 22050, library=people)
    told = json.loads((folder / "song.json").read_text())["sounds"]
    assert told == {part: speaker.name for part, speaker in sounds.items()}


def test_test_songs_never_draw_from_a_library(root):
    song = compose(1_000_000, "test", 6.0)
    plain, wide = render(song, 22050), render(song, 22050, library=installed())
    assert all(np.array_equal(plain[stem], wide[stem]) for stem in plain)


def test_song_json_names_the_sounds(root, tmp_path):
    found = installed()
    seed, sounds = training_song(found, "drums", "other")
    song = compose(seed, "train", 6.0)
    folder = write_track(tmp_path / "wide", song, 22050, library=found)
    told = json.loads((folder / "song.json").read_text())["sounds"]
    assert told == {part: library.sound_name(sound) for part, sound in sounds.items()}
    assert {"Tiny", "FluidR3_GM.sf2"} <= set(told.values())
    plain = write_track(tmp_path / "plain", song, 22050)
    assert "sounds" not in json.loads((plain / "song.json").read_text())


SMALL = {"n_train": 1, "n_test": 0, "seconds": 5.0, "sample_rate": 22050, "progress": False}


def test_a_set_is_made_from_the_sounds_that_are_installed(root, tmp_path):
    wide = write_set(tmp_path / "wide", **SMALL, sounds=("soundfonts", "kits"))
    assert json.loads((wide / "set.json").read_text())["sounds"] == ["FluidR3_GM.sf2", "Tiny"]
    assert write_set(wide, **SMALL, sounds=("soundfonts", "kits")) == wide
    plain = write_set(tmp_path / "plain", **SMALL)
    assert "sounds" not in json.loads((plain / "set.json").read_text())
    for folder, sounds in ((wide, ()), (wide, ("kits",)), (plain, ("kits",))):
        with pytest.raises(ValueError, match="another choice of sounds") as error:
            write_set(folder, **SMALL, sounds=sounds)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="unknown kind of sounds"):
        write_set(tmp_path / "none", **SMALL, sounds=("guitars",))
    assert not (tmp_path / "none").exists()


def test_the_command_says_what_is_missing_and_renders_with_the_rest(root, tmp_path, capsys):
    short = ["--train", "1", "--test", "0", "--seconds", "5", "--rate", "22050"]
    assert main(["songs", str(tmp_path / "wide"), *short, "--wide"]) == 0
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("warning")]
    assert line.endswith(f"apt install {' '.join(missing())}")
    card = json.loads((tmp_path / "wide" / "set.json").read_text())
    assert card["sounds"] == list(installed().names)
    assert main(["songs", str(tmp_path / "plain"), *short]) == 0
    assert "apt install" not in capsys.readouterr().err
