"""How fast songs render: `python tests/benchmarks/bench_songs.py [N] [--wide]`.

Prints, per song and over all, seconds of music per second of one core, composing included, and the
share of each stage. The target is ten times real time. With `--wide` songs draw from the recorded
soundfonts and drum kits that are installed, whose samples are read on the way.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common.songs.render import render  # noqa: E402
from common.songs.sound.library import Library, installed  # noqa: E402
from common.songs.writing.compose import compose  # noqa: E402

SECONDS = 24.0


def main(n_songs: int = 8, library: Library | None = None) -> None:
    """Render `n_songs` training songs, one after the other, on one core."""
    render(compose(999, "train", 5.0))
    total = 0.0
    print(f"{'style':16}{'parts':>6}{'compose s':>11}{'render s':>10}{'× real time':>13}")
    for seed in range(n_songs):
        start = time.process_time()
        song = compose(seed, "train", SECONDS)
        composed = time.process_time()
        render(song, library=library)
        end = time.process_time()
        total += end - start
        print(
            f"{song.style:16}{len(song.parts):6}{composed - start:11.3f}{end - composed:10.3f}"
            f"{SECONDS / (end - start):13.1f}"
        )
    print(f"all: {SECONDS * n_songs / total:.1f} × real time per core")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument != "--wide"]
    main(*numbers, library=installed(("soundfonts", "kits")) if "--wide" in sys.argv else None)
