"""A folder of embedded songs in the layout of MUSDB18-HQ; nothing in it is ever half there.

    ROOT/set.json                      what the set was made from
    ROOT/train/NAME/{mixture,drums,bass,other,vocals}.wav, notes.mid, song.json
    ROOT/test/NAME/…

Each track is written to a temporary folder beside the splits and renamed when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from common import __version__
from common.songs.sound.library import installed
from common.songs.sound.sampler import check_soundfont
from common.songs.track import UNFINISHED, is_whole, write_track
from common.songs.writing.compose import compose
from common.songs.writing.score import Variety
from common.support.files import locked

SPLITS = ("train", "test")

GENERATOR_VERSION = 1
"""Which sound the generator makes: one more whenever a seed no longer gives the same samples.

Sets of different versions never mix. A test renders a few short songs and compares their hashes.
"""


def song_seed(seed: int, split: str, index: int) -> int:
    """The seed of a set's song: training and test songs draw from ranges that never meet."""
    return seed * 2_000_000 + (1_000_000 if split == "test" else 0) + index


def write_set(
    root: str | Path,
    n_train: int = 24,
    n_test: int = 8,
    seconds: float = 24.0,
    seed: int = 0,
    sample_rate: int = 44100,
    processes: int | None = None,
    progress: bool = True,
    soundfont: str | None = None,
    variety: Variety = Variety(),  # noqa: B008  (frozen)
    sounds: tuple[str, ...] = (),
) -> Path:
    """Write, resume or extend a set of songs below `root`; tracks that are whole stay as they are.

    Asked for fewer songs than are there, it removes none.
    Runs in `processes` processes (default: one per core). After an interruption the songs under way
    are finished, nothing half-written remains, and the same call goes on where it stopped.
    `sounds` names the kinds of recorded sounds ("soundfonts", "kits", "voices") that training songs
    draw from as well, where they are installed; what was there is part of what the set is.
    ValueError for impossible numbers, or when `root` holds something else.
    """
    root = Path(root)
    _check(n_train, n_test, seconds, seed, sample_rate, processes)
    soundfont = check_soundfont(soundfont)
    made_from = {
        "seed": seed,
        "seconds": float(seconds),
        "sample_rate": sample_rate,
        "soundfont": Path(soundfont).name,
        "variety": asdict(variety),
        "version": __version__,
        "generator": GENERATOR_VERSION,
    }
    library = installed(sounds) if sounds else None
    if library and library.names:
        made_from["sounds"] = list(library.names)
    _claim(root, made_from)
    counts = {"train": n_train, "test": n_test}
    if _card_covers(root, counts) and not missing_tracks(root, counts, seconds, seed, variety):
        return root  # without waiting for a process that may be rendering the rest
    with locked(root):  # another process waits, then finds the tracks there
        _update_card(root, made_from, counts)
        for leftover in root.glob(UNFINISHED + "*"):
            shutil.rmtree(leftover)
        for split in SPLITS:
            (root / split).mkdir(exist_ok=True)
        jobs = missing_tracks(root, counts, seconds, seed, variety)
        jobs = [(*job, sample_rate, soundfont, root, library) for job in jobs]
        processes = min(processes or _n_cores(), len(jobs))
        bar = tqdm(total=len(jobs), desc="songs", unit="song", disable=not progress or not jobs)
        with bar:
            for _ in _work(jobs, processes):
                bar.update()
    return root


def missing_tracks(
    root: Path,
    counts: dict[str, int],
    seconds: float,
    seed: int,
    variety: Variety = Variety(),  # noqa: B008  (frozen)
) -> list[tuple[Path, int, str, float, Variety]]:
    """The tracks that are not on disk yet, as (folder, song seed, split, seconds, variety).

    `counts` says how many songs each split should have. ValueError for a track without all files.
    """
    jobs = []
    for split, index in [(name, i) for name in SPLITS for i in range(counts[name])]:
        number = song_seed(seed, split, index)
        # Titles spell their song's seed, so no two songs want the same folder.
        folder = root / split / compose(number, split, seconds, variety).title
        if not is_whole(folder):
            if folder.exists():
                raise ValueError(f"{folder} lacks files of a track; remove it and run again")
            jobs.append((folder, number, split, seconds, variety))
    return jobs


def _work(jobs: list[tuple], processes: int) -> Iterator[None]:
    if processes <= 1:
        for job in jobs:
            _render_job(job)
            yield
        return
    # Spawned, not forked: the caller may have threads (torch), and a fork of those can hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_let_parent_decide)
    with pool:
        futures = [pool.submit(_render_job, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _let_parent_decide() -> None:
    """Ctrl-C reaches every process of a terminal: workers finish their song, the parent stops."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _render_job(job: tuple) -> None:
    folder, seed, split, seconds, variety, sample_rate, soundfont, root, library = job
    song = compose(seed, split, seconds, variety)
    write_track(folder, song, sample_rate, soundfont, workshop=root, library=library)


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(
    n_train: int, n_test: int, seconds: float, seed: int, sample_rate: int, processes: int | None
) -> None:
    for name, count in (("training", n_train), ("test", n_test)):
        if not 0 <= count <= 1_000_000:
            raise ValueError(f"the number of {name} songs must be 0 to 1000000, not {count}")
    if n_train + n_test == 0:
        raise ValueError("a set needs at least one song")
    if not 5 <= seconds <= 3600:
        raise ValueError(f"a song lasts 5 to 3600 seconds, not {seconds:g}")
    if seed < 0:
        raise ValueError(f"the seed must be 0 or more, not {seed}")
    if not 8000 <= sample_rate <= 192000:
        raise ValueError(f"the sample rate must be 8000 to 192000 Hz, not {sample_rate}")
    if processes is not None and processes < 1:
        raise ValueError(f"at least one process is needed, not {processes}")


def _claim(root: Path, made_from: dict) -> None:
    """Make sure that `root` is new, empty, or an earlier part of the same set."""
    for folder in (root, *root.parents):
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file, not a folder")
    root.mkdir(parents=True, exist_ok=True)
    card = root / "set.json"
    if not card.exists():
        foreign = [p for p in root.iterdir() if not p.name.startswith((UNFINISHED, ".set"))]
        if foreign:
            raise ValueError(f"{root} already holds other files; choose a new or empty folder")
        return
    try:
        # A set without a library says nothing of sounds.
        found = {"sounds": [], **json.loads(card.read_text(encoding="utf-8"))}
        made_from = {"sounds": [], **made_from}
        differing = [key for key in made_from if found[key] != made_from[key]]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{card} is not the description of a set of songs") from error
    if differing:
        key = differing[0]
        what = "choice of sounds" if key == "sounds" else key
        raise ValueError(
            f"{root} holds a set with another {what} ({found[key]}, not {made_from[key]}); "
            "choose another folder"
        )


def _card_covers(root: Path, counts: dict[str, int]) -> bool:
    """Whether set.json already speaks of at least so many songs."""
    card = root / "set.json"
    found = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    return all(found.get(f"n_{split}", -1) >= counts[split] for split in SPLITS)


def _update_card(root: Path, made_from: dict, counts: dict[str, int]) -> None:
    """Write set.json; asked for fewer songs than before, the set keeps its size."""
    card = root / "set.json"
    found = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    sizes = {f"n_{split}": max(counts[split], found.get(f"n_{split}", 0)) for split in SPLITS}
    unfinished = root / ".set.json"
    unfinished.write_text(json.dumps({**made_from, **sizes}, indent=1) + "\n", encoding="utf-8")
    unfinished.rename(card)


def set_hash(root: str | Path, split: str = "test") -> str:
    """sha256 over the names and wav bytes of a split: what exactly a result was measured on."""
    digest = hashlib.sha256()
    for path in sorted(Path(root, split).glob("*/*.wav")):
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
