"""The one training loop of the book."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from common.training.config import TrainConfig
from common.training.history import History
from common.training.state import load_state, save_state


def fit(
    net: nn.Module,
    objective: Callable[[nn.Module, Tensor, Tensor], Tensor],
    dataset: Dataset,
    config: TrainConfig,
    validate: Callable[[nn.Module], float] | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> History:
    """Train `net` in place, on a laptop, a GPU or in many processes.

    `dataset[i]` is `(mixture (c, t), sources (s, c, t))`. With a `folder`,
    state is saved there; `resume` goes on as if nothing had happened.
    """
    precision = "bf16" if torch.cuda.is_available() else "no"
    accelerator = Accelerator(mixed_precision=precision)
    set_seed(config.seed)
    history = History()
    net.to(accelerator.device).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=config.learning_rate)
    start = load_state(folder, net, optimiser, history) if resume else 0
    model, optimiser = accelerator.prepare(net, optimiser)
    batches = Batches(dataset, config, start, accelerator)
    saves = folder and accelerator.is_main_process
    for step, batch in progress(batches, start, config, accelerator):
        mixture, sources = (x.to(accelerator.device) for x in batch)
        loss = objective(model, mixture, sources)
        update(accelerator, model, optimiser, loss, config, step)
        history.record(accelerator.reduce(loss.detach(), "mean").item())
        if validate and config.due(step, config.validate_every):
            history.validation.append((step + 1, validate(net)))
        if saves and config.due(step, config.save_every):
            save_state(folder, net, optimiser, history)
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return history


def update(
    accelerator: Accelerator,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: Tensor,
    config: TrainConfig,
    step: int,
) -> None:
    """Move the weights one step downhill."""
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
        )


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
