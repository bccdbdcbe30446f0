"""Answers to the exercises of chapter 02."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from answers import Answers
from common.signal.stft import STFT


def window_loop(low, high, sample_rate, bins=2.5, start=2):
    n_fft = start
    while (high - low) * n_fft / sample_rate < bins:
        n_fft *= 2
    return n_fft


def window_numpy(low, high, sample_rate):
    sizes = 2 ** np.arange(1, 24)
    return sizes[sizes * (high - low) >= 2.5 * sample_rate][0]


def window_by_bits(low, high, sample_rate):
    return 1 << (math.ceil(2.5 * sample_rate / (high - low)) - 1).bit_length()


def window_strict(low, high, sample_rate):
    n_fft = 2
    while (high - low) * n_fft / sample_rate <= 2.5:
        n_fft *= 2
    return n_fft


def sum_padded(window, hop_length):
    whole = functional.pad(window, (0, -len(window) % hop_length))
    return whole.reshape(-1, hop_length).sum(dim=0)


def sum_of_slices(window, hop_length):
    return torch.stack([window[place::hop_length].sum() for place in range(hop_length)])


def sum_numpy(window, hop_length):
    total = np.zeros(hop_length)
    np.add.at(total, np.arange(len(window)) % hop_length, window.numpy())
    return total


def sum_of_frames(window, hop_length):
    """Add many frames, and cut one hop from the middle."""
    n_frames = 2 * len(window) // hop_length + 3
    line = torch.zeros(n_frames * hop_length + len(window), dtype=torch.float64)
    for frame in range(n_frames):
        line[frame * hop_length :][: len(window)] += window
    middle = n_frames // 2 * hop_length
    return line[middle : middle + hop_length]


def sum_cut(window, hop_length):
    pieces = len(window) // hop_length
    return window[: pieces * hop_length].reshape(pieces, hop_length).sum(dim=0)


def sum_padded_before(window, hop_length):
    missing = -len(window) % hop_length
    return functional.pad(window, (missing, 0)).reshape(-1, hop_length).sum(dim=0)


def robot_with(hop, n_fft=1024, turn=torch.pi):
    """A robot whose hop is a function of sample rate and pitch."""

    def robot(audio, pitch, sample_rate):
        stft = STFT(n_fft, hop(sample_rate, pitch))
        magnitude = stft(audio).abs()
        angles = turn * torch.arange(stft.n_bins)[:, None]
        spectrum = torch.polar(magnitude, angles.expand_as(magnitude))
        return stft.inverse(spectrum, audio.shape[-1])

    return robot


def robot_of_signs(audio, pitch, sample_rate):
    stft = STFT(1024, int(sample_rate / pitch))
    signs = 1 - 2 * (torch.arange(stft.n_bins) % 2)
    return stft.inverse(stft(audio).abs() * signs[:, None] + 0j, len(audio))


def robot_double(audio, pitch, sample_rate):
    stft = STFT(1024, round(sample_rate / pitch))
    spectrum = stft(audio.double()).numpy()
    for k in range(stft.n_bins):
        spectrum[k] = np.abs(spectrum[k]) * np.exp(1j * np.pi * k)
    return stft.inverse(torch.from_numpy(spectrum), len(audio)).numpy()


def robot_random(audio, pitch, sample_rate):
    stft = STFT(1024, round(sample_rate / pitch))
    magnitude = stft(audio).abs()
    generator = torch.Generator().manual_seed(0)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, generator=generator)
    return stft.inverse(torch.polar(magnitude, angles), len(audio))


def robot_spectrum(audio, pitch, sample_rate):
    stft = STFT(1024, round(sample_rate / pitch))
    return stft(audio).abs() * torch.exp(1j * torch.pi * torch.arange(stft.n_bins))[:, None]


def robot_short(audio, pitch, sample_rate):
    robot = robot_with(lambda rate, pitch: round(rate / pitch))(audio, pitch, sample_rate)
    return robot[:-100]


def robot_unchanged(audio, pitch, sample_rate):
    stft = STFT(1024, round(sample_rate / pitch))
    return stft.inverse(stft(audio), len(audio))


def inconsistent(spectrum, stft, length):
    round_trip = stft(stft.inverse(spectrum, length))
    return 20 * torch.log10((round_trip - spectrum).norm() / spectrum.norm())


def inconsistent_energies(spectrum, stft, length):
    off = stft(stft.inverse(spectrum, length)) - spectrum
    return 10 * math.log10(off.abs().square().sum() / spectrum.abs().square().sum())


def inconsistent_numpy(spectrum, stft, length):
    off = stft(stft.inverse(spectrum, length)).numpy() - spectrum.numpy()
    return 20 * np.log10(np.linalg.norm(off) / np.linalg.norm(spectrum.numpy()))


def inconsistent_double(spectrum, stft, length):
    return float(inconsistent(spectrum.to(torch.complex128), stft, length))


def inconsistent_with(change):
    """A level that `change` makes of spectrum and round trip."""

    def level(spectrum, stft, length):
        return change(spectrum, stft(stft.inverse(spectrum, length)))

    return level


def random_phases(magnitude, seed=0):
    turns = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(seed))
    return torch.polar(magnitude, 2 * torch.pi * turns)


def momentum(alpha, n_iter=30, seed=0, restored=True):
    """Griffin-Lim with momentum; not restored: the extrapolated magnitude is kept."""

    def estimate(magnitude, stft, length):
        spectrum = random_phases(magnitude, seed)
        before = torch.zeros_like(spectrum)
        for _ in range(n_iter):
            consistent = stft(stft.inverse(spectrum, length))
            further = consistent + alpha * (consistent - before)
            spectrum = torch.polar(magnitude, further.angle()) if restored else further
            before = consistent
        return stft.inverse(spectrum, length)

    return estimate


def momentum_numpy(magnitude, stft, length):
    wanted = magnitude.double().numpy()
    turns = np.random.default_rng(1).random(wanted.shape)
    spectrum, before = wanted * np.exp(2j * np.pi * turns), None
    for _ in range(29):
        found = stft(stft.inverse(torch.from_numpy(spectrum), length)).numpy()
        further = found if before is None else 2 * found - before
        spectrum, before = wanted * np.exp(1j * np.angle(further)), found
    return stft.inverse(torch.from_numpy(spectrum), length).numpy()


def momentum_rising(magnitude, stft, length):
    """Nesterov's schedule: the momentum grows from 0 towards 1."""
    spectrum, before = random_phases(magnitude, 2), None
    for i in range(30):
        found = stft(stft.inverse(spectrum, length))
        further = found if before is None else found + (i + 2) / (i + 3) * (found - before)
        spectrum, before = torch.polar(magnitude, further.angle()), found
    return stft.inverse(spectrum, length)


def random_only(magnitude, stft, length):
    stft(torch.zeros(length))
    return stft.inverse(random_phases(magnitude), length)


ANSWERS = {
    "window_for": Answers(
        right={
            "loop": window_loop,
            "NumPy": window_numpy,
            "bits": window_by_bits,
            "logarithm": lambda low, high, rate: (
                2 ** math.ceil(math.log2(2.5 * rate / (high - low)))
            ),
        },
        wrong={
            "one bin": (lambda *x: window_loop(*x, bins=1), "bins apart: too close"),
            "two bins": (lambda *x: window_loop(*x, bins=2), "440 and 463.7 Hz show a dip of only"),
            "four bins": (lambda *x: window_loop(*x, bins=4), "half of it would do"),
            "three bins": (lambda *x: window_loop(*x, bins=3), "Exactly 2.5 bins are enough"),
            "no power of two": (
                lambda low, high, rate: math.ceil(2.5 * rate / (high - low)),
                "It should be a power of two",
            ),
            "no whole number": (
                lambda low, high, rate: math.log2(2.5 * rate / (high - low)),
                "a positive whole number",
            ),
            "from 2048 on": (lambda *x: window_loop(*x, start=2048), "a shorter window than 2048"),
            "more than 2.5 bins": (window_strict, "Exactly 2.5 bins are enough"),
            "fixed sample rate": (
                lambda low, high, rate: window_loop(low, high, 22050 if rate > 25600 else rate),
                "Twice the sample rate",
            ),
        },
    ),
    "window_sum": Answers(
        right={
            "padded": sum_padded,
            "slices": sum_of_slices,
            "NumPy": sum_numpy,
            "frames added, double precision": sum_of_frames,
        },
        wrong={
            "squared": (lambda w, hop: sum_padded(w**2, hop), "squared windows"),
            "mean": (lambda w, hop: sum_padded(w, hop) / (len(w) // hop), "mean of the pieces"),
            "every piece": (lambda w, hop: w.reshape(-1, hop).sum(dim=1), "each piece of a hop"),
            "turned": (lambda w, hop: w.reshape(hop, -1).sum(dim=1), "every second sample"),
            "two windows": (lambda w, hop: w[:hop] + w[hop : 2 * hop], "add only two windows"),
            "backwards": (lambda w, hop: sum_padded(w, hop).flip(0), "in the wrong order"),
            "remainder lost": (sum_cut, "The last sample of 7 is lost"),
            "padded before": (sum_padded_before, "pad at the end"),
            "one sum": (lambda w, hop: w.sum() / hop, "one sum over all positions"),
        },
    ),
    "robot": Answers(
        right={
            "polar": robot_with(lambda rate, pitch: round(rate / pitch)),
            "signs": robot_of_signs,
            "NumPy loop in double precision": robot_double,
        },
        wrong={
            "hop of the chapter": (robot_with(lambda rate, pitch: 256), "How long is a hop"),
            "octave too high": (
                robot_with(lambda rate, pitch: round(rate / pitch / 2)),
                "It hums at 294.0 Hz",
            ),
            "octave too low": (
                robot_with(lambda rate, pitch: round(2 * rate / pitch)),
                "It hums at 73.5 Hz",
            ),
            "not at the centre": (
                robot_with(lambda rate, pitch: round(rate / pitch), turn=torch.pi / 2),
                "of the energy is there",
            ),
            "zero phases": (
                robot_with(lambda rate, pitch: round(rate / pitch), turn=0.0),
                "peak together at its centre",
            ),
            "random phases": (robot_random, "It does not hum"),
            "spectrum": (robot_spectrum, "Audio is real"),
            "too short": (robot_short, "as many samples as came in"),
            "phases as they were": (robot_unchanged, "the unchanged sound"),
        },
    ),
    "inconsistency": Answers(
        right={
            "norms": inconsistent,
            "energies": inconsistent_energies,
            "NumPy": inconsistent_numpy,
            "double precision": inconsistent_double,
        },
        wrong={
            "no decibels": (
                inconsistent_with(lambda x, y: (y - x).norm() / x.norm()),
                "give it in dB",
            ),
            "ten": (lambda *x: inconsistent(*x) / 2, "20 times the logarithm"),
            "forty": (lambda *x: inconsistent(*x) * 2, "10 times the logarithm"),
            "upside down": (lambda *x: -inconsistent(*x), "The sign is wrong"),
            "not relative": (
                inconsistent_with(lambda x, y: 20 * torch.log10((y - x).norm())),
                "Ten times louder",
            ),
            "relative to the round trip": (
                inconsistent_with(lambda x, y: 20 * torch.log10((y - x).norm() / y.norm())),
                "divide by the norm of the round trip",
            ),
            "magnitudes": (
                inconsistent_with(
                    lambda x, y: 20 * torch.log10((y.abs() - x.abs()).norm() / x.norm())
                ),
                "compare magnitudes only",
            ),
            "difference of norms": (
                inconsistent_with(lambda x, y: 20 * torch.log10(y.norm() / x.norm())),
                "compare the norms of both",
            ),
            "mean of ratios": (
                inconsistent_with(lambda x, y: 20 * torch.log10(((y - x) / x).abs().mean())),
                "sum over all bins and frames",
            ),
            "one per frame": (
                inconsistent_with(lambda x, y: 20 * torch.log10((y - x).norm(dim=0))),
                "Return one number",
            ),
        },
    ),
    "fast_griffin_lim": Answers(
        right={
            "momentum of 0.99": momentum(0.99),
            "NumPy, momentum of 1": momentum_numpy,
            "rising momentum": momentum_rising,
            "momentum of 0.8, another start": momentum(0.8, seed=3),
        },
        wrong={
            "plain": (momentum(0.0), "a little further along the last change"),
            "plain from a lucky start": (momentum(0.0, seed=5), "further along the last change"),
            "backwards": (momentum(-0.3), "a little further along the last change"),
            "too large": (momentum(1.2), "a little further along the last change"),
            "too small": (momentum(0.5), "try a larger momentum"),
            "more round trips": (momentum(0.0, n_iter=200), "You call `stft` 200 times"),
            "magnitude not restored": (momentum(0.99, restored=False), "is the magnitude restored"),
            "random phases": (random_only, "is the magnitude restored"),
            "no round trip": (
                lambda magnitude, stft, length: stft.inverse(random_phases(magnitude), length),
                "You never call `stft`",
            ),
            "spectrum": (
                lambda magnitude, stft, length: stft(stft.inverse(magnitude + 0j, length)),
                "That is a spectrum",
            ),
            "too short": (
                lambda *x: momentum(0.99)(*x)[:-128],
                "Return 12000 samples",
            ),
        },
    ),
}
