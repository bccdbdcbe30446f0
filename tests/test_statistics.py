"""What a set of songs is like: loudness as the standard has it, silence, width, colour, leaks."""

from __future__ import annotations

import io
import json
import math
import random
import re
import subprocess
import sys
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import torch
import yaml

from common import SAMPLE_RATE, SOURCES
from common.checks import Verdict, ch08
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
    page = catalogue_table(CATALOGUE, ("songs",), "Songs & stems")
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
    code = f"import sys, common.{module}; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()
    assert not {"nussl", "musdb", "librosa", "stempeg", "matplotlib"} & set(loaded)


def silence(
    power=lambda audio, n: hop_powers(audio, 10 * n).mean(0), floor=None, shift=0.0, hop=None
):
    """An answer to exercise 1, right unless some part is exchanged."""

    def answer(audio: torch.Tensor, rate: int, given: float = -60.0, **named: float) -> float:
        line = (named.get("floor", given) if floor is None else floor) + shift
        return float((10 * torch.log10(power(audio, hop or rate // 10)) < line).float().mean())

    return answer


def pieces(audio: torch.Tensor, n: int) -> torch.Tensor:
    return audio[:, : audio.shape[-1] // n * n].unflatten(-1, (-1, n))  # (c, pieces, n)


def silent_in_numpy(audio: torch.Tensor, sample_rate: int, floor: float = -60.0) -> float:
    n = sample_rate // 10
    ends = range(n, audio.shape[-1] + 1, n)
    rms = [np.sqrt(np.mean(audio.numpy()[:, end - n : end] ** 2)) for end in ends]
    return np.mean([20 * np.log10(value + 1e-12) < floor for value in rms])


def half_silent_piece_counts(audio: torch.Tensor, rate: int, floor: float = -60.0) -> float:
    n = rate // 10
    padded = torch.nn.functional.pad(audio, (0, -audio.shape[-1] % n))
    return silence()(padded, rate, floor)


def samples_under(audio: torch.Tensor, rate: int, floor: float = -60.0) -> float:
    return float((audio.abs() < 10 ** (floor / 20)).float().mean())


def assert_not_yet(verdict: Verdict, hint: str) -> None:
    """A wrong answer is not passed, and is told what is wrong with it."""
    assert not verdict.passed
    assert hint in verdict.message


WRONG_SILENCE = {
    "samples": (samples_under, "average the squares"),
    "20 log of a power": (
        lambda a, r, floor=-60.0: silence()(a, r, floor / 2),
        "10 log10 of a power",
    ),
    "channels added first": (silence(lambda a, n: hop_powers(a.mean(0), 10 * n)), "cancels"),
    "floor ignored": (silence(floor=-60.0), "`floor`"),
    "first channel": (silence(lambda a, n: hop_powers(a[0], 10 * n)), "one channel"),
    "second channel": (silence(lambda a, n: hop_powers(a[1], 10 * n)), "one channel"),
    "powers summed": (silence(lambda a, n: hop_powers(a, 10 * n).sum(0)), "not a sum"),
    "louder channel": (silence(lambda a, n: hop_powers(a, 10 * n).amax(0)), "mean over both"),
    "softer channel": (silence(lambda a, n: hop_powers(a, 10 * n).amin(0)), "one channel"),
    "mean of decibels": (
        silence(lambda a, n: hop_powers(a, 10 * n).log().mean(0).exp()),
        "one channel",
    ),
    "peak": (silence(lambda a, n: pieces(a, n).square().amax((0, 2))), "mean over both"),
    "mean of both peaks": (silence(lambda a, n: pieces(a, n).square().amax(2).mean(0)), "squares"),
    "mean magnitude": (silence(lambda a, n: pieces(a, n).abs().mean((0, 2)).square()), "squares"),
    "variance": (silence(lambda a, n: pieces(a, n).var(dim=(0, 2))), "Four tenths"),
    "-63": (silence(shift=-3.0), "10 log10 of a power"),
    "-55": (silence(shift=5.0), "10 log10 of a power"),
    "800 samples": (silence(hop=800), "44.1 kHz"),
    "last piece": (half_silent_piece_counts, "Leave out"),
}


@pytest.mark.parametrize("name", WRONG_SILENCE)
def test_silent_share_names_the_mistake(name: str) -> None:
    answer, hint = WRONG_SILENCE[name]
    assert_not_yet(ch08.silent_share(answer), hint)


@pytest.mark.parametrize("answer", [silence(), silent_in_numpy])
def test_silent_share_takes_every_right_answer(answer: object) -> None:
    verdict = ch08.silent_share(answer)
    assert verdict.passed, verdict.message


def ratio(audio: torch.Tensor) -> torch.Tensor:
    return (audio[0] - audio[1]).square().sum() / audio.sum(0).square().sum()


def width_of(measure: object, factor: float = 20.0) -> object:
    """20 log10 of some measure of side over mid."""
    return lambda a: float(factor * torch.log10(measure(a[0] - a[1]) / measure(a[0] + a[1])))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda a: float(20 * torch.log10(ratio(a))), "twice"),
        (lambda a: float(-10 * torch.log10(ratio(a))), "hardly any side"),
        (lambda a: float(5 * torch.log10(ratio(a))), "square first"),
        (width_of(lambda x: x.abs().mean()), "add squares"),
        (width_of(lambda x: x.abs().max()), "add squares"),
        (width_of(lambda x: x.abs().median()), "add squares"),
        (width_of(lambda x: x.std()), "add squares"),
    ],
)
def test_side_over_mid_names_the_mistake(answer: object, hint: str) -> None:
    assert_not_yet(ch08.side_over_mid(answer), hint)


@pytest.mark.parametrize(
    "answer",
    [
        width_of(lambda x: x.square().mean().sqrt()),
        width_of(torch.linalg.norm),
        lambda a: 10 * math.log10(float(ratio(a))),
        lambda a: 10 * np.log10(float(ratio(a)) + 1e-10),
        lambda a: 10 * torch.log10(ratio(a.double())),
    ],
)
def test_side_over_mid_takes_every_right_answer(answer: object) -> None:
    verdict = ch08.side_over_mid(answer)
    assert verdict.passed, verdict.message


def by_artist(
    key=lambda name: name.split(" - ")[0],
    order=sorted,
    shuffle=lambda artists, seed: np.random.default_rng(seed).permutation(artists).tolist(),
    enough=lambda test, n: len(test) >= n,
    belongs=lambda name, artist, key: key(name) == artist,
):
    """An answer to exercise 3, right unless some part is exchanged."""

    def answer(names: list[str], n_test: int, seed: int) -> tuple[list[str], list[str]]:
        test: list[str] = []
        for artist in shuffle(order({key(name): None for name in names}), seed):
            if not enough(test, n_test):
                test += [name for name in names if belongs(name, artist, key)]
        return [name for name in names if name not in test], test

    return answer


def smallest_first(names: list[str], n_test: int, seed: int) -> tuple[list[str], list[str]]:
    songs = defaultdict(list)
    for name in random.Random(seed).sample(sorted(names), len(names)):
        songs[name.split(" - ")[0]].append(name)
    test: list[str] = []
    for group in sorted(songs.values(), key=len):
        if len(test) < n_test:
            test += group
    return [name for name in names if name not in test], test


def shuffled_songs(names: list[str], n_test: int, seed: int) -> tuple[list[str], list[str]]:
    mixed = random.Random(seed).sample(names, len(names))
    return mixed[n_test:], mixed[:n_test]


def in_place(names: list[str], n_test: int, seed: int) -> tuple[list[str], list[str]]:
    names.sort()
    return by_artist()(names, n_test, seed)


WRONG_SPLITS = {
    "songs": (lambda n, k, s: (sorted(n)[k:], sorted(n)[:k]), "both sides"),
    "shuffled songs": (shuffled_songs, "both sides"),
    "lost": (lambda n, k, s: (n[k:], n[: k - 1]), "once"),
    "rsplit": (by_artist(lambda name: name.rsplit(" - ", 1)[0]), "both sides"),
    "hyphen": (by_artist(lambda name: name.split("-")[0]), "never comes"),
    "first word": (by_artist(lambda name: name.split()[0]), "Stop when"),
    "startswith": (by_artist(belongs=lambda name, artist, _: name.startswith(artist)), "too many"),
    "overshooting": (by_artist(enough=lambda test, n: len(test) > n), "Stop when"),
    "too few": (by_artist(enough=lambda test, n: len(test) >= n - 1), "6 songs at least"),
    "smallest first": (smallest_first, "never comes"),
    "set": (by_artist(order=lambda artists: list(set(artists))), "A set has another order"),
    "no seed": (
        by_artist(shuffle=lambda artists, _: random.sample(artists, len(artists))),
        "same seed",
    ),
    "seed ignored": (by_artist(shuffle=lambda artists, _: artists), "never comes"),
    "in place": (in_place, "as it was"),
}


@pytest.mark.parametrize("name", WRONG_SPLITS)
def test_split_by_artist_names_the_mistake(name: str) -> None:
    answer, hint = WRONG_SPLITS[name]
    assert_not_yet(ch08.split_by_artist(answer), hint)


@pytest.mark.parametrize(
    "answer",
    [
        by_artist(),
        by_artist(order=list),  # as they appear
        by_artist(lambda name: re.match("(.*?) - ", name)[1]),
        by_artist(lambda name: name.partition(" - ")[0]),
        by_artist(shuffle=lambda artists, seed: random.Random(seed).sample(artists, len(artists))),
        lambda n, k, s: tuple(map(np.array, by_artist()(n, k, s))),
        lambda n, k, s: [sorted(part, reverse=True) for part in by_artist()(n, k, s)],
    ],
)
def test_split_by_artist_takes_every_right_answer(answer: object) -> None:
    verdict = ch08.split_by_artist(answer)
    assert verdict.passed, verdict.message


def leaks(share=lambda one, other: match(one, other)[0], reached=lambda x, line: x >= line):
    """An answer to exercise 5, right unless some part is exchanged."""

    def answer(new: dict, known: dict, threshold: float = 0.02) -> list[tuple[str, str]]:
        prints = {name: landmarks(audio) for name, audio in known.items()}
        mine = {name: landmarks(audio) for name, audio in new.items()}
        return [
            (name, song)
            for name, one in mine.items()
            for song, other in prints.items()
            if reached(share(one, other), threshold)
        ]

    return answer


def best_only(new: dict, known: dict, threshold: float = 0.02) -> list[tuple[str, str]]:
    prints = {name: landmarks(audio) for name, audio in known.items()}
    found = []
    for name, audio in new.items():
        share, song = max((match(landmarks(audio), p)[0], song) for song, p in prints.items())
        found += [(name, song)] * (share >= threshold)
    return found


WRONG_LEAKS = {
    "nothing": (lambda new, known, threshold=0.02: [], "missed"),
    "all": (lambda new, known, threshold=0.02: [(a, b) for a in new for b in known], "chance"),
    "no threshold": (leaks(reached=lambda x, _: x > 0), "chance"),
    "known in new": (leaks(lambda one, other: match(other, one)[0]), "small part of the album"),
    "best only": (best_only, "name all pairs"),
    "threshold ignored": (leaks(reached=lambda x, _: x >= 0.02), "the medley"),
    "more than": (leaks(reached=lambda x, line: x > line), "reaches even 1"),
    "twice": (lambda *given, **named: 2 * leaks()(*given, **named), "once"),
    "turned round": (
        lambda *given, **named: [pair[::-1] for pair in leaks()(*given, **named)],
        "a pair",
    ),
    "shares": (lambda *given, **named: [(*p, 1.0) for p in leaks()(*given, **named)], "a pair"),
}


@pytest.mark.parametrize("name", WRONG_LEAKS)
def test_find_leaks_names_the_mistake(name: str) -> None:
    answer, hint = WRONG_LEAKS[name]
    assert_not_yet(ch08.find_leaks(answer), hint)


@pytest.mark.parametrize("container", [list, set, tuple, lambda found: [list(p) for p in found]])
def test_find_leaks_takes_every_right_answer(container: object) -> None:
    answer = leaks()
    verdict = ch08.find_leaks(lambda *given, **named: container(answer(*given, **named)))
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda s, o, b: s - o - b, "Add the 1"),
        (lambda s, o, b: 10 * np.log10(1 + 10 ** ((o - s - b) / 10)), "sign"),
    ],
)
def test_bleed_ceiling_names_the_mistake(answer: object, hint: str) -> None:
    assert_not_yet(ch08.bleed_ceiling(answer), hint)
