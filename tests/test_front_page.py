"""The first page: its cards say what the model cards say, and its player plays the best net."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from statistics import mean, median

import pytest
from quotes import ROOT

from common import DEFAULT_MODEL, SOURCES
from common.notebook.front_page import (
    CHAPTERS,
    best_net_player,
    core_hours,
    hours_heard,
    model_cards,
)
from common.recipes.checkpoints import card, trained_models


class Cards(HTMLParser):
    """Collects links, pictures and running text."""

    def __init__(self) -> None:
        super().__init__()
        self.links, self.pictures, self.text = [], [], []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_every_trained_net_has_a_card_with_its_own_numbers() -> None:
    assert set(CHAPTERS) == set(trained_models())
    cards = Cards()
    cards.feed(model_cards())
    assert cards.links == [f"../notebooks/{chapter}.html" for _, chapter in CHAPTERS.values()]
    for _, chapter in CHAPTERS.values():
        assert (ROOT / "notebooks" / f"{chapter}.ipynb").is_file()
    assert all(picture["alt"] and len(picture["src"]) > 1000 for picture in cards.pictures)
    assert len(cards.pictures) == len(CHAPTERS)
    shown = re.findall(r"(-?\d+\.\d) dB \((-?\d+\.\d) to (-?\d+\.\d)\)", " ".join(cards.text))
    assert len(shown) == len(CHAPTERS)
    for name, numbers in zip(CHAPTERS, shown, strict=True):
        tracks = card(name)["results"]["tracks"]
        ratios = ([track["sdr"][source] for track in tracks] for source in SOURCES)
        level = mean(median(x for x in column if x is not None) for column in ratios)
        value, low, high = map(float, numbers)
        assert value == pytest.approx(level, abs=0.051)
        assert low <= value <= high and high - low > 0.2


def test_hours_are_counted_per_core_and_with_repetitions() -> None:
    about = {
        "hardware": "x86_64 CPU, 2 threads",
        "wall_seconds": 5400,
        "recipe": {"config": {"steps": 900, "batch_size": 4}},
        "seconds_per_excerpt": 2.0,
    }
    assert core_hours(about) == 3.0
    assert hours_heard(about) == 2.0


def test_the_player_holds_mixture_estimates_and_true_stems() -> None:
    page = best_net_player()._repr_html_()
    for label in ("Mixture", CHAPTERS[DEFAULT_MODEL][0], "True stems", "Falcon 69", *SOURCES):
        assert label.lower() in page.lower(), label


def test_the_first_page_shows_both() -> None:
    page = (ROOT / "book/index.md").read_text(encoding="utf-8")
    assert page.count("{code-cell}") == 2
    assert "best_net_player()" in page and "model_cards()" in page
