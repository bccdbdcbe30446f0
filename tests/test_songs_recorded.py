"""Singing with recorded voices, tested with recordings of the synthetic singer."""

import dataclasses
import sys

import librosa
import numpy as np
import pytest
import soundfile
from singing import band_energy

from common.songs.sound.recorded_phrase import choose, read
from common.songs.sound.recorded_voice import draw_speaker, sing_recorded, speakers
from common.songs.sound.recordings import BANDS
from common.songs.sound.singing import sing
from common.songs.sound.speakers import load
from common.songs.sound.voices import voice
from common.songs.writing.score import Syllable
from common.support.errors import UsageError

RATE = 44100
VOWELS = ("a", "i", "u", "e")


def record(folder, number: int = 0, pitch: float = 45.0, gain: float = 1.0) -> None:
    """Write twelve syllables, with the background noise of a quiet room."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(number)
    for vowel in VOWELS:
        for consonant in ("s", "m", ""):
            note = Syllable(0.2, 0.6, pitch, 90, vowel, consonant)
            audio = gain * sing([note], voice(number), 0.8, RATE, rng)
            audio += 1e-4 * rng.standard_normal(len(audio)).astype(np.float32)
            soundfile.write(folder / f"{consonant}{vowel}.wav", audio, RATE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("voices")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMON_DATA", str(root / "data"))
        record(root / "people" / "man", 0, 45)
        record(root / "people" / "woman", 1, 55)
        yield root


@pytest.fixture(scope="module")
def man(place):
    return speakers((place / "people",))[0]


def melody(start: float = 0.5, length: float = 0.6, gap: float = 0.0) -> list[Syllable]:
    words = zip((48, 52, 55, 50), ("a", "i", "u", "e"), ("s", "", "m", "s"), strict=True)
    step = length + gap
    return [
        Syllable(start + step * k, start + step * k + length, pitch, 90, vowel, consonant)
        for k, (pitch, vowel, consonant) in enumerate(words)
    ]


def perform(notes, speaker, seconds=3.5, rate=RATE, seed=0):
    return sing_recorded(notes, speaker, seconds, rate, np.random.default_rng(seed))


def test_speakers_come_in_a_stable_order_with_their_pitch(place):
    first = speakers((place / "people",))
    assert [speaker.name.split("/")[-1] for speaker in first] == ["man", "woman"]
    assert [speaker.pitch for speaker in first] == pytest.approx([45, 55], abs=0.5)
    assert speakers((place / "people" / "woman", place / "people" / "man")) == first


def test_the_same_recordings_under_two_names_are_one_speaker(place, tmp_path):
    (tmp_path / "copy").symlink_to(place / "people" / "man")
    assert len(speakers((place / "people", tmp_path / "copy"))) == 2


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.0, 0.7, 3.21])
def test_exact_length_at_any_rate(man, rate, seconds):
    audio = perform(melody(), man, seconds, rate)
    assert audio.dtype == np.float32
    assert audio.shape == (round(seconds * rate),)
    assert np.isfinite(audio).all()


def test_same_state_same_samples_and_another_seed_another_take(man):
    first = perform(melody(), man, seed=7)
    np.testing.assert_array_equal(first, perform(melody(), man, seed=7))
    assert np.abs(first - perform(melody(), man, seed=8)).max() > 0.01


def test_level_follows_the_loudest_velocity(man):
    for velocity in (30, 120):
        notes = [Syllable(0.3, 1.0, 50, velocity, "a", "m")]
        peak = np.abs(perform(notes, man, 1.5)).max()
        assert peak == pytest.approx(0.3 + 0.4 * velocity / 127, rel=1e-3)


def test_a_speaker_is_drawn_from_those_who_reach_the_notes(place):
    everyone = speakers((place / "people",))
    rng = np.random.default_rng(0)
    low, high = ([Syllable(0, 1, pitch, 90)] for pitch in (46, 64))
    drawn = {draw_speaker(everyone, low, rng).name for _ in range(20)}
    assert drawn == {everyone[0].name}
    assert {draw_speaker(everyone, high, rng).name for _ in range(20)} == {everyone[1].name}
    stretches = [draw_speaker(everyone, low, rng).stretch for _ in range(50)]
    assert 0.9 <= min(stretches) < 0.95 and 1.05 < max(stretches) <= 1.12
    with pytest.raises(ValueError, match="no speakers"):
        draw_speaker((), low, rng)


def test_stretched_formants_move_up(man):
    notes = [Syllable(0.2, 1.6, 45, 90, "a", "m")]
    peaks = []
    for stretch in (0.9, 1.12):
        audio = perform(notes, dataclasses.replace(man, stretch=stretch), 1.8)
        energies = [band_energy(audio, f, f + 100, RATE) for f in range(2000, 3400, 50)]
        peaks.append(2050 + 50 * np.argmax(energies))
    assert peaks[1] / peaks[0] == pytest.approx(1.12 / 0.9, abs=0.06)


def test_wrong_notes_are_refused(man):
    with pytest.raises(ValueError, match="-2"):
        perform([], man, -2.0)
    with pytest.raises(ValueError, match="qu"):
        perform([Syllable(0, 1, 50, 90, "a", "qu")], man)
    assert not perform([], man).any()


@pytest.mark.parametrize("seed", range(4))
def test_pitch_follows_the_notes(man, seed):
    notes = melody(length=0.8)
    audio = perform(notes, man, 4.0, seed=seed)
    for note in notes:
        # After the scoop; vibrato is centred on the note.
        steady = audio[round((note.start + 0.3) * RATE) : round((note.end - 0.15) * RATE)]
        heard = librosa.yin(steady, fmin=80, fmax=400, sr=RATE, frame_length=2048)
        cents = 100 * (librosa.hz_to_midi(np.median(heard)) - note.pitch)
        assert abs(cents) < 30


def test_silence_where_no_note_is(man):
    notes = [*melody(start=0.5), *melody(start=5.0)]
    audio = perform(notes, man, 9.0)
    assert not audio[: round(0.0 * RATE)].any()
    quiet = audio[round(3.4 * RATE) : round(4.0 * RATE)]
    assert np.abs(quiet).max(initial=0.0) < 1e-4
    assert np.abs(audio[round(8.0 * RATE) :]).max() < 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_no_click_at_joins(man, seed):
    """No sample step at a join is larger than those of the glottal pulses inside the vowels."""
    notes = [Syllable(0.3 + 0.4 * k, 0.7 + 0.4 * k, 48, 90, "aiue"[k % 4]) for k in range(6)]
    audio = perform(notes, man, 3.2, seed=seed)
    steps = np.abs(np.diff(audio))
    place = (np.arange(len(steps)) / RATE - 0.3) / 0.4
    sung = (place > 0) & (place < 6)
    inside = np.abs(place % 1.0 - 0.5) < 0.2
    assert steps[sung & ~inside].max() < 1.2 * steps[sung & inside].max()
    assert steps.max() < 0.7 * np.abs(audio).max()


def test_consonants_hiss_before_their_vowel(man):
    audio = perform([Syllable(0.5, 1.2, 48, 90, "a", "s")], man, 1.5)
    bare = perform([Syllable(0.5, 1.2, 48, 90, "a", "m")], man, 1.5)
    before = slice(round(0.38 * RATE), round(0.47 * RATE))
    high = band_energy(audio[before], 5000, 12000, RATE)
    assert high > 30 * band_energy(bare[before], 5000, 12000, RATE)
    vowel = audio[round(0.7 * RATE) : round(1.0 * RATE)]
    assert high > 0.01 * band_energy(vowel, 50, 5000, RATE)


def test_no_hiss_is_louder_than_its_vowel(man):
    loud = next(syllable for syllable in load(man.path) if syllable.hiss)
    lift = np.where(loud.voiced, 0, 20).astype(np.float16)
    near = dataclasses.replace(loud, level=loud.level + lift, shape=loud.shape + lift[:, None])
    frames = np.arange(loud.first, dtype=float)[~loud.voiced[: loud.first]]
    powers = np.mean(10 ** (read(near, frames)[:, :BANDS] / 10), axis=1)
    assert powers.max() < np.mean(10 ** (read(near, np.array([40.0]))[:, :BANDS] / 10))


def test_vowels_are_those_that_the_notes_name(man):
    syllables = load(man.path)
    found = {}
    for vowel in VOWELS:
        rng = np.random.default_rng(0)
        note = Syllable(0, 1, 48, 90, vowel, "m")
        found[vowel] = np.mean([choose(note, syllables, rng).formants for _ in range(40)], 0)
    assert found["a"][0] > 1.5 * found["i"][0]
    assert found["i"][1] > 1.8 * found["u"][1]
    assert found["e"][1] > 1.5 * found["u"][1]


def test_the_analysis_is_whole_or_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path / "data"))
    record(tmp_path / "people" / "man")

    def interrupted(*args, **kwargs):
        args[0].write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            speakers((tmp_path / "people",))
    assert not list((tmp_path / "data" / "voices").iterdir())
    assert len(speakers((tmp_path / "people",))) == 1
    assert len(list((tmp_path / "data" / "voices").iterdir())) == 1


def test_poor_recordings_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path / "data"))
    for name, low in (("narrow", 4000), ("noisy", 0), ("clipped", 0)):
        record(tmp_path / "people" / name)
        for k, path in enumerate(sorted((tmp_path / "people" / name).iterdir())):
            audio, _ = soundfile.read(path)
            if low:
                audio = librosa.resample(audio, orig_sr=RATE, target_sr=2 * low)
                audio = librosa.resample(audio, orig_sr=2 * low, target_sr=RATE)
            elif name == "noisy":
                audio += 0.03 * np.random.default_rng(k).standard_normal(len(audio))
            else:
                audio = np.clip(5 * audio, -1, 1)
            soundfile.write(path, audio, RATE)
    assert speakers((tmp_path / "people",)) == ()


def test_without_world_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "pyworld", None)
    record(tmp_path / "people" / "man")
    with pytest.raises(UsageError, match="pip install pyworld") as error:
        speakers((tmp_path / "people",))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "data").exists()
