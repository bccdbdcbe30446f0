"""In which precision a net computes: bfloat16 where the hardware has it, float32 elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import convert_outputs_to_fp32
from torch import nn

PRECISIONS = ("auto", "bf16", "no")
"""bfloat16 on a GPU; also on a CPU; nowhere. Each only where the hardware supports it."""


def choose_precision(
    wanted: str, device: str, capability: tuple[int, int] = (0, 0), cpu_flags: str = ""
) -> str:
    """The precision of a run, "bf16" or "no" (float32), from facts about the hardware.

    device: "cuda", "cpu" or "mps"; capability: the GPU's compute capability; bfloat16
    needs 8.0 (below that, PyTorch emulates it, slower than float32); cpu_flags: the CPU's
    instruction sets. float16 is not offered: its range is so small that LSTMs need a scaled loss.
    Raises ValueError for a precision that is not in PRECISIONS.
    """
    if wanted not in PRECISIONS:
        raise ValueError(f"precision is {wanted!r}; use one of {', '.join(PRECISIONS)}")
    on_gpu = device == "cuda" and capability >= (8, 0)
    on_cpu = device == "cpu" and wanted == "bf16" and "avx512_bf16" in cpu_flags.split()
    return "bf16" if wanted != "no" and (on_gpu or on_cpu) else "no"


def precision_here(wanted: str, device: torch.device) -> str:
    """The precision of a run on this machine; prints a message if the wanted one is missing."""
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else (0, 0)
    chosen = choose_precision(wanted, device.type, capability, cpu_flags())
    if chosen == "no" and (wanted == "bf16" or wanted == "auto" and device.type == "cuda"):
        _say(f"training in float32: this {device.type} device does not compute in bfloat16")
    return chosen


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's instruction sets as Linux lists them; empty elsewhere."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")


@functools.cache
def _say(line: str) -> None:
    """Print a line once, in the main process."""
    PartialState().print(line)


@contextmanager
def computing_in(precision: str, net: nn.Module, device: torch.device) -> Iterator[None]:
    """Let a net compute in "bf16", or as it is ("no"), while the block lasts.

    Only the net's forward pass: weights, outputs, transforms and the loss stay in float32.
    """
    if precision == "no":
        yield
        return
    autocast = torch.autocast(device.type, torch.bfloat16)
    net.forward = convert_outputs_to_fp32(autocast(net.forward))
    try:
        yield
    finally:
        del net.forward
