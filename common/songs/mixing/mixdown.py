"""Mixdown: process the parts, sum them into stems, and scale the stems against clipping."""

from __future__ import annotations

import numpy as np

from common.songs.mixing import effects, rooms
from common.songs.mixing.mix_settings import RATE, MixSettings, Strip

PEAK = 0.95
"""Maximum peak of the stems and of the mixture, relative to full scale."""

LOUDEST, CREST = 0.8, 14.0
"""Upper bounds of a stem's limiter ceiling: linear, and in dB above the stem's level."""


def run_strip(audio: np.ndarray, strip: Strip) -> np.ndarray:
    """Apply a part's strip, except for reverb and echo: (c, t) → (2, t)."""
    if len(audio) == 2 and (strip.mono or np.allclose(audio[0], audio[1], atol=1e-5)):
        audio = 0.5 * (audio[:1] + audio[1:])
    sections = [effects.biquad("high", strip.low_cut, RATE)] if strip.low_cut else []
    sections += [effects.biquad("peak", at, RATE, gain, 0.9) for at, gain in strip.bells]
    if strip.high_cut:
        sections.append(effects.biquad("low", strip.high_cut, RATE, q=1.0))
    if sections:
        audio = effects.equalise(audio, *sections)
    if strip.drive is not None:
        audio = effects.distort(audio, strip.drive, strip.asymmetry)
    if strip.cabinet:
        audio = effects.cabinet(audio, RATE, strip.cabinet)
    if strip.air:
        audio = effects.excite(audio, RATE, *strip.air)
    if strip.ratio:
        threshold = 20 * np.log10(active_rms(audio) + 1e-9) + 3
        audio = effects.compress(audio, RATE, threshold, strip.ratio)
    if strip.sweep:
        audio = effects.sweep(audio, RATE, *strip.sweep)
    if strip.tremolo:
        audio = effects.tremolo(audio, RATE, *strip.tremolo)
    if strip.chorus:
        depth, speed, mix, delay = strip.chorus
        audio = effects.chorus(audio, RATE, depth, speed, mix, delay)
    audio = effects.pan(audio, strip.pan, strip.width)
    return audio * np.float32(0.1 * 10 ** (strip.level / 20) / (active_rms(audio) + 1e-9))


def mix_stem(
    stem: str, parts: list[tuple[np.ndarray, Strip]], settings: MixSettings, dry: bool
) -> np.ndarray:
    """Sum a stem's parts, add echo and room, tilt, compress and set its level: → (2, t)."""
    total = sum(audio for audio, _ in parts)
    if not dry:
        send = np.zeros(total.shape[1], np.float32)
        for audio, strip in parts:
            if strip.echo is not None:
                echoes = (
                    effects.echo(audio, RATE, settings.echo_time, 0.55)
                    * 10 ** (strip.echo / 20)
                    / 0.55
                )
                total = total + echoes
                send += 0.15 * (echoes[0] + echoes[1])
            if strip.reverb is not None:
                send += (audio[0] + audio[1]) * np.float32(
                    0.5 * 10 ** ((strip.reverb + settings.wet) / 20)
                )
        if send.any():
            total = total + rooms.reverb(send, settings.rooms[stem])
        if stem == "other" and settings.duck:
            total = effects.duck(total, RATE, settings.beats, settings.duck)
        tilt = settings.tilts[stem]
        total = effects.equalise(
            total,
            # Asymmetric distortion adds a DC offset.
            effects.biquad("high", 25, RATE),
            effects.biquad("lowshelf", 250, RATE, -0.5 * tilt),
            effects.biquad("highshelf", 3000, RATE, tilt),
        )
        threshold = 20 * np.log10(active_rms(total) + 1e-9) + 2
        total = effects.compress(total, RATE, threshold, settings.ratios[stem], 0.01, 0.2)
    total = total * np.float32(10 ** (settings.levels[stem] / 20) / (active_rms(total) + 1e-9))
    return effects.limit(total, min(LOUDEST, 10 ** ((settings.levels[stem] + CREST) / 20)))


def active_rms(audio: np.ndarray) -> float:
    """RMS over the blocks of 0.1 s whose level is within 30 dB of the loudest block."""
    size = RATE // 10
    n_blocks = max(1, audio.shape[1] // size)
    blocks = audio[:, : n_blocks * size].reshape(audio.shape[0], n_blocks, -1)
    power = np.einsum("cnt,cnt->n", blocks, blocks) / (size * audio.shape[0])
    return float(np.sqrt(power[power >= power.max() * 1e-3].mean()))


def fit_headroom(stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scale all stems by one gain, so that neither a stem nor their sum exceeds PEAK."""
    mixture = sum(stems.values())
    loudest = max(float(np.abs(audio).max()) for audio in (*stems.values(), mixture))
    gain = np.float32(min(1.0, PEAK / max(loudest, 1e-9)))
    return {stem: audio * gain for stem, audio in stems.items()}
