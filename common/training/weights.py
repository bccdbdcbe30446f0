"""The final weights of a training run: averaged over steps, and the best on validation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class BestWeights:
    """The moving average of a net's weights, and the state with the lowest validation loss.

    With a `decay`, each step keeps `decay` of `average`, and less in the first steps, k / (k + 10)
    at step k, so that the untrained weights have no effect. Statistics of normalisation layers are
    not averaged. `best` is a complete state, empty before `keep`.
    Polyak and Juditsky 1992; the warm-up as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.net, self.decay = net, decay
        parameters = net.named_parameters() if decay else ()
        self.average = {name: x.detach().clone() for name, x in parameters}
        self.best: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average after a step (counted from 0)."""
        if self.average:
            now = [x for _, x in self.net.named_parameters()]
            kept = min(self.decay, step / (step + 10))
            torch._foreach_lerp_(list(self.average.values()), now, 1 - kept)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the average into the net while the block lasts."""
        now = {name: self.net.state_dict()[name].clone() for name in self.average}
        self._load(self.average)
        try:
            yield
        finally:
            self._load(now)

    def keep(self) -> None:
        """Store the current state of the net as the best."""
        self.best = {name: x.detach().clone() for name, x in self.net.state_dict().items()}

    def finish(self) -> None:
        """Put the best state into the net, or the average where nothing was validated."""
        self._load(self.best or self.average)

    def _load(self, tensors: dict[str, Tensor]) -> None:
        self.net.load_state_dict(self.net.state_dict() | tensors)
