"""Plots of the book: each takes the axes to draw on, or makes a figure, and returns the axes.

Levels are in dB on one scale from -80 to 0, times in seconds, frequencies in kHz, and each source
has one colour everywhere. Nothing here changes matplotlib's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from common import SOURCES
from common.notebook.metric_plots import plot_history, plot_results
from common.notebook.style import INK, SOURCE_COLOURS, figure, finish, source_colour
from common.signal.stft import STFT, decibels

if TYPE_CHECKING:
    from common.data.tracks import Track

__all__ = [
    "SOURCE_COLOURS", "plot_history", "plot_mask", "plot_results", "plot_sources",
    "plot_spectrogram", "plot_waveform", "source_colour", "spectrogram",
]  # fmt: skip

FLOOR = -80.0
"""The lowest level in dB that a spectrogram shows."""


def plot_waveform(
    audio: object,
    sample_rate: int,
    ax: Axes | None = None,
    colour: str | None = None,
    title: str | None = None,
    limit: float | None = None,
) -> Axes:
    """Draw audio `(c, t)` or `(t,)` over time: the range of all channels, and its RMS inside.

    limit: amplitude at the top edge; by default the largest in the audio.
    """
    ax = figure(1.6) if ax is None else ax
    samples = np.atleast_2d(_array(audio))
    colour = colour or source_colour(title or "") or SOURCE_COLOURS["mixture"]
    seconds = samples.shape[-1] / sample_rate
    n_blocks = min(1400, samples.shape[-1])
    if n_blocks == samples.shape[-1]:  # so few samples that the curve itself can be seen
        times = np.arange(n_blocks) / sample_rate
        ax.plot(times, samples.T, color=colour, linewidth=1.2)
    else:
        blocks = np.array_split(samples, n_blocks, axis=-1)
        times = (np.arange(n_blocks) + 0.5) * seconds / n_blocks
        low, high = ([getattr(block, name)() for block in blocks] for name in ("min", "max"))
        rms = np.array([np.sqrt(np.mean(block**2)) for block in blocks])
        ax.fill_between(times, low, high, color=colour, alpha=0.45, linewidth=0)
        ax.fill_between(times, -rms, rms, color=colour, linewidth=0)
    limit = limit or float(np.abs(samples).max()) or 1.0
    ax.set(xlim=(0, seconds), ylim=(-1.05 * limit, 1.05 * limit))
    return finish(ax, title, "time (s)", "amplitude", grid="x")


def plot_spectrogram(
    audio_or_spectrum: object,
    sample_rate: int,
    stft: STFT | None = None,
    ax: Axes | None = None,
    reference: float | None = None,
    title: str | None = None,
    max_frequency: float | None = None,
    colourbar: bool = True,
) -> Axes:
    """Draw a spectrogram in dB of audio `(c, t)` or `(t,)`, or of a spectrum `(f, n)`, `(c, f, n)`.

    A spectrum is complex, or a linear magnitude with the transform's number of bins. Channels are
    averaged in power. reference: the magnitude that reads 0 dB, to compare figures; by default
    the largest one present. max_frequency: the upper edge in Hz.
    """
    ax = figure() if ax is None else ax
    stft = stft or STFT()
    magnitude = spectrogram(audio_or_spectrum, stft)
    level = decibels(magnitude, FLOOR, reference).numpy()
    image = _image(ax, level, sample_rate, stft.hop_length, "magma", FLOOR, 0.0)
    ax.set_ylim(0, (max_frequency or sample_rate / 2) / 1000)
    if colourbar:
        _colourbar(ax, image, "level (dB)", [-80, -60, -40, -20, 0])
    return finish(ax, title, "time (s)", "frequency (kHz)")


def spectrogram(audio_or_spectrum: object, stft: STFT) -> torch.Tensor:
    """Magnitude `(f, n)`, linear, of audio or of a spectrum as `plot_spectrogram` takes them."""
    data = torch.as_tensor(audio_or_spectrum).detach().cpu()
    is_spectrum = data.is_complex() or (data.ndim >= 2 and data.shape[-2] == stft.n_bins)
    if data.ndim > 3 or (data.ndim == 3 and not is_spectrum):
        raise ValueError(f"expected audio (c, t) or a spectrum (c, f, n), got {tuple(data.shape)}")
    magnitude = (data if is_spectrum else stft(data.to(torch.float32))).abs()
    return magnitude.square().mean(dim=0).sqrt() if magnitude.ndim == 3 else magnitude


def plot_mask(
    mask: object,
    sample_rate: int,
    hop_length: int = 512,
    ax: Axes | None = None,
    title: str | None = None,
    max_frequency: float | None = None,
    colourbar: bool = True,
) -> Axes:
    """Draw a mask `(f, n)` or `(c, f, n)` from 0 (removed) to 1 (kept); complex: its magnitude."""
    ax = figure() if ax is None else ax
    values = np.abs(_array(mask))
    values = values.mean(axis=0) if values.ndim == 3 else values
    image = _image(ax, values, sample_rate, hop_length, "viridis", 0.0, 1.0)
    ax.set_ylim(0, (max_frequency or sample_rate / 2) / 1000)
    if colourbar:
        _colourbar(ax, image, "mask", [0, 0.5, 1])
    return finish(ax, title, "time (s)", "frequency (kHz)")


def plot_sources(
    sources: Track | object,
    sample_rate: int | None = None,
    names: Sequence[str] = SOURCES,
    kind: str = "spectrogram",
    stft: STFT | None = None,
    axes: Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw each source under the others on the same scales: a `Track`, or audio `(s, c, t)`.

    A track brings its rate, its names, and its mixture as the first panel. kind: "spectrogram" or
    "waveform". Returns one axes per panel.
    """
    if hasattr(sources, "mixture"):
        names, sample_rate = ("mixture", *sources.source_names), sources.sample_rate
        stems = [_array(sources.mixture), *_array(sources.sources)]
    else:
        stems = list(_array(sources))
    if kind not in ("spectrogram", "waveform"):
        raise ValueError(f'kind is "spectrogram" or "waveform", not {kind!r}')
    if axes is None:
        height = 1.3 if kind == "spectrogram" else 1.0
        axes = figure(height * len(stems) + 0.4, len(stems), sharex=True, squeeze=False)[:, 0]
    stft = stft or STFT()
    if kind == "waveform":
        limit = float(max(np.abs(stem).max() for stem in stems)) or 1.0
        for ax, stem, name in zip(axes, stems, names, strict=True):
            plot_waveform(stem, sample_rate, ax, title=name, limit=limit)
    else:
        magnitudes = [spectrogram(stem, stft) for stem in stems]
        loudest = float(max(magnitude.max() for magnitude in magnitudes)) or 1.0
        for ax, magnitude, name in zip(axes, magnitudes, names, strict=True):
            plot_spectrogram(magnitude, sample_rate, stft, ax, loudest, name, colourbar=False)
        bar = ax.figure.colorbar(ax.images[0], ax=list(axes), aspect=40, pad=0.015)
        _style_bar(bar, "level (dB)", [-80, -60, -40, -20, 0])
    for ax in axes:
        ax.label_outer()
        ax.set_ylabel("kHz" if kind == "spectrogram" else "")
    return np.asarray(axes)


def _array(data: object) -> np.ndarray:
    """A tensor or array as a numpy array."""
    return torch.as_tensor(data).detach().cpu().numpy()


def _image(
    ax: Axes,
    values: np.ndarray,
    sample_rate: int,
    hop_length: int,
    cmap: str,
    low: float,
    high: float,
) -> AxesImage:
    """Values `(f, n)` over seconds and kHz; frame k is centred on sample k·hop."""
    n_bins, n_frames = values.shape
    half_frame, half_bin = 0.5 * hop_length / sample_rate, 0.25 * sample_rate / (n_bins - 1) / 1000
    extent = (
        -half_frame,
        (n_frames - 0.5) * hop_length / sample_rate,
        -half_bin,
        sample_rate / 2000 + half_bin,
    )
    image = ax.imshow(
        values, cmap=cmap, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent
    )
    ax.set_xlim(0, (n_frames - 1) * hop_length / sample_rate)
    return image


def _colourbar(ax: Axes, image: AxesImage, label: str, ticks: Sequence[float]) -> None:
    _style_bar(ax.figure.colorbar(image, ax=ax, pad=0.015, aspect=16), label, ticks)


def _style_bar(bar, label: str, ticks: Sequence[float]) -> None:
    bar.set_label(label, fontsize=9, color=INK)
    bar.set_ticks(ticks)
    bar.ax.tick_params(labelsize=9, colors=INK, length=3)
    bar.outline.set_visible(False)
