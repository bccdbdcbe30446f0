"""A short synthetic band for checks that measure an answer: every stem is known."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

RATE = 8000
"""Samples per second of the band."""

BAR = {
    "voice": ((262, 330, 294, 392),),
    "bass": ((55, 82, 65, 73),),
    "guitar": ((196, 165, 220, 147), (294, 247, 330, 220)),
    "keyboard": ((587, 494, 659, 440), (740, 622, 831, 554)),
}
"""Four half-second notes in Hz for each voice of each instrument."""


@cache
def band() -> dict[str, Tensor]:
    """Voice, bass, guitar, keyboard and drums, two seconds in mono: name → (t,)."""
    stems = {
        "voice": _notes(BAR["voice"], harmonics=8, vibrato=6.0),
        "bass": 1.6 * _notes(BAR["bass"], harmonics=2),
        "guitar": 0.5 * _notes(BAR["guitar"], harmonics=6),
        "keyboard": 0.5 * _notes(BAR["keyboard"], harmonics=4),
    }
    return {**stems, "drums": 1.5 * _drums(stems["voice"].shape[-1])}


def _notes(voices: tuple[tuple[int, ...], ...], harmonics: int, vibrato: float = 0.0) -> Tensor:
    """Notes of half a second each, with decaying harmonics; vibrato: its depth in Hz."""
    t = torch.arange(RATE // 2) / RATE
    wobble = vibrato * torch.sin(2 * torch.pi * 5 * t)
    envelope = (t / 0.01).clamp(max=1) * ((0.5 - t) / 0.05).clamp(max=1)

    def note(pitch: int) -> Tensor:
        phase = 2 * torch.pi * torch.cumsum(pitch + wobble, dim=0) / RATE
        return envelope * sum(torch.sin(k * phase) / k for k in range(1, harmonics + 1))

    return sum(torch.cat([note(pitch) for pitch in pitches]) for pitches in voices)


def _drums(n_samples: int) -> Tensor:
    """Bursts of noise that decay, every quarter of a second."""
    noise = torch.randn(n_samples, generator=torch.Generator().manual_seed(0))
    since = torch.arange(n_samples) % (RATE // 4) / RATE
    return noise * torch.exp(-since / 0.04)
