"""How many templates should a dictionary have, and with which divergence are they trained?

`python -m common.experiments.nmf` rewrites book/results/nmf.json row by row, on songs that are used
for nothing else, and then common/classical/dictionaries.safetensors, the templates that the command
line uses.
"""

from __future__ import annotations

import time
from dataclasses import asdict

import torch
from torch import Tensor

from common import SOURCES
from common.classical.nmf import (
    DICTIONARIES,
    FLOOR,
    SupervisedNMF,
    beta_divergence,
    nmf,
    sounding_frames,
)
from common.data.embedded import SONG_SETS, SongSet, embedded_songs, embedded_tracks
from common.data.musdb_folder import load_tracks
from common.evaluation.per_track import evaluate
from common.experiments.resumable import RESULTS, run_rows
from common.signal.stft import STFT
from common.songs.dataset import GENERATOR_VERSION
from common.support.files import write_json, write_tensors

VALIDATION = SongSet(n_train=10, n_test=0, seconds=12.0, seed=2)
"""Songs on which the rows are compared."""

SIZES, BETAS, SEEDS = [2, 8, 32, 128], [2, 1, 0], [0, 1, 2]
CHOSEN = {"components": 32, "beta": 1}


def dictionaries(n_components: int, beta: float, seed: int = 0, n_iter: int = 100) -> Tensor:
    """Templates of all stems, (s, f, k), trained on the training songs of the live scale."""
    tracks = embedded_tracks("train", songs=SONG_SETS["live"])
    trained = [
        nmf(sounding_frames(tracks, source, STFT()), n_components, beta, n_iter, seed=seed)[0]
        for source in SOURCES
    ]
    return torch.stack(trained)


def misfits(templates: Tensor, beta: float) -> tuple[float, float]:
    """How badly the vocals' templates (f, k) explain unseen vocals, and how badly all the rest.

    Each is the divergence as a share of that of the best constant.
    """
    tracks = load_tracks(embedded_songs(VALIDATION), "train")
    found = []
    for sources in (["vocals"], ["drums", "bass", "other"]):
        frames = [sounding_frames(tracks, source, STFT(), n_each=50) for source in sources]
        data = torch.cat(frames, dim=1) + FLOOR
        _, activations, losses = nmf(data, 1, beta, 60, templates)
        flat = data.mean(dim=0).expand_as(data)
        found.append(losses[-1] / beta_divergence(data, flat, beta).item())
    return found[0], found[1]


def measure(key: dict) -> dict:
    """One size and one divergence: SDR per stem on the validation songs, and misfits."""
    begin = time.perf_counter()
    templates = dictionaries(key["components"], key["beta"], key["seed"])
    seconds = time.perf_counter() - begin
    root = embedded_songs(VALIDATION)
    tracks = load_tracks(root, "train") + load_tracks(root, "valid")
    results = evaluate(SupervisedNMF(templates, key["beta"]), tracks, progress=False)
    own, others = misfits(templates[SOURCES.index("vocals")], key["beta"])
    return {
        "sdr": results["median"]["sdr"],
        "misfit_vocals": own,
        "misfit_others": others,
        "learning_seconds": round(seconds, 1),
    }


def main() -> None:
    """Fill in the rows that are missing, and write the dictionaries that were chosen."""
    about = {
        "generator_version": GENERATOR_VERSION,
        "training_songs": len(embedded_tracks("train", songs=SONG_SETS["live"])),
        "validation_songs": VALIDATION.n_train,
    }
    keys = [
        {"components": size, "beta": beta, "seed": seed}
        for seed in SEEDS
        for beta in BETAS
        for size in SIZES
    ]
    run_rows(RESULTS / "nmf.json", about, keys, measure)
    templates = dictionaries(CHOSEN["components"], CHOSEN["beta"])
    card = (
        about
        | CHOSEN
        | {
            "sources": list(SOURCES),
            "shape": list(templates.shape),
            "songs": asdict(SONG_SETS["live"]),
            "command": "python -m common.experiments.nmf",
        }
    )
    write_json(DICTIONARIES.with_suffix(".json"), card)
    write_tensors(DICTIONARIES, {"templates": templates.half()}, {"from": "common.experiments.nmf"})


if __name__ == "__main__":
    main()
