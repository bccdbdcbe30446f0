"""Steps per second of training, and the share of time that it waits for data.

    python tests/benchmarks/bench_training.py [--steps 60] [--curves 200]

Prints JSON. Two recipes at live scale learn from tracks in memory, one of them also with effects on
three stems in ten and from wav files in MUSDB18-HQ layout. On a GPU its own recipes are taken
("live-gpu"). With `--curves` the U-Net and the D3Net learn in float32 and in bfloat16 instead, and
the mean losses of both curves are printed. Needs only what training needs: soundfile, musdb and the
songs are left alone, except for the files.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

import common.training.loop as loop
from common.data.excerpts import Augment, Excerpts
from common.data.tracks import Track
from common.recipes.d3net import D3NET
from common.recipes.mask_inference import MASK_INFERENCE
from common.recipes.recipe import Recipe
from common.recipes.unet import UNET

SCALE = "live-gpu" if torch.cuda.is_available() else "live"
RATE = 22050
EFFECTS = Augment(speed=0.3, width=0.3, saturation=0.3, equaliser=0.3, room=0.3)
WARM_UP = 20
"""Steps that are not timed."""


class Waiting(loop.DataLoader):
    """Measures how long the loop waits for a batch."""

    seconds = 0.0
    begin = 0.0

    def __iter__(self):
        batches, step = super().__iter__(), 0
        while True:
            if step == WARM_UP:
                Waiting.seconds, Waiting.begin = 0.0, clock()
            start = time.perf_counter()
            batch = next(batches, None)
            Waiting.seconds += time.perf_counter() - start
            if batch is None:
                return
            yield batch
            step += 1


def clock() -> float:
    """Seconds, once the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def noise(n_tracks: int = 8, seconds: int = 24) -> list[Track]:
    """Tracks of noise, in memory."""
    torch.manual_seed(0)
    return [Track(str(i), 0.1 * torch.randn(4, 2, seconds * RATE), RATE) for i in range(n_tracks)]


def on_disk(root: Path, tracks: Sequence[Track]) -> list:
    """The same as files in MUSDB18-HQ layout, read piece by piece."""
    import soundfile

    from common.data.musdb_folder import TrackOnDisk, open_database

    for track in tracks:
        folder = root / "train" / track.name
        folder.mkdir(parents=True)
        stems = zip(("mixture", *track.source_names), [track.mixture, *track.sources], strict=True)
        for name, audio in stems:
            soundfile.write(folder / f"{name}.wav", audio.T.numpy(), RATE)
    return [TrackOnDisk(entry, RATE) for entry in open_database(root, "train")]


def measure(made: Recipe, tracks: Sequence, steps: int) -> dict[str, float]:
    """Train; steps per second and the share of time spent on waiting for data."""
    data: Dataset = Excerpts(tracks, made.seconds, 0, made.augment, made.n_channels)
    torch.manual_seed(0)
    config = replace(made.config, steps=WARM_UP + steps)
    loop.fit(made.net(), made.objective, data, config)
    seconds = clock() - Waiting.begin
    return {"steps_per_second": steps / seconds, "share_of_data": Waiting.seconds / seconds}


def curve(made: Recipe, tracks: Sequence, steps: int, precision: str) -> list[float]:
    """Mean loss of each tenth of a run in one precision, emulated where hardware lacks it."""
    import common.training.run as run

    run.precision_here = lambda wanted, device: wanted
    data = Excerpts(tracks, made.seconds, 0, made.augment, made.n_channels)
    torch.manual_seed(0)
    config = replace(made.config, steps=steps)
    history = loop.fit(made.net(), made.objective, data, config, precision=precision)
    losses = torch.tensor(history.losses)
    return [round(part.mean().item(), 5) for part in losses.chunk(10)]


def coloured(tracks: Sequence[Track]) -> list[Track]:
    """Noise whose stems differ in spectrum and rhythm, so that there is something to learn."""

    def shape(sources: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(sources)
        band = torch.arange(spectrum.shape[-1]) * 4 // spectrum.shape[-1]
        keep = torch.stack([(band == s).float() + 0.1 for s in range(4)])[:, None]
        beat = torch.arange(sources.shape[-1]) // (RATE // 4) % 4
        gate = torch.stack([(beat == s).float() + 0.2 for s in range(4)])[:, None]
        return torch.fft.irfft(spectrum * keep, sources.shape[-1]) * gate

    return [replace(track, sources=shape(track.sources)) for track in tracks]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--steps", type=int, default=60)
    arguments.add_argument("--curves", type=int, default=0, metavar="STEPS")
    arguments.add_argument("--memory-only", action="store_true", help="no files, no soundfile")
    given = arguments.parse_args()
    tracks = noise()
    if given.curves:
        names = {"unet": UNET[SCALE], "d3net": D3NET[SCALE]}
        found = {
            name: {p: curve(made, coloured(tracks), given.curves, p) for p in ("no", "bf16")}
            for name, made in names.items()
        }
        print(json.dumps(found, indent=1))
        return
    # On both sides of a comparison, batches come from a DataLoader that the loop's class extends.
    loop.Batches.__bases__ = (Waiting,)
    found = {"device": "cuda" if torch.cuda.is_available() else "cpu", "scale": SCALE}
    found["mask-inference"] = measure(MASK_INFERENCE[SCALE], tracks, given.steps)
    found["unet"] = measure(UNET[SCALE], tracks, given.steps)
    coloured_unet = replace(UNET[SCALE], augment=EFFECTS)
    found["unet, effects"] = measure(coloured_unet, tracks, given.steps)
    if not given.memory_only:
        with tempfile.TemporaryDirectory() as root:
            found["unet, files"] = measure(UNET[SCALE], on_disk(Path(root), tracks), given.steps)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
