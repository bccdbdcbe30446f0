"""The style of all figures and players: colours, width and axes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

SOURCE_COLOURS = {
    "mixture": "#777777",
    "drums": "#D55E00",
    "bass": "#0083C4",
    "other": "#009E73",
    "vocals": "#CC79A7",
    "accompaniment": "#A84830",
    "no_drums": "#7048F0",
}
"""One colour per source, after Okabe and Ito's set that colour-blind readers can tell apart; blue
and orange are shifted until every colour reaches 3:1 against white and against the dark theme. A
sum of sources has a colour of its own, so that it can stand in one figure with its parts."""

INK, GRID = "#333333", "#DDDDDD"
MODEL_COLOURS = ("#0083C4", "#D55E00", "#009E73", "#CC79A7", "#B88600", "#777777")


def source_colour(label: str) -> str | None:
    """The colour of the source that a label names first, as in "vocals (estimate)"; None for none.

    "no_bass", like everything that lacks one source, has the colour of "no_drums".
    """
    words = re.findall("[a-z]+", label.lower())
    if words[:1] == ["no"]:
        return SOURCE_COLOURS["no_drums"]
    return next((SOURCE_COLOURS[word] for word in words if word in SOURCE_COLOURS), None)


def figure(height: float = 2.4, rows: int = 1, columns: int = 1, **settings) -> np.ndarray | Axes:
    """Axes of a new figure as wide as the book's text; height in inches."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(
        rows, columns, figsize=(7.0, height), dpi=130, layout="constrained", **settings
    )
    return axes


def finish(ax: Axes, title: str | None, x_label: str, y_label: str, grid: str = "") -> Axes:
    """Set labels, a title at the left, and few lines; `grid` names the axis with grid lines."""
    ax.set_xlabel(x_label, fontsize=10, color=INK)
    ax.set_ylabel(y_label, fontsize=10, color=INK)
    ax.tick_params(labelsize=9, colors=INK, length=3)
    if title:
        ax.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=4)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#999999")
    if grid:
        ax.grid(axis=grid, color=GRID, linewidth=0.7)
        ax.set_axisbelow(True)
    return ax
