"""How much does a wider training set help on unseen timbres?

One small net, one number of steps, two seeds; only the music changes: more songs, recorded sounds
for some stems, random effects for every excerpt.
`python -m common.experiments.widening` evaluates each on validation songs, test songs and the real
excerpt, and writes book/results/widening.json row by row. Test songs and excerpt are used
for reporting only, not for choosing.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from common import SOURCES
from common.data.embedded import SONG_SETS, SongSet, embedded_songs
from common.data.excerpts import Excerpts
from common.data.musdb_folder import TrackOnDisk, open_database
from common.data.real_music import real_excerpt
from common.evaluation.per_track import evaluate_track
from common.experiments.generalisation import scored
from common.experiments.resumable import RESULTS, run_rows
from common.experiments.trial import trial
from common.recipes.recipe import Recipe
from common.recipes.table import RECIPES
from common.songs.dataset import GENERATOR_VERSION
from common.songs.sound.library import installed

NET = "open-unmix"
STEPS = 4000
FEW = 360
SEEDS = (0, 1)

RECORDED = SONG_SETS["wide"]
SYNTHETIC = replace(RECORDED, sounds=())
"""The same songs without recorded sounds, so that stems of both sets can be mixed."""

EFFECTS = {"speed": 0.2, "width": 0.2, "saturation": 0.2, "equaliser": 0.2, "room": 0.2}


class Music(NamedTuple):
    """What a row trains on: how many songs, which stems from the recorded set, which effects."""

    n_songs: int
    recorded: tuple[str, ...] = ()
    effects: dict[str, float] = {}  # noqa: RUF012  (never changed)


MUSIC = {
    "few songs": Music(FEW),
    "many songs": Music(RECORDED.n_train),
    "many songs, soundfonts": Music(RECORDED.n_train, ("bass", "other")),
    "many songs, drum kits": Music(RECORDED.n_train, ("drums",)),
    "many songs, human voices": Music(RECORDED.n_train, ("vocals",)),
    "many songs, effects": Music(RECORDED.n_train, (), EFFECTS),
    "all": Music(RECORDED.n_train, SOURCES, EFFECTS),
}
"""Name of a row → its music."""


@dataclass(frozen=True)
class Joined:
    """A song whose stems come from one rendering or the other.

    stems: one track per source, all of the same song; each gives its own source.
    """

    stems: tuple[TrackOnDisk, ...]
    source_names: tuple[str, ...] = SOURCES

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.stems[0].sample_rate

    @property
    def n_samples(self) -> int:
        """Length in samples."""
        return self.stems[0].n_samples

    def read(self, source: int, first: int, n_samples: int) -> Tensor:
        """Samples `first` to `first + n_samples` of one source by index, `(c, t)`."""
        return self.stems[source].read(source, first, n_samples)


@functools.cache
def training_songs(songs: SongSet) -> list[TrackOnDisk]:
    """The training songs of a set, in the order of their seeds."""
    return [TrackOnDisk(entry) for entry in open_database(embedded_songs(songs), "train")]


def tracks_of(music: Music) -> Sequence[TrackOnDisk | Joined]:
    """The songs that a row trains on."""
    plain = training_songs(SYNTHETIC)[: music.n_songs]
    if not music.recorded:
        return plain
    pairs = zip(plain, training_songs(RECORDED)[: music.n_songs], strict=True)
    return [
        Joined(tuple(recorded if s in music.recorded else usual for s in SOURCES))
        for usual, recorded in pairs
    ]


def shortened() -> Recipe:
    """The net's recipe for as many steps as a row has."""
    made = RECIPES[NET]["zoo"]
    return replace(made, config=replace(made.config, steps=STEPS, validate_every=10 * STEPS))


def measure(key: dict) -> dict:
    """Train on one row's music; SDR in dB on validation songs, test songs and the excerpt."""
    made, music = shortened(), MUSIC[key["music"]]
    augment = replace(made.augment, **music.effects)
    excerpts = Excerpts(tracks_of(music), made.seconds, key["seed"], augment, made.n_channels)
    done = trial(made.net, made.objective, excerpts, made.config, key["seed"], made.prepare)
    separator = made.separator(done.net).eval()
    scores = {songs: scored(separator, songs) for songs in ("validation", "test")}
    return scores | {
        "excerpt": evaluate_track(separator, real_excerpt())["sdr"],
        "loss": done.last_loss,
        "core_seconds": round(done.core_seconds),
    }


def about() -> dict:
    """The facts that hold for all rows."""
    made = shortened()
    return {
        "net": NET,
        "config": made.config.facts(),
        "augment": made.augment.facts(),
        "effects": EFFECTS,
        "songs": asdict(RECORDED),
        "few": FEW,
        "sounds": list(installed(RECORDED.sounds).names),
        "generator_version": GENERATOR_VERSION,
        "hardware": platform.machine(),
    }


def main() -> None:
    """Fill in the rows that are missing, on one core."""
    torch.set_num_threads(1)
    keys = [{"music": name, "seed": seed} for seed in SEEDS for name in MUSIC]
    run_rows(RESULTS / "widening.json", about(), keys, measure)


if __name__ == "__main__":
    main()
