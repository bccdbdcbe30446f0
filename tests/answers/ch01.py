"""Answers to the exercises of chapter 01."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from scipy import signal

from answers import Answers
from common.signal.stft import STFT


def mixed_with(gain):
    """A mixing desk whose gain is a function of the fader."""

    def mix(sources, faders):
        return sum(gain(fader) * stem for stem, fader in zip(sources, faders, strict=True))

    return mix


def mix_numpy(sources, faders):
    gains = np.power(10, np.array(faders) / 20)
    return np.einsum("s,sct->ct", gains, sources.numpy())


def mix_double(sources, faders):
    gains = 10 ** (torch.tensor(faders, dtype=torch.float64) / 20)
    return (gains[:, None, None] * sources).sum(dim=0)


def mix_loop(sources, faders):
    mixture = torch.zeros_like(sources[0])
    for stem, fader in zip(sources, faders, strict=True):
        mixture += stem * 10 ** (fader / 20)
    return mixture


def mix_in_place(sources, faders):
    for s, fader in enumerate(faders):
        sources[s] *= 10 ** (fader / 20)
    return sources.sum(dim=0)


def mix_one_fader(sources, faders):
    return 10 ** (np.mean(faders) / 20) * sources.sum(dim=0)


def swapped(sources):
    return sources[[1, 0, 3, 2]]


def one_is_the_mixture(sources):
    fakes = torch.zeros_like(sources)
    fakes[0] = sources.sum(dim=0)
    return fakes


def quarters(sources):
    return np.repeat(sources.numpy().mean(axis=0, keepdims=True), 4, axis=0)


def noise_that_cancels(sources):
    noise = 3 * torch.randn(sources.shape, generator=torch.Generator().manual_seed(1))
    return (sources + noise - noise.mean(dim=0)).double()


def noise_that_does_not_cancel(sources):
    return sources + torch.randn(sources.shape, generator=torch.Generator().manual_seed(1))


def two_swapped(sources):
    return torch.cat([sources[[1, 0]], sources[2:]])


def little_noise(sources):
    noise = 0.1 * torch.randn(sources.shape, generator=torch.Generator().manual_seed(1))
    return sources + noise - noise.mean(dim=0)


def difference_of_channels(mixture):
    left, right = mixture
    return (right - left).unsqueeze(0)


def zero_where_equal(mixture):
    return torch.where(mixture[:1] == mixture[1:], 0.0, mixture[:1])


def overlap_with(measure):
    """The first pair for which a measure is largest."""

    def largest(energy):
        pairs = itertools.combinations(range(len(energy)), 2)
        return max(pairs, key=lambda pair: float(measure(energy[pair[0]], energy[pair[1]])))

    return largest


def overlap_numpy(energy):
    energy = energy.numpy().reshape(len(energy), -1)
    shared = np.minimum(energy[:, None], energy[None]).sum(axis=-1)
    shared[np.tril_indices(len(energy))] = -1
    return np.unravel_index(shared.argmax(), shared.shape)


def overlap_torch(energy):
    shared = torch.minimum(energy[:, None], energy[None]).double().sum(dim=(2, 3)).triu(1)
    return torch.tensor(divmod(int(shared.argmax()), len(energy)))


def overlap_loop(energy):
    best, pair = -1.0, None
    for a in range(len(energy)):
        for b in range(a):
            shared = energy[[a, b]].min(dim=0).values.sum()
            if shared > best:
                best, pair = shared, [b, a]
    return pair


def overlap_with_self(energy):
    shared = torch.minimum(energy[:, None], energy[None]).sum(dim=(2, 3))
    return divmod(int(shared.argmax()), len(energy))


def overlap_flat(energy):
    shared = torch.minimum(energy[:, None], energy[None]).sum(dim=(2, 3)).triu(1)
    return shared.argmax()


def overlap_next(energy):
    shared = torch.minimum(energy[:-1], energy[1:]).sum(dim=(1, 2))
    return int(shared.argmax()), int(shared.argmax()) + 1


def keep_low_centre(cutoff):
    """Remove the centre above a frequency in Hz, with an ideal filter."""

    def keep(mixture, sample_rate):
        centre = mixture.mean(dim=0, keepdim=True)
        spectrum = torch.fft.rfft(centre)
        hertz = torch.fft.rfftfreq(mixture.shape[-1], 1 / sample_rate)
        low = torch.fft.irfft(spectrum * (hertz < cutoff), mixture.shape[-1])
        return mixture - centre + low

    return keep


def accompaniment_by_butterworth(mixture, sample_rate):
    mixture = mixture.double().numpy()
    centre = mixture.mean(axis=0)
    high = signal.butter(4, 150, "high", fs=sample_rate, output="sos")
    return mixture - signal.sosfiltfilt(high, centre)


def accompaniment_by_mask(mixture, sample_rate):
    """Remove every bin that is equally strong on both sides, but for the bass."""
    stft = STFT(1024, 256)
    left, right = stft(mixture)
    panned = (left - right).abs() / (left.abs() + right.abs() + 1e-8) > 0.3
    hertz = torch.linspace(0, sample_rate / 2, stft.n_bins)[:, None]
    return stft.inverse((panned | (hertz < 150)) * stft(mixture), mixture.shape[-1])


def accompaniment_by_louder_side(mixture, sample_rate):
    """Give what the channels do not share to the louder of the two, and keep the low centre."""
    stft = STFT(2048, 512)
    left, right = stft(mixture)
    shared = torch.minimum(left.abs(), right.abs())
    hertz = torch.linspace(0, sample_rate / 2, stft.n_bins)[:, None]
    shared = torch.where(hertz < 150, 0.0, shared)
    kept = [torch.polar((x.abs() - shared).clamp(min=0), x.angle()) for x in (left, right)]
    return stft.inverse(torch.stack(kept), mixture.shape[-1]).numpy()


def accompaniment_wrong_way(mixture, sample_rate):
    high_removed = keep_low_centre(150)(mixture, sample_rate)
    return 2 * mixture - mixture.mean(dim=0, keepdim=True) - high_removed


def only_the_bass(mixture, sample_rate):
    spectrum = torch.fft.rfft(mixture)
    hertz = torch.fft.rfftfreq(mixture.shape[-1], 1 / sample_rate)
    return torch.fft.irfft(spectrum * (hertz < 150), mixture.shape[-1])


ANSWERS = {
    "mix": Answers(
        right={
            "sum of products": mixed_with(lambda fader: 10 ** (fader / 20)),
            "NumPy": mix_numpy,
            "double precision": mix_double,
            "loop": mix_loop,
        },
        wrong={
            "energies": (mixed_with(lambda fader: 10 ** (fader / 10)), "d/10, which is for"),
            "no decibels": (mixed_with(lambda fader: fader), "decibels are not factors"),
            "mean": (lambda x, faders: mix_loop(x, faders) / len(x), "stems, not their mean"),
            "sign": (mixed_with(lambda fader: 10 ** (-fader / 20)), "the sign is wrong"),
            "powers of e": (mixed_with(lambda fader: np.exp(fader / 20)), "powers of 10, not of e"),
            "one fader": (mix_one_fader, "All stems get one gain"),
            "in place": (mix_in_place, "changes the stems"),
            "no sum": (lambda x, faders: x, "One mixture, (c, t)"),
        },
    ),
    "wrong_stems": Answers(
        right={
            "swapped": swapped,
            "everybody the next": lambda sources: sources.roll(-1, dims=0),
            "one is the mixture": one_is_the_mixture,
            "NumPy, a quarter each": quarters,
            "noise, double precision": noise_that_cancels,
        },
        wrong={
            "the true ones": (lambda sources: sources, "the true stems themselves"),
            "twice as loud": (lambda sources: 2 * sources.flip(0), "2 times the mixture"),
            "noise": (noise_that_does_not_cancel, "do not add up to the mixture"),
            "two swapped": (two_swapped, "Stem 2, 3 is still the true one"),
            "a little noise": (little_noise, "Stem 0 is too close to the true one"),
            "one stem": (lambda sources: sources.sum(dim=0), "Four stems like"),
        },
    ),
    "remove_centre": Answers(
        right={
            "left less right": lambda mixture: mixture[:1] - mixture[1:],
            "right less left": difference_of_channels,
            "NumPy": lambda mixture: -np.diff(mixture.numpy(), axis=0) / 2,
            "less the mean, double precision": (
                lambda mixture: mixture[:1].double() - mixture.mean(dim=0, keepdim=True)
            ),
        },
        wrong={
            "sum": (lambda mixture: mixture.sum(dim=0, keepdim=True), "You add the channels"),
            "left only": (lambda mixture: mixture[:1], "The voice is unchanged"),
            "no channel axis": (lambda mixture: mixture[0] - mixture[1], "One channel, (1, t)"),
            "two channels": (lambda mixture: mixture - mixture.mean(dim=0), "One channel, (1, t)"),
            "magnitudes": (
                lambda mixture: mixture[:1].abs() - mixture[1:].abs(),
                "with their signs",
            ),
            "zero where equal": (zero_where_equal, "more than the guitar is left"),
            "nothing left": (lambda mixture: 0 * mixture[:1], "guitar on the left is gone"),
        },
    ),
    "largest_overlap": Answers(
        right={
            "combinations": overlap_with(lambda a, b: a.minimum(b).sum()),
            "NumPy": overlap_numpy,
            "broadcast, double precision": overlap_torch,
            "loops": overlap_loop,
        },
        wrong={
            "smaller sum": (
                overlap_with(lambda a, b: min(a.sum(), b.sum())),
                "the two loudest stems",
            ),
            "products": (overlap_with(lambda a, b: (a * b).sum()), "You add up products"),
            "larger": (overlap_with(lambda a, b: a.maximum(b).sum()), "add up the larger"),
            "least": (overlap_with(lambda a, b: -a.minimum(b).sum()), "That pair overlaps least"),
            "cosine": (
                overlap_with(lambda a, b: torch.cosine_similarity(a.ravel(), b.ravel(), dim=0)),
                "That is a cosine",
            ),
            "with itself": (overlap_with_self, "one stem with itself"),
            "flat index": (overlap_flat, "two indices, not 1"),
            "higher first": (lambda energy: overlap_loop(energy)[::-1], "The lower index"),
            "only next ones": (overlap_next, "only with the next one"),
        },
    ),
    "accompaniment": Answers(
        right={
            "low centre kept, Fourier transform": keep_low_centre(150),
            "Butterworth filter, NumPy": accompaniment_by_butterworth,
            "a mask by panning": accompaniment_by_mask,
            "what the channels do not share": accompaniment_by_louder_side,
        },
        wrong={
            "the mixture": (lambda mixture, rate: mixture, "Most of the voice is still there"),
            "no centre": (keep_low_centre(0), "The bass is gone with the voice"),
            "cutoff too low": (keep_low_centre(20), "The bass is gone with the voice"),
            "cutoff too high": (keep_low_centre(2000), "Most of the voice is still there"),
            "cutoff a little too low": (keep_low_centre(100), "a good answer reaches 7 dB"),
            "one channel": (lambda mixture, rate: mixture[:1] - mixture[1:], "A stereo accomp"),
            "the difference in both": (
                lambda mixture, rate: (mixture[0] - mixture[1]).expand(2, -1),
                "One side has changed its sign",
            ),
            "only the bass": (only_the_bass, "keep the sides"),
            "the wrong way round": (accompaniment_wrong_way, "the wrong way round"),
        },
    ),
}
