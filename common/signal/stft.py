"""The short-time Fourier transform of every spectrogram in the book."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class STFT:
    """Short-time Fourier transform and its inverse, with a periodic Hann window.

    n_fft: window and transform length in samples; hop_length: step between frames in samples;
    pad_mode: what comes before the first sample and after the last, "constant" for silence or
    "reflect" for the audio backwards, after the zeros that complete the last hop: up to
    hop_length - 1, more if the audio is too short to be reflected.
    Any real audio `(..., t)` comes back exactly from `stft.inverse(stft(audio), t)` as long as
    windows overlap by half or more. Allen and Rabiner 1977; Griffin and Lim 1984, eq. 6.
    """

    n_fft: int = 2048
    hop_length: int = 512
    pad_mode: str = "constant"

    @property
    def n_bins(self) -> int:
        """Number of frequency bins, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1

    def window(self, like: Tensor) -> Tensor:
        """The analysis and synthesis window `(n_fft,)`, on the device of `like`."""
        return torch.hann_window(self.n_fft, device=like.device, dtype=like.dtype)

    def __call__(self, audio: Tensor) -> Tensor:
        """Audio `(..., t)` → complex spectrum `(..., f, n)`.

        Frame k is centred on sample k · hop_length.
        """
        *leading, n_samples = audio.shape
        # Half a window can only be reflected from audio that is longer.
        least = self.n_fft // 2 + 1 if self.pad_mode == "reflect" else 0
        missing = max(least - n_samples, 0)
        missing += -(n_samples + missing) % self.hop_length
        audio = functional.pad(audio, (0, missing))
        spectrum = torch.stft(
            audio.reshape(-1, audio.shape[-1]),
            self.n_fft,
            self.hop_length,
            window=self.window(audio),
            center=True,
            pad_mode=self.pad_mode,
            return_complex=True,
        )
        return spectrum.reshape(*leading, *spectrum.shape[-2:])

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """Complex spectrum `(..., f, n)` → audio `(..., length)`."""
        *leading, n_bins, n_frames = spectrum.shape
        audio = torch.istft(
            spectrum.reshape(-1, n_bins, n_frames),
            self.n_fft,
            self.hop_length,
            window=self.window(spectrum.real),
            center=True,
            length=(n_frames - 1) * self.hop_length,
        )
        return audio[:, :length].reshape(*leading, length)


def decibels(
    magnitude: Tensor,
    floor: float = -80.0,
    reference: float | None = None,
) -> Tensor:
    """Magnitude (any shape, linear) → level in dB, not below `floor`.

    `reference` is the magnitude at 0 dB; by default the largest.
    """
    if reference is None:
        reference = float(magnitude.max()) or 1.0
    ratio = magnitude / reference
    return 20 * torch.log10(ratio.clamp(min=10 ** (floor / 20)))


def griffin_lim(
    magnitude: Tensor, stft: STFT, length: int, n_iter: int = 32, seed: int = 0
) -> Tensor:
    """Magnitude `(..., f, n)`, linear → audio `(..., length)` that has it.

    Starts from random phase (drawn from `seed`) and enforces in turn that the
    spectrum is consistent and that it has the magnitude. Griffin and Lim 1984.
    """
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(magnitude.shape, generator=generator).to(magnitude)
    spectrum = torch.polar(magnitude, 2 * torch.pi * turns)
    for _ in range(n_iter):
        consistent = stft(stft.inverse(spectrum, length))
        spectrum = torch.polar(magnitude, consistent.angle())
    return stft.inverse(spectrum, length)
