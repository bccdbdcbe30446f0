"""What may have happened to a stem before it was mixed: width, speed, saturation, equaliser, room.

Each effect takes audio (c, t), float32, and gives it back at its old level (root mean square);
silence stays silence. `random_…` draws its settings. PyTorch and NumPy only, and cheap: excerpts
are changed anew each time they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SPEEDS = (0.84, 1.19)
"""The slowest and the fastest that a stem is played: three semitones down and up."""

QUIET = 1e-9
"""Root mean square that stands for silence where something is divided by it."""


def rms(audio: Tensor) -> Tensor:
    """Root mean square over all channels and samples: → ()."""
    return audio.square().mean().sqrt()


def keep_level(changed: Tensor, audio: Tensor) -> Tensor:
    """Bring `changed` to the level of `audio`, but no more than 12 dB up.

    An effect that takes nearly all of a sound away shall not make its rounding errors audible.
    """
    return changed * (rms(audio) / rms(changed).clamp(min=QUIET)).clamp(max=4.0)


def change_width(audio: Tensor, width: float) -> Tensor:
    """Scale the difference of left and right: (2, t) → (2, t); 0 is mono, 1 as it was.

    Audio with another number of channels stays as it is.
    """
    if len(audio) != 2:
        return audio
    middle, side = audio.mean(dim=0), width * (audio[0] - audio[1]) / 2
    return keep_level(torch.stack([middle + side, middle - side]), audio)


def periods(speed: float, n_samples: int) -> tuple[int, int]:
    """Two lengths that suit the FFT, whose ratio is about `speed`; the second holds `n_samples`."""
    played = fast_length(n_samples + 64)
    return fast_length(round(speed * played)), played


def samples_needed(speed: float, n_samples: int) -> int:
    """How many samples of audio are used up when `n_samples` of it are played at another speed."""
    used, played = periods(speed, n_samples)
    return math.ceil(n_samples * used / played)


def change_speed(audio: Tensor, speed: float, n_samples: int) -> Tensor:
    """Play audio as a tape that runs faster or slower, which changes pitch and tempo.

    audio: (c, `samples_needed`) → (c, n_samples); speed: 1 as it is, to within 2 %. The audio, and
    a straight line from its end back to its beginning, are one period of a Fourier series, which is
    read at other points and without what would lie above half the sample rate.
    """
    used, played = periods(speed, n_samples)
    back = torch.linspace(0, 1, used - audio.shape[-1])
    bridge = audio[..., -1:] + back * (audio[..., :1] - audio[..., -1:])
    period = torch.fft.rfft(torch.cat([audio, bridge], dim=-1))
    return torch.fft.irfft(period, played)[..., :n_samples] * (played / used)


def saturate(audio: Tensor, drive: float) -> Tensor:
    """Bend the waveform as a tube or tape does: (c, t) → (c, t).

    drive: the level, in dB, at which the audio goes into a hyperbolic tangent.
    """
    level = rms(audio).clamp(min=QUIET)
    return keep_level(torch.tanh(audio * (10 ** (drive / 20) / level)), audio)


class Band(NamedTuple):
    """One band of an equaliser: "low" or "high" shelf or "peak", Hz, dB, and how narrow it is."""

    kind: str
    frequency: float
    gain: float
    q: float = 0.7071


def response(band: Band, n_bins: int, sample_rate: int) -> Tensor:
    """What a band does to each bin from 0 Hz to half the sample rate: complex (f,).

    An analogue second-order filter, bent to digital frequencies by the bilinear transform.
    Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
    """
    angles = torch.linspace(0, math.pi / 2, n_bins)
    x = angles.tan() / math.tan(math.pi * min(band.frequency / sample_rate, 0.45))
    a, q = 10 ** (band.gain / 40), band.q
    b = math.sqrt(a) / q
    above, below = {  # coefficients of s², s and 1 over and under the line
        "peak": ((1, a / q, 1), (1, 1 / (a * q), 1)),
        "low": ((a, a * b, a * a), (a, b, 1)),
        "high": ((a * a, a * b, a), (1, b, a)),
    }[band.kind]
    up, down = (torch.complex(c - k * x * x, m * x) for k, m, c in (above, below))
    return up / down


@lru_cache(maxsize=1024)
def fast_length(n_samples: int) -> int:
    """The shortest length that holds `n_samples` and has no prime factor above 5, for the FFT."""
    for length in count(max(n_samples, 1)):
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length


def convolve(audio: Tensor, impulse: Tensor) -> Tensor:
    """Filter by an impulse response: (c, t) and (c, t') or (t',) → (c, t), the tail cut off."""
    n_samples = audio.shape[-1]
    length = fast_length(n_samples + impulse.shape[-1])
    product = torch.fft.rfft(audio, length) * torch.fft.rfft(impulse, length)
    return torch.fft.irfft(product, length)[..., :n_samples]


def equalise(audio: Tensor, bands: Sequence[Band], sample_rate: int) -> Tensor:
    """Boost and cut bands of frequencies: (c, t) → (c, t)."""
    length = fast_length(round(0.1 * sample_rate))  # no band of the random ones rings for longer
    product = math.prod(response(band, length // 2 + 1, sample_rate) for band in bands)
    return keep_level(convolve(audio, torch.fft.irfft(product, length)), audio)


def impulse_response(
    noise: Tensor, decay: float, delay: float, cutoff: float, sample_rate: int
) -> Tensor:
    """The late sound of a small room, of energy 1 in every channel: noise (c, t) → (c, t).

    decay: seconds in which it falls by 60 dB; delay: seconds before it begins; cutoff: in Hz, above
    which walls and air swallow more and more.
    """
    seconds = torch.arange(noise.shape[-1]) / sample_rate
    late = noise * torch.exp(-3 * math.log(10) / decay * seconds) * (seconds >= delay)
    spectrum = torch.fft.rfft(late)
    frequencies = torch.linspace(0, sample_rate / 2, spectrum.shape[-1])
    late = torch.fft.irfft(spectrum / (1 + 1j * frequencies / cutoff), noise.shape[-1])
    return late / late.square().sum(dim=-1, keepdim=True).sqrt()


def reverberate(audio: Tensor, impulse: Tensor, wet: float) -> Tensor:
    """Add a room: (c, t), impulse (c, t') → (c, t). wet: how loud it is beside the sound, in dB."""
    return keep_level(audio + 10 ** (wet / 20) * convolve(audio, impulse), audio)


def random_width(audio: Tensor, rng: np.random.Generator) -> Tensor:
    """From mono to half as wide again."""
    return change_width(audio, rng.uniform(0.0, 1.5))


def random_saturation(audio: Tensor, rng: np.random.Generator) -> Tensor:
    """From hardly to plainly."""
    return saturate(audio, rng.uniform(-18.0, 0.0))


def random_equaliser(audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
    """A shelf at each end and a peak between, each up to 8 dB up or down."""
    low, middle, high = rng.uniform(-8.0, 8.0, 3)
    bands = (
        Band("low", rng.uniform(80.0, 300.0), low),
        Band("peak", 300.0 * 10 ** rng.uniform(0.0, 1.0), middle, rng.uniform(0.5, 2.0)),
        Band("high", rng.uniform(2500.0, 7000.0), high),
    )
    return equalise(audio, bands, sample_rate)


def random_room(audio: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
    """A booth or a live room: it dies away in 0.1 to 0.5 s and is 6 to 20 dB softer."""
    decay, delay = rng.uniform(0.1, 0.5), rng.uniform(0.002, 0.015)
    shape = len(audio), fast_length(round(decay * sample_rate))
    noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    impulse = impulse_response(noise, decay, delay, rng.uniform(2000.0, 8000.0), sample_rate)
    return reverberate(audio, impulse, rng.uniform(-20.0, -6.0))


def random_speeds(
    n_sources: int, together: bool, chance: float, rng: np.random.Generator
) -> list[float]:
    """How fast each stem is played, 1 where it stays as it is; `together` keeps them in tune."""
    drawn = [
        math.exp(rng.uniform(*map(math.log, SPEEDS))) if rng.random() < chance else 1.0
        for _ in range(1 if together else n_sources)
    ]
    return drawn * n_sources if together else drawn
