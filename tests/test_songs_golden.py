"""The songs sound the same as when checkpoints and results were made from them."""

from __future__ import annotations

import pytest
from golden_songs import GOLDEN, SONGS, TOLERANCE, name, sampled
from safetensors import safe_open
from safetensors.torch import load_file

from common.songs.dataset import GENERATOR_VERSION
from common.songs.mixing import effects


@pytest.mark.parametrize("song", SONGS, ids=lambda song: name(*song))
def test_songs_sound_as_they_did(song: tuple[str, int]) -> None:
    golden, today = load_file(GOLDEN)[name(*song)].int(), sampled(*song).int()
    assert golden.abs().amax(dim=(1, 2)).min() > 500, "a golden stem is silent"
    assert today.shape == golden.shape
    assert (today - golden).abs().max() <= TOLERANCE


def test_golden_songs_are_of_this_version() -> None:
    with safe_open(GOLDEN, framework="pt") as file:
        assert file.metadata() == {"generator_version": str(GENERATOR_VERSION)}


def test_a_change_of_a_tenth_of_a_decibel_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    biquad = effects.biquad

    def brighter(kind: str, frequency: float, rate: int, gain: float = 0.0, q: float = 0.7071):
        return biquad(kind, frequency, rate, gain + 0.1 * (kind == "highshelf"), q)

    monkeypatch.setattr(effects, "biquad", brighter)
    golden, changed = load_file(GOLDEN)[name(*SONGS[0])].int(), sampled(*SONGS[0]).int()
    assert (changed - golden).abs().max() > TOLERANCE
