"""The plots draw the given data on the given axes, and change no settings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from common import SAMPLE_RATE, SOURCES
from common.data.tracks import Track
from common.evaluation import MixtureBound, evaluate
from common.notebook import plots
from common.signal.stft import STFT


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    backend = matplotlib.get_backend()
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


@pytest.fixture
def ax() -> Axes:
    return plt.figure().subplots()


def tone(frequency: float = 1000.0, seconds: float = 1.0) -> torch.Tensor:
    times = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.5 * torch.sin(2 * torch.pi * frequency * times).expand(2, -1)


def level_at(ax: Axes, seconds: float, kilohertz: float) -> float:
    """What the image on the axes shows at a point."""
    image = ax.images[0]
    left, right, bottom, top = image.get_extent()
    n_rows, n_columns = image.get_array().shape
    row = int((kilohertz - bottom) / (top - bottom) * n_rows)
    column = int((seconds - left) / (right - left) * n_columns)
    return float(image.get_array()[row, column])


def relative_luminance(colour: str) -> float:
    rgb = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(rgb, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("source", plots.SOURCE_COLOURS)
@pytest.mark.parametrize("paper", ["#FFFFFF", "#121212"])
def test_source_colours_stand_out_from_light_and_dark_paper(source: str, paper: str) -> None:
    pair = sorted(map(relative_luminance, (plots.SOURCE_COLOURS[source], paper)))
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3


SEEN_BY = {
    "all cones": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
"""Linear RGB as seen with colour blindness: Machado, Oliveira and Fernandes 2009, severity 1."""


def lightness_and_hue(colour: str, eye: str) -> np.ndarray:
    """A colour in CIELAB, in which a difference of 2 is just visible."""
    rgb = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ np.clip(SEEN_BY[eye] @ np.array(rgb), 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", SEEN_BY)
def test_colour_blind_readers_can_tell_sources_apart(eye: str) -> None:
    seen = {name: lightness_and_hue(c, eye) for name, c in plots.SOURCE_COLOURS.items()}
    apart = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in combinations(seen, 2)}
    assert min(apart.values()) > 10, min(apart, key=apart.get)
    sums = [d for pair, d in apart.items() if {"accompaniment", "no_drums"} & set(pair)]
    assert min(sums) > 20, "a sum and its parts appear in one figure"


def test_every_source_has_its_own_colour_and_labels_find_it() -> None:
    assert set(SOURCES) < set(plots.SOURCE_COLOURS)
    assert len(set(plots.SOURCE_COLOURS.values())) == len(plots.SOURCE_COLOURS)
    assert plots.source_colour("Vocals (estimate)") == plots.SOURCE_COLOURS["vocals"]
    assert plots.source_colour("accompaniment") == plots.SOURCE_COLOURS["accompaniment"]
    assert plots.source_colour("no_drums") == plots.SOURCE_COLOURS["no_drums"]
    assert plots.source_colour("no_other") == plots.SOURCE_COLOURS["no_drums"]
    assert plots.source_colour("vocals, drums removed") == plots.SOURCE_COLOURS["vocals"]
    assert plots.source_colour("piano") is None
    assert plots.source_colour("another take") is None


def test_a_tone_is_loudest_where_it_should_be(ax: Axes) -> None:
    assert plots.plot_spectrogram(tone(), SAMPLE_RATE, ax=ax) is ax
    assert level_at(ax, 0.5, 1.0) > -1
    assert level_at(ax, 0.5, 5.0) < -60
    assert ax.images[0].get_clim() == (-80, 0)
    assert ax.get_xlabel() == "time (s)" and ax.get_ylabel() == "frequency (kHz)"
    assert ax.get_ylim() == pytest.approx((0, SAMPLE_RATE / 2000))
    assert ax.get_xlim() == pytest.approx((0, 1), abs=0.03)


def test_audio_spectrum_and_magnitude_give_the_same_picture() -> None:
    stft = STFT(1024, 256)
    audio = tone() * torch.tensor([[1.0], [0.5]])
    inputs = (audio, stft(audio), stft(audio).abs(), stft(audio).abs().numpy())
    pictures = [plots.plot_spectrogram(x, SAMPLE_RATE, stft).images[0].get_array() for x in inputs]
    for picture in pictures[1:]:
        np.testing.assert_allclose(picture, pictures[0], atol=1e-3)
    mono = plots.plot_spectrogram(audio[0], SAMPLE_RATE, stft).images[0]
    single = plots.plot_spectrogram(stft(audio)[0], SAMPLE_RATE, stft).images[0]
    np.testing.assert_allclose(mono.get_array(), single.get_array(), atol=1e-3)


def test_a_reference_compares_two_figures() -> None:
    stft = STFT()
    loudest = float(stft(tone()).abs().max())
    quiet = plots.plot_spectrogram(0.1 * tone(), SAMPLE_RATE, stft, reference=loudest)
    assert level_at(quiet, 0.5, 1.0) == pytest.approx(-20, abs=1)


def test_silence_is_dark(ax: Axes) -> None:
    plots.plot_spectrogram(torch.zeros(2, 4000), SAMPLE_RATE, ax=ax)
    assert (np.asarray(ax.images[0].get_array()) == -80).all()
    plots.plot_waveform(torch.zeros(2, 4000), SAMPLE_RATE, ax=plt.figure().subplots())


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="expected audio"):
        plots.plot_spectrogram(torch.zeros(4, 2, 5000), SAMPLE_RATE)
    with pytest.raises(ValueError, match="spectrogram"):
        plots.plot_sources(torch.zeros(4, 2, 5000), SAMPLE_RATE, kind="scope")


def test_masks_are_drawn_from_zero_to_one(ax: Axes) -> None:
    mask = torch.zeros(2, 513, 40)
    mask[:, 256:] = 1
    assert plots.plot_mask(mask, SAMPLE_RATE, 256, ax=ax, title="high") is ax
    assert (level_at(ax, 0.2, 2.0), level_at(ax, 0.2, 9.0)) == (0, 1)
    assert ax.images[0].get_clim() == (0, 1) and ax.get_title(loc="left") == "high"
    rotated = plots.plot_mask(1j * mask[0], SAMPLE_RATE, 256)
    assert level_at(rotated, 0.2, 9.0) == 1


def test_a_waveform_keeps_its_peaks_and_its_length(ax: Axes) -> None:
    audio = 0.1 * tone(seconds=2)
    audio[1, 30000] = -0.9
    assert plots.plot_waveform(audio, SAMPLE_RATE, ax=ax, title="drums") is ax
    lowest = min(path.vertices[:, 1].min() for c in ax.collections for path in c.get_paths())
    assert lowest == pytest.approx(-0.9)
    assert ax.get_xlim() == pytest.approx((0, 2))
    assert to_rgb(ax.collections[0].get_facecolor()[0]) == to_rgb(plots.SOURCE_COLOURS["drums"])
    few = plots.plot_waveform(audio[0, :100], SAMPLE_RATE)
    np.testing.assert_allclose(few.lines[0].get_ydata(), audio[0, :100])


def track() -> SimpleNamespace:
    sources = torch.stack([gain * tone(500) for gain in (1.0, 0.1, 0.3, 0.5)])
    return SimpleNamespace(
        sources=sources, mixture=sources.sum(0), source_names=SOURCES, sample_rate=SAMPLE_RATE
    )


def test_sources_share_their_scales() -> None:
    axes = plots.plot_sources(track())
    assert [ax.get_title(loc="left") for ax in axes] == ["mixture", *SOURCES]
    levels = [level_at(ax, 0.5, 0.5) for ax in axes]
    expected = 20 * np.log10(np.array([1.9, 1.0, 0.1, 0.3, 0.5]) / 1.9)
    np.testing.assert_allclose(levels, expected, atol=0.7)
    waves = plots.plot_sources(track().sources, SAMPLE_RATE, kind="waveform")
    assert len(waves) == 4 and len({ax.get_ylim() for ax in waves}) == 1


def test_sources_can_be_drawn_on_given_axes() -> None:
    given = plt.figure().subplots(2, 1)
    drawn = plots.plot_sources(track().sources[:2], SAMPLE_RATE, names=SOURCES[:2], axes=given)
    assert list(drawn) == list(given)


def test_a_history_shows_each_step_and_each_validation(ax: Axes) -> None:
    losses = list(np.linspace(2, 1, 50))
    history = SimpleNamespace(losses=losses, validation=[(25, 1.6), (50, 1.2)])
    assert plots.plot_history(history, ax=ax) is ax
    raw, median, validation = ax.lines
    np.testing.assert_allclose(raw.get_xydata(), np.stack([np.arange(1, 51), losses], 1))
    assert median.get_ydata()[25] == pytest.approx(losses[25])
    np.testing.assert_allclose(validation.get_xydata(), [(25, 1.6), (50, 1.2)])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]


def test_an_empty_history_and_one_without_validation_can_be_drawn(ax: Axes) -> None:
    plots.plot_history(SimpleNamespace(losses=[], validation=[]), ax=ax)
    assert len(plots.plot_history(SimpleNamespace(losses=[1.0, 0.5], validation=[])).lines) == 2


def result(model: str, median: dict[str, float | None], oracle: bool = False) -> dict:
    """A result as `evaluate` gives it, of two tracks 2 dB around the median."""
    known = {source: value for source, value in median.items() if value is not None}
    rows = [{"sdr": {s: known[s] + d if s in known else None for s in median}} for d in (-2, 2)]
    interval = {s: (known[s] - 2, known[s] + 2) if s in known else None for s in median}
    return {
        "model": model,
        "oracle": oracle,
        "sources": list(median),
        "tracks": rows,
        "median": {"sdr": median},
        "interval": {"sdr": interval},
    }


def test_results_show_medians_intervals_and_tracks(ax: Axes) -> None:
    shown = result("U-Net", {"drums": 4.0, "vocals": 5.0})
    assert plots.plot_results(shown, ax=ax) is ax
    points = {line.get_marker(): [] for line in ax.lines}
    for line in ax.lines:
        if len(line.get_xdata()):
            points[line.get_marker()].append((line.get_color(), list(line.get_xdata())))
    colours = [plots.SOURCE_COLOURS[source] for source in ("drums", "vocals")]
    assert points["o"] == [(colours[0], [4.0]), (colours[1], [5.0])]
    assert points["|"] == [(colours[0], [2.0, 6.0]), (colours[1], [3.0, 7.0])]
    assert (colours[0], [2.0, 6.0]) in points["None"]
    assert ax.get_xlabel().startswith("SDR (dB)")


def test_results_of_models_with_other_sources_and_silent_ones(ax: Axes) -> None:
    models = [
        result("Mixture", {"vocals": -5.0, "accompaniment": 5.0}, oracle=True),
        result("U-Net", {"drums": None, "vocals": 5.0}),
    ]
    plots.plot_results(models, ax=ax, tracks=False, title="Test split")
    labels = ax.get_yticklabels()
    assert [label.get_text() for label in labels] == ["Mixture", "U-Net"]
    assert [label.get_style() for label in labels] == ["italic", "normal"]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["vocals", "accompaniment", "drums"]
    medians = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert len(medians) == 3
    with pytest.raises(ValueError, match="si_sdr was not measured for Mixture"):
        plots.plot_results(models, metric="si_sdr")


def test_what_evaluate_measures_can_be_drawn() -> None:
    sources = torch.stack([tone(440), tone(880)])
    song = Track("song", sources, SAMPLE_RATE, ("vocals", "accompaniment"))
    measured = evaluate(MixtureBound(("vocals", "accompaniment")), [song], progress=False)
    for metric in measured["median"]:
        plots.plot_results(measured, metric).figure.canvas.draw()


def test_plots_change_no_settings_and_save_without_complaint(tmp_path) -> None:
    before = dict(matplotlib.rcParams)
    axes = [plots.plot_spectrogram(tone(), SAMPLE_RATE), plots.plot_sources(track())[0]]
    for number, ax in enumerate(axes):
        ax.figure.savefig(tmp_path / f"{number}.png")
        assert ax.figure.get_size_inches()[0] * ax.figure.dpi >= 700
    assert dict(matplotlib.rcParams) == before
