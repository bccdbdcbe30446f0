"""Checks of chapter 02, time and frequency."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close
from common.signal.stft import STFT


@check
def window_for(function: Callable[[float, float, int], int]) -> str:
    """Exercise 1: the shortest window that tells two notes apart."""
    far = function(1000.0, 2000.0, 22050)
    expect(far == int(far) and far > 0, "n_fft counts samples: a positive whole number.")
    n_fft = int(function(41.2, 43.7, 22050))
    expect(n_fft & (n_fft - 1) == 0, "It should be a power of two: 2, 4, 8, …")
    apart = (43.7 - 41.2) * n_fft / 22050
    expect(apart >= 2, f"With {n_fft} the notes lie {apart:.2f} bins apart: too close.")
    expect(apart < 4, f"{n_fft} is enough, but half of it would do as well.")
    expect(int(far) == 64, "1000 and 2000 Hz are far apart: a much shorter window does.")
    expect(function(0.0, 1000.0, 8000) == 16, "Exactly two bins apart is enough.")
    expect(function(41.2, 43.7, 44100) == 2 * n_fft, "Twice the sample rate: what changes?")
    return f"E1 and F1 need {n_fft} samples, {n_fft / 22050:.2f} s: a slow bass line's whole note."


@check
def pile_of_windows(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 2: what shifted windows add up to."""
    pile = function(torch.arange(6.0), 2)
    expect(pile.shape == (2,), f"One height per place in a hop: shape (2,), not {pile.shape}.")
    expect_close(pile, torch.tensor([6.0, 9.0]), "For 0…5 and a hop of 2, place 0 sees 0, 2, 4.")
    pile = function(torch.hann_window(1024), 256)
    expect_close(pile, 2 * torch.ones(256), "Hann at a quarter's hop should pile up to 2.")
    uneven = function(torch.ones(7), 3)
    expect_close(
        uneven, torch.tensor([3.0, 2.0, 2.0]), "The hop need not divide the window: mind the rest."
    )
    return "Flat for Hann at a quarter; now try Blackman at a half."


@check
def robot(function: Callable[[Tensor, float, int], Tensor]) -> str:
    """Exercise 3: one click per hop, at a chosen pitch."""
    rate, pitch = 22050, 147.0
    audio = torch.randn(rate, generator=torch.Generator().manual_seed(0))
    humming = function(audio, pitch, rate)
    expect(humming.shape == audio.shape, "Give back as many samples as came in.")
    expect(not humming.is_complex(), "Audio is real: use the transform's inverse.")
    expect(not torch.allclose(humming, audio, atol=1e-3), "This is the sound as it was.")
    power = torch.fft.rfft(humming).abs().square()
    harmonics = torch.arange(1, 20) * round(pitch)
    near = torch.stack([power[h - 2 : h + 3].sum() for h in harmonics]).sum()
    share = near / power[100:3000].sum()
    heard = f"{share:.0%} of the energy lies on multiples of {pitch:.0f} Hz"
    expect(share > 0.75, f"Only {heard}. Is a hop one period long? Do all waves peak mid-frame?")
    odd = torch.stack([power[h - 2 : h + 3].sum() for h in harmonics[::2]]).sum()
    expect(odd > 0.2 * near, "It hums an octave too high: every second multiple is missing.")
    return f"It hums: {heard}."


@check
def inconsistency(function: Callable[[Tensor, STFT, int], float]) -> str:
    """Exercise 4: the distance to the nearest spectrum of a sound."""
    stft, length = STFT(512, 128), 8000
    generator = torch.Generator().manual_seed(0)
    spectrum = stft(torch.randn(length, generator=generator))
    level = float(function(spectrum, stft, length))
    expect(level < -80, f"A true STFT is consistent: expect a very low level, not {level:.0f} dB.")
    noise = torch.randn(spectrum.shape, dtype=torch.complex64, generator=generator)
    level = float(function(noise, stft, length))
    round_trip = stft(stft.inverse(noise, length))
    right = float(20 * torch.log10((round_trip - noise).norm() / noise.norm()))
    expect(
        abs(float(function(10 * noise, stft, length)) - level) < 0.01,
        "Ten times louder should change nothing: divide by the spectrum's own norm.",
    )
    expect(abs(level - right) < 0.05, "In dB of amplitude: 20 times the logarithm to base 10.")
    masked = spectrum * torch.rand(spectrum.shape, generator=generator)
    level = float(function(masked, stft, length))
    return f"A random mask leaves {level:.1f} dB, noise {right:.1f} dB: neither belongs to a sound."
