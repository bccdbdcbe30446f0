"""Training state on disk, so that training can stop at any step and continue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from common.support.errors import UsageError
from common.support.files import write_tensors
from common.support.renamed import renamed
from common.training.history import History
from common.training.run import Run

STATE = "training.safetensors"
"""File name of the state: weights, optimiser, history, generator states of all processes."""


def save_state(folder: Path, run: Run) -> None:
    """Write all that training needs to continue; the old state stays until the new is complete.

    Every process must call it; the main one writes. Raises FloatingPointError for a loss or a
    weight that is NaN or infinite.
    """
    run.read_losses()
    run.check_weights()
    generators = dict(_generators(run))  # all processes take part
    if not run.accelerator.is_main_process:
        return
    tensors = {f"net.{name}": x for name, x in run.net.state_dict().items()} | generators
    tensors |= {f"average.{name}": x for name, x in run.weights.average.items()}
    tensors |= {f"best.{name}": x for name, x in run.weights.best.items()}
    for index, moments in run.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(x) for name, x in moments.items()}
    tensors = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    metadata = {"history": json.dumps(asdict(run.history))}
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / STATE, tensors, metadata)


def load_state(folder: Path | None, run: Run) -> int:
    """Restore everything that `save_state` wrote; returns the step to continue from.

    Raises UsageError where the run had another number of processes.
    """
    if folder is None or not (folder / STATE).exists():
        return 0
    tensors = load_file(folder / STATE)
    _restore_generators(tensors, run)
    run.net.load_state_dict(_below("net", tensors))
    for name, x in _below("average", tensors).items():
        run.weights.average[name].copy_(x)
    device = run.accelerator.device
    run.weights.best = {name: x.to(device) for name, x in _below("best", tensors).items()}
    moments: dict[int, dict[str, Tensor]] = {}
    for name, x in _below("optimiser", tensors).items():
        index, moment = name.split(".")
        moments.setdefault(int(index), {})[moment] = x
    run.optimiser.load_state_dict(run.optimiser.state_dict() | {"state": moments})
    with safe_open(folder / STATE, framework="pt") as file:
        saved = json.loads(file.metadata()["history"])
    validation = [tuple(pair) for pair in saved["validation"]]
    precision = [tuple(pair) for pair in saved.get("precision", [])]
    run.history = History(saved["losses"], validation, precision)
    return len(run.history.losses)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names begin with `prefix.`, without it, under their current names."""
    start = f"{prefix}."
    return renamed({k.removeprefix(start): x for k, x in tensors.items() if k.startswith(start)})


def _generators(run: Run) -> Iterator[tuple[str, Tensor]]:
    """The states of the random generators, one row per process."""
    for name, (get, put) in on_this_machine().items():
        state = get()
        rows = run.accelerator.gather(state[None].to(run.accelerator.device))
        yield f"generator.{name}", rows
        # cuDNN's dropout in LSTMs has its own state, which cannot be read. Setting the generator
        # resets it, so the generator is set here as well as when the run continues.
        put(state)


def _restore_generators(tensors: dict[str, Tensor], run: Run) -> None:
    rank, n_processes = run.accelerator.process_index, run.accelerator.num_processes
    rows = torch.atleast_2d(tensors["generator.cpu"])
    if len(rows) != n_processes:
        raise UsageError(
            f"this run was started in {len(rows)} process(es) and cannot continue in {n_processes}"
        )
    for name, (_, put) in on_this_machine().items():
        if f"generator.{name}" in tensors:
            row = torch.atleast_2d(tensors[f"generator.{name}"])[rank]
            put(row.clone())  # without a copy, the first row would be read


def on_this_machine() -> dict[str, tuple[Callable[[], Tensor], Callable[[Tensor], None]]]:
    """Device → how its random generator's state is read and set, for all devices there are."""
    generators = {"cpu": (torch.get_rng_state, torch.set_rng_state)}
    if torch.cuda.is_available():
        generators["cuda"] = (torch.cuda.get_rng_state, torch.cuda.set_rng_state)
    if torch.backends.mps.is_available():
        generators["mps"] = (torch.mps.get_rng_state, torch.mps.set_rng_state)
    return generators
