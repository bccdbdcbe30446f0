"""Answers to the exercises of chapter 01."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from answers import Answers


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


def neighbours_with(measure):
    """The first pair for which a measure is largest."""

    def worst(energy):
        pairs = itertools.combinations(range(len(energy)), 2)
        return max(pairs, key=lambda pair: float(measure(energy[pair[0]], energy[pair[1]])))

    return worst


def neighbours_numpy(energy):
    energy = energy.numpy().reshape(len(energy), -1)
    shared = np.minimum(energy[:, None], energy[None]).sum(axis=-1)
    shared[np.tril_indices(len(energy))] = -1
    return np.unravel_index(shared.argmax(), shared.shape)


def neighbours_torch(energy):
    shared = torch.minimum(energy[:, None], energy[None]).double().sum(dim=(2, 3)).triu(1)
    return torch.tensor(divmod(int(shared.argmax()), len(energy)))


def neighbours_loop(energy):
    best, pair = -1.0, None
    for a in range(len(energy)):
        for b in range(a):
            shared = energy[[a, b]].min(dim=0).values.sum()
            if shared > best:
                best, pair = shared, [b, a]
    return pair


def neighbours_with_self(energy):
    shared = torch.minimum(energy[:, None], energy[None]).sum(dim=(2, 3))
    return divmod(int(shared.argmax()), len(energy))


def neighbours_flat(energy):
    shared = torch.minimum(energy[:, None], energy[None]).sum(dim=(2, 3)).triu(1)
    return shared.argmax()


def neighbours_next(energy):
    shared = torch.minimum(energy[:-1], energy[1:]).sum(dim=(1, 2))
    return int(shared.argmax()), int(shared.argmax()) + 1


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
            "mean": (lambda x, faders: mix_loop(x, faders) / len(x), "and not their mean"),
            "sign": (mixed_with(lambda fader: 10 ** (-fader / 20)), "the sign is wrong"),
            "powers of e": (mixed_with(lambda fader: np.exp(fader / 20)), "powers of 10, not of e"),
            "one fader": (mix_one_fader, "All stems get one gain"),
            "in place": (mix_in_place, "changes the stems"),
            "no sum": (lambda x, faders: x, "One mixture, (c, t)"),
        },
    ),
    "impostors": Answers(
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
            "a little noise": (little_noise, "Stem 0 is too honest"),
            "one stem": (lambda sources: sources.sum(dim=0), "Four stems like"),
        },
    ),
    "remove_middle": Answers(
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
            "left only": (lambda mixture: mixture[:1], "still there as it was"),
            "no channel axis": (lambda mixture: mixture[0] - mixture[1], "One channel, (1, t)"),
            "two channels": (lambda mixture: mixture - mixture.mean(dim=0), "One channel, (1, t)"),
            "magnitudes": (
                lambda mixture: mixture[:1].abs() - mixture[1:].abs(),
                "with their signs",
            ),
            "zero where equal": (zero_where_equal, "something else than the"),
            "nothing left": (lambda mixture: 0 * mixture[:1], "guitar on the left has gone"),
        },
    ),
    "worst_neighbours": Answers(
        right={
            "combinations": neighbours_with(lambda a, b: a.minimum(b).sum()),
            "NumPy": neighbours_numpy,
            "broadcast, double precision": neighbours_torch,
            "loops": neighbours_loop,
        },
        wrong={
            "smaller sum": (
                neighbours_with(lambda a, b: min(a.sum(), b.sum())),
                "the two loudest stems",
            ),
            "products": (neighbours_with(lambda a, b: (a * b).sum()), "You add up products"),
            "larger": (neighbours_with(lambda a, b: a.maximum(b).sum()), "add up the larger"),
            "least": (neighbours_with(lambda a, b: -a.minimum(b).sum()), "shares least"),
            "cosine": (
                neighbours_with(lambda a, b: torch.cosine_similarity(a.ravel(), b.ravel(), dim=0)),
                "That is a cosine",
            ),
            "with itself": (neighbours_with_self, "one stem with itself"),
            "flat index": (neighbours_flat, "two indices, not 1"),
            "higher first": (lambda energy: neighbours_loop(energy)[::-1], "The lower index"),
            "only next ones": (neighbours_next, "only with the next one"),
        },
    ),
}
