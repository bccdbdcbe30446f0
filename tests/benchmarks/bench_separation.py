"""Memory and speed of `separate_file` against the length of the file.

    python tests/benchmarks/bench_separation.py [--minutes 2 6 60] [--model mask-inference]

Each length runs in a process of its own, so that its peak memory is its own. Memory should not
grow: the peak of 6 minutes lies within 10 % of that of 2, and 60 minutes stay under 2 GB.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_noise(path: Path, minutes: float, rate: int = 44100) -> None:
    """A stereo file of noise, written second by second."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 2) as file:
        for _ in range(round(60 * minutes)):
            file.write(0.1 * rng.standard_normal((rate, 2)))


def measure(path: Path, model: str, out: Path) -> None:
    """Separate one file in this process and print its peak memory (MB) and seconds."""
    import torch

    from common.recipes import load
    from common.separation import separate_file

    torch.set_num_threads(1)
    begin = time.perf_counter()
    separate_file(load(model), path, out)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{peak:.0f} {seconds:.1f}")


def main() -> None:
    """Measure every length and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--minutes", nargs="+", type=float, default=[2, 6])
    arguments.add_argument("--model", default="mask-inference")
    arguments.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.measure:
        measure(options.measure[0], options.model, options.measure[1])
        return
    print("minutes  peak MB  seconds  times real time")
    first = None
    for minutes in options.minutes:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "noise.wav"
            write_noise(path, minutes)
            command = [sys.executable, __file__, "--model", options.model]
            command += ["--measure", str(path), scratch]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            answer = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
        peak, seconds = map(float, answer.stdout.split())
        first = first or peak
        speed = 60 * minutes / seconds
        print(
            f"{minutes:7g}  {peak:7.0f}  {seconds:7.1f}  {speed:15.1f}  ({peak / first:.2f} × 1st)"
        )


if __name__ == "__main__":
    main()
