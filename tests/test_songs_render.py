"""A song's score becomes four stems: lengths, levels, silence, determinism, instruments."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soxr

from common.songs.render import STEMS, render
from common.songs.sound import drumsynth, instruments, sampler
from common.songs.writing.score import Note, Part, Song, Syllable, Variety

SECONDS = 6.0
QUIET = 10 ** (-60 / 20)


def beats(step: float, *pitches: int, length: float = 0.4, velocity: int = 95) -> tuple[Note, ...]:
    starts = np.arange(0.0, SECONDS - 1.5, step)
    return tuple(
        Note(float(s), float(s) + length, float(pitches[i % len(pitches)]), velocity)
        for i, s in enumerate(starts)
    )


def sung() -> tuple[Syllable, ...]:
    return tuple(
        Syllable(2 + 0.5 * i, 2.45 + 0.5 * i, 57.0 + 2 * (i % 3), 90, "aeiou"[i % 5], "l")
        for i in range(5)
    )


@pytest.fixture(scope="module")
def song() -> Song:
    parts = (
        Part("kit", "drums", "drums", "drum synth", 1, beats(0.5, 36, 38)),
        Part("hats", "drums", "percussion", "sampled", 0, beats(0.25, 42)),
        Part("bass", "bass", "bass", "sampled", 33, beats(0.5, 40, 43, 45)),
        Part("guitar", "other", "chords", "sampled", 30, beats(1.0, 52, 55)),
        Part("pad", "other", "pad", "sampled", 89, beats(2.0, 60, 64, length=1.9)),
        Part("singer", "vocals", "lead", "voice", 3, sung()),
    )
    return Song("A test", 5, "train", "rock", 120.0, "C", "major", SECONDS, (), parts)


@pytest.fixture(scope="module")
def stems(song) -> dict[str, np.ndarray]:
    return render(song)


def level(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(audio**2)))


def test_four_stereo_stems_of_the_exact_length(stems):
    assert tuple(stems) == STEMS
    for audio in stems.values():
        assert audio.shape == (2, round(SECONDS * 44100))
        assert audio.dtype == np.float32
        assert np.isfinite(audio).all()


@pytest.mark.parametrize("sample_rate", [22050, 48000, 11025])
def test_other_rates_have_the_exact_length_and_the_same_sound(song, stems, sample_rate):
    resampled = render(song, sample_rate)
    for audio in resampled.values():
        assert audio.shape == (2, round(SECONDS * sample_rate))
    expected = soxr.resample(stems["bass"].T, 44100, sample_rate).T
    correlation = np.corrcoef(resampled["bass"].ravel(), expected.ravel())[0, 1]
    assert correlation > 0.999


def test_neither_stems_nor_mixture_clip(stems):
    for audio in (*stems.values(), sum(stems.values())):
        assert np.abs(audio).max() <= 0.951


def test_every_stem_is_heard_at_a_musical_level(stems):
    for stem, audio in stems.items():
        assert -36 < 20 * np.log10(level(audio)) < -10, stem


def test_the_same_song_gives_the_same_samples_after_another(song, stems):
    render(replace(song, seed=99, parts=song.parts[2:5]))
    again = render(song)
    assert all(np.array_equal(stems[stem], again[stem]) for stem in STEMS)


def test_another_seed_mixes_the_same_notes_differently(song, stems):
    other = render(replace(song, seed=6))
    assert all(not np.array_equal(stems[stem], other[stem]) for stem in STEMS)


def test_a_stem_is_silent_before_its_first_note(stems):
    # The singer may breathe in during the last second before the first note.
    assert np.abs(stems["vocals"][:, :44100]).max() < QUIET


def test_a_song_without_parts_is_silence(song):
    stems = render(replace(song, parts=()))
    assert all(not audio.any() for audio in stems.values())
    assert stems["drums"].shape == (2, round(SECONDS * 44100))


def test_the_end_is_faded_and_nothing_carries_a_direct_current(stems):
    for audio in stems.values():
        assert np.abs(audio[:, -5:]).max() < 1e-3
        assert np.abs(audio.mean(axis=1)).max() < 0.02 * level(audio) + 1e-6


def test_without_effects_everything_is_dry_and_central(song):
    dry = render(replace(song, variety=Variety(effects=False)))
    for stem in ("bass", "other", "vocals"):
        assert np.allclose(dry[stem][0], dry[stem][1], atol=1e-4)
    after = dry["vocals"][:, round(5.0 * 44100) :]
    assert np.abs(after).max() < QUIET


def test_without_mixes_levels_do_not_depend_on_the_seed(song):
    bare = Variety(effects=False, mixes=False)
    ratios = []
    for seed in (1, 2):
        stems = render(replace(song, seed=seed, variety=bare))
        ratios.append(level(stems["bass"]) / level(stems["other"]))
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-3)


def test_with_mixes_levels_differ_song_to_song(song):
    parts = tuple(part for part in song.parts if part.stem in ("bass", "other"))
    ratios = []
    for seed in range(6):
        stems = render(replace(song, seed=seed, parts=parts))
        ratios.append(20 * np.log10(level(stems["bass"]) / level(stems["other"])))
    assert np.std(ratios) > 1.0


def test_every_program_in_the_tables_sounds():
    kits = ("acoustic kit", "soft kit", "electronic kit")
    for family, splits in instruments.FAMILIES.items():
        if family in ("voice", "drum synth"):
            continue
        for program in (*splits[0], *splits[1]):
            notes = (Note(0.0, 0.4, 38.0 if family in kits else 57.0, 100),)
            audio = sampler.play(notes, program, 22050, drums=family in kits)
            assert level(audio) > 1e-4, (family, program)


@pytest.mark.parametrize("number", range(16))
def test_every_drum_preset_plays_every_drum_note(number):
    for pitch in range(27, 88):
        audio = drumsynth.play((Note(0.1, 0.2, float(pitch), 100),), number, 22050)
        assert audio.shape == (2, 22050)
        assert np.abs(audio).max() > 0.02, pitch
        assert np.abs(audio[:, :4000]).max() == 0.0


def test_drum_presets_differ_from_each_other():
    notes = tuple(Note(0.5 * i, 0.5 * i + 0.1, p, 100) for i, p in enumerate((36.0, 38.0, 42.0)))
    spectra = []
    for number in range(16):
        power = np.abs(np.fft.rfft(drumsynth.play(notes, number, 66150).mean(axis=0))) ** 2
        bands = np.add.reduceat(power, np.geomspace(30, len(power) - 1, 25).astype(int))
        spectra.append(10 * np.log10(bands / bands.sum() + 1e-9))
    for i in range(16):
        for j in range(i):
            assert np.abs(spectra[i] - spectra[j]).mean() > 0.5, (i, j)


def test_a_harder_stroke_is_louder_and_brighter():
    soft, hard = (
        drumsynth.play((Note(0.0, 0.1, 38.0, velocity),), 1, 22050).mean(axis=0)
        for velocity in (35, 120)
    )
    frequency = np.fft.rfftfreq(22050, 1 / 44100)
    spectra = [np.abs(np.fft.rfft(audio)) ** 2 for audio in (soft, hard)]
    centroids = [(frequency * power).sum() / power.sum() for power in spectra]
    assert level(hard) > 3 * level(soft)
    assert centroids[1] > 1.1 * centroids[0]


def test_a_closed_hat_chokes_an_open_one():
    opened = (Note(0.0, 0.1, 46.0, 100),)
    free = drumsynth.play(opened, 0, 44100)
    choked = drumsynth.play((*opened, Note(0.15, 0.2, 42.0, 1)), 0, 44100)
    assert level(choked[:, 13230:]) < 0.3 * level(free[:, 13230:])


def test_a_file_that_is_no_soundfont_is_refused(tmp_path):
    path = tmp_path / "font.sf2"
    with pytest.raises(ValueError, match="no soundfont at"):
        sampler.check_soundfont(str(path))
    path.write_bytes(b"not a soundfont at all")
    with pytest.raises(ValueError, match="is not a soundfont"):
        sampler.check_soundfont(str(path))


def test_songs_import_nothing_heavy():
    # Not by stdout: with CI set, pyfluidsynth prints there where it has found its library.
    code = (
        "import sys, common.songs.dataset;"
        "heavy = {'torch', 'nussl', 'librosa', 'musdb'} & set(sys.modules);"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
