"""Data augmentation: gain, polarity, channels, pitch and tempo.

Each function maps audio `(..., c, t)` to audio. `change_tempo` and `change_pitch` are a phase
vocoder, written to be read; `sox_tempo` and `sox_pitch` use SoX, which keeps the onsets of drums
sharp; `write_versions` renders versions in advance, into a folder in MUSDB18 layout.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from tqdm.auto import tqdm

from common.data.tracks import Track
from common.signal.resampling import resample
from common.signal.stft import STFT
from common.support.files import check_place
from common.support.optional import check_installed


def change_gain(audio: Tensor, decibels: float) -> Tensor:
    """Louder or softer by so many dB: (..., c, t) → the same shape."""
    return audio * 10 ** (decibels / 20)


def flip_polarity(audio: Tensor) -> Tensor:
    """Invert the sign of the waveform: (..., c, t) → the same shape."""
    return -audio


def swap_channels(audio: Tensor) -> Tensor:
    """Exchange left and right: (..., c, t) → the same shape."""
    return audio.flip(-2)


def wrap(phase: Tensor) -> Tensor:
    """The same angle, in radians between -π and π."""
    return phase - 2 * math.pi * torch.round(phase / (2 * math.pi))


def stretch_spectrum(spectrum: Tensor, rate: float, hop_length: int) -> Tensor:
    """Read a spectrum's frames `rate` times faster, each bin at its own pitch.

    spectrum: complex (..., f, n) → (..., f, ceil(n / rate)). The magnitude
    is interpolated between two frames; the phase advances by the difference
    of those two, which keeps each bin's frequency. Flanagan and Golden 1966;
    Dolson 1986.
    """
    n_bins, n_frames = spectrum.shape[-2:]
    at = torch.arange(0, n_frames, rate)
    left, between = at.long(), (at % 1).to(spectrum.real.dtype)
    padded = functional.pad(spectrum, (0, 2))
    before, after = padded[..., left], padded[..., left + 1]
    magnitude = (1 - between) * before.abs() + between * after.abs()
    usual = math.pi * hop_length * torch.linspace(0, 1, n_bins)[:, None]
    advance = usual + wrap(after.angle() - before.angle() - usual)
    phase = advance.double().cumsum(dim=-1).roll(1, dims=-1)
    phase[..., 0] = 0
    phase = (phase + before[..., :1].angle()).to(magnitude.dtype)
    return torch.polar(magnitude, phase)


def change_tempo(audio: Tensor, rate: float) -> Tensor:
    """Play `rate` times faster at the same pitch, by phase vocoder.

    audio: (..., c, t) → (..., c, round(t / rate)).
    """
    stft = STFT()
    spectrum = stretch_spectrum(stft(audio), rate, stft.hop_length)
    return stft.inverse(spectrum, round(audio.shape[-1] / rate))


def change_pitch(audio: Tensor, semitones: float, sample_rate: int) -> Tensor:
    """Higher by so many semitones in the same time.

    audio: (..., c, t) → the same shape. The audio is first stretched, and then
    resampled to its original length.
    """
    n_samples, factor = audio.shape[-1], 2 ** (semitones / 12)
    longer = change_tempo(audio, 1 / factor)
    faster = resample(longer, round(sample_rate * factor), sample_rate)
    return functional.pad(faster, (0, n_samples - faster.shape[-1]))


def sox_tempo(audio: Tensor, rate: float, sample_rate: int) -> Tensor:
    """Play `rate` times faster at the same pitch, by SoX.

    audio: (c, t) → (c, about t / rate). Waveform similarity overlap-add, which
    keeps the onsets of drums sharp: Verhelst and Roelands 1993.
    """
    return _sox(audio, sample_rate, "tempo", factor=rate, audio_type="m")


def sox_pitch(audio: Tensor, semitones: float, sample_rate: int) -> Tensor:
    """Higher by so many semitones in the same time, by SoX: (c, t) → the same shape."""
    shifted = _sox(audio, sample_rate, "pitch", n_semitones=semitones)
    return functional.pad(shifted, (0, audio.shape[-1] - shifted.shape[-1]))


def _sox(
    audio: Tensor, sample_rate: int, effect: str, **settings: float | str
) -> Tensor:
    """Apply one SoX effect at a lower level: SoX clips or wraps samples at full scale and above."""
    check_installed("soxbindings")
    import soxbindings

    room = (2 * audio.abs().max()).clamp(min=1.0)
    transformer = soxbindings.Transformer()
    getattr(transformer, effect)(**settings)
    played = transformer.build_array(
        input_array=(audio / room).T.double().numpy(),
        sample_rate_in=sample_rate,
    )
    return torch.from_numpy(played.T.copy()).to(audio.dtype) * room


def version(track: Track, semitones: float = 0.0, rate: float = 1.0) -> Track:
    """All stems of a track at another pitch and tempo, by SoX; the mixture is their sum."""
    stems = track.sources
    if semitones:
        stems = torch.stack(
            [sox_pitch(x, semitones, track.sample_rate) for x in stems]
        )
    if rate != 1.0:
        stems = torch.stack(
            [sox_tempo(x, rate, track.sample_rate) for x in stems]
        )
    return Track(
        version_name(track, semitones, rate),
        stems,
        track.sample_rate,
        track.source_names,
    )


def version_name(track: Track, semitones: float, rate: float) -> str:
    """The name of a version: the track, and its changes in brackets."""
    return f"{track.name} ({semitones:+g} semitones, {rate:g} x)"


def write_versions(
    tracks: Sequence[Track], changes: Sequence[tuple[float, float]], root: Path
) -> Path:
    """Render tracks at other pitches and tempos into `root/train`, in MUSDB18 layout.

    changes: pairs (semitones, rate). Existing versions are kept; returns `root`. Raises
    UsageError where nothing can be written.
    """
    check_place(root / "train" / "x")
    jobs = [(track, change) for track in tracks for change in changes]
    for track, change in tqdm(jobs, desc="versions", leave=False):
        folder = root / "train" / version_name(track, *change)
        if not folder.exists():
            write_track_folder(version(track, *change), folder)
    return root


def write_track_folder(
    track: Track, folder: Path, texts: Mapping[str, str] | None = None
) -> Path:
    """Write mixture and stems as 32-bit wav files, and texts by file name beside them.

    The folder appears only when it is complete; returns it.
    """
    import soundfile

    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
    unfinished.mkdir(parents=True)
    try:
        stems = zip(track.source_names, track.sources, strict=True)
        for name, audio in [("mixture", track.mixture), *stems]:
            path = unfinished / f"{name}.wav"
            soundfile.write(
                path, audio.T.numpy(), track.sample_rate, subtype="FLOAT"
            )
        for name, text in (texts or {}).items():
            (unfinished / name).write_text(text, encoding="utf-8")
        return unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
