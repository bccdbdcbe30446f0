"""Train a model by its recipe."""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from common.data.decoded import training_tracks
from common.data.embedded import embedded_songs
from common.data.excerpts import NO_AUGMENT, Excerpts
from common.recipes.checkpoints import description, save_checkpoint
from common.recipes.table import recipe
from common.support.errors import UsageError
from common.support.files import check_place, write_json, write_whole
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

    Training state and the finished weights are in `folder` (default `runs/NAME-SCALE`); returns
    the path of the weights, which `load` takes. `resume` continues an interrupted run. If several
    processes train together, the main one renders songs, finishes and writes.
    """
    processes = start_processes()
    made = recipe(name, scale)
    folder = folder or Path("runs") / f"{name}-{scale}"
    run = run_facts(name, scale, root)
    check_claim(folder, run, resume)
    with processes.main_process_first():
        root = root or embedded_songs(replace(made.songs, sample_rate=made.sample_rate), n_test=0)
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
    if processes.is_main_process:
        write_json(folder / "recipe.json", run)
    history = fit(
        net, made.objective, training, made.config, validate, folder, resume, made.precision
    )
    weights = folder / f"{name}.safetensors"
    if processes.is_main_process:
        if made.finish:
            made.finish(net.cpu().eval(), training)
        save_checkpoint(weights, net, name, scale)
        write_json(folder / "history.json", asdict(history))
        if (Path(root) / "set.json").exists():
            write_whole(folder / "songs.json", partial(shutil.copyfile, Path(root) / "set.json"))
    processes.wait_for_everyone()
    return weights


def run_facts(name: str, scale: str, data: Path | None) -> dict[str, object]:
    """All settings of a training run, as JSON; data: a folder, or None for the embedded songs."""
    made = recipe(name, scale)
    facts = description(name, scale) | {
        "objective": made.objective,
        "seconds": made.seconds,
        "config": made.config.facts(),
        "augment": made.augment.facts(),
        "n_channels": made.n_channels,
        "sample_rate": made.sample_rate,
        "precision": made.precision,
        "music": str(Path(data).resolve()) if data else asdict(made.songs),
    }
    return json.loads(json.dumps(facts, default=by_name))


def by_name(part: object) -> object:
    """An objective, or a part of one, as its name and its settings."""
    if inspect.isroutine(part) or inspect.isclass(part):
        return part.__name__
    return {"make": type(part).__name__, **vars(part)}


def check_claim(folder: Path, run: dict[str, object], resume: bool) -> None:
    """Raise UsageError where a folder cannot be written to, or holds a different run.

    run: as `run_facts` gives it; `recipe.json` in the folder says which run it holds.
    """
    check_place(folder / STATE)
    card = folder / "recipe.json"
    if (folder / STATE).exists():
        if not resume:
            raise UsageError(
                f"{folder} holds a training run; continue it with --resume, or name another --out"
            )
        found = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
        if found != run:
            raise UsageError(f"{folder} {other_run(found, run)}; name another --out")


def other_run(found: dict[str, object], wanted: dict[str, object]) -> str:
    """A description of the run that a folder holds instead of the requested one."""
    held, asked = (f"{x.get('recipe')} at scale {x.get('scale')}" for x in (found, wanted))
    if not found:
        return "holds a training run that does not state its model"
    if held == asked:
        differing = [key for key in wanted if found.get(key) != wanted[key]]
        return f"holds a run of {held} with other settings ({', '.join(differing)})"
    return f"holds a run of {held}, not of {asked}"
