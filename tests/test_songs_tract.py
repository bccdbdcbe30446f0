"""The singer's vocal tract: formants, consonants, and a source without clicks or aliasing."""

import dataclasses

import librosa
import numpy as np
import pytest
from scipy import signal
from singing import RATE, band_energy, perform, plain, thirds

from common.songs.sound.formants import (
    FORMANTS,
    KINDS,
    NASAL_POLE,
    tract_response,
)
from common.songs.sound.glottis import source_response
from common.songs.sound.voices import voice
from common.songs.writing.score import CONSONANTS, VOWELS, Syllable


@pytest.mark.parametrize(("number", "kind"), list(enumerate(KINDS)))
@pytest.mark.parametrize("vowel", VOWELS)
def test_formants_stand_where_the_table_says(number, kind, vowel):
    """Linear prediction of the sung vowel finds the table's F1 to F3.

    The note is so low that harmonics are closer together than formants; otherwise the prediction
    would find harmonics.
    """
    audio = perform([Syllable(0.1, 1.6, 40, 100, vowel)], plain(number), 1.8, 44100)
    middle = signal.resample_poly(audio[int(0.4 * 44100) : int(1.4 * 44100)], 1, 4)
    middle = signal.lfilter([1, -0.95], [1], middle)[100:]
    roots = np.roots(librosa.lpc(middle * np.hamming(len(middle)), order=12))
    found = np.angle(roots[roots.imag > 0]) * 11025 / (2 * np.pi)
    for formant in FORMANTS[kind][vowel]:
        assert np.abs(found - formant).min() < max(0.06 * formant, 45)


def test_vowels_differ_more_between_than_within():
    singer = voice(3)
    pitches = (43, 45, 47)  # low, so that harmonics show the formants between them
    spectra = np.array(
        [
            [thirds(perform([Syllable(0.1, 1.1, p, 90, vowel)], singer, 1.3)) for p in pitches]
            for vowel in VOWELS
        ]
    )[:, :, 6:]
    centres = spectra.mean(1)
    within = np.sqrt(np.square(spectra - centres[:, None]).mean())
    between = np.sqrt(np.square(centres[:, None] - centres[None]).mean(-1))
    between = between[~np.eye(len(VOWELS), dtype=bool)]
    assert between.mean() > 2 * within


def test_tracts_shorten_from_man_to_woman_to_child():
    for vowel in VOWELS:
        man, woman, child = (np.array(FORMANTS[kind][vowel]) for kind in KINDS)
        assert (man < woman).all()
        assert (woman * 0.999 < child).all()
    centroids = []
    for number in range(3):
        audio = perform([Syllable(0.1, 1.1, 60, 90, "i")], plain(number), 1.2)
        frequencies, power = signal.welch(audio, RATE, nperseg=2048)
        above = (frequencies > 1200) & (frequencies < 6000)
        centroids.append(np.average(frequencies[above], weights=power[above]))
    assert centroids == sorted(centroids)


def test_no_clicks_and_no_aliasing():
    """A voice without aspiration has almost no energy above 18 kHz and between its harmonics."""
    singer = dataclasses.replace(plain(4), upper_slope=12.0, rd=1.5, vibrato_depth=0.4)
    notes = [
        Syllable(0.2, 0.9, 60, 90, "a"),
        Syllable(0.9, 1.5, 67, 60, "i", "m"),
        Syllable(1.5, 1.9, 64, 120, "u", "l"),
        Syllable(2.5, 3.2, 79, 100, "e", "r", glide=True),
    ]
    audio = perform(notes, singer, 3.6, 44100)
    _, _, spectrum = signal.stft(audio, 44100, nperseg=512, noverlap=384)
    high = np.square(np.abs(spectrum[210:])).sum(0)  # above 18 kHz
    assert 10 * np.log10(high.max() / np.square(np.abs(spectrum)).sum(0).max()) < -70
    steady = perform([Syllable(0.1, 1.3, 81, 90, "a")], plain(4), 1.4, 44100)[17640:39690]
    frequencies, power = signal.periodogram(steady, 44100, "blackmanharris")
    off_harmonic = np.abs(frequencies / 880.0 - np.round(frequencies / 880.0)) > 0.25
    assert 10 * np.log10(power[off_harmonic].max() / power.max()) < -55


def test_pulse_peaks_at_the_glottal_formant_and_tilts_with_rd():
    frequencies = np.linspace(0, 8000, 8001, dtype=np.float32)
    tense, lax = np.abs(
        source_response(frequencies, np.array([120.0, 120.0]), np.array([0.5, 2.5]))
    )
    assert tense[0] == lax[0] == 0
    assert 60 < frequencies[np.argmax(tense)] < 300
    assert tense[4000] / tense.max() > 10 * lax[4000] / lax.max()


def test_tract_passes_zero_frequency_and_resonates():
    frequencies = np.linspace(0, 5000, 5001, dtype=np.float32)
    formants = np.array([[500.0, 1500.0, 2500.0, 3500.0, 4500.0]])
    response = np.abs(
        tract_response(frequencies, formants, np.full((1, 5), 60.0), np.array([NASAL_POLE]))
    )[0]
    assert response[0] == pytest.approx(1.0)
    peaks, _ = signal.find_peaks(response)
    np.testing.assert_allclose(frequencies[peaks], formants[0], atol=15)


@pytest.mark.parametrize(("consonant", "low"), [("s", 4000), ("sh", 2000), ("f", 1500)])
def test_fricatives_are_high_noise(consonant, low):
    singer = dataclasses.replace(voice(0), consonants=1.0)
    audio = perform([Syllable(0.5, 1.0, 50, 90, "a", consonant)], singer, 1.2, 44100)
    hiss = audio[int(0.41 * 44100) : int(0.47 * 44100)]
    vowel = audio[int(0.65 * 44100) : int(0.95 * 44100)]
    total = band_energy(hiss, 0, 22050, 44100)
    assert band_energy(hiss, low, 22050, 44100) > 0.8 * total
    assert band_energy(vowel, low, 22050, 44100) < 0.1 * band_energy(vowel, 0, 22050, 44100)


@pytest.mark.parametrize("consonant", [name for name in CONSONANTS if name])
def test_each_consonant_sounds_unlike_none(consonant):
    singer = voice(3)

    def onset(name: str) -> np.ndarray:
        notes = [Syllable(0.2, 0.7, 50, 90, "a"), Syllable(0.7, 1.2, 50, 90, "a", name)]
        return thirds(perform(notes, singer, 1.4)[int(0.58 * RATE) : int(0.74 * RATE)])

    assert np.sqrt(np.mean(np.square(onset(consonant) - onset("")))) > 2.0


def test_stops_close_the_mouth():
    singer = plain(0)
    notes = [Syllable(0.2, 0.8, 50, 90, "a"), Syllable(0.8, 1.4, 50, 90, "a", "t")]
    audio = perform(notes, singer, 1.5)
    level = librosa.feature.rms(y=audio, frame_length=256, hop_length=64)[0]
    times = np.arange(len(level)) * 64 / RATE
    closure = level[(times > 0.68) & (times < 0.8)].min()
    assert closure < 0.1 * np.median(level[(times > 0.4) & (times < 0.6)])
