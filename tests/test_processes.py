"""Training in several processes: data, division of work, and a run that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from processes import alone, together
from safetensors.torch import load_file
from test_training import CONFIG, TRANSFORM, excerpts, small_net, states_differ
from torch import Tensor, nn

from common import SOURCES
from common.__main__ import main
from common.recipes import RECIPES
from common.support.errors import UsageError
from common.training import (
    STATE,
    MaskObjective,
    Run,
    ValidationLoss,
    fit,
    load_state,
    start_processes,
)

OBJECTIVE = MaskObjective(TRANSFORM)


def report(folder: Path, rank: int, facts: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{rank}.json").write_text(json.dumps(facts), encoding="utf-8")


def reports(folder: Path) -> list[dict]:
    return [json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]


# --- what is learned --------------------------------------------------------------------------


class FixedNorm(nn.BatchNorm1d):
    """Batch normalisation that does not use the batch: its statistics do not change."""

    def train(self, mode: bool = True) -> FixedNorm:
        return super().train(False)


def train_with_fixed_norm(rank: int, folder: Path, batch_size: int) -> None:
    torch.set_num_threads(1)
    net = small_net(dropout=0.0)
    net.log_magnitude.norm = FixedNorm(TRANSFORM.n_bins)
    config = replace(CONFIG, batch_size=batch_size)
    history = fit(net, OBJECTIVE, excerpts(), config, folder=folder / str(rank))
    report(folder, rank, {"losses": history.losses})


def test_two_processes_learn_what_one_does_with_twice_the_batch(tmp_path: Path) -> None:
    """The loss curves agree within 1e-5 of the loss, and the weights within 1e-4.

    They cannot agree bit for bit: two processes average the means of two half batches, one
    process takes one mean, and float32 sums depend on their order (relative 1e-7 each step).
    Adam divides by the size of the gradient, which lets that difference grow where a gradient
    is close to zero, hence the wider tolerance for weights.

    Dropout is off, since each process draws its own; and batch normalisation keeps fixed
    statistics, since each process would normalise by its own half of the batch (SyncBatchNorm
    exists on GPUs only). What is compared is therefore data, gradients and updates.
    """
    assert together(train_with_fixed_norm, tmp_path / "two", CONFIG.batch_size) == [0, 0]
    assert alone(train_with_fixed_norm, 0, tmp_path / "one", 2 * CONFIG.batch_size) == 0
    first, second = (torch.tensor(facts["losses"]) for facts in reports(tmp_path / "two"))
    one = torch.tensor(json.loads((tmp_path / "one" / "0.json").read_text())["losses"])
    assert torch.equal(first, second)
    assert torch.allclose(one, first, rtol=1e-5, atol=0)
    assert not (tmp_path / "two" / "1" / STATE).exists(), "only the main process saves"
    a, b = (load_file(tmp_path / name / "0" / STATE) for name in ("one", "two"))
    for name in a:
        if name.startswith("net."):
            assert torch.allclose(a[name], b[name], rtol=0, atol=1e-4), name


def drop_and_validate(rank: int, folder: Path) -> None:
    """Report the numbers drawn by dropout, the validating process, and the final weights."""
    drawn, validated = [], []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, magnitude: Tensor) -> Tensor:
            if self.training:
                drawn.append(torch.nn.functional.dropout(torch.ones(64), 0.5).tolist())
            return self.net(magnitude)

    loss = ValidationLoss(OBJECTIVE, excerpts(seed=8), n_excerpts=2)

    def validate(net: nn.Module) -> float:
        validated.append(loss(net))
        return validated[-1]

    net = Watched()
    history = fit(net, OBJECTIVE, excerpts(), CONFIG, validate, folder)
    weights = {name: x.tolist() for name, x in net.state_dict().items()}
    facts = {"drawn": drawn, "validated": len(validated), "weights": weights}
    report(folder, rank, facts | {"validation": history.validation, "best": history.best_step})


def test_each_process_draws_its_own_dropout_and_one_validates(tmp_path: Path) -> None:
    assert together(drop_and_validate, tmp_path) == [0, 0]
    first, second = reports(tmp_path)
    assert len(first["drawn"]) == len(second["drawn"]) == CONFIG.steps
    assert all(one != other for one, other in zip(first["drawn"], second["drawn"], strict=True))
    assert (first["validated"], second["validated"]) == (5, 0)
    assert first["validation"] == second["validation"] and first["best"] == second["best"]
    assert first["weights"] == second["weights"]
    saved = load_file(tmp_path / STATE)["generator.cpu"]
    assert len(saved) == 2 and not torch.equal(*saved), "one generator state per process"


def test_a_run_goes_on_in_as_many_processes_as_it_began_in(tmp_path: Path) -> None:
    assert together(drop_and_validate, tmp_path) == [0, 0]
    run = Run(nn.ModuleDict({"net": small_net()}), CONFIG, start_processes())
    with pytest.raises(UsageError, match=r"started in 2 process\(es\) and cannot continue in 1"):
        load_state(tmp_path, run)


# --- the command line -------------------------------------------------------------------------

# Two heads in a tuple and clustering; prepared input and a net per source; complex error.
MODELS = ("chimera", "open-unmix", "d3net")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tracks of noise in MUSDB18-HQ layout, with the last one for validation."""
    root = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    for index in range(6):
        stems = 0.1 * rng.standard_normal((4, 2 * 22050, 2)).astype(np.float32)
        folder = root / "train" / f"song {index}"
        folder.mkdir(parents=True)
        for name, audio in zip(("mixture", *SOURCES), [stems.sum(0), *stems], strict=True):
            soundfile.write(folder / f"{name}.wav", audio, 22050, subtype="FLOAT")
    return root


def command(name: str, music: Path, out: Path) -> list[str]:
    return ["train", name, "--scale", "smoke", "--data", str(music), "--out", str(out)]


def train_until(rank: int, name: str, music: Path, out: Path, kill_at: int | None) -> None:
    """`python -m common train --resume`, saved every second step; killed in a step's middle."""
    made, calls = RECIPES[name]["smoke"], []

    def objective(net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
        calls.append(net.training)
        if sum(calls) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return made.objective(net, mixture, sources)

    config = replace(made.config, steps=6, save_every=2, validate_every=3)
    RECIPES[name]["smoke"] = replace(made, objective=objective, config=config)
    assert main([*command(name, music, out), "--resume"]) == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_killed_run_of_two_processes_equals_one_that_was_not(
    name: str, music: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert together(train_until, name, music, whole, None) == [0, 0]
    assert together(train_until, name, music, killed, 4) == [-signal.SIGKILL] * 2
    assert load_file(killed / STATE)["generator.cpu"].shape[0] == 2
    assert not (killed / f"{name}.safetensors").exists()
    assert together(train_until, name, music, killed, None) == [0, 0]
    assert states_differ(whole, killed) == []
    assert {path.name for path in killed.iterdir()} == {
        STATE,
        "history.json",
        "recipe.json",
        f"{name}.safetensors",
    }
    a, b = (load_file(folder / f"{name}.safetensors") for folder in (whole, killed))
    assert a.keys() == b.keys() and all(torch.equal(x, b[key]) for key, x in a.items())
    a, b = (json.loads((folder / "history.json").read_text()) for folder in (whole, killed))
    assert a == b and len(a["validation"]) == 2


def test_the_command_line_runs_under_a_launcher(music: Path, tmp_path: Path) -> None:
    """The launcher of `accelerate launch` and `torchrun`, and one line of answer from it."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, "-m", "common", *command("mask-inference", music, tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"weights: {tmp_path / 'mask-inference.safetensors'}"]
    history = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert len(history["losses"]) == 8 and history["precision"] == [[0, "no"]]
    assert load_file(tmp_path / STATE)["generator.cpu"].shape[0] == 2
