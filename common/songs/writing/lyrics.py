"""Invented lyrics for the singer, and titles of songs with names of bands."""

from __future__ import annotations

import numpy as np

from common.songs.random_streams import flip, pick, weighted
from common.songs.writing.score import CONSONANTS, VOWELS

ARTISTS = (
    "Amber", "Paper", "Velvet", "Silver", "Northern", "Hollow", "Electric", "Wooden", "Quiet",
    "Crimson", "Lunar", "Copper", "Distant", "Marble", "Golden", "Static", "Winter", "Neon",
)  # fmt: skip
BANDS = (
    "Foxes", "Harbour", "Lanterns", "Parade", "Engines", "Sisters", "Machines", "Orchard",
    "Tides", "Pilots", "Sparrows", "Avenue", "Giants", "Letters", "Cathedrals", "Wolves",
)  # fmt: skip
THINGS = (
    "River", "Window", "Summer", "Stranger", "Mirror", "Highway", "Garden", "Thunder", "Morning",
    "Satellite", "Shadow", "Ocean", "Candle", "Paradise", "Gravity", "Monday", "Fever", "Compass",
)  # fmt: skip
ENDINGS = ("in the Rain", "at Night", "Again", "for Two", "Song", "Running", "Tonight", "Falling")

TAKES = {"train": "take", "valid": "rehearsal", "test": "session"}
"""The word in the titles of each split, so that no two splits share a title."""


def title(seed: int, split: str, rng: np.random.Generator) -> str:
    """A title "Artist - Title (take N)" in ASCII; N follows from the seed, so titles are unique."""
    artist = f"{pick(rng, ARTISTS)} {pick(rng, BANDS)}"
    number = seed % (500_000 if split == "valid" else 1_000_000) + 1
    return f"{artist} - {pick(rng, THINGS)} {pick(rng, ENDINGS)} ({TAKES[split]} {number})"


class Lyrics:
    """A song's vocabulary of invented words, from which its lines are drawn."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        vowels = [(vowel, 0.4 + rng.random() * 1.6) for vowel in VOWELS]
        onsets = [(onset, 0.3 + rng.random() * 1.2) for onset in CONSONANTS]
        onsets[0] = ("", 2.0)
        self.words = [
            [(weighted(rng, onsets), weighted(rng, vowels)) for _ in range(size)]
            for size in (1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 1, 2, 1, 2, 1)
        ]
        self.hook = [syllable for _ in range(2) for syllable in pick(rng, self.words)]

    def line(self, count: int, hook: bool = False) -> list[tuple[str, str]]:
        """Draw `count` syllables as (consonant, vowel); with `hook`, starting with the hook."""
        if flip(self.rng, 0.06):
            return [pick(self.rng, (("l", "a"), ("n", "a"), ("", "o"), ("d", "u")))] * count
        syllables = list(self.hook) if hook else []
        while len(syllables) < count:
            syllables += pick(self.rng, self.words)
        return syllables[:count]
