"""Statistics of the stems of a track: loudness, silence, stereo width and long-term spectrum.

A track is measured block by block, so a song of any length fits into memory, and a track on disk
(`TrackOnDisk`) gives the same values as one in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy import signal
from torch import Tensor

HOP = 0.1
"""Length in seconds of the pieces whose power is stored; four of them are a block of BS.1770."""

WINDOW = 0.2
"""Window of the long-term spectrum in seconds: bins are 5 Hz apart at every sample rate."""


class Multitrack(Protocol):
    """What the statistics need from a track: `Track` and `TrackOnDisk` have it."""

    sample_rate: int
    source_names: tuple[str, ...]

    @property
    def n_samples(self) -> int: ...

    def read(self, source: int, first: int, n_samples: int) -> Tensor: ...


def k_weighting(sample_rate: int) -> np.ndarray:
    """Second-order sections (2, 6) of the K-weighting filter.

    A shelf that amplifies frequencies above 1.7 kHz by 4 dB, as the head does,
    and a high-pass at 38 Hz. ITU-R BS.1770-4 gives the coefficients for 48 kHz
    only; De Man 2018 derives the analogue filters, from which the bilinear
    transform gives those for any other rate.
    """
    gain, q = 10 ** (3.99984385397 / 20), 0.7071752369554193
    k = np.tan(np.pi * 1681.9744509555319 / sample_rate)
    edge = gain**0.499666774155 * k / q
    shelf = [gain + edge + k**2, 2 * (k**2 - gain), gain - edge + k**2]
    poles = np.array([1 + k / q + k**2, 2 * (k**2 - 1), 1 - k / q + k**2])
    head = np.append(shelf, poles) / poles[0]
    k, q = np.tan(np.pi * 38.13547087613982 / sample_rate), 0.5003270373253953
    poles = np.array([1 + k / q + k**2, 2 * (k**2 - 1), 1 - k / q + k**2])
    return np.stack([head, np.append([1, -2, 1], poles / poles[0])])


def hop_powers(audio: Tensor, sample_rate: int) -> Tensor:
    """Mean square of every whole tenth of a second: (..., t) → (..., n)."""
    length = round(HOP * sample_rate)
    if audio.shape[-1] < length:
        return audio.new_zeros((*audio.shape[:-1], 0))
    return audio.unfold(-1, length, length).square().mean(dim=-1)


def gated_loudness(powers: Tensor) -> float:
    """Loudness in LUFS of K-weighted powers (n,), one per tenth of a second.

    Blocks of 0.4 s overlap by 75 %. Blocks below -70 LUFS are removed, then
    blocks more than 10 LU below the mean of the others; -inf if none is left.
    ITU-R BS.1770-4, eq. 3-7.
    """
    if len(powers) < 4:
        return -torch.inf
    blocks = powers.double().unfold(0, 4, 1).mean(dim=-1)
    blocks = blocks[-0.691 + 10 * torch.log10(blocks) > -70]
    if not len(blocks):
        return -torch.inf
    blocks = blocks[blocks > blocks.mean() / 10]
    return (-0.691 + 10 * torch.log10(blocks.mean())).item()


def integrated_loudness(audio: Tensor, sample_rate: int) -> float:
    """Integrated loudness in LUFS of mono or stereo audio (c, t).

    Mono counts as one channel; the same signal on two channels is 3 LU louder.
    -inf for silence and for less than 0.4 s. ITU-R BS.1770-4.
    """
    sections = k_weighting(sample_rate)
    weighted = signal.sosfilt(sections, audio.double().numpy())
    powers = hop_powers(torch.from_numpy(weighted), sample_rate)
    return gated_loudness(powers.sum(dim=0))


@dataclass(frozen=True, eq=False)
class TrackStatistics:
    """Statistics of every stem of one track, and of their mixture as the last.

    loudness: (s,) in LUFS; silent: (s,), share of the time; width: (s,), side
    over mid in dB, -inf for mono; spectrum: (s, f), mean power per bin.
    """

    names: tuple[str, ...]
    sample_rate: int
    loudness: Tensor
    silent: Tensor
    width: Tensor
    spectrum: Tensor


def track_statistics(
    track: Multitrack, seconds: float = 10.0, floor: float = -60.0
) -> TrackStatistics:
    """Measure a track in blocks of so many seconds (a multiple of 0.1).

    A tenth of a second is silent if its level is below `floor` dB of full
    scale. A track shorter than 0.2 s has no spectrum: NaN.
    """
    rate, names = track.sample_rate, track.source_names
    sections = k_weighting(rate)
    channels = len(track.read(0, 0, rate))
    memory = np.zeros((len(sections), len(names) + 1, channels, 2))
    rest = torch.zeros(len(names) + 1, channels, 0).double()
    weighted, plain, sides, spectra = [], [], [], []
    length = round(seconds / HOP) * round(HOP * rate)
    for first in range(0, track.n_samples, length):
        block = [track.read(s, first, length) for s in range(len(names))]
        stems = torch.stack(block).double()
        stems = torch.cat([stems, stems.sum(dim=0, keepdim=True)])
        filtered, memory = signal.sosfilt(sections, stems.numpy(), zi=memory)
        weighted.append(hop_powers(torch.from_numpy(filtered), rate).sum(dim=1))
        plain.append(hop_powers(stems, rate).mean(dim=1))
        left, right = stems[:, 0], stems[:, -1]  # the same one for mono
        both = torch.stack([left + right, left - right])
        sides.append(both.square().sum(dim=-1))
        rest = torch.cat([rest, stems], dim=-1)  # a window crosses the edge
        spectra.append(frame_powers(rest, rate))
        rest = rest[..., spectra[-1].shape[-1] * (round(WINDOW * rate) // 2) :]
    level = 10 * torch.log10(torch.cat(plain, dim=-1))  # (s, n)
    mid, side = torch.stack(sides).sum(dim=0)
    powers = torch.cat(weighted, dim=-1)
    return TrackStatistics(
        (*names, "mixture"),
        rate,
        torch.tensor([gated_loudness(p) for p in powers], dtype=torch.double),
        (level < floor).double().mean(dim=-1),
        10 * torch.log10(side / mid),
        torch.cat(spectra, dim=-1).mean(dim=-1),
    )


def frame_powers(stems: Tensor, sample_rate: int) -> Tensor:
    """Power spectra of windows of 0.2 s: (s, c, t) → (s, f, n), averaged over channels."""
    length = round(WINDOW * sample_rate)
    if stems.shape[-1] < length:
        return stems.new_zeros((len(stems), length // 2 + 1, 0))
    window = torch.hann_window(length, dtype=stems.dtype)
    frames = stems.unfold(-1, length, length // 2) * window
    return torch.fft.rfft(frames).abs().square().mean(dim=1).transpose(-1, -2)


def third_octaves(power: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Level of each third of an octave, as a share of the whole in dB.

    power: (..., f), a long-term spectrum → centres (k,) in Hz and levels
    (..., k). Bands begin at 40 Hz, where each contains at least one bin.
    """
    frequencies = torch.linspace(0, sample_rate / 2, power.shape[-1])
    n_bands = int(3 * np.log2(sample_rate / 2 / 40 / 2 ** (1 / 6))) + 1
    centres = 40 * 2 ** (torch.arange(n_bands) / 3)
    low, high = centres * 2 ** (-1 / 6), centres * 2 ** (1 / 6)
    inside = (frequencies >= low[:, None]) & (frequencies < high[:, None])
    levels = power @ inside.to(power).T / power.sum(dim=-1, keepdim=True)
    return centres, 10 * torch.log10(levels)
