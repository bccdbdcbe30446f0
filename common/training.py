"""The one training loop of the book, and what lets it stop at any step and go on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from common.files import write_tensors


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to learn.

    steps: how many updates; batch_size: excerpts per step and process;
    learning_rate: the highest one, reached after `warmup` steps and then let
    down to zero along a cosine; gradient_clip: the longest gradient (L2 norm)
    that is taken as it is; validate_every, save_every: in steps.
    """

    steps: int
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup: int = 20
    gradient_clip: float = 1.0
    validate_every: int = 100
    save_every: int = 200
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of one step: up on a line, down on a cosine."""
        up = (step + 1) / max(self.warmup, 1)
        down = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(up, 1.0) * down

    def due(self, step: int, every: int) -> bool:
        """Whether what happens every so many steps and at the end is due."""
        return (step + 1) % every == 0 or step + 1 == self.steps


@dataclass
class History:
    """What happened in training: one loss per step, one validation loss now and then."""

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)

    def record(self, loss: float) -> None:
        """Keep the loss of a step. Raises FloatingPointError where it is NaN or infinite."""
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} at step {len(self.losses)}: lower the learning rate"
            )
        self.losses.append(loss)


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


@dataclass(frozen=True, eq=False)
class ValidationLoss:
    """The objective over the first `n_excerpts` of a data set, without learning from them."""

    objective: Callable[[nn.Module, Tensor, Tensor], Tensor]
    dataset: Dataset
    n_excerpts: int = 16
    batch_size: int = 8

    @torch.no_grad()
    def __call__(self, net: nn.Module) -> float:
        device = next(net.parameters()).device
        was_training = net.training
        net.eval()
        total = 0.0
        for first in range(0, self.n_excerpts, self.batch_size):
            items = range(first, min(first + self.batch_size, self.n_excerpts))
            batch = zip(*(self.dataset[i] for i in items), strict=True)
            mixture, sources = (torch.stack(x).to(device) for x in batch)
            total += self.objective(net, mixture, sources).item() * len(items)
        net.train(was_training)
        return total / self.n_excerpts


STATE = "training.safetensors"
"""File name of the training state: weights, optimiser, generator states, history."""


def save_state(folder: Path, net: nn.Module, optimiser, history: History) -> None:
    """Write all that training needs to go on; the old state stands until the new one is whole."""
    tensors = {f"net.{name}": x for name, x in net.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(x) for name, x in moments.items()}
    tensors["generator.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["generator.cuda"] = torch.cuda.get_rng_state()
    tensors = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    metadata = {"history": json.dumps(asdict(history))}
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / STATE, tensors, metadata)


def load_state(folder: Path | None, net: nn.Module, optimiser, history: History) -> int:
    """Bring everything back to where `save_state` left it; returns the step to go on from."""
    if folder is None or not (folder / STATE).exists():
        return 0
    tensors = load_file(folder / STATE)
    net.load_state_dict(
        {k.removeprefix("net."): x for k, x in tensors.items() if k.startswith("net.")}
    )
    moments: dict[int, dict[str, Tensor]] = {}
    for name, x in tensors.items():
        if name.startswith("optimiser."):
            _, index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = x
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    torch.set_rng_state(tensors["generator.cpu"])
    if "generator.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["generator.cuda"])
    with safe_open(folder / STATE, framework="pt") as file:
        saved = json.loads(file.metadata()["history"])
    history.losses = saved["losses"]
    history.validation = [tuple(pair) for pair in saved["validation"]]
    return len(history.losses)
