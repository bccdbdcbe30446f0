"""The HTML of a player: sizes, levels, labels, and clear error messages."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import torch

from common import SAMPLE_RATE, SOURCES
from common.notebook.player_page import encode, encoded_rate
from common.notebook.players import (
    MAX_SECONDS,
    PEAK,
    Player,
    player,
    stem_player,
)


def noise(*shape: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def decode(link: dict[str, str]) -> tuple[np.ndarray, int]:
    """The sound `(t, c)` behind a link, and its rate."""
    data = base64.b64decode(link["href"].removeprefix("data:audio/mpeg;base64,"), validate=True)
    return soundfile.read(io.BytesIO(data), always_2d=True)


class Elements(HTMLParser):
    """All start tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def stems() -> np.ndarray:
    return noise(4, 2, 3 * SAMPLE_RATE)


@pytest.fixture(scope="module")
def comparison(stems: np.ndarray) -> Player:
    models = {"Model <A>": 0.5 * stems, "Model B": stems[::-1]}
    return stem_player(stems.sum(0), stems, models, SOURCES, SAMPLE_RATE, "A & B")


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44100, 48000, 8000, 12345])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_ten_seconds_of_the_hardest_sound_take_at_most_110_kb(rate: int, n_channels: int) -> None:
    shown = player({"noise": noise(n_channels, 12 * rate)}, rate)
    (link,) = Elements(shown._repr_html_()).of("a")
    assert len(link["href"]) <= 110_000
    samples, decoded_rate = decode(link)
    assert decoded_rate == encoded_rate(rate) <= 24000
    assert len(samples) / decoded_rate == pytest.approx(MAX_SECONDS, abs=1 / decoded_rate)
    assert samples.shape[1] == n_channels


def test_encoding_keeps_time_to_the_sample_and_the_waveform_nearly() -> None:
    times = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    audio = 0.4 * np.sin(2 * np.pi * (300 + 400 * times) * times)[None].repeat(2, 0)
    decoded, _ = soundfile.read(io.BytesIO(encode(audio.astype(np.float32), SAMPLE_RATE)))
    assert decoded.shape == (len(times), 2)
    error = decoded.T - audio
    assert 10 * np.log10(np.sum(audio**2) / np.sum(error**2)) > 20


def test_one_gain_is_shared_and_nothing_that_can_be_heard_clips(comparison: Player) -> None:
    audio = {(clip.part, clip.version): clip.audio for clip in comparison.clips}
    for part in range(1, 5):  # model A was made by halving the targets
        np.testing.assert_allclose(audio[part, 2], 0.5 * audio[part, 1], atol=1e-7)
    total = sum(audio[part, 1] for part in range(1, 5))
    np.testing.assert_allclose(total, audio[0, 0], atol=1e-6)
    assert 0.8 * PEAK < np.abs(total).max() < 1.1 * PEAK
    assert max(np.abs(clip).max() for clip in audio.values()) <= 1


def test_rows_that_sound_together_do_not_clip() -> None:
    tone = np.sin(np.arange(SAMPLE_RATE) / 10).astype(np.float32)
    shown = player({"one": tone, "two": tone, "three": tone}, SAMPLE_RATE)
    assert np.abs(sum(clip.audio for clip in shown.clips)).max() == pytest.approx(PEAK, rel=1e-3)


def test_a_click_does_not_make_the_music_inaudible() -> None:
    music = noise(1, SAMPLE_RATE)
    clicked = music.copy()
    clicked[0, 1000:1040] = 3.0
    (quiet,) = player({"music": clicked}, SAMPLE_RATE).clips
    (usual,) = player({"music": music}, SAMPLE_RATE).clips
    ratio = np.sqrt(np.mean(quiet.audio[:, 2000:] ** 2) / np.mean(usual.audio[:, 2000:] ** 2))
    assert ratio == pytest.approx(1, abs=0.2)
    assert np.abs(quiet.audio).max() <= 1


def test_long_sound_is_cut_and_the_player_says_so() -> None:
    ramp = np.linspace(-0.5, 0.5, 30 * SAMPLE_RATE, dtype=np.float32)
    shown = player({"ramp": ramp}, SAMPLE_RATE, start=12.5)
    assert shown.seconds == MAX_SECONDS
    assert "Seconds 12.5 to 22.5 of 30.0." in shown._repr_html_()
    first = round(12.5 * SAMPLE_RATE)
    scale = shown.clips[0].audio[0, 0] / ramp[first]
    expected = scale * ramp[first : first + 10 * SAMPLE_RATE]
    np.testing.assert_allclose(shown.clips[0].audio[0], expected, atol=1e-5)
    assert "Seconds" not in player({"ramp": ramp[: 5 * SAMPLE_RATE]}, SAMPLE_RATE)._repr_html_()


def test_shorter_rows_are_followed_by_silence() -> None:
    shown = player({"long": noise(1, 2000), "short": noise(2, 500)}, SAMPLE_RATE)
    assert [clip.audio.shape for clip in shown.clips] == [(1, 2000), (2, 2000)]
    assert not shown.clips[1].audio[:, 500:].any()


def test_silence_one_sample_and_tensors_that_need_gradients_play() -> None:
    silent = player({"silence": np.zeros((2, 100))}, SAMPLE_RATE)
    assert not silent.clips[0].audio.any()
    single = player({"one": torch.ones(1, requires_grad=True)}, SAMPLE_RATE)
    assert "data:audio/mpeg" in single._repr_html_()


def test_every_control_says_what_it_does(comparison: Player) -> None:
    elements = Elements(comparison._repr_html_())
    buttons = elements.of("button")
    labels = [button["aria-label"] for button in buttons if "aria-label" in button]
    for source in SOURCES:
        assert {f"Solo {source}", f"Mute {source}"} <= set(labels)
    toggles = [button for button in buttons if button["data-do"] != "play"]
    assert all(button["aria-pressed"] in ("true", "false") for button in toggles)
    assert [b["data-key"] for b in buttons if b["data-do"] == "listen"] == list("abcd")
    assert [slider["aria-label"] for slider in elements.of("input")] == ["Position"]
    groups = [d["aria-label"] for d in elements.of("div") if d.get("role") == "group"]
    assert groups == ["Player: A & B", "Listen to", "mixture", *SOURCES]
    saved = [link["download"] for link in elements.of("a")]
    assert len(saved) == 1 + 3 * 4 and "vocals, Model <A>.mp3" in saved
    assert all(svg["aria-hidden"] == "true" for svg in elements.of("svg"))


def test_the_page_needs_nothing_from_outside_and_its_ids_never_repeat(comparison: Player) -> None:
    first, second = comparison._repr_html_(), comparison._repr_html_()
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", first)
    assert not re.findall(r"https?://|//cdn|@import|url\(", text)
    assert "Model &lt;A&gt;" in text and "Model <A>" not in re.sub(r'"[^"]*"', "", text)
    names = {Elements(page).of("div")[0]["id"] for page in (first, second)}
    assert len(names) == 2


def test_rows_alone_start_with_the_first_one_soloed() -> None:
    page = player({"mixture": noise(1, 900), "vocals (target)": noise(1, 900)}, 8000)._repr_html_()
    root = Elements(page).of("div")[0]
    assert root["data-solo"] == "0" and root["data-rate"] == "8000"
    assert not re.search('data-do="listen"', page)


def test_targets_and_estimates_may_be_missing() -> None:
    stems = noise(2, 1, 900)
    names = ("vocals", "accompaniment")
    song = stem_player(stems.sum(0), None, {"Model": stems}, names, SAMPLE_RATE)
    assert song.versions == ("Mixture", "Model") and len(song.clips) == 3
    track = stem_player(stems.sum(0), stems, {}, names, SAMPLE_RATE)
    assert track.versions == ("Mixture", "True stems")
    alone = stem_player(stems.sum(0), None, {}, names, SAMPLE_RATE)
    assert alone.parts == ("mixture",) and "Player" in repr(alone)


def test_a_player_describes_itself_in_one_line(comparison: Player) -> None:
    text = repr(comparison)
    assert "\n" not in text and "vocals" in text and "Model B" in text and "3.0 s" in text


STEMS = np.zeros((4, 2, 100))
REFUSED = {
    "1 to 9 rows": lambda: player({}, SAMPLE_RATE),
    "not 10": lambda: player({str(row): np.ones(9) for row in range(10)}, SAMPLE_RATE),
    "NaN": lambda: player({"row": np.array([0, np.nan])}, SAMPLE_RATE),
    "vocals: expected": lambda: player({"vocals": np.zeros((3, 100))}, SAMPLE_RATE),
    "expected": lambda: player({"row": np.zeros((2, 0))}, SAMPLE_RATE),
    "outside": lambda: player({"row": np.zeros((2, 100))}, 100, start=1.0),
    "start=-1": lambda: player({"row": np.zeros((2, 100))}, 100, start=-1.0),
    "4 stems for 2": lambda: stem_player(STEMS[0], STEMS, {}, ("drums", "bass"), SAMPLE_RATE),
    "6 versions": lambda: stem_player(
        STEMS[0], STEMS, {str(model): STEMS for model in range(5)}, SOURCES, SAMPLE_RATE
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_played_is_refused_by_name(said: str) -> None:
    with pytest.raises(ValueError, match=said):
        REFUSED[said]()
