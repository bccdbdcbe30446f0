"""The stem player: synchronised mixture, targets and estimates in one notebook output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from common.notebook.player_page import MAX_VERSIONS, Clip, Player

MAX_SECONDS = 10.0
MAX_ROWS = 9
"""Longest clip, and most rows of one player: each row has a digit key."""

PEAK = 0.9
"""Peak of the loudest sound in a player; below 1, since MP3 overshoots a little."""


def player(
    rows: Mapping[str, object],
    sample_rate: int,
    title: str | None = None,
    start: float = 0.0,
) -> Player:
    """Play synchronised rows of sound; the first row is soloed at the start.

    rows: label → audio `(c, t)` or `(t,)`, mono or stereo, tensor or array; shorter rows are
    followed by silence. At most 10 s from `start` (seconds) are kept, and the player says so.
    Raises ValueError for no rows, more than nine, other shapes, NaN or infinity, or a `start`
    past the end.
    """
    audio = {(part, 0): _samples(sound, name) for part, (name, sound) in enumerate(rows.items())}
    return _assemble(title, tuple(rows), (), audio, sample_rate, start)


def stem_player(
    mixture: object,
    targets: object | None,
    estimates: Mapping[str, object],
    sources: Sequence[str],
    sample_rate: int,
    title: str | None = None,
    start: float = 0.0,
) -> Player:
    """Compare a mixture, its true stems and the estimates of several models.

    mixture: `(c, t)`; targets: `(s, c, t)`, or None if unknown; estimates: model → `(s, c, t)`; the
    s axis follows `sources`. Mixture, true stems and models are versions that one can switch
    between without a gap; solo and mute stay with the source.
    Raises ValueError as `player` does, for an s axis that does not match `sources`, and for more
    than six versions.
    """
    audio = {(0, 0): _samples(mixture, "mixture")}
    stems = {} if targets is None else {"True stems": targets}
    versions = {**stems, **estimates}
    if len(versions) >= MAX_VERSIONS:
        raise ValueError(f"a player holds {MAX_VERSIONS} versions, not {1 + len(versions)}")
    for number, (name, version) in enumerate(versions.items(), start=1):
        if len(version) != len(sources):
            raise ValueError(f"{name}: {len(version)} stems for {len(sources)} sources")
        for part, (source, stem) in enumerate(zip(sources, version, strict=True), start=1):
            audio[part, number] = _samples(stem, f"{name}, {source}")
    labels = ("mixture", *(sources if versions else ()))
    return _assemble(title, labels, ("Mixture", *versions), audio, sample_rate, start)


def _samples(audio: object, label: str) -> np.ndarray:
    """Audio as float32 `(c, t)` with one or two channels; ValueError names the row."""
    samples = np.atleast_2d(torch.as_tensor(audio).detach().cpu().float().numpy())
    if samples.ndim != 2 or samples.shape[0] not in (1, 2) or not samples.size:
        raise ValueError(f"{label}: expected (c, t) with one or two channels, got {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"{label}: contains NaN or infinity")
    return samples


def _assemble(
    title: str | None,
    parts: tuple[str, ...],
    versions: tuple[str, ...],
    audio: Mapping[tuple[int, int], np.ndarray],
    sample_rate: int,
    start: float,
) -> Player:
    """Cut, pad and level the sounds, keyed (part, version), as one set."""
    if not 1 <= len(parts) <= MAX_ROWS:
        raise ValueError(f"a player holds 1 to {MAX_ROWS} rows, not {len(parts)}")
    total = max(samples.shape[-1] for samples in audio.values())
    first = round(start * sample_rate)
    if not 0 <= first < total:
        raise ValueError(f"start={start} s is outside the {total / sample_rate:.1f} s of sound")
    length = min(total - first, round(MAX_SECONDS * sample_rate))
    cut = {key: _slice(samples, first, length) for key, samples in audio.items()}
    gain = PEAK / _loudest(cut, sample_rate)
    clips = tuple(Clip(*key, np.clip(gain * samples, -1, 1)) for key, samples in cut.items())
    note = ""
    if length < total:
        end = (first + length) / sample_rate
        note = f"Seconds {start:.1f} to {end:.1f} of {total / sample_rate:.1f}."
    return Player(title or "Listen", note, parts, versions, clips, sample_rate)


def _slice(samples: np.ndarray, first: int, length: int) -> np.ndarray:
    """`length` samples from `first`, silence where the recording has ended."""
    kept = samples[:, first : first + length]
    return np.pad(kept, ((0, 0), (0, length - kept.shape[-1])))


def _loudest(clips: Mapping[tuple[int, int], np.ndarray], sample_rate: int) -> float:
    """Level of the loudest sound that the player can play: each clip, each version's sum."""
    sounds = list(clips.values())
    for version in {version for _, version in clips}:
        together = [samples for key, samples in clips.items() if key[1] == version]
        sounds.append(sum(np.broadcast_to(s, (2, s.shape[-1])) for s in together))
    levels = [_level(samples, sample_rate) for samples in sounds]
    return max(levels) or 1.0


def _level(samples: np.ndarray, sample_rate: int) -> float:
    """Peak of `(c, t)` without clicks of at most three times 10 ms.

    A cut in a compressed recording leaves a click at its ends (12 dB above the music in the
    book's real excerpt), which would make everything else too quiet.
    """
    envelope = np.abs(samples).max(axis=0)
    blocks = np.array_split(envelope, max(1, round(len(envelope) / sample_rate * 100)))
    peaks = sorted(float(block.max()) for block in blocks)
    return max(peaks[-4:][0], peaks[-1] / 8)
