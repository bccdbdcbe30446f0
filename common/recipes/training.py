"""Train a model by its recipe."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import torch

from common.data.embedded import embedded_songs
from common.data.excerpts import NO_AUGMENT, Excerpts
from common.data.musdb_folder import training_tracks
from common.recipes.checkpoints import save_checkpoint
from common.recipes.table import recipe
from common.support.errors import UsageError
from common.support.files import check_place, write_json
from common.training.loop import fit
from common.training.processes import start_processes
from common.training.state import STATE
from common.training.validation import ValidationLoss


def train(
    name: str,
    scale: str = "live",
    root: Path | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> Path:
    """Train a model by its recipe, on the embedded songs or on a MUSDB18 folder.

    Training state and the finished weights lie in `folder` (default `runs/NAME-SCALE`); returns
    the path of the weights, which `load` takes. `resume` goes on from an interrupted run. Where
    several processes train together, the main one renders songs, finishes and writes.
    """
    processes = start_processes()
    made = recipe(name, scale)
    folder = folder or Path("runs") / f"{name}-{scale}"
    if (folder / STATE).exists() and not resume:
        raise UsageError(
            f"{folder} holds a training run; go on with --resume, or name another --out"
        )
    check_place(folder / STATE)
    with processes.main_process_first():
        root = root or embedded_songs(made.songs, n_test=0)
    tracks = training_tracks(root, "train", made.sample_rate)
    training = Excerpts(tracks, made.seconds, made.config.seed, made.augment, made.n_channels)
    validate = None
    if held_out := training_tracks(root, "valid", made.sample_rate):
        excerpts = Excerpts(held_out, made.seconds, 0, NO_AUGMENT)
        validate = ValidationLoss(made.objective, excerpts, n_excerpts=32)
    torch.manual_seed(made.config.seed)
    net = made.net()
    if made.prepare:
        made.prepare(net, training)
    history = fit(
        net, made.objective, training, made.config, validate, folder, resume, made.precision
    )
    weights = folder / f"{name}.safetensors"
    if processes.is_main_process:
        if made.finish:
            made.finish(net.cpu().eval(), training)
        write_json(folder / "history.json", asdict(history))
        if (Path(root) / "set.json").exists():
            shutil.copy(Path(root) / "set.json", folder / "songs.json")
        save_checkpoint(weights, net, name, scale)
    processes.wait_for_everyone()
    return weights
