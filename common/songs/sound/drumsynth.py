"""Synthesised drums: every General MIDI drum note from sine sweeps, noise and square waves.

Sixteen presets in four families: analogue machine, acoustic, lo-fi and electronic. The building
blocks are those of the classic drum machines; Gordon Reid's "Synth Secrets" (Sound on Sound,
2002) describes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from common.songs.writing.score import Note

RATE = 44100
FAMILIES = ("analogue", "acoustic", "lo-fi", "electronic")

SNARES, HATS, CYMBALS = (38, 40), (42, 44, 46), (49, 51, 52, 53, 55, 57, 59)
TOMS = {41: 0.62, 43: 0.74, 45: 0.88, 47: 1.0, 48: 1.22, 50: 1.45}
SKINS = {60: 2.6, 61: 2.0, 62: 1.9, 63: 1.7, 64: 1.25, 65: 2.2, 66: 1.6, 78: 2.4, 79: 1.8}
WOODS = {37: 1.0, 31: 1.1, 75: 2.4, 76: 1.5, 77: 1.1, 73: 1.9, 74: 1.7}
METALS = {56: 1.0, 67: 1.5, 68: 1.1, 80: 4.2, 81: 4.4, 71: 3.0, 72: 3.1}
PANS = {41: 0.6, 43: 0.45, 45: 0.2, 47: -0.1, 48: -0.35, 50: -0.6, 42: 0.3, 44: 0.3, 46: 0.3}
PANS |= {49: -0.5, 57: 0.6, 52: 0.5, 55: -0.4, 51: 0.45, 53: 0.45, 59: 0.5, 54: -0.4, 70: 0.5}


@dataclass(frozen=True)
class Preset:
    """Parameters of one synthetic kit: frequencies in Hz, decays in seconds, amounts 0 to 1."""

    kick: float
    kick_sweep: float
    kick_decay: float
    click: float
    snare: float
    snare_decay: float
    wires: float
    tom: float
    tom_decay: float
    hat: float
    hat_decay: float
    metal: float
    cymbal_decay: float
    drive: float
    cutoff: float
    looseness: float


def preset(number: int) -> Preset:
    """Draw the preset of a kit, 0 to 15; consecutive numbers belong to different families."""
    family = FAMILIES[number % 4]
    rng = np.random.default_rng([808, number])
    acoustic, lofi = family == "acoustic", family == "lo-fi"
    return Preset(
        kick=rng.uniform(55, 75) if acoustic else rng.uniform(42, 62),
        kick_sweep=rng.uniform(1.2, 2.5) if acoustic else rng.uniform(2.5, 7.0),
        kick_decay=rng.uniform(0.1, 0.2) if acoustic or lofi else rng.uniform(0.16, 0.5),
        click=rng.uniform(0.3, 0.7) if acoustic else rng.uniform(0.05, 0.6),
        snare=rng.uniform(170, 260),
        snare_decay=rng.uniform(0.08, 0.25),
        wires=rng.uniform(0.5, 0.8) if acoustic else rng.uniform(0.35, 0.9),
        tom=rng.uniform(90, 140),
        tom_decay=rng.uniform(0.15, 0.5),
        hat=rng.uniform(300, 620),
        hat_decay=rng.uniform(0.025, 0.08),
        metal=rng.uniform(0.1, 0.35) if acoustic else rng.uniform(0.3, 1.0),
        cymbal_decay=rng.uniform(0.5, 1.3),
        drive=rng.uniform(0.5, 1.0) if lofi else rng.uniform(0.0, 0.5),
        cutoff=rng.uniform(4000, 8000) if lofi else rng.uniform(13000, 18000),
        looseness=0.3 if acoustic else 0.08,
    )


def play(notes: tuple[Note, ...], number: int, n_samples: int, seed: int = 0) -> np.ndarray:
    """Play General MIDI drum notes on synthetic kit `number` (0 to 15).

    → (2, t) float32 at 44.1 kHz; toms, hats and cymbals are spread over the stereo field.
    """
    kit = preset(number)
    rng = np.random.default_rng([seed, number])
    audio = np.zeros((2, n_samples), np.float32)
    hits: dict[tuple[int, int, int], np.ndarray] = {}
    starts = sorted((note.start, round(note.pitch), note.velocity) for note in notes)
    for i, (start, pitch, velocity) in enumerate(starts):
        # Two variants of three velocity layers, so that repeated hits are not all identical.
        layer, take = min(int(velocity // 43), 2), int(rng.integers(2))
        if (pitch, layer, take) not in hits:
            hits[pitch, layer, take] = _hit(
                kit, pitch, layer, np.random.default_rng([number, pitch, take])
            )
        sound = hits[pitch, layer, take] * (velocity / 127) ** 1.4
        if pitch == 46:
            sound = choke(sound, start, starts[i + 1 :])
        first = int(start * RATE)
        length = min(len(sound), n_samples - first)
        if length > 0:
            angle = (PANS.get(pitch, 0.0) + 1) * np.pi / 4
            audio[0, first : first + length] += sound[:length] * np.cos(angle)
            audio[1, first : first + length] += sound[:length] * np.sin(angle)
    if kit.drive:
        audio = np.tanh(audio * (1 + 3 * kit.drive)) / (1 + 1.5 * kit.drive)
    return signal.sosfilt(_low(kit.cutoff), audio).astype(np.float32)


def choke(sound: np.ndarray, start: float, later: list[tuple[float, int, int]]) -> np.ndarray:
    """Cut an open hi-hat (…, t) at the next pedal or closed hi-hat.

    `later` holds the following hits as (start in seconds, pitch, velocity).
    """
    gap = next((s - start for s, pitch, _ in later if pitch in (42, 44) and s > start), None)
    if gap is None or gap * RATE >= sound.shape[-1]:
        return sound
    length = min(sound.shape[-1], int(gap * RATE) + 220)
    return sound[..., :length] * _fade(length, 220)


def _fade(length: int, tail: int) -> np.ndarray:
    return np.clip(np.arange(length, 0, -1) / tail, 0, 1).astype(np.float32)


def _low(cutoff: float) -> np.ndarray:
    return signal.butter(2, cutoff, fs=RATE, output="sos").astype(np.float32)


def _time(seconds: float) -> np.ndarray:
    return np.arange(int(seconds * RATE)) / RATE


def _sweep(t: np.ndarray, low: float, ratio: float, speed: float) -> np.ndarray:
    frequency = low * (1 + (ratio - 1) * np.exp(-t / speed))
    return np.sin(2 * np.pi * np.cumsum(frequency) / RATE)


def _noise(t: np.ndarray, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    band = signal.butter(2, (low, high), "bandpass", fs=RATE, output="sos")
    noise = signal.sosfilt(band, rng.standard_normal(len(t)))
    return noise / (np.abs(noise).max() + 1e-9)


def _metal(t: np.ndarray, base: float) -> np.ndarray:
    """Six square waves at the inharmonic ratios of the TR-808's cymbal circuit."""
    ratios = (1.0, 1.304, 1.466, 1.787, 1.932, 2.536)
    # A square wave of frequency f changes sign whenever 2 f t passes an integer.
    halves = ((2 * base * ratio * t).astype(np.int32) & 1 for ratio in ratios)
    return 1 - sum(halves) / 3


def _hit(kit: Preset, pitch: int, layer: int, rng: np.random.Generator) -> np.ndarray:
    """One drum hit, mono; softer layers have less treble and less distortion."""
    loose = 1 + kit.looseness * 0.2 * rng.standard_normal()
    force = 0.6 + 0.2 * layer
    if pitch in (35, 36):
        sound = _kick(kit, loose, force, rng)
    elif pitch in SNARES:
        sound = _snare(kit, loose, force, rng)
    elif pitch in HATS:
        decay = {42: kit.hat_decay, 44: kit.hat_decay * 1.3, 46: 0.3}[pitch]
        sound = 0.5 * _cymbal(kit, decay * loose, 6500 + 1500 * force, kit.metal, rng)
    elif pitch in CYMBALS:
        ride = pitch in (51, 53, 59)
        sound = 0.6 * _cymbal(kit, kit.cymbal_decay * loose, 2500 + 1500 * ride, kit.metal, rng)
        if ride:
            t = np.arange(len(sound)) / RATE
            sound = 0.5 * sound + 0.2 * np.sin(2 * np.pi * 9.3 * kit.hat * t) * np.exp(-t / 0.25)
    elif pitch == 39:
        sound = _clap(loose, rng)
    elif pitch in TOMS:
        sound = _skin(kit.tom * TOMS[pitch] * loose, kit.tom_decay, 1.6, rng)
    elif pitch in SKINS:
        sound = 0.7 * _skin(140 * SKINS[pitch] * loose, 0.12, 1.15, rng)
    elif pitch in METALS:
        t = _time(0.5)
        squares = _metal(t, 560 * METALS[pitch] * loose) + np.sin(
            2 * np.pi * 845 * METALS[pitch] * t
        )
        sound = 0.3 * squares * np.exp(-t / (0.5 if pitch in (71, 81) else 0.09))
    elif pitch in WOODS:
        t = _time(0.12)
        tones = np.sin(2 * np.pi * 1050 * WOODS[pitch] * loose * t) + 0.5 * np.sin(
            2 * np.pi * 480 * t
        )
        sound = 0.4 * (tones + 0.3 * _noise(t, 1500, 9000, rng)) * np.exp(-t / 0.018)
    else:
        # Shakers, tambourine, cabasa, maracas and other notes: two soft bursts of noise.
        t = _time(0.25)
        grains = np.exp(-t / 0.03) + 0.5 * np.exp(-np.abs(t - 0.04) / 0.015)
        sound = 0.35 * _noise(t, 4500, 14000, rng) * grains * np.clip(t / 0.004, 0, 1)
    if layer < 2:
        sound = signal.sosfilt(_low(9000 if layer else 5500), sound)
    return (sound * _fade(len(sound), min(400, len(sound)))).astype(np.float32)


def _kick(kit: Preset, loose: float, force: float, rng: np.random.Generator) -> np.ndarray:
    t = _time(0.25 + 3 * kit.kick_decay)
    body = _sweep(t, kit.kick * loose, 1 + kit.kick_sweep * force, 0.02) * np.exp(
        -t / kit.kick_decay
    )
    knock = _noise(t, 1200, 7000, rng) * np.exp(-t / 0.004) * kit.click * force
    skin = _noise(t, 100, 900, rng) * np.exp(-t / 0.03) * kit.click * 0.5
    return np.tanh(1.8 * body) * 0.9 + knock + skin


def _snare(kit: Preset, loose: float, force: float, rng: np.random.Generator) -> np.ndarray:
    t = _time(0.15 + 5 * kit.snare_decay)
    low, high = kit.snare * loose, 1.78 * kit.snare * loose
    shell = _sweep(t, low, 1.3, 0.012) * np.exp(-t / 0.09) + 0.5 * _sweep(
        t, high, 1.2, 0.01
    ) * np.exp(-t / 0.05)
    wires = _noise(t, 900, 12000, rng) * np.exp(-t / kit.snare_decay)
    wires += 0.5 * _noise(t, 300, 3000, rng) * np.exp(-t / (0.6 * kit.snare_decay))
    return (1 - kit.wires) * shell + kit.wires * force * 1.3 * wires


def _cymbal(
    kit: Preset, decay: float, low: float, metal: float, rng: np.random.Generator
) -> np.ndarray:
    t = _time(0.05 + 4 * decay)
    squares = signal.sosfilt(
        signal.butter(4, low, "highpass", fs=RATE, output="sos"), _metal(t, kit.hat)
    )
    noise = _noise(t, low, 17000, rng)
    shimmer = np.exp(-t / decay) + 0.4 * np.exp(-t / (0.15 * decay))
    return (metal * 3 * squares + (1 - metal) * noise) * shimmer * 0.7


def _clap(loose: float, rng: np.random.Generator) -> np.ndarray:
    t = _time(0.45)
    envelope = 0.6 * np.exp(-t / 0.09) * (t > 0.03)
    for start in (0.0, 0.011 * loose, 0.021, 0.03):
        envelope = envelope + np.exp(-np.maximum(t - start, 0) / 0.006) * (t >= start)
    return 0.5 * _noise(t, 700, 5000, rng) * envelope


def _skin(frequency: float, decay: float, ratio: float, rng: np.random.Generator) -> np.ndarray:
    t = _time(0.1 + 5 * decay)
    tone = _sweep(t, frequency, ratio, 0.04) + 0.3 * _sweep(
        t, 1.59 * frequency, ratio, 0.04
    ) * np.exp(-t / 0.05)
    return 0.8 * tone * np.exp(-t / decay) + 0.4 * _noise(t, 200, 5000, rng) * np.exp(-t / 0.015)
