"""The command line: `python -m common {songs,separate,train,evaluate,models}`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from common import DEFAULT_MODEL, SAMPLE_RATE, SOURCES, WHY_DEFAULT
from common.support.errors import UsageError

if TYPE_CHECKING:
    from common.data.tracks import Track


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    main = argparse.ArgumentParser(
        prog="python -m common", description="Separate music into its sources."
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    songs = commands.add_parser("songs", help="write embedded songs in MUSDB18-HQ layout")
    songs.add_argument("out", type=Path, metavar="OUT", help="folder to write to")
    songs.add_argument("--train", type=int, default=24, metavar="N", help="training songs (24)")
    songs.add_argument("--test", type=int, default=8, metavar="N", help="test songs (8)")
    songs.add_argument(
        "--seconds", type=float, default=24.0, metavar="S", help="seconds per song (24)"
    )
    songs.add_argument("--seed", type=int, default=0, metavar="K", help="seed of the songs (0)")
    songs.add_argument("--rate", type=int, default=44100, metavar="HZ", help="sample rate (44100)")
    songs.add_argument("--soundfont", metavar="SF2", help="another General MIDI soundfont")
    songs.add_argument(
        "--wide",
        action="store_true",
        help="training songs also use the recorded sounds that are installed",
    )
    songs.set_defaults(run=write_songs)

    separate = commands.add_parser("separate", help="separate audio files into stems")
    separate.add_argument("files", nargs="+", type=Path, metavar="FILE", help="audio files")
    separate.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help="a name listed by `models`, or A+B+C for a blend of several; "
        f"by default {DEFAULT_MODEL}: {WHY_DEFAULT}",
    )
    separate.add_argument(
        "--weights", type=Path, metavar="PATH", help="published weights for the model"
    )
    separate.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the stems"
    )
    separate.add_argument("--two-stems", metavar="SOURCE", help="this source and the rest")
    separate.add_argument(
        "--mixture-consistency",
        action=argparse.BooleanOptionalAction,
        help="make the stems add up to the mixture (default: for the book's nets)",
    )
    separate.add_argument("--device", choices=["cpu", "cuda", "mps"], help="default: the fastest")
    separate.set_defaults(run=separate_files)

    train = commands.add_parser("train", help="train a model")
    train.add_argument("name", metavar="NAME", help="a model")
    train.add_argument(
        "--scale",
        choices=["smoke", "live", "zoo", "paper"],
        default="live",
        help="from a test of seconds to a training of days (live)",
    )
    train.add_argument("--data", type=Path, metavar="ROOT", help="MUSDB18 folder (embedded songs)")
    train.add_argument("--out", type=Path, metavar="DIR", help="default: runs/NAME-SCALE")
    train.add_argument("--resume", action="store_true", help="continue the run in DIR")
    train.set_defaults(run=train_model)

    evaluate = commands.add_parser("evaluate", help="measure a model on a test split")
    evaluate.add_argument(
        "name", metavar="NAME", help="a model, a blend A+B+C, a weights file or a bound"
    )
    evaluate.add_argument(
        "--data", type=Path, metavar="ROOT", help="MUSDB18 folder (embedded songs)"
    )
    evaluate.add_argument("--max-tracks", type=int, metavar="N", help="the first N tracks (all)")
    evaluate.add_argument("--bss", action="store_true", help="also BSS Eval v4, as in museval")
    evaluate.add_argument("--device", choices=["cpu", "cuda", "mps"], help="default: the fastest")
    evaluate.add_argument("--out", type=Path, metavar="results.json", help="file for the results")
    evaluate.set_defaults(run=evaluate_model)

    models = commands.add_parser("models", help="list the models")
    models.set_defaults(run=list_models)
    return main


def write_songs(options: argparse.Namespace) -> None:
    """`python -m common songs`."""
    from common.songs.dataset import write_set
    from common.songs.sound.library import KINDS, how_to_install, missing

    sounds = KINDS if options.wide else ()
    if packages := missing(sounds):
        warn(f"some recorded sounds are missing; to install them: {how_to_install(packages)}")
    root = write_set(
        options.out,
        options.train,
        options.test,
        options.seconds,
        options.seed,
        options.rate,
        soundfont=options.soundfont,
        sounds=sounds,
    )
    print(f"{options.train} training and {options.test} test songs are in {root}")


def separate_files(options: argparse.Namespace) -> None:
    """`python -m common separate`."""
    import torch

    from common.classical.table import METHODS
    from common.official import load_official
    from common.recipes.checkpoints import load
    from common.separation.any_length import separate_file
    from common.separation.consistency import Consistent
    from common.separation.separators import TwoStems
    from common.signal.audio_files import check_stems

    given = options.weights
    separator = load_official(options.model, given) if given else load(options.model)
    consistent = options.mixture_consistency
    if consistent is None:  # not for published nets and methods; two stems add up anyway
        methods = METHODS.keys() & options.model.split("+")
        consistent = not (given or methods or options.two_stems)
    if consistent:
        separator = Consistent(separator)
    if options.two_stems:
        separator = TwoStems(separator, options.two_stems)
    chosen = device(torch, options.device)
    if isinstance(separator, torch.nn.Module):
        separator.to(chosen)
    check_stems(options.files, separator.sources, options.out)
    for path in options.files:
        for stem in separate_file(separator, path, options.out, warn).values():
            print(printable(stem))


def warn(line: str) -> None:
    """Print a warning to stderr, so that it does not mix with results on stdout."""
    print(f"warning: {printable(line)}", file=sys.stderr)


def printable(name: object) -> str:
    """A name in printable form: a file name need not be valid UTF-8."""
    return os.fsencode(str(name)).decode(errors="replace")


def device(torch, wanted: str | None) -> str:
    """The requested device, else the fastest. Raises UsageError if it is not available.

    `torch` is the module, which only commands that need it import.
    """
    there = ["cuda"] if torch.cuda.is_available() else []
    there += ["mps"] if torch.backends.mps.is_available() else []
    there.append("cpu")
    if wanted and wanted not in there:
        raise UsageError(f"PyTorch finds no {wanted} here; it finds {', '.join(there)}")
    return wanted or there[0]


def train_model(options: argparse.Namespace) -> None:
    """`python -m common train`, alone or started several times by `accelerate launch`."""
    from common.recipes.training import train
    from common.training.processes import start_processes

    processes = start_processes()
    weights = train(options.name, options.scale, options.data, options.out, options.resume)
    processes.print(f"weights: {weights}")
    processes.end_training()


def evaluate_model(options: argparse.Namespace) -> None:
    """`python -m common evaluate`."""
    import torch

    from common.evaluation.per_track import evaluate
    from common.evaluation.results import save_results
    from common.recipes.checkpoints import bound_or_model
    from common.support.files import check_place

    model = bound_or_model(options.name)
    if options.out:
        check_place(options.out)
    chosen = device(torch, options.device)
    if isinstance(model, torch.nn.Module):
        model.to(chosen)
    rate = getattr(model, "sample_rate", SAMPLE_RATE)
    results = evaluate(model, test_tracks(options, rate), options.bss)
    print(f"{len(results['tracks'])} tracks at {rate} Hz, medians over tracks in dB")
    named = {"sdr": "SDR", "bss_sdr": "BSS Eval v4 SDR"}
    for source in results["sources"]:
        values = {
            name: results["median"][key][source]
            for key, name in named.items()
            if key in results["median"]
        }
        known = [f"{name} {value:6.2f}" for name, value in values.items() if value is not None]
        print(f"{source:14}", *known or ["silent"])
    if options.out:
        save_results(results, options.out)
        print(f"results: {options.out}")


def test_tracks(options: argparse.Namespace, sample_rate: int) -> Iterator[Track]:
    """The test tracks that the options select, one at a time, at a rate in Hz."""
    from common.data.embedded import embedded_songs, songs_here
    from common.data.musdb_folder import iterate_tracks

    limit = options.max_tracks
    if limit is not None and limit < 1:
        raise UsageError(f"--max-tracks is {limit}: evaluate at least one track")
    root = options.data
    if not root:
        songs = replace(songs_here(), sample_rate=sample_rate)
        limit = min(limit or songs.n_test, songs.n_test)
        root = embedded_songs(songs, n_train=0, n_test=limit)
    return iterate_tracks(root, "test", sample_rate, limit=limit)


def list_models(options: argparse.Namespace) -> None:
    """`python -m common models`."""
    from common.classical.table import METHODS
    from common.recipes.checkpoints import card, measured_blends, trained_models

    cards, blends = {name: card(name) for name in trained_models()}, measured_blends()
    width = max(20, *map(len, blends)) if blends else 20

    def row(name: str, size: str, speed: str, gives: str) -> None:
        print(f"{name:{width}} {size:>12}  {speed:>11}  {gives}")

    def net(name: str, about: dict, parts: Sequence[str]) -> None:
        size = sum(cards[part]["parameters"] for part in parts)
        scores = "  ".join(f"{about['sdr'][source]:5.2f}" for source in about["sdr"])
        row(name, f"{size:,}", f"{about['real_time_factor']:.1f}", scores)

    row("model", "parameters", "x real time", f"median SDR in dB: {', '.join(SOURCES)}")
    for name, about in cards.items():
        net(name, about, [name])
    for name, make in METHODS.items():
        method = make()
        dictionaries = getattr(method, "dictionaries", None)
        numbers = "none" if dictionaries is None else f"{dictionaries.numel():,}"
        row(name, numbers, "", f"{', '.join(method.sources)}; at most {method.segment:g} s at once")
    if blends:
        row("blend", "parameters", "x real time", "the same on validation songs")
    for name, about in blends.items():
        net(name, about, name.split("+"))
    print(f"`separate` takes {DEFAULT_MODEL} by default: {WHY_DEFAULT}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error that the user can fix becomes one plain line and exit code 2."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (UsageError, FloatingPointError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{printable(error.filename)}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
