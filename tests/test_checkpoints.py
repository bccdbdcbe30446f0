"""Committed checkpoints agree with their model cards."""

import pytest

from common import DEFAULT_MODEL, WHY_DEFAULT
from common.data import SONG_SETS, embedded_tracks, real_excerpt
from common.evaluation import evaluate_track
from common.recipes import (
    CHECKPOINTS,
    RECIPES,
    best_model,
    card,
    load,
    recipe,
    trained_models,
)
from common.songs.dataset import GENERATOR_VERSION

MEGABYTE = 2**20
FLAGSHIP = 10 * MEGABYTE
"""One checkpoint of the book may be this large."""

MODELS = trained_models()


def test_there_are_checkpoints():
    assert MODELS and set(MODELS) <= set(RECIPES)


def test_sizes():
    sizes = sorted((CHECKPOINTS / f"{name}.safetensors").stat().st_size for name in MODELS)
    assert sum(sizes) <= 45 * MEGABYTE
    assert all(size <= 5 * MEGABYTE for size in sizes[:-1]) and sizes[-1] <= FLAGSHIP


@pytest.mark.parametrize("name", MODELS)
def test_card_matches_recipe_and_generator(name):
    about, made = card(name), recipe(name, "zoo")
    assert about["parameters"] == sum(x.numel() for x in made.net().parameters())
    assert about["recipe"]["config"] == made.config.facts()
    assert about["songs"]["n_train"] == made.songs.n_train
    assert about["real_time_factor"] > 1
    # The results are valid for the current generator; after a change, make the card again.
    assert about["generator_version"] == GENERATOR_VERSION


def test_the_default_model_is_the_best_that_is_fast_enough():
    assert best_model({name: card(name) for name in MODELS}) == DEFAULT_MODEL
    assert "at least 4 times faster" in WHY_DEFAULT


@pytest.mark.parametrize("name", MODELS)
def test_two_tracks_score_what_the_card_says(name):
    """Within 0.05 dB, which allows for half precision and the arithmetic of another machine."""
    separator, about = load(name), card(name)
    rows = {row["name"]: row for row in about["results"]["tracks"]}
    for track in embedded_tracks("test", limit=2, songs=SONG_SETS["live"]):
        measured = evaluate_track(separator, track)["sdr"]
        assert measured == pytest.approx(rows[track.name]["sdr"], abs=0.05)


@pytest.mark.parametrize("name", MODELS)
def test_the_excerpt_scores_what_the_card_says(name):
    measured = evaluate_track(load(name), real_excerpt())["sdr"]
    assert measured == pytest.approx(card(name)["excerpt_sdr"], abs=0.05)
