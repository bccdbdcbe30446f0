"""The evidence table on wider training sets: which stems a row trains on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from common import SOURCES
from common.data.excerpts import Excerpts
from common.experiments import widening
from common.experiments.widening import MUSIC, Joined, about, shortened, tracks_of


@dataclass(frozen=True)
class Constant:
    """A song of 100 samples that is one number throughout."""

    value: float
    sample_rate: int = 100
    n_samples: int = 100
    source_names: tuple[str, ...] = SOURCES

    def read(self, source: int, first: int, n_samples: int) -> torch.Tensor:
        return torch.full((2, n_samples), self.value + source)


@pytest.fixture(autouse=True)
def songs(monkeypatch):
    """Usual songs are 0 and up, those with recorded sounds 100 and up."""
    usual = [Constant(0.0)] * widening.RECORDED.n_train
    recorded = [Constant(100.0)] * widening.RECORDED.n_train
    sets = {widening.SYNTHETIC: usual, widening.RECORDED: recorded}
    monkeypatch.setattr(widening, "training_songs", sets.__getitem__)


@pytest.mark.parametrize("name", MUSIC)
def test_a_row_takes_the_stems_that_it_names_from_the_recorded_set(name):
    tracks = tracks_of(MUSIC[name])
    assert len(tracks) == MUSIC[name].n_songs
    for s, source in enumerate(SOURCES):
        wanted = s + (100.0 if source in MUSIC[name].recorded else 0.0)
        assert tracks[7].read(s, 3, 5).unique().tolist() == [wanted]


def test_joined_songs_make_excerpts():
    tracks = [Joined((Constant(0.0), Constant(0.0), Constant(100.0), Constant(0.0)))]
    mixture, sources = Excerpts(tracks, seconds=0.5)[0]
    assert sources.shape == (4, 2, 50)
    torch.testing.assert_close(mixture, sources.sum(dim=0))


def test_only_the_music_differs_and_all_is_said():
    made = shortened()
    assert made.config.steps == widening.STEPS == about()["config"]["steps"]
    changed = {name for name, music in MUSIC.items() if music.effects}
    assert changed == {"many songs, effects", "all"}
    assert MUSIC["few songs"].n_songs < MUSIC["many songs"].n_songs == widening.RECORDED.n_train
