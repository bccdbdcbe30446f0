"""The processes that train together: as many as `accelerate launch` or `torchrun` started."""

from __future__ import annotations

import torch
from accelerate import Accelerator


def start_processes() -> Accelerator:
    """Find the other processes, and the device of this one: a GPU where there is one.

    Precision belongs to the recipe (`computing_in`), not to the launcher.
    """
    on_cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available())
    return Accelerator(mixed_precision="no", cpu=on_cpu)
