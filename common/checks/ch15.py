"""Checks of chapter 15, Spleeter."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from common.checks import check, expect
from common.models.spleeter import SpleeterNet
from common.signal import EPSILON, STFT

RATE = 44100
BELOW = 256  # of 513 bins: the input of the net is below 11 kHz
GOOD_SDR = 7.5


@check
def same_padding(function: Callable[..., tuple[int, int]]) -> str:
    """Exercise 1: how many zeros TensorFlow's `same` padding adds before and after."""
    for size, kernel, stride, dilation, right in (
        (8, 5, 2, 1, (1, 2)),
        (7, 5, 2, 1, (2, 2)),
        (64, 4, 1, 2, (3, 3)),
        (10, 3, 1, 1, (1, 1)),
        (10, 4, 1, 1, (1, 2)),
        (9, 2, 3, 1, (0, 0)),
        (12, 1, 4, 1, (0, 0)),
        (11, 3, 2, 3, (3, 3)),
    ):
        before, after = function(size, kernel, stride, dilation)
        case = f"size {size}, kernel {kernel}, stride {stride}, dilation {dilation}"
        reach = (kernel - 1) * dilation + 1
        total, wanted = before + after, sum(right)
        expect(min(before, after) >= 0, f"{case}: padding is never negative.")
        if total != wanted:
            hints = {
                reach - 1: "the number of zeros also depends on the stride.",
                wanted - (reach - kernel): f"with the gaps between its taps the kernel covers "
                f"{reach} inputs, not {kernel}.",
                wanted + dilation - 1: "a kernel has gaps between its taps, not after the last.",
                wanted - stride: "the number of outputs is size / stride, rounded up.",
            }
            hint = f"{total} zeros do not give size / stride outputs, rounded up."
            expect(False, f"{case}: {hints.get(total, hint)}")
        hint = f"{case}: {total} zeros in total is right; the odd zero goes after, not before."
        expect((before, after) == right, hint)
    return "One zero before and two after; for an odd size, two and two."


@check
def n_weights(function: Callable[[Sequence[int], int], int]) -> str:
    """Exercise 2: the number of weights from the channels of the levels."""
    for channels, n_channels in (((4, 6, 9), 2), ((4, 6), 3), ((3,), 1)):
        with torch.device("meta"):
            net = SpleeterNet(channels, n_channels)
        right = sum(x.numel() for x in net.parameters())
        off = int(function(channels, n_channels)) - right
        maps = sum(channels) + sum(channels[:-1]) + 1
        up = list(pairwise([*channels[::-1], 1]))
        mistakes = {
            -2 * maps: "the weights of the norms are missing.",
            -maps: "a norm learns two weights per feature map, a scale and a bias.",
            2 * maps: "running means and variances are not learned: do not count them.",
            -2 * channels[-1]: "count the deepest norm, although its output is not used.",
            -maps - n_channels: "every convolution has one bias per output channel.",
            -17 * n_channels: "the last convolution is missing.",
            33 * n_channels: "a dilated kernel has no weights in its gaps.",
            9 * n_channels: "the kernel of the last convolution is 4 × 4.",
            25 * up[0][0] * up[0][1]: "the first decoder block has no skip connection.",
        }
        if len(channels) > 2:  # in smaller nets these counts coincide with others
            skips = -25 * sum(a * b for a, b in up[1:])
            mistakes[skips] = "the input of later decoder blocks includes a skip connection."
            mistakes[-25 * channels[0]] = "the first convolution reads all audio channels."
        found = mistakes.get(off, "count weights, biases and norms one level at a time.")
        case = f"channels {channels} on {n_channels} audio channel(s)"
        expect(off == 0, f"{case}, {off:+} weights: {found}")
    full = int(function((16, 32, 64, 128, 256, 512), 2))
    expect(full == 9_823_749, f"The published size should give 9,823,749, not {full:,}.")
    return f"{full:,} at the published size."


@check
def transform_for(function: Callable[[int], tuple[int, int, float]]) -> str:
    """Exercise 3: a transform that gives a published net the spectrogram it was trained on."""
    n_fft, hop, factor = function(44100)
    known = (n_fft, hop) == (4096, 1024) and abs(factor - 1) < 1e-6
    expect(known, "At 44,100 Hz return the published transform: 4096, 1024 and the factor 1.")
    n_fft, hop, factor = function(22050)
    hint = f"At half the rate a window of the same duration has half the samples, not {n_fft:g}."
    expect(n_fft == 2048, hint)
    expect(hop == 512, "The hop should also keep its duration.")
    hints = {
        0.5: "A shorter window gives smaller magnitudes: should the factor be above or below 1?",
        1: "A magnitude is a sum over the window: half as many samples make it half as large.",
        4: "This factor is right for energies; the net takes magnitudes.",
        2**0.5: "A square root would be right for noise; a tone's magnitude grows with the window.",
    }
    for value, hint in hints.items():
        expect(abs(factor - value) > 1e-4, hint)
    hint = f"At half the rate magnitudes are half as large: {factor:.3g} does not correct this."
    expect(abs(factor - 2) < 1e-4, hint)
    n_fft, hop, factor = function(88200)
    right = (n_fft, hop) == (8192, 2048) and abs(factor - 0.5) < 1e-4
    expect(right, "At 88,200 Hz window and hop have twice as many samples, and the factor is 0.5.")
    for rate in (11025, 48000):
        n_fft, hop, factor = function(rate)
        hint = "Window and hop should be whole numbers of samples: int, not float."
        expect(isinstance(n_fft, Integral) and isinstance(hop, Integral), hint)
        near = abs(n_fft - 4096 * rate / 44100) < 2 and abs(hop - 1024 * rate / 44100) < 2
        hint = (
            f"At {rate:,} Hz a window of {n_fft} with a hop of {hop} has another duration; it "
            "need not be a power of two."
        )
        expect(near and abs(factor - 44100 / rate) < 1e-3, hint)
    return "The same spectrogram at any rate."


@check
def top_masks(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 4: masks for the band above the net's, measured by the SDR in this band."""
    pieces = [piece(seed) for seed in range(3)]
    answers = [answered(function, one) for one in pieces]
    reached, baseline = top_sdr(pieces, answers), top_sdr(pieces, [average(one) for one in pieces])
    told = f"{reached:.1f} dB (average mask {baseline:.1f} dB"
    if reached < GOOD_SDR:
        mistakes = {
            "your masks are zero: every stem loses this band.": zeros,
            "your masks are the average over all lower bins, as in Spleeter. Which of these bins "
            "resemble the band above?": average,
            "your masks are weighted by energy over all lower bins, so the bass and the bass drum "
            "dominate. Leave the lowest bins out.": weighted_everywhere,
            "your masks copy the lower bins one by one: bin 0 says nothing about 11 kHz.": copied,
            "your masks are the lower masks mirrored at the limit: the highest bins still use the "
            "lowest ones.": mirrored,
            "your masks are those of the last bin: one bin alone is noisy.": last_bin,
            "your masks do not change over time.": constant,
        }
        for hint, mistake in mistakes.items():
            same = all(
                torch.allclose(got, mistake(one), atol=1e-3)
                for got, one in zip(answers, pieces, strict=True)
            )
            expect(not same, f"You reach {told}): {hint}")
    hint = "Which lower bins tell most about the band above?"
    expect(reached >= GOOD_SDR, f"You reach {told}, wanted {GOOD_SDR:g} dB). {hint}")
    return f"You reach {told})."


class Piece(NamedTuple):
    """A synthetic piece: spectra (s, f, n) of its sources, and a net's masks for the lower bins."""

    sources: Tensor
    masks: Tensor

    @property
    def magnitude(self) -> Tensor:
        """Magnitudes of the mixture, (f, n)."""
        return self.sources.sum(dim=0).abs()


@functools.cache
def piece(seed: int) -> Piece:
    """One second of drums, bass, chord and singer, and Wiener masks with 6 dB of level error."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.arange(RATE) / RATE

    def uniform(n: int) -> Tensor:
        return torch.rand(n, generator=generator)

    def noise(lowest: float, highest: float) -> Tensor:
        spectrum = torch.fft.rfft(torch.randn(RATE, generator=generator))
        frequencies = torch.fft.rfftfreq(RATE, 1 / RATE)
        return torch.fft.irfft(spectrum * ((frequencies > lowest) & (frequencies < highest)), RATE)

    def hits(start: float, period: float, decay: float) -> Tensor:
        since = (t - start) % period
        return torch.exp(-since / decay) * (t >= start)

    def tone(pitch: float, slope: float, highest: float = 16000) -> Tensor:
        k = torch.arange(1, int(highest / pitch) + 1)[:, None]
        phases = 2 * math.pi * uniform(len(k))[:, None]
        return (torch.sin(2 * math.pi * pitch * k * t + phases) / k**slope).sum(dim=0)

    beat = 0.2 + 0.1 * float(uniform(1))
    drums = 0.5 * noise(5000, 20000) * hits(0, beat, 0.04)  # hi-hat, snare, bass drum
    drums += 0.5 * noise(100, 16000) * hits(2 * beat, 4 * beat, 0.08)
    drums += 4 * torch.sin(2 * math.pi * 55 * t) * hits(0, 4 * beat, 0.15)
    bass = 1.5 * tone(55 * 2 ** float(uniform(1)), 2, 3000)
    chord = sum(0.5 * tone(f * (1 + 0.3 * float(uniform(1))), 1.3) for f in (220, 277, 330))
    late = 0.05 + 0.25 * float(uniform(1))
    hiss = ((t - late) % 0.5 < 0.12) & (t >= late)
    vocals = torch.where(hiss, 0.5 * noise(4500, 18000), tone(180 * 2 ** float(uniform(1)), 1.6))
    sources = STFT(1024, 256)(torch.stack([drums, bass, chord, vocals]))
    error = 6 * torch.randn(sources.shape, generator=generator)
    energy = (sources.abs() * 10 ** (error / 20)).square()
    return Piece(sources, (energy / (energy.sum(dim=0) + EPSILON))[:, :BELOW])


def answered(function: Callable[[Tensor, Tensor], Tensor], one: Piece) -> Tensor:
    """The reader's masks for the upper bins, with the right shape and in [0, 1]."""
    masks, magnitude = one.masks.clone(), one.magnitude
    got = torch.as_tensor(function(masks, magnitude)).float()
    unchanged = torch.equal(masks, one.masks) and torch.equal(magnitude, one.magnitude)
    expect(unchanged, "Leave the given tensors unchanged.")
    s, f, n = one.sources.shape
    wanted = s, f - BELOW, n
    hint = f"Return masks for the {f - BELOW} upper bins only: {wanted}, not {tuple(got.shape)}."
    expect(got.shape == wanted, hint)
    expect(got.isfinite().all(), "Some masks are NaN: what happens in a silent frame?")
    expect(got.min() > -1e-3 and got.max() < 1 + 1e-3, "Masks are between 0 and 1.")
    return got


def top_sdr(pieces: Sequence[Piece], answers: Sequence[Tensor]) -> float:
    """SDR above the limit in dB: all true sources over all errors, mean over pieces."""
    ratios = []
    for one, masks in zip(pieces, answers, strict=True):
        true = one.sources[:, BELOW:]
        error = true - masks * one.sources.sum(dim=0)[BELOW:]
        ratios.append(10 * torch.log10(true.abs().square().sum() / error.abs().square().sum()))
    return float(torch.stack(ratios).mean())


def upper(masks: Tensor, one: Piece) -> Tensor:
    """The same masks (s, 1, n) for every upper bin."""
    return masks.expand(-1, one.sources.shape[1] - BELOW, -1)


def zeros(one: Piece) -> Tensor:
    """Silence, Spleeter's default."""
    return upper(torch.zeros_like(one.masks[:, :1]), one)


def average(one: Piece) -> Tensor:
    """The mean over all lower bins, Spleeter's other choice and the baseline here."""
    return upper(one.masks.mean(dim=1, keepdim=True), one)


def last_bin(one: Piece) -> Tensor:
    """The masks of the highest lower bin."""
    return upper(one.masks[:, -1:], one)


def weighted_everywhere(one: Piece) -> Tensor:
    """Shares of the energy of all lower bins."""
    weight = one.magnitude[:BELOW].square()
    return upper((one.masks * weight).sum(1, keepdim=True) / (weight.sum(0) + EPSILON), one)


def copied(one: Piece) -> Tensor:
    """The lower bins, moved up."""
    return torch.cat([one.masks, one.masks[:, -1:]], dim=1)


def mirrored(one: Piece) -> Tensor:
    """The lower bins, from the highest to the lowest."""
    return copied(Piece(one.sources, one.masks.flip(1)))


def constant(one: Piece) -> Tensor:
    """The mean over the octave below and over time."""
    octave = one.masks[:, BELOW // 2 :].mean(dim=(1, 2), keepdim=True)
    return upper(octave, one).expand(-1, -1, one.sources.shape[2])
