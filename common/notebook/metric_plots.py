"""Plots of the losses of a training run and of the metrics of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from common.notebook.style import GRID, INK, MODEL_COLOURS, figure, finish, source_colour

if TYPE_CHECKING:
    from common.training.history import History

METRICS = {
    "sdr": "SDR",
    "si_sdr": "SI-SDR",
    "bss_sdr": "BSS Eval v4 SDR",
    "bss_isr": "BSS Eval v4 ISR",
    "bss_sir": "BSS Eval v4 SIR",
    "bss_sar": "BSS Eval v4 SAR",
    "tail_error": "error in the tails",
    "high_frequency_error": "error above 8 kHz",
}
"""Labels of the metrics of `evaluate` in figures."""


def plot_history(
    history: History, ax: Axes | None = None, label: str = "training", colour: str | None = None
) -> Axes:
    """Draw the training loss per step, its running median, and the validation loss if any."""
    ax = figure(2.8) if ax is None else ax
    colour = colour or MODEL_COLOURS[0]
    losses = np.asarray(history.losses, dtype=float)
    steps = np.arange(1, len(losses) + 1)
    width = max(1, len(losses) // 20)
    edges = [slice(max(0, step - width), step + width + 1) for step in range(len(losses))]
    ax.plot(steps, losses, color=colour, alpha=0.3, linewidth=0.8)
    ax.plot(
        steps, [np.median(losses[edge]) for edge in edges], color=colour, linewidth=2, label=label
    )
    if history.validation:
        at, values = zip(*history.validation, strict=True)
        ax.plot(at, values, "o-", color=MODEL_COLOURS[1], markersize=5, label="validation")
    ax.legend(frameon=False, fontsize=9)
    return finish(ax, None, "step", "loss", grid="y")


def plot_results(
    results: Mapping | Sequence[Mapping],
    metric: str = "sdr",
    ax: Axes | None = None,
    title: str | None = None,
    tracks: bool = True,
) -> Axes:
    """Draw what `evaluate` measured: a line per model and source, models one below the other.

    results: one result or several. A dot is the median over tracks, its bar the 95 % bootstrap
    interval, and with `tracks` the faint marks are single tracks. Bounds, which know the true
    sources, are set in italics. Raises ValueError for a metric that a result does not hold.
    """
    results = [results] if isinstance(results, Mapping) else list(results)
    missing = [result["model"] for result in results if metric not in result["median"]]
    if missing:
        raise ValueError(f"{metric} was not measured for {', '.join(missing)}")
    sources = list(dict.fromkeys(s for result in results for s in result["sources"]))
    ax = figure(0.9 + 0.17 * (len(sources) + 1) * len(results)) if ax is None else ax
    for row, result in enumerate(results):
        for place, source in enumerate(sources):
            if source in result["sources"]:
                y = row + 0.8 * ((place + 1) / (len(sources) + 1) - 0.5)
                _draw_result(ax, y, result, metric, source, tracks)
    for row in range(1, len(results)):
        ax.axhline(row - 0.5, color=GRID, linewidth=0.7)
    ax.axvline(0, color="#999999", linewidth=0.9, zorder=0)
    ax.set_yticks(range(len(results)), [result["model"] for result in results])
    ax.set_ylim(len(results) - 0.5, -0.5)
    marks = [
        ax.plot([], [], "o", color=source_colour(s) or INK, markersize=6, label=s)[0]
        for s in sources
    ]
    ax.legend(
        handles=marks, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(marks), frameon=False,
        fontsize=9, borderaxespad=0.2, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    name = METRICS.get(metric, metric)
    finish(ax, None, f"{name} (dB), median over tracks and 95 % interval", "", grid="x")
    ax.tick_params(axis="y", length=0)
    for label, result in zip(ax.get_yticklabels(), results, strict=True):
        label.set_style("italic" if result.get("oracle") else "normal")
    if title:
        ax.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=24)
    return ax


def _draw_result(
    ax: Axes, y: float, result: Mapping, metric: str, source: str, tracks: bool
) -> None:
    """One source of one model: its tracks, the interval, and the median on top."""
    middle, interval = result["median"][metric][source], result["interval"][metric][source]
    if middle is None:
        return
    colour = source_colour(source) or INK
    if tracks:
        values = [track[metric][source] for track in result["tracks"]]
        known = [value for value in values if value is not None]
        ax.plot(known, np.full(len(known), y), "|", color=colour, alpha=0.45, markersize=6)
    ax.plot(interval, (y, y), "-", color=colour, linewidth=2.2, solid_capstyle="round")
    ax.plot([middle], [y], "o", color=colour, markersize=6.5, markeredgecolor="white")
