"""A row of an experiment: the same seed gives the same trained net."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from common.experiments.resumable import run_rows
from common.experiments.trial import trial
from common.training import TrainConfig


class Noise(Dataset):
    """Item i is noise that depends on i alone."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sources = torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(index))
        return sources.sum(dim=0), sources


def objective(net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
    return (net(mixture) - sources[:, 0]).square().mean()


def make() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 64))


def test_a_trial_depends_on_its_seed_alone() -> None:
    torch.manual_seed(123)
    config = TrainConfig(steps=4, batch_size=2)
    first, again, other = (trial(make, objective, Noise(), config, seed) for seed in (7, 7, 8))
    assert first.history.losses == again.history.losses != other.history.losses
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.net.parameters(), again.net.parameters(), strict=True)
    )
    assert not first.net.training
    assert first.n_parameters == 64 * 8 + 8 + 8 * 64 + 64
    assert first.last_loss == sum(first.history.losses) / 4


def test_a_net_is_prepared_before_it_is_trained() -> None:
    seen = []
    config = TrainConfig(steps=1, batch_size=2)
    trial(make, objective, Noise(), config, 0, prepare=lambda *given: seen.append(given))
    assert isinstance(seen[0][0], nn.Sequential) and isinstance(seen[0][1], Noise)


def test_facts_compare_as_they_are_read_back(tmp_path: Path) -> None:
    path, measured = tmp_path / "rows.json", []

    def measure(key: dict) -> dict:
        measured.append(key)
        return {"value": 1}

    for _ in range(2):  # a tuple becomes a list on disk: the same facts, so no row is lost
        run_rows(path, {"sizes": (1, 2)}, [{"seed": 0}], measure)
    assert measured == [{"seed": 0}]
    rows = run_rows(path, {"sizes": (1, 2)}, [{"seed": 1}], measure)
    assert rows == [{"seed": 1, "value": 1}], "a row that is not requested is removed"
    run_rows(path, {"sizes": (1, 2)}, [{"seed": 0}], measure)
    assert json.loads(path.read_text(encoding="utf-8"))["about"] == {"sizes": [1, 2]}
