"""Training state on disk: what lets training stop at any step and go on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from common.support.files import write_tensors
from common.training.history import History

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
