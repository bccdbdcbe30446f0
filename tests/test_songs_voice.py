"""The synthetic singer: pitch, level, timing and timbre, measured."""

import dataclasses

import librosa
import numpy as np
import pytest
from singing import PITCH, RATE, band_energy, perform, phrase, plain, thirds

from common.songs.sound.formants import KINDS
from common.songs.sound.voices import voice
from common.songs.writing.score import Syllable


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
@pytest.mark.parametrize("duration", [0.0, 0.001, 1.23456, 3.0])
def test_exact_length_at_any_rate(rate, duration):
    audio = perform(phrase(voice(1)), voice(1), duration, rate)
    assert audio.dtype == np.float32
    assert audio.shape == (round(duration * rate),)
    assert np.isfinite(audio).all()


def test_same_state_same_samples_and_another_seed_another_take():
    notes = phrase(voice(4))
    first = perform(notes, voice(4), 4.6, seed=7)
    np.testing.assert_array_equal(first, perform(notes, voice(4), 4.6, seed=7))
    assert np.abs(first - perform(notes, voice(4), 4.6, seed=8)).max() > 0.01


def test_voices_are_fixed_by_their_number():
    assert voice(11) == voice(11)
    assert [voice(number).kind for number in range(6)] == [*KINDS, *KINDS]
    assert len({voice(number) for number in range(64)}) == 64
    with pytest.raises(ValueError, match="-1"):
        voice(-1)


def test_negative_duration_is_refused():
    with pytest.raises(ValueError, match="-2"):
        perform([], voice(0), -2.0)


def test_different_voices_sound_different():
    """Each voice's average spectrum differs more from the others' than from its second take."""
    spectra = [
        [thirds(perform(phrase(voice(n)), voice(n), 4.6, seed=take)) for take in (0, 1)]
        for n in range(12)
    ]
    for i, (first, second) in enumerate(spectra):
        own = np.sqrt(np.mean(np.square(first - second)))
        others = [
            np.sqrt(np.mean(np.square(first - other[1])))
            for j, other in enumerate(spectra)
            if j != i
        ]
        assert own < min(others), f"voice {i}"
        assert min(others) > 1.5, f"voice {i}"


@pytest.mark.parametrize("number", [0, 1, 2, 9, 13, 17])
def test_pitch_follows_the_score(number):
    singer = voice(number)
    steps = (0, 7, 3, 12, 5)
    pitches = [PITCH[singer.kind] + step for step in steps]
    notes = [
        Syllable(0.2 + 0.7 * k, 0.9 + 0.7 * k, pitch, 95, vowel, consonant)
        for k, (pitch, vowel, consonant) in enumerate(
            zip(pitches, "aeiou", ("", "m", "l", "s", "d"), strict=True)
        )
    ]
    audio = perform(notes, singer, 4.0)
    f0, voiced, _ = librosa.pyin(audio, fmin=60, fmax=1000, sr=RATE, hop_length=512)
    times = np.arange(len(f0)) * 512 / RATE
    for note in notes:
        sustained = (times > note.start + 0.3) & (times < note.end - 0.12)
        assert voiced[sustained].mean() > 0.8
        sung = librosa.hz_to_midi(np.nanmedian(f0[sustained]))
        assert abs(sung - note.pitch) < 0.5


def test_glide_is_slower_than_a_plain_step():
    singer = dataclasses.replace(plain(1), glide=0.3, transition=0.05)

    def rise_time(glide: bool) -> float:
        notes = [
            Syllable(0.1, 1.0, 58, 95, "a"),
            Syllable(1.0, 2.0, 65, 95, "a", glide=glide),
        ]
        f0, _, _ = librosa.pyin(
            perform(notes, singer, 2.1), fmin=150, fmax=500, sr=RATE, hop_length=64
        )
        pitch = librosa.hz_to_midi(f0)
        moving = (pitch > 59) & (pitch < 64)
        return moving.sum() * 64 / RATE

    assert rise_time(True) > 2 * rise_time(False)


def test_vibrato_comes_late_at_its_rate():
    singer = dataclasses.replace(
        plain(3), vibrato_rate=5.5, vibrato_depth=0.6, vibrato_delay=0.5, scoop=0.0
    )
    audio = perform([Syllable(0.1, 3.1, 50, 90, "a")], singer, 3.2)
    f0, _, _ = librosa.pyin(audio, fmin=80, fmax=250, sr=RATE, hop_length=128)
    pitch = librosa.hz_to_midi(f0)
    times = np.arange(len(f0)) * 128 / RATE
    early = pitch[(times > 0.25) & (times < 0.55)]
    late = pitch[(times > 1.2) & (times < 2.9)]
    assert np.ptp(early) < 0.3
    assert np.ptp(late) > 0.5
    spectrum = np.abs(np.fft.rfft((late - late.mean()) * np.hanning(len(late)), 8192))
    rate = np.argmax(spectrum) * RATE / 128 / 8192
    assert abs(rate - 5.5) < 0.6


@pytest.mark.parametrize("number", range(6))
def test_level_has_no_clipping_and_no_offset(number):
    for velocity in (40, 90, 127):
        audio = perform(phrase(voice(number), velocity), voice(number), 4.6)
        assert 0.3 <= np.abs(audio).max() <= 0.7 + 1e-6
        assert abs(audio.mean()) < 1e-3


def test_louder_notes_are_brighter():
    singer = dataclasses.replace(plain(0), dynamics=12.0)
    notes = [Syllable(0.1, 1.0, 50, 50, "a"), Syllable(1.6, 2.5, 50, 120, "a")]
    audio = perform(notes, singer, 2.7)
    soft, loud = audio[int(0.3 * RATE) : int(0.9 * RATE)], audio[int(1.8 * RATE) : int(2.4 * RATE)]
    assert np.sqrt(np.mean(loud**2)) > 2 * np.sqrt(np.mean(soft**2))
    slope = [
        10 * np.log10(band_energy(x, 2000, 6000) / band_energy(x, 100, 1000)) for x in (soft, loud)
    ]
    assert slope[1] > slope[0] + 3


def test_pauses_are_silent_but_for_breaths():
    notes = [Syllable(0.5, 1.0, 60, 90, "a"), Syllable(3.0, 3.5, 60, 90, "a", "s")]
    mute = dataclasses.replace(voice(4), inhale=0.0)
    audio = perform(notes, mute, 5.0)
    assert (audio[: int(0.3 * RATE)] == 0).all()
    assert (audio[int(1.25 * RATE) : int(2.7 * RATE)] == 0).all()
    assert (audio[int(3.75 * RATE) :] == 0).all()
    breathing = dataclasses.replace(voice(4), inhale=1.0)
    takes = [perform(notes, breathing, 5.0, seed=seed) for seed in range(4)]
    pauses = [take[int(1.25 * RATE) : int(2.8 * RATE)] for take in takes]
    assert max(np.abs(pause).max() for pause in pauses) > 1e-3
    assert max(np.sqrt(np.mean(pause**2)) for pause in pauses) < 0.1 * takes[0].std()
    assert all((take[int(1.25 * RATE) : int(2.0 * RATE)] == 0).all() for take in takes)


@pytest.mark.parametrize("cut", [0.45, 0.7001, 1.02])
def test_a_cut_end_is_faded(cut):
    audio = perform([Syllable(0.0, 2.0, 57, 100, "a", "s")], voice(1), cut, 44100)
    assert np.abs(audio[-3:]).max() < 0.02


def test_touching_notes_are_legato_and_others_are_not():
    def dip(end: float) -> float:
        notes = [Syllable(0.2, end, 60, 90, "a"), Syllable(1.0, 1.8, 62, 90, "a")]
        audio = perform(notes, plain(4), 2.0)
        level = librosa.feature.rms(y=audio, frame_length=512, hop_length=64)[0]
        times = np.arange(len(level)) * 64 / RATE
        return level[(times > 0.8) & (times < 1.1)].min() / np.median(level)

    assert dip(1.0) > 0.5
    assert dip(0.85) < 0.1


def test_crowded_and_late_notes_are_survived():
    notes = [Syllable(0.05 * k, 0.05 * k + 0.2, 40 + k, 100, "i", "s") for k in range(50)]
    notes += [Syllable(0.0, 0.01, 90, 1, "u", "p"), Syllable(9.0, 9.5, 60, 90, "a")]
    audio = perform(notes, voice(2), 2.0)
    assert audio.shape == (2 * RATE,)
    assert np.isfinite(audio).all()
    assert not perform([], voice(2), 1.0).any()


@pytest.mark.parametrize("note", [Syllable(0, 1, 60, 90, "oe"), Syllable(0, 1, 60, 90, "a", "x")])
def test_unknown_sounds_are_refused(note):
    with pytest.raises(ValueError, match="unknown syllable"):
        perform([note], voice(1), 1.0)
