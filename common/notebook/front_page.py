"""Content of the book's first page: a separated song, and a card for every trained net."""

from __future__ import annotations

import base64
from html import escape

import numpy as np

from common import DEFAULT_MODEL, SOURCES
from common.data import real_excerpt
from common.evaluation.results import mean_of_medians, redrawn
from common.notebook.player_page import Player
from common.notebook.players import stem_player
from common.recipes.checkpoints import CHECKPOINTS, card, load, trained_models
from common.separation import separate
from common.support.book import book_file

CHAPTERS = {
    "mask-inference": ("Mask inference", "11_mask_inference"),
    "deep-clustering": ("Deep clustering", "12_deep_clustering"),
    "chimera": ("Chimera", "13_chimera"),
    "unet": ("U-Net", "14_unet"),
    "spleeter": ("Spleeter", "15_spleeter"),
    "open-unmix": ("Open-Unmix", "16_open_unmix"),
    "d3net": ("D3Net", "17_d3net"),
}
"""Every trained net: its title, and the chapter that builds it."""


def best_net_player(model: str = DEFAULT_MODEL) -> Player:
    """Six seconds of a real song: the mixture, a net's estimates and the true stems."""
    track = real_excerpt()
    estimates = separate(load(model), track.mixture, track.sample_rate)
    title = "The Easton Ellises, Falcon 69 (CC BY-NC-SA 3.0)"
    name = CHAPTERS[model][0] if model in CHAPTERS else model
    return stem_player(
        track.mixture, track.sources, {name: estimates}, SOURCES, track.sample_rate, title
    )


def model_cards() -> str:
    """HTML of one card per trained net, in the order of the chapters.

    A card has the net's diagram and, from its model card, the SDR in dB (the mean over stems of
    the medians over test songs, with its bootstrap interval), its speed and size, and its training.
    """
    names = [name for name in CHAPTERS if name in trained_models()]
    return f'<div class="model-cards">{"".join(map(_card, names))}</div>'


def _card(name: str) -> str:
    title, chapter = CHAPTERS[name]
    about = card(name)
    tracks = about["results"]["tracks"]  # None where a stem is silent, which becomes NaN
    ratios = np.array([[track["sdr"][source] for source in SOURCES] for track in tracks], float)
    draws = mean_of_medians(ratios[redrawn(len(ratios))])
    low, high = np.percentile(draws, [2.5, 97.5])
    megabytes = (CHECKPOINTS / f"{name}.safetensors").stat().st_size / 1e6
    facts = {
        "SDR": f"{mean_of_medians(ratios):.1f} dB ({low:.1f} to {high:.1f})",
        "Speed": f"{about['real_time_factor']:.0f} × real time on one core",
        "Size": f"{about['parameters'] / 1e6:.1f} million weights, {megabytes:.1f} MB",
        "Training": f"{core_hours(about):.1f} core-hours, {hours_heard(about):.0f} hours of music",
    }
    rows = "".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    drawing = book_file(f"figures/{chapter.split('_', 1)[1]}.svg").read_bytes()
    source = f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}"
    return (
        f'<div class="model-card"><img src="{source}" alt="Diagram of {escape(title)}">'
        f'<p><a href="../notebooks/{chapter}.html">{escape(title)}</a></p><dl>{rows}</dl></div>'
    )


def core_hours(about: dict) -> float:
    """How many hours of one processor core a training took, by its model card."""
    threads = int(about["hardware"].split(", ")[1].split()[0])
    return about["wall_seconds"] * threads / 3600


def hours_heard(about: dict) -> float:
    """How many hours of music a net was trained on, repetitions included."""
    config = about["recipe"]["config"]
    return config["steps"] * config["batch_size"] * about["seconds_per_excerpt"] / 3600
