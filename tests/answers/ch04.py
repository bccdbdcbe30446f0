"""Answers to the exercises of chapter 04."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import torch

from answers import Answers
from common.evaluation.metrics import sdr, si_sdr


def gain_by_bisection(decibel):
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if -20 * math.log10(1 - middle) < decibel else (low, middle)
    return low


def best_by_search(reference, estimate):
    gains = torch.linspace(-3, 3, 6001)
    return gains[torch.stack([sdr(reference, g * estimate) for g in gains]).argmax()]


def best_by_lstsq(reference, estimate):
    columns = estimate.numpy().reshape(-1, 1)
    found, *_ = np.linalg.lstsq(columns, reference.numpy().ravel(), rcond=None)
    return found[0]


def best_by_loop(reference, estimate):
    shared = energy = 0.0
    for s, e in zip(reference.flatten().tolist(), estimate.flatten().tolist(), strict=True):
        shared, energy = shared + s * e, energy + e * e
    return shared / energy


def best_per_channel(reference, estimate):
    return (reference * estimate).sum(dim=-1) / estimate.square().sum(dim=-1)


def product(a, b):
    return (a * b).sum()


def match_broadcast(references, estimates):
    shape = (len(estimates), *references.shape)
    fits = sdr(references.expand(shape), estimates[:, None].expand(shape))
    return fits.nan_to_num(nan=-torch.inf).argmax(dim=1)


def match_loop(references, estimates):
    found = []
    for estimate in estimates:
        fits = [float(sdr(reference, estimate)) for reference in references]
        found.append(max(range(len(fits)), key=lambda k: -1e9 if fits[k] != fits[k] else fits[k]))
    return found


def match_numpy(references, estimates):
    r, e = (x.numpy().astype(np.float64) for x in (references, estimates))
    energy = (r**2).sum(axis=(1, 2))
    error = ((e[:, None] - r[None]) ** 2).sum(axis=(2, 3))
    ratio = np.divide(energy, error, out=np.zeros_like(error), where=energy > 0)
    return np.argmax(ratio, axis=1)


def fits_with(measure, choose=torch.argmax):
    """For each estimate the index that `choose` takes of the fits, NaN as the worst."""

    def match(references, estimates):
        found = []
        for estimate in estimates:
            fits = torch.stack([measure(reference, estimate) for reference in references])
            found.append(int(choose(fits.nan_to_num(nan=-torch.inf))))
        return found

    return match


def match_with_nan(references, estimates):
    return [int(sdr(references, e.expand_as(references)).argmax()) for e in estimates]


def match_per_reference(references, estimates):
    return [
        int(torch.stack([sdr(r, e) for e in estimates]).nan_to_num(nan=-torch.inf).argmax())
        for r in references
    ]


def match_turned(references, estimates):
    n = len(estimates)
    return match_per_reference(references[:n] if n < len(references) else references, estimates)


def match_once_each(references, estimates):
    best = max(
        itertools.permutations(range(len(references)), len(estimates)),
        key=lambda order: sum(
            float(sdr(references[k], e).nan_to_num(nan=-1e9))
            for k, e in zip(order, estimates, strict=True)
        ),
    )
    return list(best)


def differences_of(ours, theirs):
    return [a - b for a, b in zip(ours, theirs, strict=True) if None not in (a, b)]


def interval_numpy(ours, theirs, n=2000):
    differences = np.array(differences_of(ours, theirs))
    redrawn = np.random.default_rng(0).choice(differences, size=(n, len(differences)))
    return tuple(np.percentile(np.median(redrawn, axis=1), [2.5, 97.5]))


def interval_loop(ours, theirs, n=2000):
    dice, differences = random.Random(0), differences_of(ours, theirs)
    medians = sorted(
        statistics.median(dice.choices(differences, k=len(differences))) for _ in range(n)
    )
    return medians[round(0.025 * n)], medians[round(0.975 * n)]


def interval_torch(ours, theirs, n=2000):
    differences = torch.tensor(differences_of(ours, theirs), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    which = torch.randint(len(differences), (n, len(differences)), generator=generator)
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    return differences[which].quantile(0.5, dim=1).quantile(ends)


def interval_with(median=np.median, ends=(2.5, 97.5), replace=True):
    """An interval of the differences with another middle, other ends, or another drawing."""

    def interval(ours, theirs, n=2000):
        differences = np.array(differences_of(ours, theirs))
        rng = np.random.default_rng(0)
        redrawn = [
            median(rng.choice(differences, size=len(differences), replace=replace))
            for _ in range(n)
        ]
        return np.percentile(redrawn, ends)

    return interval


def interval_unpaired(ours, theirs, n=2000):
    rng = np.random.default_rng(0)
    found = []
    for values in (ours, theirs):
        values = np.array([x for x in values if x is not None])
        found.append(np.median(rng.choice(values, size=(n, len(values))), axis=1))
    return np.percentile(found[0] - found[1], [2.5, 97.5])


def interval_of_two_medians(ours, theirs, n=2000):
    pairs = np.array([(a, b) for a, b in zip(ours, theirs, strict=True) if None not in (a, b)])
    which = np.random.default_rng(0).integers(len(pairs), size=(n, len(pairs)))
    medians = np.median(pairs[which], axis=1)
    return np.percentile(medians[:, 0] - medians[:, 1], [2.5, 97.5])


def interval_with_zeros(ours, theirs, n=2000):
    return interval_numpy([x or 0.0 for x in ours], [x or 0.0 for x in theirs], n)


def interval_gaussian(ours, theirs, n=2000):
    differences = np.array(differences_of(ours, theirs))
    half = 1.96 * differences.std(ddof=1) / len(differences) ** 0.5
    return differences.mean() - half, differences.mean() + half


def interval_of_nan(ours, theirs, n=2000):
    ours, theirs = np.array(ours, dtype=float), np.array(theirs, dtype=float)
    redrawn = np.random.default_rng(0).choice(ours - theirs, size=(n, len(ours)))
    return np.percentile(np.median(redrawn, axis=1), [2.5, 97.5])


def interval_of_few(ours, theirs, n=2000):
    differences = np.array(differences_of(ours, theirs))
    redrawn = np.random.default_rng(0).choice(differences, size=(n, 10))
    return np.percentile(np.median(redrawn, axis=1), [2.5, 97.5])


ANSWERS = {
    "gain_behind": Answers(
        right={
            "formula": lambda decibel: 1 - 10 ** (-decibel / 20),
            "NumPy, by energies": lambda decibel: 1 - np.sqrt(np.power(10.0, -decibel / 10)),
            "torch": lambda decibel: 1 - torch.exp(torch.tensor(-decibel * math.log(10) / 20)),
            "bisection": gain_by_bisection,
        },
        wrong={
            "the error": (lambda decibel: 10 ** (-decibel / 20), "share of the amplitude"),
            "the error's energy": (lambda decibel: 10 ** (-decibel / 10), "share of the energy"),
            "ten": (lambda decibel: 1 - 10 ** (-decibel / 10), "SDR compares energies: energies"),
            "forty": (lambda decibel: 1 - 10 ** (-decibel / 40), "the square root too much"),
            "energies subtracted": (
                lambda decibel: math.sqrt(1 - 10 ** (-decibel / 10)),
                "difference of the waveforms",
            ),
            "louder": (lambda decibel: 1 + 10 ** (-decibel / 20), "greater than 1"),
            "sign": (lambda decibel: 1 - 10 ** (decibel / 20), "should be between 0 and 1"),
            "powers of e": (lambda decibel: 1 - math.exp(-decibel / 20), "powers of 10"),
        },
    ),
    "best_gain": Answers(
        right={
            "projection": lambda s, e: (product(s, e) / product(e, e)).item(),
            "NumPy's least squares": best_by_lstsq,
            "loop": best_by_loop,
            "tried gains": best_by_search,
            "double precision": lambda s, e: product(s.double(), e.double()) / product(e, e),
        },
        wrong={
            "alpha": (lambda s, e: product(s, e) / product(s, s), "the scale of SI-SDR, which"),
            "upside down": (lambda s, e: product(s, s) / product(s, e), "upside down"),
            "as loud": (lambda s, e: s.norm() / e.norm(), "as loud as the reference"),
            "energies": (lambda s, e: product(s, s) / product(e, e), "ratio of the energies"),
            "correlation": (
                lambda s, e: product(s, e) / s.norm() / e.norm(),
                "That is a correlation",
            ),
            "sign": (lambda s, e: (product(s, e) / product(e, e)).abs(), "You lose the sign"),
            "one": (lambda s, e: 1.0, "leaves the estimate as it is"),
            "two channels": (best_per_channel, "one number, not 2"),
            "nearly": (
                lambda s, e: 1.02 * product(s, e) / product(e, e),
                "there is one that gives",
            ),
        },
    ),
    "flatter": Answers(
        right={
            "upside down": lambda reference: -reference,
            "too loud": lambda reference: 1000 * reference,
            "NumPy, a little too loud": lambda reference: 2.1 * reference.numpy(),
            "double precision, both": lambda reference: -3 * reference.double(),
        },
        wrong={
            "silence": (torch.zeros_like, "Silence has an SDR of 0 dB"),
            "the reference": (lambda reference: reference, "the best of all estimates"),
            "half": (lambda reference: reference / 2, "not below 0"),
            "twice": (lambda reference: 2 * reference, "not below 0"),
            "noise": (
                lambda reference: 2 * torch.randn(2, 4000, generator=torch.Generator()),
                "What does SI-SDR not look at",
            ),
            "one channel upside down": (
                lambda reference: reference * torch.tensor([[1.0], [-1.0]]) * 2,
                "What does SI-SDR not look at",
            ),
            "mono": (lambda reference: -reference.mean(dim=0), "Keep the shape (2, 4000)"),
        },
    ),
    "best_match": Answers(
        right={
            "broadcast": match_broadcast,
            "loop": match_loop,
            "NumPy": match_numpy,
            "by the smallest error, double precision": (
                lambda references, estimates: fits_with(
                    lambda r, e: -(r - e).double().square().sum() / r.double().square().sum()
                )(references, estimates)
            ),
        },
        wrong={
            "products": (fits_with(lambda r, e: (r * e).sum()), "products grow with its level"),
            "worst": (fits_with(sdr, torch.argmin), "a high SDR is good"),
            "per reference": (match_turned, "where the estimate of each reference is"),
            "per reference, all": (match_per_reference, "where the estimate of each reference is"),
            "once each": (match_once_each, "choose for each estimate alone"),
            "SI-SDR": (fits_with(si_sdr), "SI-SDR calls it perfect"),
            "NaN": (match_with_nan, "which must never win"),
            "in order": (
                lambda references, estimates: list(range(len(estimates))),
                "places in order",
            ),
        },
    ),
    "interval_of_difference": Answers(
        right={
            "NumPy": interval_numpy,
            "plain Python": interval_loop,
            "torch, double precision": interval_torch,
        },
        wrong={
            "theirs less ours": (
                lambda ours, theirs: interval_numpy(theirs, ours),
                "The sign is wrong",
            ),
            "mean": (interval_with(np.mean), "the mean of each redraw"),
            "unpaired": (interval_unpaired, "redraw the two lists apart"),
            "two medians": (interval_of_two_medians, "the difference of two medians"),
            "no redraws": (
                lambda ours, theirs: np.percentile(differences_of(ours, theirs), [2.5, 97.5]),
                "range of the differences themselves",
            ),
            "Gaussian": (interval_gaussian, "of Gaussian numbers"),
            "90 %": (interval_with(ends=(5, 95)), "You cut 5 % off each end"),
            "None as 0": (interval_with_zeros, "You count `None` as 0 dB"),
            "without replacement": (interval_with(replace=False), "without replacement"),
            "NaN": (interval_of_nan, "You return NaN"),
            "ten songs": (interval_of_few, "which is too wide"),
            "upper end first": (
                lambda ours, theirs: interval_numpy(ours, theirs)[::-1],
                "The lower end comes first",
            ),
        },
    ),
}
