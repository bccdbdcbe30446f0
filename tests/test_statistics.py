"""Statistics of stems (loudness, silence, width, spectrum), and fingerprints of recordings."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import torch
import yaml

from common import SAMPLE_RATE, SOURCES
from common.checks import ch08
from common.data import embedded_songs, embedded_tracks
from common.data.fingerprint import landmarks, match, spectral_peaks
from common.data.musdb_folder import TrackOnDisk, open_database
from common.data.statistics import (
    frame_powers,
    gated_loudness,
    hop_powers,
    integrated_loudness,
    k_weighting,
    third_octaves,
    track_statistics,
)
from common.data.tracks import Track
from common.notebook.dataset_table import COLUMNS, catalogue_table

ROOT = Path(__file__).resolve().parent.parent


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tone(frequency: float, amplitude: float, seconds: float, rate: int) -> torch.Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return amplitude * torch.sin(2 * torch.pi * frequency * time)


def test_filter_is_the_printed_one_at_48_khz() -> None:
    printed = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1, -1.69065929318241, 0.73248077421585],
        [1, -2, 1],
        [1, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48000).reshape(4, 3), printed, atol=1e-8)


@pytest.mark.parametrize(("rate", "tolerance"), [(22050, 0.04), (44100, 0.01), (48000, 0.01)])
def test_calibration_tone(rate: int, tolerance: float) -> None:
    # BS.1770-4: a full-scale sine of 997 Hz in one front channel reads -3.01 LKFS. At half the
    # rate the bilinear transform bends the shelf a little.
    audio = torch.stack([tone(997, 1.0, 20, rate), torch.zeros(20 * rate, dtype=torch.float64)])
    assert integrated_loudness(audio, rate) == pytest.approx(-3.01, abs=tolerance)


@pytest.mark.parametrize("levels", [(-36, -23, -36), (-72, -36, -23, -36, -72)])
def test_gates_as_ebu_tech_3341_asks(levels: tuple[float, ...]) -> None:
    # Test signals 3 and 4 of EBU Tech 3341: steps of a stereo tone read -23.0 ± 0.1 LUFS.
    seconds = (10, 60, 10) if len(levels) == 3 else (10, 10, 60, 10, 10)
    steps = [tone(1000, 10 ** (x / 20), s, 48000) for x, s in zip(levels, seconds, strict=True)]
    audio = torch.cat(steps).expand(2, -1)
    assert integrated_loudness(audio, 48000) == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("rate", [22050, 44100])
def test_loudness_is_pyloudnorms(n_channels: int, rate: int) -> None:
    audio = 0.1 * noise(n_channels, 6 * rate).double()
    audio[:, 2 * rate : 4 * rate] *= 0.001  # something to gate
    meter = pyloudnorm.Meter(rate, filter_class="DeMan")
    theirs = meter.integrated_loudness(audio.numpy().T)
    assert integrated_loudness(audio, rate) == pytest.approx(theirs, abs=1e-6)


def test_silence_and_snippets_have_no_loudness() -> None:
    assert integrated_loudness(torch.zeros(2, SAMPLE_RATE), SAMPLE_RATE) == -torch.inf
    assert integrated_loudness(noise(2, SAMPLE_RATE // 3), SAMPLE_RATE) == -torch.inf
    assert gated_loudness(torch.zeros(0)) == -torch.inf
    assert hop_powers(noise(2, 100), SAMPLE_RATE).shape == (2, 0)


def test_twice_the_amplitude_is_six_units() -> None:
    audio = 0.1 * noise(2, 3 * SAMPLE_RATE)
    one, two = (integrated_loudness(gain * audio, SAMPLE_RATE) for gain in (1, 2))
    assert two - one == pytest.approx(6.0206, abs=1e-3)


def made_track(rate: int = SAMPLE_RATE) -> Track:
    left, right = 0.1 * noise(2, 8 * rate)
    quiet = torch.stack([left, right])
    quiet[:, 2 * rate :] = 0
    sources = torch.stack(
        [
            torch.stack([left, left]),
            torch.stack([left, 0 * left]),
            torch.stack([left, right]),
            quiet,
        ]
    )
    return Track("made", sources, rate)


def test_track_statistics_of_known_stems() -> None:
    found = track_statistics(made_track())
    assert found.names == (*SOURCES, "mixture")
    mono, one_side, two, _, _ = found.width
    assert mono == -torch.inf
    assert one_side.item() == pytest.approx(0, abs=1e-9)
    assert two.item() == pytest.approx(0, abs=0.2)
    torch.testing.assert_close(found.silent[3].item(), 0.75)
    assert found.silent[4] == 0
    for stem, loudness in zip(made_track().sources, found.loudness, strict=False):
        assert loudness.item() == pytest.approx(integrated_loudness(stem, SAMPLE_RATE), abs=1e-6)


@pytest.mark.parametrize("seconds", [0.1, 0.7, 3.0, 100.0])
def test_blocks_do_not_matter(seconds: float) -> None:
    whole, pieces = (track_statistics(made_track(), s) for s in (8.0, seconds))
    torch.testing.assert_close(pieces.loudness, whole.loudness)
    torch.testing.assert_close(pieces.silent, whole.silent)
    torch.testing.assert_close(pieces.width, whole.width)
    torch.testing.assert_close(pieces.spectrum, whole.spectrum)


def test_the_spectrum_is_that_of_all_windows_of_the_whole() -> None:
    track = made_track()
    windows = frame_powers(track.sources.double(), SAMPLE_RATE)
    found = track_statistics(track, seconds=0.3)
    torch.testing.assert_close(found.spectrum[:4], windows.mean(dim=-1))
    short = Track("short", track.sources[..., : SAMPLE_RATE // 6], SAMPLE_RATE)
    assert track_statistics(short).spectrum.isnan().all()


def test_mono_tracks_are_narrow() -> None:
    track = made_track()
    mono = Track("mono", track.sources[:, :1], SAMPLE_RATE)
    found = track_statistics(mono)
    assert (found.width == -torch.inf).all()
    for stem, loudness in zip([*mono.sources, mono.mixture], found.loudness, strict=True):
        assert loudness.item() == pytest.approx(integrated_loudness(stem, SAMPLE_RATE), abs=1e-6)
    doubled = Track("doubled", track.sources[:, :1].expand(-1, 2, -1), SAMPLE_RATE)
    both = track_statistics(doubled)
    louder = torch.full((5,), 10 * math.log10(2), dtype=torch.double)
    torch.testing.assert_close(both.loudness - found.loudness, louder)
    torch.testing.assert_close(both.silent, found.silent)
    torch.testing.assert_close(both.spectrum, found.spectrum)


def test_disk_and_memory_agree() -> None:
    in_memory = embedded_tracks("train", limit=1)[0]
    on_disk = TrackOnDisk(open_database(embedded_songs(n_train=2, n_test=0), "train")[0])
    assert on_disk.entry.name == in_memory.name
    one, two = track_statistics(in_memory), track_statistics(on_disk, seconds=2.0)
    torch.testing.assert_close(one.loudness, two.loudness)
    torch.testing.assert_close(one.width, two.width)
    torch.testing.assert_close(one.spectrum, two.spectrum)


def test_stems_of_embedded_songs_are_balanced() -> None:
    found = [track_statistics(track).loudness for track in embedded_tracks("train")]
    over_mixture = torch.cat([loudness[:-1] - loudness[-1] for loudness in found])
    audible = over_mixture[over_mixture.isfinite()]
    assert audible.max() < 0 and audible.median() > -12


def test_third_octaves_find_a_tone_and_keep_the_energy() -> None:
    stems = torch.stack([tone(f, 0.5, 4, SAMPLE_RATE).expand(2, -1) for f in (100, 1000, 5000)])
    power = frame_powers(stems, SAMPLE_RATE).mean(dim=-1)
    centres, levels = third_octaves(power, SAMPLE_RATE)
    for frequency, level in zip((100, 1000, 5000), levels, strict=True):
        loudest = centres[level.argmax()]
        assert 2 ** (-1 / 6) < frequency / loudest < 2 ** (1 / 6)
        assert level.max() > -0.5
    shares = (10 ** (levels / 10)).sum(dim=-1)
    torch.testing.assert_close(shares, torch.ones(3).double(), atol=0.02, rtol=0)


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_every_third_octave_holds_a_bin(rate: int) -> None:
    power = torch.ones(round(0.2 * rate) // 2 + 1).double()
    centres, levels = third_octaves(power, rate)
    assert levels.isfinite().all()
    assert centres[-1] * 2 ** (1 / 6) <= rate / 2


def chords(seed: int) -> torch.Tensor:
    return ch08._melody(seed)


def test_fingerprint_survives_gain_cuts_and_mp3() -> None:
    song = chords(1)
    buffer = io.BytesIO()
    piece = 0.2 * song[:, 2 * 22050 + 77 : 7 * 22050]
    soundfile.write(buffer, piece.T.numpy(), 22050, format="MP3", compression_level=0.9)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    share, shift = match(landmarks(torch.from_numpy(decoded.T.copy())), landmarks(song))
    assert share > 0.05
    assert shift * 512 / 22050 == pytest.approx(2.0, abs=0.1)


def test_fingerprint_tells_songs_apart() -> None:
    prints = [landmarks(chords(seed)) for seed in range(4)]
    for i, one in enumerate(prints):
        for j, other in enumerate(prints):
            share, shift = match(one, other)
            if i == j:
                assert (share, shift) == (1.0, 0)
            else:
                assert share < 0.02


def test_peaks_are_the_highest_around() -> None:
    magnitude = noise(60, 80).abs()
    peaks = {tuple(peak.tolist()) for peak in spectral_peaks(magnitude, per_frame=1.0)}
    expected = {
        (frame, bin_)
        for bin_ in range(60)
        for frame in range(80)
        if magnitude[bin_, frame]
        == magnitude[max(0, bin_ - 10) : bin_ + 11, max(0, frame - 7) : frame + 8].max()
    }
    assert peaks == expected


def test_match_counts_as_brute_force_does() -> None:
    one, other = landmarks(chords(0)[:, : 3 * 22050]), landmarks(chords(0))
    mine, theirs = (one.keys[:, None] == other.keys).nonzero().T
    _, counts = (other.frames[theirs] - one.frames[mine]).unique(return_counts=True)
    assert match(one, other)[0] == pytest.approx(int(counts.max()) / len(one.keys))


def test_silence_matches_nothing() -> None:
    silent = landmarks(torch.zeros(2, 22050))
    assert len(silent.keys) == 0
    assert match(silent, landmarks(chords(0))) == (0.0, 0)
    assert match(landmarks(chords(0)), silent) == (0.0, 0)


CATALOGUE = json.loads((ROOT / "book/datasets.json").read_text(encoding="utf-8"))


def test_every_fact_of_the_catalogue_has_a_source() -> None:
    facts = [fact for d in CATALOGUE["datasets"] for fact in d["facts"].values()]
    facts += list(CATALOGUE["notes"].values())
    used = {fact["source"] for fact in facts}
    assert used == set(CATALOGUE["sources"])
    assert all(s["url"].startswith("http") and s["title"] for s in CATALOGUE["sources"].values())
    assert all(set(d["facts"]) <= set(COLUMNS) for d in CATALOGUE["datasets"])
    names = [d["name"] for d in CATALOGUE["datasets"]]
    assert len(names) == len(set(names)) >= 20


def test_artists_on_both_sides_are_known() -> None:
    # By the track list, musdb's mus.yaml and the test songs of SiSEC 2018, guests left out.
    notes = CATALOGUE["notes"]
    both = notes["musdb18 artists on both sides"]["value"]
    assert both == ["Hollow Ground", "Skelpolu", "The Long Wait", "Triviul"]
    tiny = yaml.safe_load(files("musdb").joinpath("configs/mus.yaml").read_text(encoding="utf-8"))
    artists = {name.split(" - ")[0] for name in tiny["validation_tracks"]}
    assert {"Skelpolu", "Triviul"} <= artists
    assert notes["musdb18 validation artists in training"]["value"]["artists"] == len(artists) == 14


def test_table_shows_facts_links_and_gaps() -> None:
    page = catalogue_table(CATALOGUE, ("songs",), "Songs & stems").data
    links = re.findall(r'aria-label="([^"]*)">(?:<em>)?(\d+)', page)
    assert links and all(spoken.startswith(f"{seen}, ") for spoken, seen in links)
    assert "Songs &amp; stems" in page
    assert "MUSDB18-HQ" in page and "URMP" not in page
    assert "<td>–</td>" in page  # a fact that was not found
    assert page.count("<tr>") == 1 + sum(d["kind"] == "songs" for d in CATALOGUE["datasets"])
    broken = json.loads(json.dumps(CATALOGUE))
    broken["datasets"][0]["facts"]["tracks"]["source"] = "hearsay"
    with pytest.raises(KeyError):
        catalogue_table(broken, ("songs",), "")


@pytest.mark.parametrize("module", ["statistics", "fingerprint"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, common.data.{module}; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()
    assert not {"nussl", "musdb", "librosa", "stempeg", "matplotlib"} & set(loaded)
