"""Mixtures made by Scaper, and augmentation."""

import json
import math
import os

import jams
import librosa
import numpy as np
import pytest
import soundfile
import torch

from common import SAMPLE_RATE, SOURCES, checks
from common.data import embedded_tracks
from common.data.augmentation import (
    change_gain,
    change_pitch,
    change_tempo,
    flip_polarity,
    sox_pitch,
    sox_tempo,
    stretch_spectrum,
    swap_channels,
    version,
    write_track_folder,
    write_versions,
)
from common.data.musdb_folder import load_tracks
from common.data.scaper_mixtures import (
    REFERENCE,
    Mixer,
    as_in_the_mix,
    events_of,
    loudness,
    play,
    write_bank,
    write_mixtures,
)
from common.data.tracks import Track
from common.evaluation import sdr
from common.experiments import augmentation
from common.experiments.resumable import RESULTS
from common.signal.stft import STFT
from common.songs.dataset import GENERATOR_VERSION
from common.support.errors import UsageError
from common.support.scaper_compat import scaper


@pytest.fixture(scope="module")
def songs():
    """Training songs of the smoke set, 8 s long."""
    return embedded_tracks("train", limit=4)


@pytest.fixture(scope="module")
def bank(songs, tmp_path_factory):
    return write_bank(songs, tmp_path_factory.mktemp("bank"))


def songs_of(events):
    return {event["source_file"].rsplit("/", 1)[1] for event in events}


def test_a_bank_holds_a_file_per_stem_and_is_written_once(songs, bank):
    assert sorted(path.name for path in bank.iterdir()) == sorted(SOURCES)
    path = bank / "drums" / f"{songs[0].name}.wav"
    audio, rate = soundfile.read(path, dtype="float32")
    assert rate == SAMPLE_RATE
    np.testing.assert_array_equal(audio.T, songs[0]["drums"].numpy())
    before = path.stat().st_mtime_ns
    write_bank(songs, bank)
    assert path.stat().st_mtime_ns == before
    assert len(list((bank / "drums").iterdir())) == len(songs)


def test_a_bank_takes_no_stem_that_sox_would_cut_off(songs, tmp_path):
    loud = Track("loud", songs[0].sources / songs[0].sources.abs().max(), SAMPLE_RATE)
    with pytest.raises(UsageError, match="of loud reaches full scale"):
        write_bank([loud], tmp_path / "bank")


def test_a_coherent_mixture_left_alone_is_a_piece_of_its_song(songs, bank):
    for index in range(3):
        track, annotation = Mixer(bank, 3.0).annotated(index)
        events = events_of(annotation)
        assert [event["label"] for event in events] == list(SOURCES)
        assert len(songs_of(events)) == 1
        assert len({event["source_time"] for event in events}) == 1
        song = next(s for s in songs if s.name + ".wav" in songs_of(events))
        first = int(events[0]["source_time"] * SAMPLE_RATE)
        piece = song.sources[..., first : first + 3 * SAMPLE_RATE]
        torch.testing.assert_close(track.sources, piece, atol=1e-6, rtol=0)
        torch.testing.assert_close(track.mixture, track.sources.sum(dim=0), atol=0, rtol=0)


def test_coherent_stems_share_pitch_and_tempo_and_fill_the_mixture(bank):
    changes = {"pitch_shift": ("uniform", -2, 2), "time_stretch": ("uniform", 0.8, 1.2)}
    events = Mixer(bank, 3.0, coherent=True, **changes).draw(2)
    for name in ("pitch_shift", "time_stretch", "source_time", "event_duration"):
        assert len({event[name] for event in events}) == 1
    assert events[0]["event_duration"] * events[0]["time_stretch"] == pytest.approx(3.0)
    apart = Mixer(bank, 3.0, coherent=False, **changes).draw(2)
    assert len({event["pitch_shift"] for event in apart}) == 4
    track = Mixer(bank, 3.0, coherent=False, **changes)[2]
    for stem in track.sources:  # SoX may end up to a hundredth of a second early
        assert stem.shape == (2, 3 * SAMPLE_RATE)


def test_incoherent_stems_come_from_songs_of_their_own(bank):
    mixer = Mixer(bank, 3.0, coherent=False)
    drawn = [mixer.draw(index) for index in range(8)]
    assert max(len(songs_of(events)) for events in drawn) >= 3
    assert all(len({event["source_time"] for event in events}) == 4 for events in drawn)


def test_a_mixture_depends_on_seed_and_index_alone(bank):
    one, other = Mixer(bank, 2.0, seed=5, coherent=False), Mixer(bank, 2.0, 5, False)
    assert torch.equal(one[7].sources, [other[k] for k in (3, 7)][1].sources)
    assert one.draw(7) != one.draw(8)
    assert one.draw(7) != Mixer(bank, 2.0, seed=6, coherent=False).draw(7)


def test_the_annotation_makes_the_mixture_again(bank, tmp_path):
    mixer = Mixer(
        bank, 2.0, 0, False, ("uniform", -3, 3), ("uniform", -2, 2), ("uniform", 0.9, 1.1)
    )
    track, annotation = mixer.annotated(1)
    annotation.save(str(tmp_path / "x.jams"))
    again = scaper.generate_from_jams(str(tmp_path / "x.jams"))[0]
    np.testing.assert_allclose(again.T, track.mixture.numpy(), atol=1e-5)
    read = jams.load(str(tmp_path / "x.jams"))
    assert [e["source_file"] for e in events_of(read)] == [
        e["source_file"] for e in events_of(annotation)
    ]


def test_levels_count_from_the_stems_own_loudness(bank):
    plain, louder = Mixer(bank, 3.0), Mixer(bank, 3.0, level=("const", 6.0))
    ratio = louder[0].sources.std() / plain[0].sources.std()
    assert 20 * math.log10(ratio) == pytest.approx(6, abs=0.01)


def test_silence_stays_silent_and_echoes_stay_soft(tmp_path):
    echo = 1e-4 * torch.randn(2, 4 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    sources = torch.stack([echo, torch.zeros_like(echo), echo, echo])
    bank = write_bank([Track("quiet", sources, SAMPLE_RATE)], tmp_path / "bank")
    track, annotation = Mixer(bank, 2.0).annotated(0)
    assert loudness(events_of(annotation)[0]) == -70
    assert track["bass"].abs().max() == 0
    assert 20 * math.log10(track["drums"].std() / 1e-4) == pytest.approx(0, abs=0.2)
    raised, _ = play(bank, [event | {"snr": 0.0} for event in events_of(annotation)], 2.0)
    gain = 20 * math.log10(raised["drums"].std() / track["drums"].std())
    assert gain == pytest.approx(REFERENCE + 70, abs=0.1)  # Scaper's default
    event = events_of(annotation)[0] | {"snr": 1.0}
    assert as_in_the_mix(event)["snr"] == pytest.approx(1 - 70 - REFERENCE)


def test_several_events_of_a_label_add_up_in_its_stem(bank):
    events = Mixer(bank, 2.0).draw(0)
    once, _ = play(bank, events[:1], 2.0)
    twice, _ = play(bank, [events[0], events[0]], 2.0)
    torch.testing.assert_close(twice["drums"], 2 * once["drums"], atol=1e-6, rtol=0)
    assert twice["bass"].abs().max() == 0


def test_mixtures_are_written_as_musdb_folders_with_annotations(bank, tmp_path):
    mixer = Mixer(bank, 2.0, coherent=False)
    root = write_mixtures(mixer, 2, tmp_path)
    tracks = load_tracks(root, "train")
    assert [track.name for track in tracks] == ["mixture 0000", "mixture 0001"]
    torch.testing.assert_close(tracks[1].sources, mixer[1].sources, atol=0, rtol=0)
    torch.testing.assert_close(tracks[1].mixture, mixer[1].mixture, atol=1e-6, rtol=0)
    text = (root / "train" / "mixture 0001" / "mixture.jams").read_text(encoding="utf-8")
    assert json.loads(text)["annotations"][0]["namespace"] == "scaper"
    before = (root / "train" / "mixture 0000" / "drums.wav").stat().st_mtime_ns
    write_mixtures(mixer, 3, tmp_path)
    assert (root / "train" / "mixture 0000" / "drums.wav").stat().st_mtime_ns == before
    assert len(load_tracks(root, "train")) == 3
    with pytest.raises(UsageError, match="at least one"):
        write_mixtures(mixer, 0, tmp_path)


def test_an_interrupted_folder_leaves_nothing(songs, tmp_path, monkeypatch):
    def fail(path, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", fail)
    with pytest.raises(OSError, match="No space"):
        write_track_folder(songs[0], tmp_path / "train" / "song")
    assert list((tmp_path / "train").iterdir()) == []


@pytest.mark.parametrize(
    "asked", [(4.5, 2.0, 1.1, 6.0), (2.0, 9.0, 1.0, 4.0), (1.0, 2.0, 1.5, 10.0), (0, 3.0, 2.0, 4.0)]
)
def test_the_rules_of_exercise_2_are_scapers(songs, tmp_path, asked):
    begin, length, stretch, duration = asked
    long = Track("long", songs[0].sources.repeat(1, 1, 2), SAMPLE_RATE)
    folder = write_bank([long], tmp_path / "bank")
    scene = scaper.Scaper(duration, str(folder), str(folder))
    scene.add_event(
        ("const", "drums"), ("choose", []), ("const", 0), ("const", begin), ("const", length),
        ("const", 0), None, ("const", stretch),
    )  # fmt: skip
    annotation = scene.generate(no_audio=True, disable_instantiation_warnings=True)[1]
    seen = annotation.annotations[0].data[0]
    expected = min(length * stretch, duration)
    assert (seen.time, seen.duration) == pytest.approx((min(begin, duration - expected), expected))


def tone(frequency=440.0, seconds=2.0):
    time = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.5 * torch.sin(2 * math.pi * frequency * time).expand(2, -1).contiguous()


def pitch(audio):
    """The strongest frequency of audio (c, t) in Hz."""
    spectrum = torch.fft.rfft(audio[0] * torch.hann_window(audio.shape[-1])).abs()
    return spectrum.argmax().item() * SAMPLE_RATE / audio.shape[-1]


def test_the_cheap_changes():
    audio = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert change_gain(audio, 20.0).tolist() == [[10.0, 20.0], [30.0, 40.0]]
    assert flip_polarity(audio).tolist() == [[-1.0, -2.0], [-3.0, -4.0]]
    assert swap_channels(audio).tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert audio.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.12, 2.0])
def test_the_phase_vocoder_is_librosas(songs, rate):
    stft = STFT()
    stem = songs[0]["bass"][:, : 3 * SAMPLE_RATE]
    mine = stretch_spectrum(stft(stem), rate, stft.hop_length)
    theirs = torch.from_numpy(
        librosa.phase_vocoder(stft(stem).numpy(), rate=rate, hop_length=512, n_fft=2048)
    )
    assert mine.shape == theirs.shape
    torch.testing.assert_close(mine.abs(), theirs.abs(), atol=2e-3, rtol=1e-4)
    n_samples = round(stem.shape[-1] / rate)
    # A phase is a sum over all earlier frames, so rounding errors add up.
    assert sdr(stft.inverse(theirs, n_samples), change_tempo(stem, rate)) > 35


@pytest.mark.parametrize("make", [change_tempo, lambda x, rate: sox_tempo(x, rate, SAMPLE_RATE)])
def test_tempo_leaves_pitch_alone(make):
    faster = make(tone(), 1.12)
    assert abs(faster.shape[-1] - tone().shape[-1] / 1.12) < 0.02 * SAMPLE_RATE
    assert pitch(faster[:, 4000:-4000]) == pytest.approx(440, abs=1)
    level = faster[:, 4000:-4000].unfold(-1, 1000, 1000).std(dim=-1)
    assert level.std() / level.mean() < 0.02


@pytest.mark.parametrize("make", [change_pitch, sox_pitch])
@pytest.mark.parametrize("semitones", [-2.0, 1.0, 12.0])
def test_pitch_leaves_length_alone(make, semitones):
    shifted = make(tone(), semitones, SAMPLE_RATE)
    assert shifted.shape == tone().shape
    wanted = 440 * 2 ** (semitones / 12)
    assert pitch(shifted) == pytest.approx(wanted, abs=1.5)


def test_sox_does_not_cut_off_what_is_above_full_scale():
    loud = sox_pitch(4 * tone(), 2.0, SAMPLE_RATE)
    assert loud.abs().max() > 1.9
    torch.testing.assert_close(loud, 4 * sox_pitch(tone(), 2.0, SAMPLE_RATE), atol=1e-3, rtol=0)


def test_a_version_changes_every_stem_alike(songs):
    changed = version(songs[0], 2.0, 1.12)
    assert changed.name == f"{songs[0].name} (+2 semitones, 1.12 x)"
    assert abs(changed.duration - songs[0].duration / 1.12) < 0.05
    torch.testing.assert_close(changed.mixture, changed.sources.sum(dim=0))
    same = version(songs[0])
    torch.testing.assert_close(same.sources, songs[0].sources, atol=0, rtol=0)


def test_what_a_killed_process_has_left_is_no_obstacle(songs, tmp_path):
    left = tmp_path / f".song.{os.getpid()}.part"
    left.mkdir()
    (left / "old.wav").touch()
    folder = write_track_folder(songs[0], tmp_path / "song")
    assert not left.exists() and not (folder / "old.wav").exists()


def test_versions_are_a_musdb_folder_and_are_rendered_once(songs, tmp_path):
    root = write_versions(songs[:1], [(1.0, 1.0), (0.0, 0.88)], tmp_path)
    tracks = {track.name: track for track in load_tracks(root, "train")}
    assert set(tracks) == {
        f"{songs[0].name} (+1 semitones, 1 x)",
        f"{songs[0].name} (+0 semitones, 0.88 x)",
    }
    expected = version(songs[0], 1.0).sources
    found = tracks[f"{songs[0].name} (+1 semitones, 1 x)"].sources
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    files = {path: path.stat().st_mtime_ns for path in root.rglob("*.wav")}
    write_versions(songs[:1], [(1.0, 1.0), (0.0, 0.88)], tmp_path)
    assert files == {path: path.stat().st_mtime_ns for path in root.rglob("*.wav")}


def test_the_table_of_augmentation_is_whole_and_todays():
    found = json.loads((RESULTS / "augmentation.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    assert found["about"]["steps"] == augmentation.CONFIG.steps
    changes = {
        name: changes.facts() | {"versions": versions}
        for name, (changes, versions) in augmentation.CONDITIONS.items()
    }
    assert found["about"]["conditions"] == json.loads(json.dumps(changes))
    rows = [(row["songs"], row["condition"], row["seed"]) for row in found["rows"]]
    few = [("few", name, seed) for name in augmentation.CONDITIONS for seed in augmentation.SEEDS]
    many = [("many", name, seed) for name in ("none", "all") for seed in augmentation.SEEDS]
    assert sorted(rows) == sorted(few + many)
    for row in found["rows"]:
        assert set(row["sdr"]) == {"train", "valid", "test", "excerpt"}
        assert all(set(values) == set(SOURCES) for values in row["sdr"].values())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("event_gain", lambda loudness, snr, ref_db=-26: ref_db + snr - loudness),
        ("event_gain", lambda loudness, snr, ref_db=-26: 10 ** ((ref_db + snr - loudness) / 10)),
        ("event_gain", lambda loudness, snr, ref_db=-26: 10 ** ((loudness - ref_db - snr) / 20)),
        ("event_gain", lambda loudness, snr, ref_db=-26: 10 ** ((ref_db + snr - loudness) / 20)),
        ("event_gain", lambda loudness, snr, ref_db=-26: 10 ** ((-26 - max(loudness, -70)) / 20)),
        (
            "event_gain",  # only silence, not near-silence
            lambda loudness, snr, ref_db=-26: (
                10 ** ((ref_db + snr - (-70 if loudness == -math.inf else loudness)) / 20)
            ),
        ),
        (
            "event_gain",  # a limit on the gain
            lambda loudness, snr, ref_db=-26: 10 ** (min(ref_db + snr - loudness, 44) / 20),
        ),
        ("predict", lambda at, for_, stretch, whole: for_ * stretch),
        ("predict", lambda at, for_, stretch, whole: (at, at + for_ * stretch)),
        ("predict", lambda at, for_, stretch, whole: (at, for_ * stretch)),
        ("predict", lambda at, for_, stretch, whole: (at, min(for_ * stretch, whole - at))),
        ("predict", lambda at, for_, stretch, whole: (at, for_ / stretch)),
        ("predict", lambda at, for_, stretch, whole: (at, for_)),
        (
            "predict",
            lambda at, for_, stretch, whole: (
                min(at, whole - min(for_, whole) * stretch),
                min(for_, whole) * stretch,
            ),
        ),
        ("grid_rate", lambda tempo, target: target / tempo),
        ("grid_rate", lambda tempo, target: tempo / target),
        (
            "grid_rate",
            lambda tempo, target: min(
                (target * 2.0**k / tempo for k in range(-4, 5)), key=lambda rate: abs(rate - 1)
            ),
        ),
        (
            "grid_rate",  # too few powers of two
            lambda tempo, target: min(
                (target * 2.0**k / tempo for k in range(-3, 4)),
                key=lambda rate: abs(math.log(rate)),
            ),
        ),
        ("polarity_change", lambda one, other: 2 * other.abs()),
        (
            "polarity_change",
            lambda one, other: ((one + other).abs() ** 2 - (one - other).abs() ** 2).abs(),
        ),
        (
            "polarity_change",  # inverts the caller's spectrum in place
            lambda one, other: ((one + other).abs() - (one + other.neg_()).abs()).abs(),
        ),
        ("polarity_change", lambda one, other: (one + other).abs() - (one - other).abs()),
        ("polarity_change", lambda one, other: one + other - (one - other)),
        ("polarity_change", lambda one, other: ((one + other).abs() - one.abs()).abs()),
    ],
)
def test_wrong_answers_of_chapter_9_get_a_hint(name, wrong):
    verdict = getattr(checks.ch09, name)(wrong)
    assert not verdict.passed and "raised" not in verdict.message


def gain_in_decibels(loudness, snr, ref_db=-26.0):
    return ref_db + snr - np.maximum(loudness, -70)


def octaves(tempo, target):
    return np.float32(np.log2(target) - np.log2(tempo))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("event_gain", lambda *given: np.float32(10) ** np.float32(gain_in_decibels(*given) / 20)),
        ("event_gain", lambda *given: np.exp(np.log(10) / 20 * gain_in_decibels(*given))),
        ("event_gain", lambda *given: 10 ** (torch.tensor([gain_in_decibels(*given)]) / 20)),
        ("predict", lambda at, for_, f, d: [max(0, min(at, d - for_ * f)), min(d, for_ * f)]),
        (
            "predict",
            lambda at, for_, f, d: np.float32([min(at, d - min(d, for_ * f)), min(d, for_ * f)]),
        ),
        (
            "predict",
            lambda at, for_, f, d: torch.tensor([min(at, max(0, d - for_ * f)), min(d, for_ * f)]),
        ),
        ("grid_rate", lambda *tempos: np.exp2(octaves(*tempos) - np.round(octaves(*tempos)))),
        ("grid_rate", lambda *tempos: 2 ** torch.tensor((octaves(*tempos) + 0.5) % 1 - 0.5)),
        (
            "polarity_change",
            lambda one, other: np.abs(
                np.abs(one.numpy() + other.numpy()) - np.abs(one.numpy() - other.numpy())
            ),
        ),
        (
            "polarity_change",
            lambda one, other: ((one + other).abs() - (one - other).abs()).abs().double(),
        ),
        (
            "polarity_change",
            lambda one, other: (
                torch.maximum((one + other).abs(), (one - other).abs())
                - torch.minimum((one + other).abs(), (one - other).abs())
            ),
        ),
    ],
)
def test_right_answers_of_chapter_9_pass_in_any_form(name, right):
    verdict = getattr(checks.ch09, name)(right)
    assert verdict.passed, verdict.message
