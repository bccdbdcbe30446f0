"""A training run: everything that changes from step to step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list
from torch import Tensor, nn
from tqdm.auto import tqdm

from common.training.config import TrainConfig
from common.training.history import History
from common.training.precision import computing_in, precision_here
from common.training.weights import BestWeights

READ_EVERY = 20
"""Losses are read after so many steps, since reading makes the GPU and all processes wait."""


class Run:
    """A net in training, with its optimiser, its history and its final weights."""

    def __init__(self, net: nn.Module, config: TrainConfig, accelerator: Accelerator):
        self.net, self.config, self.accelerator = net, config, accelerator
        net.to(accelerator.device).train()
        fused = accelerator.device.type == "cuda"  # all weights in one kernel
        self.optimiser = torch.optim.Adam(net.parameters(), lr=config.learning_rate, fused=fused)
        self.history = History()
        self.weights = BestWeights(net, config.ema)
        self.unread: list[Tensor] = []

    @contextmanager
    def computing(self, wanted: str, start: int) -> Iterator[nn.Module]:
        """The net from step `start` on, prepared for several processes and the wanted precision.

        After the block, also after an error, the net computes as before.
        """
        precision = precision_here(wanted, self.accelerator.device)
        if not self.history.precision or self.history.precision[-1][1] != precision:
            self.history.precision.append((start, precision))
        with computing_in(precision, self.net, self.accelerator.device):
            yield self.accelerator.prepare(self.net)

    def record(self, step: int, loss: Tensor, bar: tqdm) -> None:
        """Record the loss of a step, and update the averaged weights."""
        self.unread.append(loss.detach())
        self.weights.update(step)
        if self.config.due(step, READ_EVERY):
            self.read_losses()
            bar.set_postfix_str(self.history.trend())

    def read_losses(self) -> None:
        """Copy the losses from the device, averaged over processes.

        Raises FloatingPointError for the first that is NaN or infinite.
        """
        if self.unread:
            losses = self.accelerator.reduce(torch.stack(self.unread), "mean")
            self.unread.clear()
            for loss in losses.tolist():
                self.history.record(loss)

    def validate(self, step: int, validate: Callable[[nn.Module], float]) -> None:
        """Validate in the main process, send the loss to the others, and keep the best weights.

        Raises FloatingPointError for a loss that is NaN or infinite.
        """
        self.read_losses()
        with self.weights.averaged():
            found = [validate(self.net) if self.accelerator.is_main_process else None]
            self.history.record_validation(step + 1, broadcast_object_list(found)[0])
            if self.history.best_step == step + 1:
                self.weights.keep()

    def check_weights(self) -> None:
        """Raise FloatingPointError where a weight is NaN or infinite."""
        finite = torch.stack([x.isfinite().all() for x in self.net.parameters()])
        if not finite.all():
            raise FloatingPointError(
                f"weights became NaN or infinite by step {len(self.history.losses)}: "
                "lower the learning rate"
            )

    def finish(self) -> None:
        """Leave the best weights in the net, the same in all processes."""
        self.read_losses()
        self.check_weights()
        self.weights.finish()
        broadcast(self.net.state_dict())
