"""Write sets of embedded songs in the folder layout of MUSDB18-HQ.

    ROOT/set.json                      what the set was made from
    ROOT/train/NAME/{mixture,drums,bass,other,vocals}.wav, notes.mid, song.json
    ROOT/test/NAME/…
    ROOT/valid/NAME/…                  only in sets with validation songs, whose sounds are held out

Each track is written to a temporary folder beside the splits and renamed when it is complete, so
that a split never holds part of a track.
"""

from __future__ import annotations

import hashlib
import json
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
from common.songs.track import UNFINISHED, is_complete, write_track
from common.songs.writing.compose import compose
from common.songs.writing.score import Variety
from common.support.errors import UsageError
from common.support.files import locked
from common.support.machine import n_cores

SEEDS = {"train": (0, 1_000_000), "test": (1_000_000, 500_000), "valid": (1_500_000, 500_000)}
"""split → (offset of its seeds within the set's range, maximum number of songs)."""

OPTIONAL = {"held_out": False, "sounds": []}
"""Defaults of the entries that set.json holds only where they differ."""

GENERATOR_VERSION = 1
"""Version of the generated audio: increase it whenever a seed no longer gives the same samples.

Sets of different versions are never mixed. A test compares a few short renders with stored ones.
"""


def song_seed(seed: int, split: str, index: int) -> int:
    """Return the seed of a song; the splits use disjoint ranges of seeds."""
    return seed * 2_000_000 + SEEDS[split][0] + index


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
    n_valid: int = 0,
    held_out: bool = False,
    sounds: tuple[str, ...] = (),
) -> Path:
    """Write, resume or extend a set of songs below `root`; complete tracks are kept.

    It never removes songs. In a set with validation songs, training songs do not use their sounds;
    `held_out` requests this for a set without validation songs. `sounds` names the kinds of
    recorded sounds ("soundfonts", "kits", "voices") that training songs also use if they are
    installed; set.json lists the sounds that were.
    Runs in `processes` processes (default: one per core). On an interruption it finishes the songs
    in progress and leaves no partial track; the same call resumes the set.
    UsageError for invalid numbers, or if `root` holds something else.
    """
    root = Path(root)
    held_out = held_out or n_valid > 0
    counts = {"train": n_train, "test": n_test} | ({"valid": n_valid} if held_out else {})
    _check(counts, seconds, seed, sample_rate, processes)
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
    given = {"held_out": held_out, "sounds": list(library.names) if library else []}
    made_from |= {key: fact for key, fact in given.items() if fact != OPTIONAL[key]}
    _check_root(root, made_from)
    wanted = counts, seconds, seed, variety, held_out
    if _card_covers(root, counts) and not missing_tracks(root, *wanted):
        return root  # without waiting for a process that may be rendering the rest
    with locked(root):  # another process waits, then finds the tracks there
        _update_card(root, made_from, counts)
        for leftover in root.glob(UNFINISHED + "*"):
            shutil.rmtree(leftover)
        for split in counts:
            (root / split).mkdir(exist_ok=True)
        jobs = missing_tracks(root, *wanted)
        jobs = [(*job, sample_rate, soundfont, root, library) for job in jobs]
        processes = min(processes or n_cores(), len(jobs))
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
    held_out: bool = False,
) -> list[tuple[Path, tuple]]:
    """Return the tracks that are not on disk yet, as (folder, arguments of `compose`).

    `counts`: split → number of songs. UsageError for a track folder that lacks files.
    """
    jobs = []
    for split, index in [(name, i) for name, count in counts.items() for i in range(count)]:
        arguments = (song_seed(seed, split, index), split, seconds, variety, held_out)
        # A title contains its song's seed, so no two songs share a folder.
        folder = root / split / compose(*arguments).title
        if not is_complete(folder):
            if folder.exists():
                raise UsageError(f"{folder} lacks files of a track; remove it and run again")
            jobs.append((folder, arguments))
    return jobs


def _work(jobs: list[tuple], processes: int) -> Iterator[None]:
    if processes <= 1:
        for job in jobs:
            _render_job(job)
            yield
        return
    # Spawned, not forked: the caller may have threads (torch), and a fork of those can hang.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_ignore_interrupt)
    with pool:
        futures = [pool.submit(_render_job, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupt() -> None:
    """Ignore Ctrl-C in a worker, so that it finishes its song; the parent process stops the set."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _render_job(job: tuple) -> None:
    folder, arguments, sample_rate, soundfont, root, library = job
    song = compose(*arguments)
    write_track(folder, song, sample_rate, soundfont, scratch=root, library=library)


def _check(
    counts: dict[str, int], seconds: float, seed: int, sample_rate: int, processes: int | None
) -> None:
    names = {"train": "training", "test": "test", "valid": "validation"}
    for split, count in counts.items():
        most = SEEDS[split][1]
        if not 0 <= count <= most:
            name = names[split]
            raise UsageError(f"the number of {name} songs must be 0 to {most}, not {count}")
    if sum(counts.values()) == 0:
        raise UsageError("a set needs at least one song")
    if not 5 <= seconds <= 3600:
        raise UsageError(f"a song lasts 5 to 3600 seconds, not {seconds:g}")
    if seed < 0:
        raise UsageError(f"the seed must be 0 or more, not {seed}")
    if not 8000 <= sample_rate <= 192000:
        raise UsageError(f"the sample rate must be 8000 to 192000 Hz, not {sample_rate}")
    if processes is not None and processes < 1:
        raise UsageError(f"at least one process is needed, not {processes}")


def _check_root(root: Path, made_from: dict) -> None:
    """Check that `root` is new, empty, or holds part of the same set; create it if it is new."""
    for folder in (root, *root.parents):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file, not a folder")
    root.mkdir(parents=True, exist_ok=True)
    card = root / "set.json"
    if not card.exists():
        foreign = [p for p in root.iterdir() if not p.name.startswith((UNFINISHED, ".set"))]
        if foreign:
            raise UsageError(f"{root} already holds other files; choose a new or empty folder")
        return
    try:
        found = OPTIONAL | json.loads(card.read_text(encoding="utf-8"))
        made_from = OPTIONAL | made_from
        # The package's version may differ: only GENERATOR_VERSION says whether the songs do.
        differing = [key for key in made_from if key != "version" and found[key] != made_from[key]]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"{card} is not the description of a set of songs") from error
    if differing:
        key = differing[0]
        what = "choice of sounds" if key == "sounds" else key
        raise UsageError(
            f"{root} holds a set with another {what} ({found[key]}, not {made_from[key]}); "
            "choose another folder"
        )


def _card_covers(root: Path, counts: dict[str, int]) -> bool:
    """Whether set.json already lists at least `counts` songs per split."""
    card = root / "set.json"
    found = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    return all(found.get(f"n_{split}", -1) >= count for split, count in counts.items())


def _update_card(root: Path, made_from: dict, counts: dict[str, int]) -> None:
    """Write set.json; the numbers of songs never decrease."""
    card = root / "set.json"
    found = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    sizes = {f"n_{x}": max(count, found.get(f"n_{x}", 0)) for x, count in counts.items()}
    unfinished = root / ".set.json"
    unfinished.write_text(json.dumps({**made_from, **sizes}, indent=1) + "\n", encoding="utf-8")
    unfinished.rename(card)


def set_hash(root: str | Path, split: str = "test") -> str:
    """Return the SHA-256 of the names and wav bytes of a split, which identifies its data."""
    digest = hashlib.sha256()
    for path in sorted(Path(root, split).glob("*/*.wav")):
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
