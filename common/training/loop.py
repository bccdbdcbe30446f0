"""The one training loop of the book."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from multiprocessing import get_all_start_methods
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from common.support.machine import n_cores
from common.training.config import TrainConfig
from common.training.history import History
from common.training.processes import start_processes
from common.training.run import Run
from common.training.state import load_state, save_state


def fit(
    net: nn.Module,
    objective: Callable[[nn.Module, Tensor, Tensor], Tensor],
    dataset: Dataset,
    config: TrainConfig,
    validate: Callable[[nn.Module], float] | None = None,
    folder: Path | None = None,
    resume: bool = False,
    precision: str = "auto",
) -> History:
    """Train `net` in place, on a CPU, a GPU or in many processes.

    `dataset[i]` is `(mixture (c, t), sources (s, c, t))`. With `validate`,
    `net` ends with the best weights. With a `folder`, the state is saved
    there; `resume` continues exactly from that state.
    """
    accelerator = start_processes()
    set_seed(config.seed, device_specific=True)
    run = Run(net, config, accelerator)
    start = load_state(folder, run) if resume else 0
    batches = Batches(dataset, config, start, accelerator)
    bar = progress(batches, start, config, accelerator)
    with run.computing(precision, start) as model:
        for step, (mixture, sources) in bar:
            loss = objective(model, mixture, sources)
            update(accelerator, model, run.optimiser, loss, config, step)
            run.record(step, loss, bar)
            if validate and config.due(step, config.validate_every):
                run.validate(step, validate)
            if folder and config.due(step, config.save_every):
                save_state(folder, run)
    run.finish()
    return run.history


def update(
    accelerator: Accelerator,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: Tensor,
    config: TrainConfig,
    step: int,
) -> None:
    """Compute the gradient, clip it, and take one step."""
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate_at(step)
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), config.gradient_clip)
    optimiser.step()
    optimiser.zero_grad()


class Batches(DataLoader):
    """The excerpts of each step and process: the same ones in every run."""

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        start: int,
        accelerator: Accelerator,
    ):
        size, n_processes = config.batch_size, accelerator.num_processes
        firsts = [
            (step * n_processes + accelerator.process_index) * size
            for step in range(start, config.steps)
        ]
        # Without a generator of its own it would draw from dropout's.
        super().__init__(
            dataset,
            batch_sampler=[range(first, first + size) for first in firsts],
            generator=torch.Generator(),
            **prefetching(accelerator),
        )
        self.device = accelerator.device

    def __iter__(self) -> Iterator[list[Tensor]]:
        for batch in super().__iter__():
            yield [x.to(self.device, non_blocking=True) for x in batch]


def prefetching(accelerator: Accelerator) -> dict[str, object]:
    """Settings of a DataLoader that prefetches batches while a GPU computes.

    Other processes prepare the next batches, in pinned memory, from which a GPU copies while it
    computes. They are forked, so that tracks in memory are shared; where that is impossible, and
    where the net itself uses all cores of the CPU, there are none. One loader is used for the whole
    run, so the processes live as long as it.
    """
    if accelerator.device.type != "cuda" or "fork" not in get_all_start_methods():
        return {}
    here = int(os.environ.get("LOCAL_WORLD_SIZE", accelerator.num_processes))
    n_workers = min(8, max(1, n_cores() // here - 1))
    return {
        "pin_memory": True,
        "num_workers": n_workers,
        "multiprocessing_context": "fork",
    }


def progress(batches: DataLoader, start: int, config: TrainConfig, accelerator: Accelerator):
    """Number the batches from `start`, and show how far training is in the main process."""
    return tqdm(
        enumerate(batches, start),
        initial=start,
        total=config.steps,
        desc="training",
        disable=not accelerator.is_main_process,
        leave=False,
    )
