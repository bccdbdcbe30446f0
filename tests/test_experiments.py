"""Experiments resume row by row and never mix rows measured under different facts."""

import itertools
import json
import time

import numpy as np
import pytest
import torch

from common.classical.table import METHODS
from common.data import real_excerpt
from common.evaluation import evaluate_track
from common.experiments import (
    ablations,
    consistency,
    mono_vs_stereo,
    nmf,
    zoo,
)
from common.experiments.resumable import RESULTS, run_rows
from common.experiments.song_variety import SEEDS, STEPS, varieties
from common.experiments.zoo import stopwatch
from common.recipes import card, trained_models
from common.songs.dataset import GENERATOR_VERSION
from common.songs.writing.score import Variety
from common.support.files import write_json, write_whole


def test_rows_are_kept_and_missing_ones_added(tmp_path):
    path, asked = tmp_path / "rows.json", []

    def measure(key):
        asked.append(key["n"])
        if key["n"] == 2 and len(asked) == 3:
            raise KeyboardInterrupt
        return {"square": key["n"] ** 2}

    keys = [{"n": n} for n in range(4)]
    with pytest.raises(KeyboardInterrupt):
        run_rows(path, {"v": 1}, keys, measure)
    assert [row["n"] for row in json.loads(path.read_text())["rows"]] == [0, 1]
    rows = run_rows(path, {"v": 1}, keys, measure)
    assert asked == [0, 1, 2, 2, 3]
    assert [row["square"] for row in rows] == [0, 1, 4, 9]
    assert json.loads(path.read_text()) == {"about": {"v": 1}, "rows": rows}


def test_other_facts_throw_old_rows_away(tmp_path):
    path = tmp_path / "rows.json"
    run_rows(path, {"v": 1}, [{"n": 1}], lambda key: {"x": 1})
    assert run_rows(path, {"v": 2}, [{"n": 1}], lambda key: {"x": 2}) == [{"n": 1, "x": 2}]


def test_a_stopwatch_goes_on_where_a_killed_run_stopped(tmp_path):
    path = tmp_path / "runs" / "seconds.json"
    with stopwatch(path, every=0.01) as seconds:
        while not path.exists():  # written while the run goes on, not only at its end
            time.sleep(0.01)
        first = seconds()
    write_json(path, 100.0)
    with pytest.raises(KeyboardInterrupt), stopwatch(path) as seconds:
        assert seconds() >= 100
        raise KeyboardInterrupt
    assert first > 0 and 100 <= json.loads(path.read_text()) < 200


def test_generators_grow_side_by_side():
    found = list(varieties().values())
    assert len(found) == len(STEPS) + 1
    assert found[-1] == Variety()
    sizes = [sum(vars(variety).values()) for variety in found]
    assert sizes == [0, 1, 2, 3, 4, 5]


def test_the_table_of_song_variety_is_whole_and_todays():
    found = json.loads((RESULTS / "song_variety.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    rows = [(row["generator"], row["seed"]) for row in found["rows"]]
    assert sorted(rows) == sorted((name, seed) for name in varieties() for seed in SEEDS)


def test_every_classical_method_stands_in_its_table():
    found = json.loads((RESULTS / "classical.json").read_text(encoding="utf-8"))
    rows = {row["method"]: row for row in found["rows"]}
    assert set(rows) == set(METHODS)
    for name, row in rows.items():
        assert set(row["sdr"]) == set(row["excerpt_sdr"]) == set(METHODS[name]().sources)


@pytest.mark.parametrize("name", METHODS)
def test_a_classical_method_scores_what_its_table_says(name):
    found = json.loads((RESULTS / "classical.json").read_text(encoding="utf-8"))
    rows = {row["method"]: row for row in found["rows"]}
    measured = evaluate_track(METHODS[name](), real_excerpt())["sdr"]
    assert measured == pytest.approx(rows[name]["excerpt_sdr"], abs=0.05)


def test_trained_templates_beat_hpss_and_repetition_on_vocals():
    found = json.loads((RESULTS / "classical.json").read_text(encoding="utf-8"))
    vocals = {row["method"]: row["vocals_anyway"] for row in found["rows"]}
    assert vocals["nmf"] > max(vocals["hpss"], vocals["repet"], vocals["repet-sim"])
    row = next(row for row in found["rows"] if row["method"] == "nmf")
    assert row["vocals_anyway"] == pytest.approx(row["sdr"]["vocals"], abs=1e-3)
    assert row["parameters"] == METHODS["nmf"]().dictionaries.numel()


def test_the_table_of_dictionaries_is_whole_and_todays():
    found = json.loads((RESULTS / "nmf.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    rows = sorted((row["components"], row["beta"], row["seed"]) for row in found["rows"])
    assert rows == sorted(itertools.product(nmf.SIZES, nmf.BETAS, nmf.SEEDS))
    chosen = METHODS["nmf"]()
    assert chosen.dictionaries.shape[-1] == nmf.CHOSEN["components"]
    assert chosen.beta == nmf.CHOSEN["beta"]
    card = json.loads(nmf.DICTIONARIES.with_suffix(".json").read_text(encoding="utf-8"))
    assert found["about"].items() <= card.items() and nmf.CHOSEN.items() <= card.items()
    assert card["shape"] == list(chosen.dictionaries.shape)


def test_a_file_is_whole_or_old(tmp_path):
    path = write_json(tmp_path / "deep" / "x.json", {"a": 1})

    def fail(partial):
        partial.write_text("half of i")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, fail)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize(
    ("model", "change"),
    [(model, change) for model, changes in ablations.CHANGES.items() for change in changes],
)
def test_every_remedy_trains_and_separates(model, change):
    made = ablations.CHANGES[model][change](ablations.BEFORE[model])
    torch.manual_seed(0)
    net = made.net()
    sources = 0.1 * torch.randn(2, 4, made.n_channels, round(made.seconds * made.sample_rate))
    made.objective(net, sources.sum(dim=1), sources).backward()
    assert all(x.grad is not None for x in net.parameters() if x.requires_grad)
    stems = made.separator(net).eval()(sources[:1, 0].expand(1, 2, -1))
    assert stems.shape == (1, 4, 2, sources.shape[-1])
    assert (made == ablations.BEFORE[model]) == (change == "as it is")


def test_the_table_of_ablations_is_whole_and_todays():
    found = json.loads((RESULTS / "ablations.json").read_text(encoding="utf-8"))
    today = ablations.about()
    assert found["about"] | {"hardware": None} == today | {"hardware": None}
    rows = [(row["model"], row["change"], row["seed"]) for row in found["rows"]]
    assert rows == ablations.runs()


def test_large_ablations_were_tried_twice():
    found = json.loads((RESULTS / "ablations.json").read_text(encoding="utf-8"))
    first = {(row["model"], row["change"]): row for row in found["rows"] if row["seed"] == 0}
    level = {key: np.mean(list(row["sdr"].values())) for key, row in first.items()}
    large = [key for key in level if abs(level[key] - level[key[0], "as it is"]) > 0.2]
    assert {*large, *((model, "as it is") for model, _ in large)} == set(ablations.AGAIN)


def test_mono_and_stereo_nets_are_todays_and_one_is_the_checkpoint():
    found = json.loads((RESULTS / "mono_vs_stereo.json").read_text(encoding="utf-8"))
    assert found["about"] | {"hardware": None} == mono_vs_stereo.about() | {"hardware": None}
    assert [row["n_channels"] for row in found["rows"]] == list(mono_vs_stereo.N_CHANNELS)
    assert found["rows"][1]["validation"] == card("d3net")["validation"]
    separator = (
        mono_vs_stereo.with_channels(1).separator(mono_vs_stereo.with_channels(1).net()).eval()
    )
    assert separator(0.1 * torch.randn(1, 2, 44100)).shape == (1, 4, 2, 44100)


def consistency_rows():
    found = json.loads((RESULTS / "consistency.json").read_text(encoding="utf-8"))
    assert found["about"] | {"hardware": None} == consistency.about() | {"hardware": None}
    assert [row["model"] for row in found["rows"]] == trained_models()
    return found["rows"]


def test_stems_that_add_up_cost_no_sdr():
    """Why `separate` divides the remainder equally: this costs less than a hundredth of a dB."""
    for row in consistency_rows():
        before = consistency.mean_over_stems(row)
        assert consistency.mean_over_stems(row, "equally") > before - 0.01
        assert consistency.mean_over_stems(row, "by power") < before + 0.01
        assert row["lacking_db"]["equally"] < -100


@pytest.mark.parametrize("share", consistency.WAYS.values(), ids=consistency.WAYS)
def test_every_way_to_share_keeps_stems_that_add_up(share):
    stems = torch.randn(1, 4, 2, 5000)
    torch.testing.assert_close(share(stems, stems.sum(dim=1)), stems, atol=1e-5, rtol=0)
    if share is not consistency.WAYS["as they are"]:
        shared = share(0.3 * stems, stems.sum(dim=1))
        torch.testing.assert_close(shared.sum(dim=1), stems.sum(dim=1), atol=1e-5, rtol=0)


def test_a_card_is_timed_again_and_nothing_else_in_it_changes(tmp_path, monkeypatch):
    write_json(tmp_path / "net.json", {"model": "net", "real_time_factor": 1.0})
    monkeypatch.setattr(zoo, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(zoo, "real_time_factor", lambda name: 7.04)
    zoo.retime("net")
    card = json.loads((tmp_path / "net.json").read_text(encoding="utf-8"))
    assert card == {"model": "net", "real_time_factor": 7.0}


def test_a_card_is_scored_again_on_all_test_songs(tmp_path, monkeypatch):
    write_json(tmp_path / "net.json", {"model": "net", "sdr": {"drums": 1.0}})
    monkeypatch.setattr(zoo, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(zoo, "load", lambda name: name)
    found = {"sdr": {}, "median": {"drums": 2.0}, "mean": {"drums": 3.0}, "share": 0.5}
    monkeypatch.setattr(zoo, "scored", lambda separator, songs: found)
    monkeypatch.setattr(zoo, "tracks", lambda songs: [songs] * 40)
    zoo.retest("net")
    card = json.loads((tmp_path / "net.json").read_text(encoding="utf-8"))
    wanted = {key: found[key] for key in ("median", "mean", "share")}
    assert card == {"model": "net", "sdr": {"drums": 1.0}, "test": {"songs": 40, **wanted}}
