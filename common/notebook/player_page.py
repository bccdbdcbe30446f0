"""The player as self-contained HTML: style, script and sound.

It works in the built book, in Jupyter and in Colab, where every output is in its own frame and
cannot load other files; so each player contains `player.css` and `player.js`, together 14 kB.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import numpy as np
import soundfile
import torch

from common.notebook.style import source_colour
from common.signal.resampling import resample

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000)
"""Rates in Hz at which 64 kbit/s are enough for stereo; anything else is resampled to the last."""

VERSION_KEYS = "abcdef"
MAX_VERSIONS = len(VERSION_KEYS)
N_BARS = 160

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Clip:
    """One sound: the row (part) and the version that it belongs to, and its samples."""

    part: int
    version: int
    audio: np.ndarray  # (c, t)


@dataclass(frozen=True)
class Player:
    """A player for a notebook: leave it as the last expression of a cell.

    parts: the rows' labels; versions: what can be listened to, one at a time (empty: the rows
    are all there is); clips: the sounds, equally long, at `sample_rate`, under one shared gain.
    """

    title: str
    note: str
    parts: tuple[str, ...]
    versions: tuple[str, ...]
    clips: tuple[Clip, ...]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length of every clip, in seconds."""
        return self.clips[0].audio.shape[-1] / self.sample_rate

    def __repr__(self) -> str:
        versions = f"; versions {', '.join(self.versions)}" if self.versions else ""
        return (
            f"Player({self.title!r}: rows {', '.join(self.parts)}{versions}; "
            f"{self.seconds:.1f} s at {self.sample_rate} Hz)"
        )

    def _repr_html_(self) -> str:
        return page(self)


def encode(audio: np.ndarray, sample_rate: int) -> bytes:
    """Audio `(c, t)` in [-1, 1] → MP3 at a constant 64 kbit/s: 81 kB per 10 s, 108 kB as base64.

    MP3 because every browser decodes it, Safari included. Below 8 kHz Opus is no better at this
    size; 64 kbit/s are too few for MP3 above 12 kHz, so higher rates are resampled to 24 kHz.
    """
    rate = encoded_rate(sample_rate)
    samples = resample(torch.from_numpy(np.ascontiguousarray(audio)), sample_rate, rate)
    file = io.BytesIO()
    soundfile.write(
        file,
        samples.numpy().T,
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=(160 - 64) / (160 - 8),  # libsndfile's scale runs from 160 to 8 kbit/s
    )
    return file.getvalue()


def encoded_rate(sample_rate: int) -> int:
    """The rate in Hz at which audio of `sample_rate` is embedded."""
    return sample_rate if sample_rate in MP3_RATES else MP3_RATES[-1]


def page(player: Player) -> str:
    """HTML of a player, with a new id on each call."""
    digest = hashlib.sha1(b"".join(clip.audio.tobytes() for clip in player.clips)).hexdigest()
    name = f"player-{digest[:8]}-{next(_numbers)}"
    rows = "".join(_row(player, part) for part in range(len(player.parts)))
    note = f" <small>{escape(player.note)}</small>" if player.note else ""
    # Without its attribute, JupyterLab takes digits and letters typed here as notebook commands.
    return f"""<div class="book-player" id="{name}" role="group" tabindex="-1"
 aria-label="Player: {escape(player.title)}" data-lm-suppress-shortcuts="true"
 data-seconds="{player.seconds:.4f}" data-rate="{encoded_rate(player.sample_rate)}"
 data-solo="{"" if player.versions else 0}">
<style>{_asset("player.css")}</style>
<p class="bp-title">{escape(player.title)}{note}</p>
{_transport(player.seconds)}{_version_bar(player.versions)}{rows}
<p class="bp-hint">{_hint(player)}</p><p role="status"></p>
<noscript><p>The buttons need JavaScript; without it, the arrows at the rows save each sound.</p>
</noscript></div>
<script>{_asset("player.js")}openBookPlayer("{name}");</script>"""


@cache
def _asset(name: str) -> str:
    """The text of a file in this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _transport(seconds: float) -> str:
    """The play button, the position slider and the loop button."""
    icons = "".join(
        f'<svg viewBox="0 0 16 16" aria-hidden="true"><path d="{path}"/></svg>'
        for path in ("M3 1l12 7-12 7z", "M2 1h4v14H2zM10 1h4v14h-4z")
    )
    return f"""<div class="bp-bar">
<button type="button" class="bp-play" data-do="play" aria-label="Play">{icons}</button>
<input type="range" min="0" max="{seconds:.4f}" step="any" value="0" aria-label="Position">
<span class="bp-time">0.0 of {seconds:.1f} s</span>
<button type="button" data-do="loop" aria-pressed="false">Loop</button></div>
"""


def _version_bar(versions: tuple[str, ...]) -> str:
    """Buttons that choose among mixture, true stems and models; empty without a choice."""
    if len(versions) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" data-do="listen" data-value="{number}" data-key="{key}"'
        f' aria-pressed="{str(number == 0).lower()}">{escape(version)} <kbd>{key.upper()}</kbd>'
        "</button>"
        for number, (version, key) in enumerate(zip(versions, VERSION_KEYS, strict=False))
    )
    return f"""<div class="bp-bar" role="group" aria-label="Listen to">
<span aria-hidden="true">Listen to</span>{buttons}</div>
"""


def _row(player: Player, part: int) -> str:
    """One row: name, solo and mute, and per version a link that saves it and its waveform."""
    label = escape(player.parts[part])
    clips = [clip for clip in player.clips if clip.part == part]
    whole = bool(player.versions) and part == 0  # the mixture: chosen above, nothing to solo
    key = part if player.versions else part + 1
    buttons = "".join(
        f'<button type="button" data-do="{what.lower()}" data-value="{part}" data-key="{key}"'
        f' aria-pressed="false" aria-label="{what} {label}">{what}</button>'
        for what in (() if whole else ("Solo", "Mute"))
    )
    digit = "" if whole else f'<kbd aria-hidden="true">{key}</kbd>'
    versions = ["" if whole or not player.versions else player.versions[c.version] for c in clips]
    names = "".join(
        f"<small {_which(clip, clips)}>{escape(version)}</small>"
        for clip, version in zip(clips, versions, strict=True)
        if version
    )
    links = "".join(
        _link(clip, clips, player, f"{label}, {escape(version)}" if version else label)
        for clip, version in zip(clips, versions, strict=True)
    )
    waves = "".join(
        f'<svg {_which(clip, clips)} viewBox="-.5 0 {N_BARS} 40" preserveAspectRatio="none"'
        f' aria-hidden="true"><path d="{_bars(clip.audio)}"/></svg>'
        for clip in clips
    )
    colour = source_colour(player.parts[part]) or "currentColor"
    return f"""<div class="bp-row" role="group" aria-label="{label}" style="--bp-colour:{colour}">
<div class="bp-head"><span class="bp-name">{label}{names}</span>{digit}{buttons}{links}</div>
<div class="bp-wave">{waves}</div></div>
"""


def _which(clip: Clip, clips: list[Clip]) -> str:
    """Attributes that tie an element to a clip's version; only the first one is shown at first."""
    return f'data-version="{clip.version}"{"" if clip is clips[0] else " hidden"}'


def _link(clip: Clip, clips: list[Clip], player: Player, name: str) -> str:
    """The link that saves a clip; the script plays the same data, so the page holds it once."""
    sound = base64.b64encode(encode(clip.audio, player.sample_rate)).decode("ascii")
    return (
        f'<a class="bp-save" {_which(clip, clips)} data-part="{clip.part}" title="Save as MP3"'
        f' aria-label="Save {name} as MP3" download="{name}.mp3"'
        f' href="data:audio/mpeg;base64,{sound}">↓</a>'
    )


def _bars(audio: np.ndarray) -> str:
    """Peaks of `(c, t)` as an SVG path of vertical bars, 160 wide and 40 high.

    Heights grow more slowly than amplitude, so that quiet stems can be seen as well.
    """
    blocks = np.array_split(np.abs(audio).max(axis=0), min(N_BARS, audio.shape[-1]))
    heights = [max(1, round(20 * float(block.max()) ** 0.7)) for block in blocks]
    return "".join(f"M{x} {20 - h}v{2 * h}" for x, h in enumerate(heights))


def _hint(player: Player) -> str:
    """The keyboard shortcuts, in one line."""
    rows = len(player.parts) - bool(player.versions)
    solo = f"{_keys('1', str(rows))} solo, with <kbd>Shift</kbd> mute; " if rows else ""
    last = VERSION_KEYS[len(player.versions) - 1].upper()
    listen = f"{_keys('A', last)} listen to; " if len(player.versions) > 1 else ""
    return (
        "Keys, once you have clicked in the player: <kbd>Space</kbd> play or pause; <kbd>←</kbd> "
        f"<kbd>→</kbd> one second back or forward; {solo}{listen}<kbd>L</kbd> loop. "
        "Shift-click on Solo plays a row together with the others on solo."
    )


def _keys(first: str, last: str) -> str:
    """A range of keys, kept on one line."""
    others = "" if first == last else f"–<kbd>{last}</kbd>"
    return f"<span><kbd>{first}</kbd>{others}</span>"
