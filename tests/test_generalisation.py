"""How much SDR nets lose on new timbres: the arithmetic of the table."""

from __future__ import annotations

import numpy as np
import pytest

from common import SOURCES
from common.experiments import generalisation
from common.experiments.generalisation import ORACLE, SPLITS, gap, share, summary
from common.recipes import trained_models


def rows_of(**levels: float) -> list[dict]:
    """Rows of the ideal mask, at 10 dB, and of a net at other levels, on songs that differ."""
    model, rng = trained_models()[0], np.random.default_rng(0)
    rows = []
    for songs in SPLITS:
        hard = rng.normal(size=(40, 4))
        for name, dB in ((ORACLE, 10.0), (model, levels[songs])):
            key = {"model": name, "weights": generalisation.weights(name), "songs": songs}
            rows.append(key | summary(dB + hard))
    return rows


def test_shares_and_gaps_are_ratios_of_levels():
    rows, model = rows_of(familiar=8.0, validation=7.0, test=5.0), trained_models()[0]
    lost = gap(rows, model)
    assert lost["value"] == pytest.approx(0.3, abs=0.05)
    low, high = lost["interval"]
    assert low < lost["value"] < high < low + 0.2
    assert gap(rows, model, "validation")["value"] == pytest.approx(0.1, abs=0.05)
    best = np.tile([10.0, 8.0, 9.0, 6.0], (40, 1))
    best[3, 2] = np.nan
    half = share(best / 2, best)
    assert half == {"value": pytest.approx(0.5), "interval": pytest.approx([0.5, 0.5])}


def test_rows_of_older_weights_stay_beside_the_new_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("common.recipes.checkpoints.CHECKPOINTS", tmp_path)
    rows = []
    for weights in (b"old", b"new"):
        (tmp_path / "net.safetensors").write_bytes(weights)
        key = {"model": "net", "weights": generalisation.weights("net"), "songs": "test"}
        rows.append(key | {"is": weights})
        assert generalisation.row_of(rows, "net", "test")["is"] == weights
    assert len({row["weights"] for row in rows}) == 2


def test_nets_are_compared_song_by_song(monkeypatch):
    rows = rows_of(familiar=8.0, validation=7.0, test=5.0)
    monkeypatch.setattr(generalisation, "trained_models", lambda: [trained_models()[0], ORACLE])
    ((one, other, compared),) = generalisation.differences(rows)
    assert (one, other) == (ORACLE, trained_models()[0])
    for source in SOURCES:
        assert compared[source]["difference"] == pytest.approx(5.0, abs=1e-3)
        assert compared[source]["interval"] == pytest.approx([5.0, 5.0], abs=1e-3)
        assert compared[source]["tracks"] == 40
