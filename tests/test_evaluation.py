"""The metrics on signals with known results, and the loop over tracks."""

import json
import math
import weakref
from dataclasses import replace
from functools import partial

import numpy as np
import pretty_midi
import pytest
import torch

from common import SOURCES
from common.data.tracks import Track, parts_of
from common.evaluation import (
    BOUNDS,
    MaskBound,
    MixtureBound,
    SilenceBound,
    StaticFilterBound,
    bleeding,
    bootstrap_interval,
    compare,
    evaluate,
    evaluate_track,
    high_frequency_error,
    load_results,
    save_results,
    sdr,
    si_sdr,
    tail_error,
)
from common.evaluation.oracles import true_sources
from common.signal.masks import ideal_ratio_mask, wiener_mask
from common.support.errors import UsageError

RATE = 22050


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def song(name: str = "song", seconds: float = 1.0, seed: int = 0) -> Track:
    """Four stems of noise, each louder in its own band and its own part of every second."""
    stems = noise(4, 2, round(seconds * RATE), seed=seed)
    spectra = torch.fft.rfft(stems)
    for source in range(4):
        mask = torch.zeros(spectra.shape[-1])
        mask.tensor_split(4)[[1, 0, 2, 3][source]][:] = 1.0
        spectra[source] *= 0.5 + mask
    stems = torch.fft.irfft(spectra, n=stems.shape[-1])
    time = torch.arange(stems.shape[-1]) / RATE
    for source in range(4):
        stems[source] *= 0.1 + torch.sin(math.pi * (time + source / 4)) ** 8
    return Track(name, stems, RATE)


class Quarter:
    """A separator that gives every source an equal part of the mixture."""

    sample_rate, n_channels, segment = RATE, 2, 2.0

    def __init__(self, sources: tuple[str, ...] = SOURCES):
        self.sources = sources

    def __call__(self, mixture: torch.Tensor) -> torch.Tensor:
        return torch.stack([mixture / 4] * len(self.sources), dim=1)


class Answer:
    """An oracle that returns the named true sources, in the requested order."""

    oracle = True

    def __init__(self, *sources: str):
        self.sources = sources

    def estimate(self, track: Track) -> torch.Tensor:
        return torch.stack([track[source] for source in self.sources])


def test_sdr_of_a_known_error():
    reference = noise(3, 2, 1000)
    torch.testing.assert_close(
        sdr(reference, 0.9 * reference), torch.full((3,), 20.0).double(), atol=1e-4, rtol=0
    )
    assert sdr(reference, torch.zeros_like(reference)).tolist() == [0.0] * 3
    assert sdr(reference, reference).tolist() == [math.inf] * 3
    one = (reference[0].square().sum() / (reference[0] - reference[1]).square().sum()).item()
    assert sdr(reference[0], reference[1]).item() == pytest.approx(10 * math.log10(one), abs=1e-4)


def test_sdr_takes_channels_and_samples_together():
    reference = torch.stack([noise(1000), torch.zeros(1000)])  # all on the left
    estimate = torch.stack([reference[0], 0.1 * reference[0]])
    assert sdr(reference, estimate).item() == pytest.approx(20.0, abs=1e-4)


@pytest.mark.parametrize("metric", [sdr, si_sdr])
def test_a_silent_reference_is_nan_and_wrong_shapes_are_refused(metric):
    silence = torch.zeros(2, 1000)
    assert metric(silence, noise(2, 1000)).isnan()
    assert metric(silence, silence).isnan()
    assert metric(1e-5 * torch.ones(2, 1000), noise(2, 1000)).isnan()  # -100 dB: below dither
    assert metric(1e-4 * torch.ones(2, 1000), noise(2, 1000)).isfinite()
    with pytest.raises(ValueError, match="shapes differ"):
        metric(noise(2, 1000), noise(1, 1000))


def test_si_sdr_ignores_one_gain_for_all_channels_only():
    reference, error = noise(2, 4000), noise(2, 4000, seed=1)
    estimate = reference + 0.1 * error
    assert si_sdr(reference, estimate).item() == pytest.approx(20.0, abs=0.3)
    for gain in (0.01, -1.0, 30.0):
        assert si_sdr(reference, gain * estimate).item() == pytest.approx(
            si_sdr(reference, estimate).item(), abs=1e-3
        )
    balance = torch.tensor([[1.0], [0.5]])
    assert si_sdr(reference, balance * reference) < 20
    assert si_sdr(reference, torch.zeros_like(reference)).item() == -math.inf


def test_si_sdr_is_the_angle_between_the_signals():
    reference, estimate = noise(2, 4000), noise(2, 4000, seed=1) + noise(2, 4000)
    a, b = reference.flatten().double(), estimate.flatten().double()
    cosine = (a @ b / (a.norm() * b.norm())).item()
    expected = 10 * math.log10(cosine**2 / (1 - cosine**2))
    assert si_sdr(reference, estimate).item() == pytest.approx(expected, abs=1e-6)


def test_bleeding_of_a_tenth_is_20_db():
    sources = noise(3, 2, RATE)
    estimates = sources.clone()
    estimates[1] += 0.1 * sources[0]
    found = bleeding(sources, estimates)
    assert found[0, 1].item() == pytest.approx(-20.0, abs=1e-6)
    torch.testing.assert_close(found.diagonal(), torch.zeros(3).double(), atol=1e-6, rtol=0)
    others = [(a, b) for a in range(3) for b in range(3) if a != b and (a, b) != (0, 1)]
    assert all(found[pair] < -100 for pair in others)


def test_bleeding_tells_a_correlated_source_from_its_twin():
    sources = noise(2, 2, RATE)
    sources[1] = sources[1] + 0.8 * sources[0]  # two parts that share a line
    found = bleeding(sources, sources)
    assert found[0, 1] < -100
    assert found[1, 0] < -100


def test_bleeding_in_one_band_and_one_channel():
    sources = noise(2, 2, RATE)
    spectrum = torch.fft.rfft(sources[0])
    spectrum[:, RATE // 4 :] = 0  # of the lower half only
    lower = torch.fft.irfft(spectrum, n=RATE)
    estimates = sources.clone()
    estimates[1] += lower
    estimates[1, 1] -= lower[1]  # and only on the left: a quarter of the energy
    assert bleeding(sources, estimates)[0, 1].item() == pytest.approx(-6.02, abs=0.1)


def test_bleeding_of_mixture_silence_and_noise():
    sources = noise(3, 2, RATE)
    mixture = sources.sum(dim=0, keepdim=True)
    torch.testing.assert_close(
        bleeding(sources, mixture), torch.zeros(3, 1).double(), atol=1e-6, rtol=0
    )
    assert bleeding(sources, torch.zeros_like(mixture)).tolist() == [[-math.inf]] * 3
    assert bool((bleeding(sources, noise(1, 2, RATE, seed=9)) < -20).all())
    sources[0] = 0
    found = bleeding(sources, mixture)
    assert found[0].isnan().all()
    assert found[1:].isfinite().all()


def plucks(n_notes: int = 4, seconds: float = 1.0) -> torch.Tensor:
    """Notes that begin at every second and die away by 60 dB within it: (1, t)."""
    time = torch.arange(round(seconds * RATE)) / RATE
    note = 10 ** (-3 * time / seconds) * torch.sin(2 * math.pi * 220 * time)
    return note.repeat(n_notes)[None]


def test_tail_error_hears_only_the_tail():
    reference = plucks()
    time = torch.arange(reference.shape[-1]) / RATE % 1
    in_tail = time > 0.5  # 30 dB below the peak and further down
    assert tail_error(reference, 0.9 * reference, RATE).item() == pytest.approx(-20.0, abs=1e-4)
    loud_wrong = torch.where(time < 0.25, 0.5 * reference, reference)
    assert tail_error(reference, loud_wrong, RATE).item() == -math.inf
    cut = torch.where(in_tail, 0.0 * reference, reference)
    error = tail_error(reference, cut, RATE).item()
    assert -12 < error < -5  # from -30 to -50 dB of a tail that begins at -20 dB
    notes = [(second, second + 0.5) for second in range(4)]
    assert tail_error(reference, cut, RATE, notes).item() == pytest.approx(0.0, abs=1e-6)
    assert tail_error(reference, loud_wrong, RATE, notes).item() == -math.inf


class CutShort:
    """An oracle that returns only the first half of every second."""

    sources, oracle = ("bass", "other"), True

    def estimate(self, track: Track) -> torch.Tensor:
        time = torch.arange(track.n_samples) / track.sample_rate
        return torch.where(time % 1 < 0.5, track.sources, 0.0)


def test_evaluate_finds_tails_by_the_notes_where_they_are_known(tmp_path):
    midi = pretty_midi.PrettyMIDI()
    for part, length in (("low", 0.5), ("chords", 1.0)):
        midi.instruments.append(pretty_midi.Instrument(33, name=part))
        midi.instruments[-1].notes = [pretty_midi.Note(90, 57, s, s + length) for s in range(4)]
    midi.write(str(tmp_path / "notes.mid"))
    parts = [{"name": "low", "stem": "bass"}, {"name": "chords", "stem": "other"}]
    (tmp_path / "song.json").write_text(json.dumps({"parts": parts}), encoding="utf-8")
    track = Track("plucks", torch.stack([plucks()] * 2), RATE, ("bass", "other"), folder=tmp_path)
    assert [round(on, 3) for on, _ in track.notes["bass"]] == [0, 1, 2, 3]
    by_notes = evaluate_track(CutShort(), track)["tail_error"]
    assert by_notes["bass"] == pytest.approx(0.0, abs=1e-4)  # only the tails are missing
    assert by_notes["other"] is None  # one note follows the other: there are no tails
    by_level = evaluate_track(CutShort(), replace(track, folder=None))["tail_error"]
    assert -12 < by_level["bass"] == by_level["other"] < -5


def test_tail_error_of_no_tail_is_nan():
    steady = torch.ones(2, 2, RATE)
    assert tail_error(steady, 0.5 * steady, RATE).isnan().all()
    assert tail_error(0 * steady, steady, RATE).isnan().all()
    assert tail_error(1e-6 * plucks(), plucks(), RATE).isnan(), "-130 dB: as silent as for sdr"
    assert tail_error(plucks(), plucks(), RATE, notes=[(0.0, 4.0)]).isnan()


def test_high_frequency_error_hears_only_what_is_high():
    time = torch.arange(2 * RATE).double() / RATE
    fade = torch.sin(math.pi * time / 2) ** 2  # no clicks at the ends
    low = (fade * torch.sin(2 * math.pi * 1000 * time)).expand(2, -1)
    high = (fade * 0.1 * torch.sin(2 * math.pi * 9500 * time)).expand(2, -1)
    error = high_frequency_error
    assert error(low + high, low + 0.9 * high, RATE).item() == pytest.approx(-20, abs=0.05)
    assert error(low + high, low, RATE).item() == pytest.approx(0, abs=0.05)
    assert error(low + high, 0.5 * low + high, RATE).item() < -40
    assert error(low, low + high, RATE).isnan()
    with pytest.raises(ValueError, match="nothing above"):
        error(low, low, 16000)


def test_targets_are_found_by_name():
    track = song()
    drums, bass, other, vocals = track.sources
    found = true_sources(track, ("vocals", "accompaniment"))
    torch.testing.assert_close(found[0], vocals)
    torch.testing.assert_close(found[1], drums + bass + other)
    assert parts_of("accompaniment", SOURCES) == [0, 1, 2]
    assert parts_of("no_bass", SOURCES) == [0, 2, 3]
    for unknown in ("piano", "no_piano", "foreground"):
        with pytest.raises(UsageError, match="drums, bass, other, vocals"):
            true_sources(track, (unknown,))


@pytest.mark.parametrize(
    "bound", [MixtureBound, StaticFilterBound, partial(MaskBound, wiener_mask)]
)
def test_a_target_means_the_same_whatever_stands_beside_it(bound):
    track = song()
    alone = {
        source: values
        for pair in (("drums", "no_drums"), ("vocals", "accompaniment"))
        for source, values in measured(bound(sources=pair), track).items()
    }
    for beside in (("drums", "vocals", "accompaniment"), ("no_drums", "accompaniment", "vocals")):
        found = measured(bound(sources=beside), track)
        assert found == {source: pytest.approx(alone[source], abs=1e-3) for source in beside}


def test_sources_that_leave_some_out_are_measured_against_the_rest():
    """Bass in an estimate counts as interference, not as an artifact."""
    track = song()
    alone = {source: measured(MixtureBound((source,)), track)[source] for source in SOURCES}
    for sources in (("drums", "vocals"), ("drums", "vocals", "bass")):
        found = measured(MixtureBound(sources), track)
        assert found == {source: pytest.approx(alone[source], abs=1e-3) for source in sources}


def measured(bound, track):
    """SDR and BSS Eval of every target, and how much of each stem its estimate holds."""
    row = evaluate_track(bound, track, bss=True)
    kinds = [row[name] for name in ("sdr", "bss_sdr", "bss_sir", "bss_sar")]
    return {source: [kind[source] for kind in kinds] for source in bound.sources}


def test_what_targets_do_not_cover_or_cover_twice_bleeds_by_stems():
    for targets in (("drums", "vocals", "accompaniment"), ("no_drums",)):
        bled = evaluate_track(MixtureBound(targets), song())["bleeding"]
        assert set(bled) == set(SOURCES)
        assert {round(level) for row in bled.values() for level in row.values()} == {0}


@pytest.mark.parametrize(
    "sources",
    [
        ("vocals", "drums", "other", "bass"),
        ("vocals", "accompaniment"),
        ("accompaniment", "vocals"),
        ("bass",),
    ],
)
def test_order_and_choice_of_sources_do_not_matter(sources):
    results = evaluate(Answer(*sources), [song()], progress=False)
    assert set(results["median"]["sdr"].values()) == {100.0}
    swapped = evaluate(Answer(*sources[::-1]), [song()], progress=False)
    assert swapped["median"] == {
        metric: {source: values[source] for source in sources[::-1]}
        for metric, values in results["median"].items()
    }


def test_one_track_at_a_time_is_in_memory():
    made = []

    def tracks():
        for number in range(4):
            assert [name() for name in made if name() is not None] == []
            one = song(f"song {number}", seconds=0.2)
            made.append(weakref.ref(one))
            yield one
            del one

    for progress in (False, True):
        assert len(evaluate(Quarter(), tracks(), progress=progress)["tracks"]) == 4


def test_results_of_a_separator_are_complete_json():
    tracks = [song("one", seed=1), song("two", seed=2), song("three", seed=3)]
    results = evaluate(Quarter(), tracks, progress=False)
    assert results == json.loads(json.dumps(results, allow_nan=False))
    assert results["model"] == "Quarter"
    assert results["oracle"] is False
    assert results["sample_rate"] == RATE
    assert [row["name"] for row in results["tracks"]] == ["one", "two", "three"]
    for track, row in zip(tracks, results["tracks"], strict=True):
        expected = sdr(track.sources, (track.mixture / 4).expand(4, -1, -1))
        assert list(row["sdr"].values()) == pytest.approx(expected.tolist(), abs=0.01)
    values = [row["sdr"]["drums"] for row in results["tracks"]]
    assert results["median"]["sdr"]["drums"] == sorted(values)[1]
    low, high = results["interval"]["sdr"]["drums"]
    assert min(values) <= low <= results["median"]["sdr"]["drums"] <= high <= max(values)
    assert results["mean over sources"]["sdr"] == pytest.approx(
        np.mean(list(results["median"]["sdr"].values()))
    )
    assert results["bleeding"]["bass"]["drums"] == pytest.approx(-12.04, abs=0.1)


def test_silent_references_are_counted_and_never_averaged_in():
    loud, quiet = song("loud"), song("quiet", seed=1)
    quiet.sources[3] = 0  # an instrumental
    results = evaluate(Quarter(), [loud, quiet], progress=False)
    assert results["silent"] == {"drums": 0, "bass": 0, "other": 0, "vocals": 1}
    assert results["tracks"][1]["sdr"]["vocals"] is None
    assert results["counted"]["sdr"] == {"drums": 2, "bass": 2, "other": 2, "vocals": 1}
    assert results["median"]["sdr"]["vocals"] == results["tracks"][0]["sdr"]["vocals"]
    assert results["tracks"][1]["bleeding"]["vocals"]["drums"] is None

    without = evaluate(Quarter(), [quiet], progress=False)
    assert without["median"]["sdr"]["vocals"] is None
    assert without["interval"]["sdr"]["vocals"] is None
    assert without["mean over sources"]["sdr"] is None


def test_bss_eval_is_added_on_request():
    results = evaluate(MixtureBound(("vocals",)), [song(seconds=2.0)], bss=True, progress=False)
    medians = results["median"]
    assert {"bss_sdr", "bss_isr", "bss_sir", "bss_sar"} <= medians.keys()
    assert medians["bss_sdr"]["vocals"] == pytest.approx(medians["sdr"]["vocals"], abs=0.2)


def test_broken_estimates_are_refused():
    class Broken(Answer):
        def estimate(self, track):
            return super().estimate(track) * torch.nan

    class Short(Answer):
        def estimate(self, track):
            return super().estimate(track)[..., :-1]

    with pytest.raises(ValueError, match="song: the estimates hold NaN"):
        evaluate(Broken(*SOURCES), [song()], progress=False)
    with pytest.raises(ValueError, match="song: estimates are"):
        evaluate(Short(*SOURCES), [song()], progress=False)
    with pytest.raises(UsageError, match="piano"):
        evaluate(Quarter(("piano",)), [song()], progress=False)
    with pytest.raises(UsageError, match="no tracks"):
        evaluate(Quarter(), [], progress=False)
    with pytest.raises(ValueError, match="one sample rate"):
        evaluate(Quarter(), [song(), replace(song(), sample_rate=44100)], progress=False)


def test_bounds_rank_as_they_must():
    track = song()
    means = {
        bound.name: evaluate(bound, [track], progress=False)["mean over sources"]["sdr"]
        for bound in BOUNDS.values()
    }
    assert means["silence"] == 0
    assert means["mixture"] < 0 < means["static filter"] < means["ideal ratio mask"]
    assert means["ideal ratio mask"] < means["phase sensitive mask"] < means["complex mask"]
    assert all(evaluate(b, [track], progress=False)["oracle"] for b in BOUNDS.values())


@pytest.mark.parametrize("bound", [MixtureBound, SilenceBound, StaticFilterBound])
def test_trivial_bounds_take_any_sources(bound):
    track = song()
    for sources in (("vocals",), ("vocals", "accompaniment")):
        assert bound(sources).estimate(track).shape == (len(sources), 2, RATE)


def test_a_mask_for_one_source_competes_with_all_others():
    track = song()
    alone = MaskBound(ideal_ratio_mask, sources=("vocals",)).estimate(track)[0]
    both = MaskBound(ideal_ratio_mask, sources=("vocals", "accompaniment")).estimate(track)
    torch.testing.assert_close(alone, both[0])
    torch.testing.assert_close(both.sum(dim=0), track.mixture, atol=1e-5, rtol=0)


def test_static_filter_is_the_best_constant_gain():
    track = song()
    best = sdr(track.sources, StaticFilterBound().estimate(track))
    quarter = sdr(track.sources, (track.mixture / 4).expand(4, -1, -1))
    assert bool((best > quarter).all())


def test_results_come_back_from_disk(tmp_path):
    results = evaluate(SilenceBound(), [song()], progress=False)
    path = tmp_path / "deep" / "silence.json"
    save_results(results, path)
    assert load_results(path) == results
    with pytest.raises(ValueError):
        save_results({**results, "median": math.nan}, path)
    assert load_results(path) == results
    assert [p.name for p in path.parent.iterdir()] == ["silence.json"]


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}"])
def test_what_is_no_results_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="holds no results") as error:
        load_results(path)
    assert "\n" not in str(error.value)


def test_bootstrap_interval():
    values = np.random.default_rng(1).normal(5.0, 1.0, size=100).tolist()
    low, high = bootstrap_interval(values)
    assert low < np.median(values) < high
    # The median of 100 normal values has a standard error of 1.2533 / 10.
    assert high - low == pytest.approx(2 * 1.96 * 0.12533, rel=0.5)
    assert bootstrap_interval(values) == [low, high]
    assert bootstrap_interval(values, seed=1) != [low, high]
    assert bootstrap_interval([*values, None]) == [low, high]
    assert bootstrap_interval([3.0]) == [3.0, 3.0]
    assert bootstrap_interval([None]) is None


def test_a_bootstrap_of_means_is_as_wide_as_theory_says():
    values = np.random.default_rng(1).exponential(size=400)
    low, high = bootstrap_interval(values.tolist(), n=4000, statistic=np.mean)
    error = values.std() / np.sqrt(len(values))
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.2 * error)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_compare_pairs_tracks_by_name():
    tracks = [song("one", seed=1), song("two", seed=2)]
    silence = evaluate(SilenceBound(), tracks, progress=False)
    mixture = evaluate(MixtureBound(("vocals", "drums")), tracks[::-1], progress=False)
    differences = compare(mixture, silence)
    assert list(differences) == ["vocals", "drums"]
    assert differences["drums"]["difference"] == pytest.approx(mixture["median"]["sdr"]["drums"])
    assert differences["drums"]["tracks"] == 2
    with pytest.raises(UsageError, match="mixture has not been measured by bss_sdr"):
        compare(mixture, evaluate(SilenceBound(), tracks, bss=True, progress=False), "bss_sdr")
    with pytest.raises(UsageError, match="share no track"):
        compare(mixture, evaluate(SilenceBound(), [song("three")], progress=False))
