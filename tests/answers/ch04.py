"""Answers to the exercises of chapter 04."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import scipy.signal
import torch

from answers import Answers
from common.evaluation.metrics import sdr, si_sdr
from common.signal.stft import STFT


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


def shared(power=2.0, n_fft=2048, hop_length=512, dim=0, small=1e-10):
    """The residual shared in every bin in proportion to magnitudes raised to a power."""
    stft = STFT(n_fft, hop_length)

    def share(mixture, estimates):
        spectra = stft(estimates)
        loud = spectra.abs() ** power
        shares = loud / (loud.sum(dim=dim, keepdim=True) + small)
        residual = stft(mixture) - spectra.sum(dim=0)
        return stft.inverse(spectra + shares * residual, mixture.shape[-1])

    return share


def masked_again(mixture, estimates):
    stft = STFT(1024, 256)
    energy = stft(estimates).abs().square() + 1e-12
    return stft.inverse(energy / energy.sum(dim=0) * stft(mixture), mixture.shape[-1])


def shared_in_numpy(mixture, estimates):
    settings = {"nperseg": 2048, "noverlap": 1536}
    spectra = scipy.signal.stft(estimates.numpy(), **settings)[2]
    residual = scipy.signal.stft((mixture - estimates.sum(dim=0)).numpy(), **settings)[2]
    loud = np.abs(spectra) ** 2
    shares = np.divide(loud, loud.sum(axis=0), out=np.zeros_like(loud), where=loud > 0)
    corrections = scipy.signal.istft(shares * residual, **settings)[1]
    return estimates.numpy() + corrections[..., : mixture.shape[-1]]


def shared_by_weight(weight):
    """The residual of whole waveforms, times a weight per estimate."""
    return lambda mixture, estimates: (
        estimates + weight(estimates) * (mixture - estimates.sum(dim=0))
    )


def of_whole_tracks(estimates):
    energy = estimates.square().sum(dim=(1, 2), keepdim=True)
    return energy / energy.sum()


def of_whole_amplitudes(estimates):
    return of_whole_tracks(estimates).sqrt() / of_whole_tracks(estimates).sqrt().sum()


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
            "ten": (lambda decibel: 1 - 10 ** (-decibel / 10), "SDR compares energies: 100 : 1"),
            "forty": (lambda decibel: 1 - 10 ** (-decibel / 40), "one square root too many"),
            "energies subtracted": (
                lambda decibel: math.sqrt(1 - 10 ** (-decibel / 10)),
                "difference of the waveforms",
            ),
            "louder": (lambda decibel: 1 + 10 ** (-decibel / 20), "greater than 1, but"),
            "sign": (lambda decibel: 1 - 10 ** (decibel / 20), "should be between 0 and 1"),
            "powers of e": (lambda decibel: 1 - math.exp(-decibel / 20), "use powers of 10"),
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
            "alpha": (lambda s, e: product(s, e) / product(s, s), "SI-SDR, which scales"),
            "inverse": (lambda s, e: product(s, s) / product(s, e), "one over the scale of SI-SDR"),
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
                "but another gain gives",
            ),
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
            "products": (fits_with(lambda r, e: (r * e).sum()), "products grow with level"),
            "worst": (fits_with(sdr, torch.argmin), "the worst fit: a high SDR is good"),
            "per reference": (match_turned, "give the reference of each estimate"),
            "per reference, all": (match_per_reference, "give the reference of each estimate"),
            "once each": (match_once_each, "choose for each estimate alone"),
            "SI-SDR": (fits_with(si_sdr), "SI-SDR calls it perfect, but use"),
            "NaN": (match_with_nan, "must never be chosen"),
            "in order": (
                lambda references, estimates: list(range(len(estimates))),
                "the indices in order",
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
            "unpaired": (interval_unpaired, "redraw the two lists separately"),
            "two medians": (interval_of_two_medians, "the difference of two medians"),
            "no redraws": (
                lambda ours, theirs: np.percentile(differences_of(ours, theirs), [2.5, 97.5]),
                "range of the differences themselves",
            ),
            "Gaussian": (interval_gaussian, "of Gaussian values"),
            "90 %": (interval_with(ends=(5, 95)), "You remove 5 % at each end"),
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
    "share_residual": Answers(
        right={
            "by power in every bin": shared(),
            "by magnitude, short windows": shared(1.0, 1024, 256),
            "by power, short windows": shared(2.0, 512, 128),
            "NumPy": shared_in_numpy,
        },
        wrong={
            "nothing": (lambda mixture, estimates: estimates, "use the residual"),
            "equal": (shared_by_weight(lambda estimates: 1 / 4), "Equal shares give"),
            "whole songs": (shared_by_weight(of_whole_tracks), "one share for the whole song"),
            "amplitudes of whole songs": (
                shared_by_weight(of_whole_amplitudes),
                "in every bin of an STFT",
            ),
            "the mixture masked again": (masked_again, "add to every estimate its share"),
            "subtracted": (
                lambda mixture, estimates: 2 * estimates - shared()(mixture, estimates),
                "You subtract the residual",
            ),
            "all of it to each": (shared_by_weight(lambda estimates: 1), "the whole residual"),
            "over frequencies": (shared(dim=-2), "do not add up to the mixture"),
            "0 by 0": (shared(small=0.0), "you divide 0 by 0"),
            "one stem": (lambda mixture, estimates: mixture, "Return one estimate per stem"),
        },
    ),
}
