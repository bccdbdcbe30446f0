"""Make a committed checkpoint: train by the zoo recipe, measure, write weights and model card.

`python -m common.experiments.zoo NAME` trains, or continues a training (state in runs/NAME-zoo),
then evaluates the model and the bounds silence, mixture, static filter and ideal ratio mask on the
embedded test songs and on the real excerpt, and writes common/checkpoints/NAME.{safetensors,json}.
With `--speed` it only times a committed checkpoint again, on an otherwise idle machine; with
`--test` it only evaluates it on all 40 test songs again.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator

from common.data.embedded import SONG_SETS, embedded_songs, embedded_tracks
from common.data.real_music import real_excerpt
from common.evaluation.oracles import BOUNDS
from common.evaluation.per_track import evaluate, evaluate_track
from common.experiments.generalisation import scored, tracks
from common.recipes.checkpoints import CHECKPOINTS, load
from common.recipes.table import RECIPES
from common.recipes.training import train
from common.separation.any_length import separate
from common.separation.separators import Separator
from common.songs.dataset import GENERATOR_VERSION, set_hash
from common.support.files import write_json, write_whole

COMPARED = ("mixture", "static-filter", "ideal-ratio-mask")
"""The bounds that a model card shows beside the model."""


@contextmanager
def stopwatch(path: Path, every: float = 10.0) -> Iterator[Callable[[], float]]:
    """Count the seconds of all runs together, in a file that is rewritten every `every` seconds.

    A run that is killed loses at most `every` seconds. Yields a function that returns the sum.
    """
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else 0.0
    begin, ended = time.perf_counter(), threading.Event()

    def seconds() -> float:
        return before + time.perf_counter() - begin

    def write() -> None:
        while not ended.wait(every):
            write_json(path, seconds())

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield seconds
    finally:
        ended.set()
        writer.join()
        write_json(path, seconds())


def real_time_factor(name: str | Path, seconds: float = 30.0, repeats: int = 5) -> float:
    """How many seconds of stereo music at the net's rate one core separates in a second.

    The median of `repeats` runs; other work on the machine slows all of them.
    """
    separator = load(name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    noise = 0.1 * torch.randn(2, round(seconds * separator.sample_rate))
    factors = []
    for _ in range(repeats):
        begin = time.perf_counter()
        separate(separator, noise, separator.sample_rate)
        factors.append(seconds / (time.perf_counter() - begin))
    torch.set_num_threads(threads)
    return statistics.median(factors)


def measure(model: object) -> tuple[dict, dict]:
    """Results on the embedded test songs, and the row of the real excerpt (sum of its stems)."""
    results = evaluate(model, embedded_tracks("test", songs=SONG_SETS["live"]))
    return results, evaluate_track(model, real_excerpt())


def hardware() -> str:
    """What the net was trained on, as `fit` chooses it."""
    device = Accelerator().device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {device.type.upper()}, {torch.get_num_threads()} threads"


def test_scores(separator: Separator) -> dict:
    """SDR on the 40 test songs: each source's mean and median, the share of the ideal mask's."""
    found = scored(separator, "test")
    return {"songs": len(tracks("test")), **{k: found[k] for k in ("median", "mean", "share")}}


def make_card(name: str, weights: Path, seconds: float) -> dict:
    """The model card of a checkpoint."""
    made = RECIPES[name]["zoo"]
    separator = load(weights)
    results, excerpt = measure(separator)
    bounds = {bound: measure(BOUNDS[bound]) for bound in COMPARED}
    history = json.loads((weights.parent / "history.json").read_text(encoding="utf-8"))
    songs = weights.parent / "songs.json"
    return {
        "model": name,
        "sources": list(separator.sources),
        "sample_rate": separator.sample_rate,
        "parameters": sum(x.numel() for x in separator.parameters()),
        "real_time_factor": round(real_time_factor(weights), 1),
        "sdr": results["median"]["sdr"],
        "excerpt_sdr": excerpt["sdr"],
        "test": test_scores(separator),
        "bounds": {
            bound: {"sdr": on_songs["median"]["sdr"], "excerpt_sdr": on_excerpt["sdr"]}
            for bound, (on_songs, on_excerpt) in bounds.items()
        },
        "recipe": {"name": name, "scale": "zoo", "config": made.config.facts()},
        "songs": asdict(made.songs),
        "seconds_per_excerpt": made.seconds,
        "augment": made.augment.facts(),
        "generator_version": GENERATOR_VERSION,
        "trained_on_generator": json.loads(songs.read_text(encoding="utf-8"))["generator"],
        "test_hash": set_hash(embedded_songs(SONG_SETS["live"], n_train=0), "test"),
        "validation": history["validation"],
        "hardware": hardware(),
        "precision": history["precision"],
        "wall_seconds": round(seconds),
        "command": f"python -m common.experiments.zoo {name}",
        "results": results,
        "excerpt": excerpt,
    }


def retime(name: str) -> None:
    """Time a committed checkpoint again, and write the result into its card."""
    amend(name, {"real_time_factor": round(real_time_factor(name), 1)})


def retest(name: str) -> None:
    """Evaluate a committed checkpoint on the 40 test songs again, and write it into its card."""
    amend(name, {"test": test_scores(load(name))})


def amend(name: str, facts: dict) -> None:
    """Write facts into the card of a committed checkpoint, replacing old values."""
    path = CHECKPOINTS / f"{name}.json"
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | facts)


def main() -> None:
    """Train or continue, evaluate, and write the checkpoint."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("name")
    arguments.add_argument(
        "--speed", action="store_true", help="only time the committed checkpoint again"
    )
    arguments.add_argument(
        "--test", action="store_true", help="only evaluate the committed checkpoint again"
    )
    given = arguments.parse_args()
    name = given.name
    if given.speed or given.test:
        (retime if given.speed else retest)(name)
        return
    folder = Path("runs") / f"{name}-zoo"
    with stopwatch(folder / "seconds.json") as seconds:
        weights = train(name, "zoo", folder=folder, resume=True)
    card = make_card(name, weights, seconds())
    CHECKPOINTS.mkdir(exist_ok=True)
    write_whole(CHECKPOINTS / f"{name}.safetensors", partial(shutil.copyfile, weights))
    write_json(CHECKPOINTS / f"{name}.json", card)
    print(json.dumps({key: card[key] for key in ("sdr", "excerpt_sdr", "bounds")}, indent=1))


if __name__ == "__main__":
    main()
