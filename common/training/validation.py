"""The loss on validation music."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


@dataclass(frozen=True, eq=False)
class ValidationLoss:
    """The mean objective over the first `n_excerpts` of a data set, without training."""

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
