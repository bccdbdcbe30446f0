"""Golden renders: samples of a few short songs, to compare later renders with.

`python tests/golden_songs.py --write` renders them again. Do this only together with a new
`GENERATOR_VERSION`, because checkpoints and results depend on the sound of the songs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from common import SAMPLE_RATE, SOURCES
from common.songs.dataset import GENERATOR_VERSION, song_seed
from common.songs.render import render
from common.songs.writing.compose import compose

GOLDEN = Path(__file__).parent / "reference" / "songs.safetensors"
SONGS = (("train", 0), ("train", 1), ("train", 4), ("test", 0))
SECONDS = 6.0

EVERY = 61
"""One in this many samples is kept, enough to notice a change of timing, level or sound."""

TOLERANCE = 2
"""Allowed difference in 16-bit steps: processors round sine and exponential differently."""


def sampled(split: str, index: int) -> Tensor:
    """A song's stems, every EVERY-th sample: (s, c, t), int16."""
    song = compose(song_seed(0, split, index), split, SECONDS)
    stems = render(song, SAMPLE_RATE)
    audio = torch.stack([torch.as_tensor(stems[source]) for source in SOURCES])
    return (audio[..., ::EVERY] * 32767).round().to(torch.int16)


def name(split: str, index: int) -> str:
    """The name of a song in the file."""
    return f"{split}.{index}"


def main(arguments: list[str]) -> int:
    """Print the differences; with `--write`, first write the current renders."""
    today = {name(*song): sampled(*song).contiguous() for song in SONGS}
    if "--write" in arguments:
        save_file(today, GOLDEN, {"generator_version": str(GENERATOR_VERSION)})
    golden = load_file(GOLDEN)
    for key, audio in today.items():
        difference = (audio.int() - golden[key].int()).abs().max().item()
        print(f"{key}: differs by {difference} of 32768 at most")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
