"""How much faster our BSS Eval v4 is than museval, in one run, on the same track and threads.

    python tests/benchmarks/bench_bss_eval.py [--seconds 30] [--sample-rate 44100] [--channels 2]

Prints both times, their ratio and the largest difference in dB; exits 1 below ten times or above
0.01 dB.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common.evaluation.bss_eval import bss_eval  # noqa: E402


def coloured_noise(n_signals: int, length: int, generator: torch.Generator) -> torch.Tensor:
    """Noise with energy falling towards high frequencies, as in music: (n_signals, length)."""
    spectrum = torch.fft.rfft(torch.randn(n_signals, length, generator=generator))
    slope = 1 / (1 + torch.linspace(0, 50, spectrum.shape[-1]))
    return torch.fft.irfft(spectrum * slope, n=length).float()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--sample-rate", type=int, default=44100)
    parser.add_argument("--channels", type=int, default=2)
    arguments = parser.parse_args()
    from museval.metrics import bss_eval as museval_bss_eval

    generator = torch.Generator().manual_seed(0)
    length = int(arguments.seconds * arguments.sample_rate)
    shape = (4, arguments.channels, length)
    references = coloured_noise(4 * arguments.channels, length, generator).reshape(shape)
    estimates = (
        references + 0.2 * references.roll(1, 0) + 0.002 * torch.randn(shape, generator=generator)
    )

    started = time.perf_counter()
    ours = bss_eval(references, estimates, arguments.sample_rate)
    our_time = time.perf_counter() - started
    started = time.perf_counter()
    theirs = museval_bss_eval(
        references.transpose(1, 2).double().numpy(),
        estimates.transpose(1, 2).double().numpy(),
        window=arguments.sample_rate,
        hop=arguments.sample_rate,
    )
    their_time = time.perf_counter() - started
    ratio = their_time / our_time
    difference = max(np.abs(a.numpy() - b).max() for a, b in zip(ours, theirs, strict=False))
    print(f"4 sources, {arguments.channels} channels, {arguments.seconds:g} s at", end=" ")
    print(f"{arguments.sample_rate} Hz, {torch.get_num_threads()} threads")
    print(f"museval {their_time:.2f} s, ours {our_time:.2f} s: {ratio:.1f} times faster")
    print(f"largest difference {difference:.2e} dB")
    return 0 if ratio >= 10 and difference <= 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
