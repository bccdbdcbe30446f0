"""Checks of chapter 02, time and frequency."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.checks.tensors import tensor
from common.signal.stft import STFT, griffin_lim


@check
def window_for(function: Callable[[float, float, int], int]) -> str:
    """Exercise 1: the shortest window that shows two notes as two peaks at every phase."""
    n_fft = _whole(function(41.2, 43.7, 22050))
    expect(n_fft & (n_fft - 1) == 0, f"It should be a power of two (2, 4, 8, …), not {n_fft}.")
    apart = (43.7 - 41.2) * n_fft / 22050
    expect(apart >= 2.5, f"With {n_fft} the notes are {apart:.2f} bins apart: too close.")
    expect(apart < 5, f"{n_fft} is enough, but half of it would do as well.")
    close = _whole(function(440.0, 463.7, 22050))
    dip = _worst_dip(23.7 * close / 22050)
    hint = f"With {close} samples, 440 and 463.7 Hz show a dip of only {dip:.1f} dB at some phases."
    expect(dip >= 3, hint)
    far = _whole(function(1000.0, 2000.0, 22050))
    expect(far <= 128, f"1000 and 2000 Hz are far apart: a shorter window than {far} does.")
    both = _whole(function(10041.2, 10043.7, 22050))
    hint = "Two high notes with the same difference need the same window: which number counts?"
    expect(both == n_fft, hint)
    hint = "Exactly 2.5 bins are enough, as between 0 and 1000 Hz at 25 600 Hz with 64 samples."
    expect(_whole(function(0.0, 1000.0, 25600)) == 64, hint)
    twice = _whole(function(41.2, 43.7, 44100))
    expect(twice == 2 * n_fft, "Twice the sample rate: does a bin become wider or narrower?")
    return f"E1 and F1 need {n_fft} samples, {n_fft / 22050:.2f} s."


def _worst_dip(bins: float) -> float:
    """Dip in dB between two waves `bins` apart under a Hann window, at the worst of 64 phases."""
    t, points = torch.arange(256) / 256, torch.linspace(40, 40 + bins, 65)
    waves = torch.exp(2j * torch.pi * torch.tensor([[40.0], [40 + bins]]) * t)
    tests = torch.exp(-2j * torch.pi * points[:, None] * t)
    first, second = (torch.hann_window(256) * waves) @ tests.T
    turns = torch.exp(1j * torch.linspace(0, 2 * torch.pi, 65))[:, None]
    level = 20 * (first + turns * second).abs().clamp(min=1e-5).log10()
    # The spectrum is symmetric about the middle of the two: that is where the dip is.
    return float((level.amax(dim=1) - level[:, 32]).min())


def _whole(answer: object) -> int:
    """The answer as a positive whole number."""
    number = float(tensor(answer).reshape(()))
    hint = f"n_fft counts samples: a positive whole number, not {number:g}."
    expect(number > 0 and number == round(number), hint)
    return int(number)


@check
def window_sum(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 2: what the shifted windows add up to."""
    window = torch.arange(6.0)
    total = tensor(function(window.clone(), 2))
    shape = tuple(total.shape)
    expect(shape != (3,), "You add up each piece of a hop by itself: add the pieces to each other.")
    expect(shape != (), "That is one sum over all positions: each position has its own.")
    expect(shape == (2,), f"One number per position in a hop: shape (2,), not {shape}.")
    name_mistake(
        total,
        {
            "You add squared windows: that is for weighted overlap-add.": _sum(window**2, 2),
            "You take the mean of the pieces: add them up.": _sum(window, 2) / 3,
            "Position 0 takes samples 0, 1, 2: it should take every second sample.": torch.tensor(
                [3.0, 12.0]
            ),
            "The positions are in the wrong order: position 0 is where a frame starts.": (
                _sum(window, 2).flip(0)
            ),
            "You add only two windows at each position: how many frames cover one?": (
                torch.tensor([2.0, 4.0])
            ),
        },
    )
    expect_close(total, [6.0, 9.0], "For 0…5 and a hop of 2, position 0 takes 0, 2 and 4.")
    uneven = tensor(function(torch.ones(7), 3))
    name_mistake(
        uneven,
        {
            "The last sample of 7 is lost at a hop of 3: the hop need not divide the window.": (
                torch.full((3,), 2.0)
            ),
            "At a hop of 3 the seventh sample belongs to position 0: pad at the end.": (
                torch.tensor([2.0, 2.0, 3.0])
            ),
        },
    )
    hint = "The hop need not divide the window: 7 samples and a hop of 3 give other sums."
    expect_close(uneven, [3.0, 2.0, 2.0], hint)
    total = tensor(function(torch.hann_window(1024), 256))
    expect_close(total, 2 * torch.ones(256), "Hann with a hop of a quarter should add up to 2.")
    return "Constant for Hann with a hop of a quarter; now try Blackman with a half."


def _sum(window: Tensor, hop_length: int) -> Tensor:
    """The sum of the shifted windows for a hop that divides the window."""
    return window.reshape(-1, hop_length).sum(dim=0)


@check
def robot(function: Callable[[Tensor, float, int], Tensor]) -> str:
    """Exercise 3: a robot voice with one click per hop, at a given pitch."""
    rate, pitch = 22050, 147.0
    audio = torch.randn(rate, generator=torch.Generator().manual_seed(0))
    humming = tensor(function(audio.clone(), pitch, rate))
    expect(not humming.is_complex(), "Audio is real: use the transform's inverse.")
    expect(humming.shape == audio.shape, "Give back as many samples as came in.")
    expect(humming.isfinite().all(), "There is a sample that is infinite or NaN.")
    hint = "This is the unchanged sound: replace its phases."
    expect(not torch.allclose(humming, audio, atol=1e-3), hint)
    power = torch.fft.rfft(humming).abs().square()
    harmonics = torch.arange(1, 20) * round(pitch)
    near = torch.stack([power[h - 2 : h + 3].sum() for h in harmonics]).sum()
    odd = torch.stack([power[h - 2 : h + 3].sum() for h in harmonics[::2]]).sum()
    share = near / power[100:3000].sum()
    heard, certain = _hum(humming, rate)
    expect(
        certain > 0.3,
        "It does not hum: all waves of a frame should peak together at its centre.",
    )
    hint = f"It hums at {heard:.1f} Hz and not at {pitch:.1f} Hz. How long is a hop?"
    expect(abs(heard / pitch - 1) < 0.005 and odd > 0.2 * near, hint)
    expect(
        share > 0.75,
        f"It hums at {pitch:.0f} Hz, but only {share:.0%} of the energy is there: the waves of a "
        "frame should peak together at its centre.",
    )
    return f"It hums: {share:.0%} of the energy is at multiples of {pitch:.0f} Hz."


def _hum(audio: Tensor, sample_rate: int) -> tuple[float, float]:
    """The rate at which a sound repeats, in Hz, and how much it then is like itself, up to 1."""
    spectrum = torch.fft.rfft(audio, 2 * len(audio))
    likeness = torch.fft.irfft(spectrum.abs().square())[: len(audio) // 8]
    likeness = likeness / likeness[0].clamp(min=1e-10)
    lags = likeness[16:]
    # The shortest lag that is nearly as good as the best: multiples of a period repeat as well.
    lag = 16 + int((lags > 0.8 * lags.max()).nonzero()[0])
    lag += int(likeness[lag : lag + 8].argmax())
    return sample_rate / lag, likeness[lag].item()


@check
def inconsistency(function: Callable[[Tensor, STFT, int], float]) -> str:
    """Exercise 4: the distance to the nearest consistent spectrum."""
    stft, length = STFT(512, 128), 8000
    generator = torch.Generator().manual_seed(0)
    spectrum = stft(torch.randn(length, generator=generator))
    noise = torch.randn(spectrum.shape, dtype=torch.complex64, generator=generator)
    level = _level(function(noise.clone(), stft, length))
    round_trip = stft(stft.inverse(noise, length))
    ratio = (round_trip - noise).norm() / noise.norm()
    lengths = (round_trip.abs() - noise.abs()).norm()
    wrong = {
        "That is the ratio: give it in dB.": ratio,
        "That is the ratio of energies: give it in dB.": ratio**2,
        "A ratio of norms takes 20 times the logarithm, and not 10.": 10 * ratio.log10(),
        "A ratio of energies takes 10 times the logarithm, and not 20.": 40 * ratio.log10(),
        "The logarithm in decibels has the base 10.": 20 * ratio.log(),
        "The sign is wrong: the difference over the spectrum's norm.": -20 * ratio.log10(),
        "You divide by the norm of the round trip: take that of the spectrum that is given.": (
            20 * ((round_trip - noise).norm() / round_trip.norm()).log10()
        ),
        "You compare magnitudes only: phases make a spectrum inconsistent as well.": (
            20 * (lengths / noise.norm()).log10()
        ),
        "You compare the norms of both: take the norm of their difference.": (
            20 * (round_trip.norm() / noise.norm()).log10()
        ),
    }
    name_mistake(torch.tensor(level), wrong, tolerance=1e-4)
    expect(
        abs(_level(function(10 * noise, stft, length)) - level) < 0.01,
        "Ten times louder should change nothing: divide by the spectrum's own norm.",
    )
    right = float(20 * ratio.log10())
    hint = "Noise should give another level: sum over all bins and frames, then divide."
    expect(abs(level - right) < 0.05, hint)
    own = _level(function(spectrum.clone(), stft, length))
    expect(own < -80, f"A true STFT is consistent: expect a very low level, not {own:.0f} dB.")
    masked = spectrum * torch.rand(spectrum.shape, generator=generator)
    level = _level(function(masked, stft, length))
    return f"A random mask gives {level:.1f} dB, noise {right:.1f} dB: neither is consistent."


def _level(answer: object) -> float:
    """The answer as one real number."""
    number = tensor(answer)
    expect(number.numel() == 1, f"Return one number, not {number.numel()}.")
    expect(not number.is_complex(), "A norm is real: yours is a complex number.")
    expect(not number.isnan(), "Your level is NaN.")
    return number.item()


class _CountingSTFT:
    """An STFT that counts how often it is called."""

    def __init__(self) -> None:
        self.stft, self.calls = STFT(512, 128), 0
        self.n_fft, self.hop_length = self.stft.n_fft, self.stft.hop_length
        self.n_bins, self.inverse = self.stft.n_bins, self.stft.inverse

    def __call__(self, audio: Tensor) -> Tensor:
        self.calls += 1
        return self.stft(audio)


@check
def fast_griffin_lim(function: Callable[[Tensor, STFT, int], Tensor]) -> str:
    """Exercise 5: lower spectral convergence from the same number of round trips."""
    stft, audio = STFT(512, 128), _tune()
    magnitude, counting = stft(audio).abs(), _CountingSTFT()
    found = tensor(function(magnitude.clone(), counting, len(audio)))
    expect(not found.is_complex(), "That is a spectrum: end with `stft.inverse`.")
    expect(found.shape == audio.shape, f"Return {len(audio)} samples, not {tuple(found.shape)}.")
    expect(found.isfinite().all(), "There is a sample that is infinite or NaN.")
    expect(counting.calls > 0, "You never call `stft`: 30 round trips are allowed.")
    expect(counting.calls <= 30, f"You call `stft` {counting.calls} times: at most 30 are allowed.")
    plain = _convergence(griffin_lim(magnitude, stft, len(audio), 30), magnitude, stft)
    level = _convergence(found, magnitude, stft)
    told = f"You reach {level:.1f} dB, and the plain algorithm reaches {plain:.1f} dB:"
    expect(level < plain + 3, f"{told} is the magnitude restored in each round trip?")
    expect(level < plain - 2.5, f"{told} go a little further along the last change.")
    expect(level < plain - 5, f"{told} better, but try a larger momentum.")
    return f"You reach {level:.1f} dB, and the plain algorithm reaches {plain:.1f} dB."


def _convergence(audio: Tensor, magnitude: Tensor, stft: STFT) -> float:
    """Norm of the magnitudes' difference relative to the wanted magnitude, in dB."""
    off = (stft(audio).abs() - magnitude).norm() / magnitude.norm()
    return float(20 * off.clamp(min=1e-6).log10())


def _tune() -> Tensor:
    """Six short notes with harmonics, over noise that stands for drums, 1.5 s at 8 kHz."""
    t = torch.arange(2000) / 8000
    fall = torch.exp(-8 * t)
    notes = []
    for pitch in (220.0, 277.2, 329.6, 440.0, 329.6, 277.2):
        partials = torch.outer(torch.arange(1, 7), 2 * torch.pi * pitch * t)
        notes.append(fall * (partials.sin() / torch.arange(1, 7)[:, None]).sum(dim=0))
    noise = torch.randn(12000, generator=torch.Generator().manual_seed(0))
    return torch.cat(notes) + 0.1 * noise * torch.exp(-40 * (torch.arange(12000) % 4000) / 8000)
