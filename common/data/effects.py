"""Effects for augmentation that simulate a mix: width, saturation, speed, equaliser, room.

Audio is (c, t), float32. Every effect keeps the level (root mean square) and leaves silence
unchanged. The effects use PyTorch and NumPy only. They are fast, since they are drawn again for
every excerpt: one Fourier transform computes all linear effects of all stems (`play`).
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
"""The lowest and the highest speed of a stem: three semitones down and up."""

TAIL = 0.2
"""The longest impulse response of an equaliser or a room, in seconds."""

FADE = 64
"""Length in samples of the fade beyond both ends of the audio, which prevents clicks."""

QUIET = 1e-9
"""The smallest root mean square in a division, so that silence does not give NaN."""


def rms(audio: Tensor) -> Tensor:
    """Root mean square over channels and samples: (..., c, t) → (..., 1, 1)."""
    return audio.square().mean(dim=(-2, -1), keepdim=True).sqrt()


def keep_level(changed: Tensor, level: Tensor) -> Tensor:
    """Bring `changed` (..., c, t) to a level (..., 1, 1), but no more than 12 dB up.

    The limit keeps rounding errors inaudible where an effect removes nearly all of a sound.
    """
    return changed * (level / rms(changed).clamp(min=QUIET)).clamp(max=4.0)


def change_width(audio: Tensor, width: float) -> Tensor:
    """Scale the difference of left and right: (2, t) → (2, t); 0 is mono, 1 changes nothing.

    Audio with another number of channels is returned unchanged.
    """
    if len(audio) != 2:
        return audio
    middle, side = audio.mean(dim=0), width * (audio[0] - audio[1]) / 2
    return keep_level(torch.stack([middle + side, middle - side]), rms(audio))


def saturate(audio: Tensor, drive: float) -> Tensor:
    """Saturate the waveform as a tube or tape does: (c, t) → (c, t).

    drive: the level in dB of the input of the hyperbolic tangent.
    """
    level = rms(audio)
    return keep_level(torch.tanh(audio * (10 ** (drive / 20) / level.clamp(min=QUIET))), level)


@lru_cache(maxsize=1024)
def fast_length(n_samples: int, step: int) -> int:
    """The shortest multiple of `step` that holds `n_samples` and suits the FFT.

    The multiple has no prime factor above 7; the more factors of 2, the faster.
    """
    for multiple in count(-(-n_samples // step)):
        rest = multiple
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return step * multiple


def period(n_samples: int, sample_rate: int) -> int:
    """Transform length of `play` in samples, with room for the impulse responses at the end."""
    return fast_length(n_samples + 2 * FADE + round(TAIL * sample_rate), 512)


def samples_used(speed: float, played: int) -> int:
    """How many samples fill a period of `played` at another speed, rounded to suit the FFT."""
    return fast_length(round(speed * played), 2)


def samples_needed(speed: float, n_samples: int, sample_rate: int) -> int:
    """How many samples of a stem `play` needs in order to give `n_samples` at a speed."""
    played = period(n_samples, sample_rate)
    return math.ceil(n_samples * samples_used(speed, played) / played)


def play(
    stems: Sequence[Tensor],
    speeds: Sequence[float],
    filters: Sequence[Sequence[Tensor]],
    n_samples: int,
    sample_rate: int,
) -> Tensor:
    """Change the speed of stems and filter them, with their levels unchanged.

    stems: each (c, `samples_needed`); speeds: 1 changes nothing, exact to 2 %; pitch and tempo
    change together, as on a tape; filters: for each stem, complex responses (f,) or (c, f) in the
    bins of a `period` → (s, c, n_samples). A stem at another speed is its Fourier series sampled at
    other points, without the frequencies that would exceed half the sample rate.
    """
    played = period(n_samples, sample_rate)
    lengths = [samples_used(speed, played) for speed in speeds]
    n_bins = played // 2 + 1
    spectrum = torch.zeros(len(stems), len(stems[0]), n_bins, dtype=torch.complex64)
    for length in set(lengths):
        rows = [row for row, used in enumerate(lengths) if used == length]
        found = torch.fft.rfft(faded(torch.stack([stems[row] for row in rows]), length))
        spectrum[rows, :, : found.shape[-1]] = found[..., :n_bins]
    for row, responses in enumerate(filters):
        for response in responses:
            spectrum[row] *= response
    audio = torch.fft.irfft(spectrum, played)[..., :n_samples]
    return keep_level(audio, torch.stack([rms(stem) for stem in stems]))


def faded(audio: Tensor, length: int) -> Tensor:
    """One period of `length`: (..., t), its end faded out, silence, its beginning faded in."""
    fade, n_samples = torch.linspace(1, 0, FADE), audio.shape[-1]
    whole = audio.new_zeros(*audio.shape[:-1], length)
    whole[..., :n_samples] = audio
    whole[..., n_samples : n_samples + FADE] = audio[..., -1:] * fade
    whole[..., -FADE:] = audio[..., :1] * fade.flip(0)
    return whole


class Band(NamedTuple):
    """One band of an equaliser: "low" or "high" shelf or "peak", Hz, dB, and quality factor."""

    kind: str
    frequency: float
    gain: float
    q: float = 0.7071

    def coefficients(self, sample_rate: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Numerator and denominator: factors of s², s and 1, s in units of tan(π Hz / sample rate).

        Analogue second-order filters, mapped to digital frequencies by the bilinear transform.
        Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
        """
        a = 10 ** (self.gain / 40)
        b = math.sqrt(a) / self.q
        edge = math.tan(math.pi * min(self.frequency / sample_rate, 0.45))
        above, below = {
            "peak": ((1, a / self.q, 1), (1, 1 / (a * self.q), 1)),
            "low": ((a, a * b, a * a), (a, b, 1)),
            "high": ((a * a, a * b, a), (1, b, a)),
        }[self.kind]
        return tuple((k / edge**2, m / edge, c) for k, m, c in (above, below))


@lru_cache(maxsize=8)
def warped(n_bins: int) -> Tensor:
    """tan(π · Hz / sample rate) of each bin from 0 Hz to half the sample rate: (f,).

    At half the sample rate it is 1000 instead of infinity, far above the range of every filter.
    """
    x = torch.linspace(0, math.pi / 2, n_bins, dtype=torch.float64).tan()
    return x.clamp(max=1e3).float()


def equaliser(bands: Sequence[Band], n_bins: int, sample_rate: int) -> Tensor:
    """Response of all bands together from 0 Hz to half the sample rate: complex (f,)."""
    x = warped(n_bins)
    both = torch.tensor([band.coefficients(sample_rate) for band in bands])  # (band, 2, 3)
    k, m, c = both[..., None].unbind(dim=-2)
    above, below = torch.complex(c - k * x * x, m * x).prod(dim=0)
    return above / below


def room(
    noise: Tensor,
    decay: float,
    delay: float,
    cutoff: float,
    wet: float,
    n_bins: int,
    sample_rate: int,
) -> Tensor:
    """Response of a small room in each bin: noise (c, t) → complex (c, f).

    The direct sound is followed after `delay` seconds by noise that decays by 60 dB in `decay`
    seconds, at `wet` dB relative to the direct sound; above `cutoff` Hz, absorption increases.
    """
    seconds = torch.arange(noise.shape[-1]) / sample_rate
    late = noise * torch.exp(-3 * math.log(10) / decay * seconds) * (seconds >= delay)
    frequencies = torch.linspace(0, sample_rate / 2, n_bins)
    gains = (1 + (frequencies / cutoff).square()).rsqrt()
    spectrum = torch.fft.rfft(late, 2 * (n_bins - 1)) * gains
    power = 2 * torch.view_as_real(spectrum).square().mean(dim=(-2, -1))  # Parseval's theorem
    return 1 + spectrum * (10 ** (wet / 20) / power.sqrt())[:, None]


def random_width(audio: Tensor, rng: np.random.Generator) -> Tensor:
    """A random width, from mono to 1.5 times the original width."""
    return change_width(audio, rng.uniform(0.0, 1.5))


def random_saturation(audio: Tensor, rng: np.random.Generator) -> Tensor:
    """A random amount of saturation, from barely to clearly audible."""
    return saturate(audio, rng.uniform(-18.0, 0.0))


def random_speeds(
    n_sources: int, together: bool, chance: float, rng: np.random.Generator
) -> list[float]:
    """A random speed for each stem, 1 for no change; `together` gives all stems the same one."""
    drawn = [
        math.exp(rng.uniform(*map(math.log, SPEEDS))) if rng.random() < chance else 1.0
        for _ in range(1 if together else n_sources)
    ]
    return drawn * n_sources if together else drawn


def random_equaliser(n_bins: int, sample_rate: int, rng: np.random.Generator) -> Tensor:
    """A shelf at each end and a peak between them, each up to 8 dB up or down."""
    low, middle, high = rng.uniform(-8.0, 8.0, 3).tolist()
    bands = (
        Band("low", rng.uniform(80.0, 300.0), low),
        Band("peak", 300.0 * 10 ** rng.uniform(0.0, 1.0), middle, rng.uniform(0.5, 2.0)),
        Band("high", rng.uniform(2500.0, 7000.0), high),
    )
    return equaliser(bands, n_bins, sample_rate)


def random_room(n_bins: int, sample_rate: int, rng: np.random.Generator) -> Tensor:
    """A booth or a live room in stereo: decays in 0.1 to 0.3 s, 6 to 20 dB below the sound."""
    decay, delay, wet = rng.uniform(0.1, 0.3), rng.uniform(0.002, 0.015), rng.uniform(-20.0, -6.0)
    noise = rng.standard_normal((2, round(TAIL * sample_rate)), dtype=np.float32)
    settings = decay, delay, rng.uniform(2000.0, 8000.0), wet
    return room(torch.from_numpy(noise), *settings, n_bins, sample_rate)
