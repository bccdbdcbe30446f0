"""Answers to the exercises of chapter 07, space."""

from __future__ import annotations

import math

import numpy as np
import torch

from answers import Answers
from common.classical.panning import middle_and_side


def parts(audio):
    left, right = audio
    return (left + right) / 2, (left - right) / 2


def back(middle, side):
    return torch.stack([middle + side, middle - side])


def by_matrix(audio, factor):
    own, cross = (1 + factor) / 2, (1 - factor) / 2
    return torch.tensor([[own, cross], [cross, own]]) @ audio


def sample_by_sample(audio, factor):
    wide = np.empty(audio.shape)
    for t in range(audio.shape[1]):
        left, right = float(audio[0, t]), float(audio[1, t])
        middle = (left + right) / 2
        wide[:, t] = middle + factor * (left - middle), middle + factor * (right - middle)
    return wide


def in_place(audio, factor):
    middle, side = parts(audio)
    audio[0], audio[1] = middle + factor * side, middle - factor * side
    return audio


def widened(change):
    """Middle and side go through `change(middle, side, factor)` and back to left and right."""
    return lambda audio, factor: back(*change(*parts(audio), factor))


WIDEN = Answers(
    right={
        "the chapter's function": lambda audio, x: back(
            middle_and_side(audio)[0], x * middle_and_side(audio)[1]
        ),
        "matrix": by_matrix,
        "sample by sample, numpy": sample_by_sample,
        "side added": lambda audio, x: audio + (x - 1) * (audio - audio.flip(0)) / 2,
        "double": lambda audio, x: widened(lambda m, s, x: (m, x * s))(audio.double(), x),
    },
    wrong={
        "both multiplied": (widened(lambda m, s, x: (x * m, x * s)), "the middle should stay"),
        "the middle multiplied": (widened(lambda m, s, x: (x * m, s)), "The middle is multiplied"),
        "only the side": (widened(lambda m, s, x: (0 * m, x * s)), "Only the side is left"),
        "no halves": (
            widened(lambda m, s, x: (2 * m, 2 * x * s)),
            "halves of sum and difference",
        ),
        "middle and side returned": (
            lambda audio, x: torch.stack([parts(audio)[0], x * parts(audio)[1]]),
            "turn them back into left and right",
        ),
        "channels exchanged": (widened(lambda m, s, x: (m, -x * s)), "Left is now right"),
        "factor limited": (
            widened(lambda m, s, x: (m, min(x, 1.0) * s)),
            "a factor over 1 should widen",
        ),
        "factor squared": (widened(lambda m, s, x: (m, x**2 * s)), "no square, no root"),
        "divided": (widened(lambda m, s, x: (m, s / x)), "do not divide"),
        "factor added": (
            widened(lambda m, s, x: (m, (1 + x) * s)),
            "Left minus right is twice the side",
        ),
        "in place": (in_place, "work on a copy"),
        "unchanged": (lambda audio, x: audio, "the recording as it was"),
        "as pairs": (lambda audio, x: by_matrix(audio, x).T, "Keep the shape (2, t)"),
    },
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
        "centimetres": (lambda f: 100 * SPEED / f / 2, "in centimetres"),
        "millimetres": (lambda f: 1000 * SPEED / f / 2, "in millimetres"),
        "a delay": (lambda f: 1 / (2 * f), "That is a delay"),
        "radians": (lambda f: SPEED / (2 * math.pi * f), "no factor of pi"),
        "another speed": (lambda f: 340 / (2 * f), "343 m/s here"),
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
        "k alone": (lambda x: disjointness(x, combine=lambda k, r: k), "what is kept, k"),
        "r alone": (lambda x: disjointness(x, combine=lambda k, r: r), "what comes through, r"),
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
        "one number for all": (lambda x: disjointness(x).mean(), "One number per source"),
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
        "unchanged": (lambda x, low: x, "the spectrum as it was"),
        "no half": (above(lambda a, b: a - b), "divide by 2"),
        "opposite signs": (
            above(lambda a, b: torch.stack([a - b, b - a]) / 2),
            "with the same sign",
        ),
        "right minus left": (above(lambda a, b: (b - a) / 2), "right minus left"),
        "the middle": (above(lambda a, b: (a + b) / 2), "That is the middle"),
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
        "muted": (above(lambda a, b: 0 * a), "there is nothing left"),
        "magnitudes": (above(lambda a, b: (a.abs() - b.abs()) / 2), "Magnitudes are subtracted"),
        "no phase": (above(lambda a, b: (a - b).abs() / 2), "take no magnitude"),
        "along time": (along_time, "`low` counts bins, not frames"),
        "one channel": (lambda x, low: karaoke(x, low)[0], "Keep the shape (2, f, n)"),
        "in place": (karaoke_in_place, "work on a copy"),
        "low typed in": (lambda x, low: karaoke(x, 4), "Let `low` decide"),
    },
)

ANSWERS = {
    "widen": WIDEN,
    "safe_distance": SAFE_DISTANCE,
    "disjointness": DISJOINTNESS,
    "karaoke": KARAOKE,
}
