"""Output of the chapters: plots, the plot style, the stem player, the table of datasets."""

from common.notebook.dataset_table import catalogue_table
from common.notebook.metric_plots import plot_history, plot_results
from common.notebook.players import player, stem_player
from common.notebook.plots import (
    figure,
    plot_mask,
    plot_sources,
    plot_spectrogram,
    plot_waveform,
    spectrogram,
)
from common.notebook.style import GRID, INK, MODEL_COLOURS, SOURCE_COLOURS, finish, source_colour

__all__ = [
    "GRID",
    "INK",
    "MODEL_COLOURS",
    "SOURCE_COLOURS",
    "catalogue_table",
    "figure",
    "finish",
    "player",
    "plot_history",
    "plot_mask",
    "plot_results",
    "plot_sources",
    "plot_spectrogram",
    "plot_waveform",
    "source_colour",
    "spectrogram",
    "stem_player",
]
