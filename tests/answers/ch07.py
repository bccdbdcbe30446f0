"""Answers to the exercises of chapter 07, space."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch.nn import functional

from answers import Answers
from common.classical.panning import positions as bin_positions
from common.classical.projet import (
    angle_grid,
    project_channels,
    projection_gains,
    unmix,
    update_power,
)

SPEED = 343.0

SAFE_DISTANCE = Answers(
    right={
        "half a period": lambda f: SPEED * (1 / (2 * f)),
        "half a wavelength, numpy": lambda f: np.divide(SPEED / f, 2),
        "a tensor": lambda f: torch.tensor(171.5 / f),
        "by phase": lambda f: math.pi * SPEED / (2 * math.pi * f),
    },
    wrong={
        "a whole period": (lambda f: SPEED / f, "a whole period"),
        "a quarter": (lambda f: SPEED / f / 4, "a quarter of a period"),
        "centimetres": (lambda f: 100 * SPEED / f / 2, "That is in centimetres"),
        "millimetres": (lambda f: 1000 * SPEED / f / 2, "That is in millimetres"),
        "a delay": (lambda f: 1 / (2 * f), "That is a delay"),
        "angular_frequencies": (lambda f: SPEED / (2 * math.pi * f), "no factor of pi"),
        "another speed": (lambda f: 340 / (2 * f), "Use 343 m/s for"),
        "upside down": (lambda f: f / (2 * SPEED), "divide by it"),
        "always 1 kHz": (lambda f: 0.1715, "use `frequency`"),
        "twice a period": (lambda f: 2 * SPEED / f, "At 1000 Hz half a period"),
    },
)


def disjointness(magnitudes, energy=lambda x: x.square(), together=None, combine=None):
    own = energy(magnitudes)
    others = own.sum(0) - own if together is None else together(magnitudes)
    mask = own > others
    whole = own.sum((1, 2))
    kept, passed = (mask * own).sum((1, 2)) / whole, (mask * others).sum((1, 2)) / whole
    return kept - passed if combine is None else combine(kept, passed)


def in_a_loop(magnitudes):
    numbers = []
    for one in range(len(magnitudes)):
        kept = passed = whole = 0.0
        for bins in magnitudes.square().flatten(1).T.tolist():
            others = sum(bins) - bins[one]
            whole += bins[one]
            if bins[one] > others:
                kept, passed = kept + bins[one], passed + others
        numbers.append((kept - passed) / whole)
    return torch.tensor(numbers)


def in_numpy(magnitudes):
    own = magnitudes.double().numpy() ** 2
    rest = np.array([np.delete(own, k, axis=0).sum(0) for k in range(len(own))])
    return np.where(own > rest, own - rest, 0).sum((1, 2)) / own.sum((1, 2))


def in_the_list(magnitudes):
    gain = [
        2 * x.square() - magnitudes.square().sum(0) for x in magnitudes
    ]  # own less others, in every bin
    return [g.relu().sum() / x.square().sum() for g, x in zip(gain, magnitudes, strict=True)]


def louder_than_each(magnitudes):
    own = magnitudes.square()
    others = own.sum(0) - own
    mask = own == own.amax(0)
    return (mask * (own - others)).sum((1, 2)) / own.sum((1, 2))


def louder_magnitude(magnitudes):
    own = magnitudes.square()
    others = own.sum(0) - own
    mask = 2 * magnitudes > magnitudes.sum(0)
    return (mask * (own - others)).sum((1, 2)) / own.sum((1, 2))


def r_of_the_others(magnitudes):
    own = magnitudes.square()
    others = own.sum(0) - own
    mask = own > others
    passed = (mask * others).sum((1, 2)) / others.sum((1, 2))
    return (mask * own).sum((1, 2)) / own.sum((1, 2)) - passed


def averaged(axis):
    def disjointness(magnitudes):
        own = magnitudes.square()
        others = own.sum(0) - own
        return ((own - others).relu().sum(axis) / own.sum(axis)).mean(1)

    return disjointness


def squared_in_place(magnitudes):
    magnitudes *= magnitudes
    return disjointness(magnitudes, energy=lambda x: x)


def no_mask_on_the_others(magnitudes):
    own = magnitudes.square()
    others = own.sum(0) - own
    return ((own > others) * own - others).sum((1, 2)) / own.sum((1, 2))


DISJOINTNESS = Answers(
    right={
        "masks": disjointness,
        "in a loop": in_a_loop,
        "numpy, double": in_numpy,
        "a list": in_the_list,
    },
    wrong={
        "magnitudes": (lambda x: disjointness(x, lambda x: x), "square first"),
        "squared twice": (lambda x: disjointness(x.square()), "squared once, not twice"),
        "k alone": (lambda x: disjointness(x, combine=lambda k, r: k), "That is k, what is kept"),
        "r alone": (lambda x: disjointness(x, combine=lambda k, r: r), "That is r, what comes"),
        "k + r": (lambda x: disjointness(x, combine=lambda k, r: k + r), "That is k + r"),
        "r - k": (lambda x: disjointness(x, combine=lambda k, r: r - k), "the other way round"),
        "louder than each": (louder_than_each, "not than each"),
        "louder in magnitude": (louder_magnitude, "sum of their energies"),
        "square of the sum": (
            lambda x: disjointness(x, together=lambda x: (x.sum(0) - x).square()),
            "k - r is not",
        ),
        "r of the others' energy": (r_of_the_others, "not of the energy of the others"),
        "r of what is kept": (
            lambda x: disjointness(x, combine=lambda k, r: k - r / k),
            "not of what the mask keeps",
        ),
        "frame by frame": (averaged(1), "Add up over frames"),
        "bin by bin": (averaged(2), "Add up over frequencies"),
        "others everywhere": (no_mask_on_the_others, "only what is in the bins of the mask"),
        "one number for all": (lambda x: disjointness(x).mean(), "one number per source"),
        "in place": (squared_in_place, "work on a copy"),
    },
)


def karaoke(spectrum, low):
    left, right = spectrum
    out = ((left - right) / 2).expand_as(spectrum).clone()
    out[:, :low] = spectrum[:, :low]
    return out


def with_where(spectrum, low):
    bins = torch.arange(spectrum.shape[1])[:, None]
    return torch.where(bins < low, spectrum, 0.5 * (spectrum[0] - spectrum[1]))


def joined(spectrum, low):
    side = (spectrum[:1] - spectrum[1:]) / 2
    return torch.cat([spectrum[:, :low], side[:, low:].expand(2, -1, -1)], dim=1)


def karaoke_in_numpy(spectrum, low):
    out = spectrum.numpy().astype(np.complex128)
    for f in range(low, out.shape[1]):
        out[:, f] = (out[0, f] - out[1, f]) / 2
    return out


def karaoke_in_place(spectrum, low):
    spectrum[:, low:] = (spectrum[0, low:] - spectrum[1, low:]) / 2
    return spectrum


def one_after_the_other(spectrum, low):
    out = spectrum.clone()
    out[0, low:] = (out[0, low:] - out[1, low:]) / 2
    out[1, low:] = (out[0, low:] - out[1, low:]) / 2  # the left channel is new already
    return out


def above(replace):
    """From bin `low` on, what `replace(left, right)` gives for both channels."""

    def karaoke(spectrum, low):
        out = spectrum.clone()
        out[:, low:] = replace(*spectrum[:, low:])
        return out

    return karaoke


def along_time(spectrum, low):
    out = spectrum.clone()
    out[..., low:] = (spectrum[0, :, low:] - spectrum[1, :, low:]) / 2
    return out


KARAOKE = Answers(
    right={
        "copied": karaoke,
        "where": with_where,
        "joined": joined,
        "numpy, loop, double": karaoke_in_numpy,
    },
    wrong={
        "unchanged": (lambda x, low: x, "The spectrum is unchanged"),
        "no half": (above(lambda a, b: a - b), "divide by 2"),
        "opposite signs": (
            above(lambda a, b: torch.stack([a - b, b - a]) / 2),
            "with the same sign",
        ),
        "right minus left": (above(lambda a, b: (b - a) / 2), "right minus left"),
        "the mid": (above(lambda a, b: (a + b) / 2), "That is the mid:"),
        "left only": (
            above(lambda a, b: torch.stack([(a - b) / 2, b])),
            "The right channel should be replaced too",
        ),
        "left first": (one_after_the_other, "compute the side before you replace any"),
        "no bass": (lambda x, low: karaoke(x, 0), "The bass is gone as well"),
        "exchanged": (
            lambda x, low: torch.cat([karaoke(x, 0)[:, :low], x[:, low:]], dim=1),
            "Below and above are exchanged",
        ),
        "from low + 1": (lambda x, low: karaoke(x, low + 1), "itself should be replaced"),
        "from low - 1": (lambda x, low: karaoke(x, low - 1), "One bin too many"),
        "muted": (above(lambda a, b: 0 * a), "the result is silent"),
        "magnitudes": (above(lambda a, b: (a.abs() - b.abs()) / 2), "Magnitudes are subtracted"),
        "no phase": (above(lambda a, b: (a - b).abs() / 2), "take no magnitude"),
        "along time": (along_time, "`low` counts bins, not frames"),
        "one channel": (lambda x, low: karaoke(x, low)[0], "Keep the shape (2, f, n)"),
        "in place": (karaoke_in_place, "work on a copy"),
        "low typed in": (lambda x, low: karaoke(x, 4), "Let `low` decide"),
    },
)

def pan_matrix(positions):
    angles = (positions + 1) * math.pi / 4
    return torch.stack([angles.cos(), angles.sin()])  # (2, s)


def pairs(spectrum, positions, cost=lambda x: x.abs().sum(0), angle=pan_matrix):
    gains = angle(positions)
    best, sources = None, None
    for pair in itertools.combinations(range(len(positions)), 2):
        found = spectrum.new_zeros(len(positions), *spectrum.shape[1:])
        inverse = torch.linalg.inv(gains[:, list(pair)]).to(spectrum.dtype)
        found[list(pair)] = torch.einsum("sc,cfn->sfn", inverse, spectrum)
        size = cost(found)
        if best is None:
            best, sources = size, found
        sources = torch.where(size < best, found, sources)
        best = torch.minimum(size, best)
    return sources, gains


def images(sources, gains):
    return gains.T[:, :, None, None] * sources[:, None]


def pairs_with_gains(spectrum, positions):
    return images(*pairs(spectrum, positions))


def by_projet(spectrum, positions):
    angles = angle_grid(8)
    gains = projection_gains(angles, (positions + 1) * math.pi / 4)
    projections = project_channels(spectrum, angles).abs().flatten(1)
    power = projections.mean(0).expand(len(positions), -1)
    for _ in range(100):
        power = update_power(projections, gains, power)
    return unmix(spectrum, angles, gains, power)


def in_frames_of_numpy(spectrum, positions):
    return pairs_with_gains(spectrum.to(torch.complex128), positions.double()).numpy()


def soft_mask(spectrum, positions, width=0.1):
    distance = bin_positions(spectrum) - positions[:, None, None]
    return (-((distance / width) ** 2)).softmax(0)[:, None] * spectrum


def binary(spectrum, positions):
    nearest = (bin_positions(spectrum) - positions[:, None, None]).abs().argmin(0)
    return functional.one_hot(nearest, len(positions)).permute(2, 0, 1)[:, None] * spectrum


def least_norm(spectrum, positions):
    gains = pan_matrix(positions)
    inverse = torch.linalg.pinv(gains).to(spectrum.dtype)
    return images(torch.einsum("sc,cfn->sfn", inverse, spectrum), gains)


def always_three(spectrum, positions):
    return pairs_with_gains(spectrum, torch.tensor([-0.6, 0.0, 0.5]))


def in_place_pairs(spectrum, positions):
    found = pairs_with_gains(spectrum, positions)
    spectrum *= 0
    return found


SEPARATE_PANNED = Answers(
    right={
        "pairs": pairs_with_gains,
        "PROJET": by_projet,
        "numpy, double": in_frames_of_numpy,
    },
    wrong={
        "binary mask": (binary, "the binary mask of the nearest position"),
        "the mixture": (
            lambda x, p: x.expand(len(p), *x.shape),
            "Every source is the whole mixture",
        ),
        "equal parts": (
            lambda x, p: x.expand(len(p), *x.shape) / len(p),
            "Every source gets the same part",
        ),
        "pseudo-inverse": (least_norm, "The pseudo-inverse shares every bin"),
        "a soft mask": (soft_mask, "Divide a bin that sources share"),
        "mono": (lambda x, p: pairs(x, p)[0], "Return stereo spectra"),
        "mono twice": (
            lambda x, p: pairs(x, p)[0][:, None].expand(-1, 2, -1, -1),
            "multiply them by the source's pan gains",
        ),
        "reversed": (lambda x, p: pairs_with_gains(x, p).flip(0), "in the order of `positions`"),
        "magnitudes": (lambda x, p: pairs_with_gains(x, p).abs(), "Return complex spectra"),
        "angle of 90°": (
            lambda x, p: images(*pairs(x, p, angle=lambda q: pan_matrix(2 * q))),
            "map a position p to the angle",
        ),
        "largest magnitudes": (
            lambda x, p: images(*pairs(x, p, cost=lambda s: -s.abs().sum(0))),
            "map a position p to the angle",
        ),
        "three positions typed in": (always_three, "not for four at other positions"),
        "divided by zero": (lambda x, p: pairs_with_gains(x, p) / 0, "infinite or not a number"),
        "in place": (in_place_pairs, "work on a copy"),
    },
)

ANSWERS = {
    "safe_distance": SAFE_DISTANCE,
    "disjointness": DISJOINTNESS,
    "karaoke": KARAOKE,
    "separate_panned": SEPARATE_PANNED,
}
