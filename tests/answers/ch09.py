"""Answers to the exercises of chapter 09, mixing with Scaper."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch

from answers import Answers


def event_gain(loudness, snr, ref_db=-26.0):
    return 10 ** ((ref_db + snr - max(loudness, -70.0)) / 20)


def gain_in_numpy(loudness, snr, ref_db=-26.0):
    return np.power(10.0, (ref_db + snr - np.maximum(loudness, -70)) / 20)


def gain_in_steps(loudness, snr, ref_db=-26.0):
    if loudness < -70 or math.isinf(loudness):
        loudness = -70
    target = torch.tensor(ref_db + snr, dtype=torch.float64)
    return 10 ** (target / 20) / 10 ** (loudness / 20)


def limited(loudness, snr, ref_db=-26.0):
    """The limit on the gain instead of the loudness."""
    return 10 ** (min(ref_db + snr - loudness, 44.0) / 20)


def silence_only(loudness, snr, ref_db=-26.0):
    return event_gain(-70.0 if math.isinf(loudness) else loudness, snr, ref_db) * (
        10 ** ((-70 - loudness) / 20) if -math.inf < loudness < -70 else 1
    )


def silence_untouched(loudness, snr, ref_db=-26.0):
    return 1.0 if math.isinf(loudness) else 10 ** ((ref_db + snr - loudness) / 20)


EVENT_GAIN = Answers(
    right={
        "maximum": event_gain,
        "numpy": gain_in_numpy,
        "in steps, a tensor": gain_in_steps,
        "exponential": lambda loudness, snr, ref_db=-26.0: math.exp(
            math.log(10) / 20 * (ref_db + snr - max(-70, loudness))
        ),
    },
    wrong={
        "decibels": (lambda x, snr, ref=-26.0: ref + snr - max(x, -70), "Those are decibels"),
        "as energies": (lambda *x: event_gain(*x) ** 2, "Samples are amplitudes"),
        "upside down": (lambda *x: 1 / event_gain(*x), "is down, not up"),
        "snr subtracted": (
            lambda x, snr, ref=-26.0: event_gain(x, -snr, ref),
            "The snr counts from ref_db",
        ),
        "no snr": (lambda x, snr, ref=-26.0: event_gain(x, 0, ref), "The snr counts from ref_db"),
        "snr above nothing": (lambda x, snr, ref=-26.0: event_gain(x, snr, 0), "`ref_db` counts"),
        "no loudness": (lambda x, snr, ref=-26.0: event_gain(0, snr, ref), "`loudness` counts"),
        "no limit": (
            lambda x, snr, ref=-26.0: float(np.float64(10) ** ((ref + snr - x) / 20)),
            "what does Scaper do?",
        ),
        "silence untouched": (silence_untouched, "What is below -70 LUFS"),
        "silence alone": (silence_only, "Not only silence"),
        "limit on the gain": (limited, "not on the gain"),
        "another default": (
            lambda x, snr, ref=-20.0: event_gain(x, snr, ref),
            "without a `ref_db` it is -26",
        ),
        "ref typed in": (lambda x, snr, ref=-26.0: event_gain(x, snr), "Use `snr` and `ref_db`"),
    },
)


def predict(event_time, event_duration, time_stretch, duration):
    length = min(event_duration * time_stretch, duration)
    return min(event_time, duration - length), length


def predict_in_branches(event_time, event_duration, time_stretch, duration):
    length = time_stretch * event_duration
    if length >= duration:
        return 0, duration
    if event_time + length > duration:
        event_time = duration - length
    return [event_time, length]


def predict_in_numpy(event_time, event_duration, time_stretch, duration):
    length = np.clip(event_duration * time_stretch, 0, duration)
    return np.array([event_time - max(event_time + length - duration, 0), length])


def predict_in_torch(event_time, event_duration, time_stretch, duration):
    length = torch.tensor(event_duration * time_stretch).clamp(max=duration)
    return torch.stack([torch.tensor(event_time).clamp(max=duration - length), length])


def cut(event_time, event_duration, time_stretch, duration):
    return event_time, min(event_duration * time_stretch, duration - event_time)


def not_moved(event_time, event_duration, time_stretch, duration):
    return event_time, min(event_duration * time_stretch, duration)


def cut_before_the_stretch(event_time, event_duration, time_stretch, duration):
    return predict(event_time, min(event_duration, duration), time_stretch, math.inf)


def asked_before_the_stretch(event_time, event_duration, time_stretch, duration):
    if event_duration > duration:
        return 0.0, duration
    length = event_duration * time_stretch
    return min(event_time, duration - length), length


def never_cut(event_time, event_duration, time_stretch, duration):
    length = event_duration * time_stretch
    return max(min(event_time, duration - length), 0), length


def moved_below_zero(event_time, event_duration, time_stretch, duration):
    length = event_duration * time_stretch
    return min(event_time, duration - length), min(length, duration)


def to_the_end(event_time, event_duration, time_stretch, duration):
    length = min(event_duration * time_stretch, duration)
    return duration - length, length


PREDICT = Answers(
    right={
        "minimum": predict,
        "branches": predict_in_branches,
        "numpy": predict_in_numpy,
        "torch": predict_in_torch,
    },
    wrong={
        "no stretch": (lambda t, d, x, end: predict(t, d, 1.0, end), "seconds of the file"),
        "divided": (lambda t, d, x, end: predict(t, d, 1 / x, end), "makes an event longer"),
        "its end": (
            lambda *x: (predict(*x)[0], sum(predict(*x))),
            "how long it sounds, not when it ends",
        ),
        "exchanged": (lambda *x: predict(*x)[::-1], "The beginning comes first"),
        "time stretched too": (
            lambda t, d, x, end: predict(t * x, d, x, end),
            "Only the event is stretched",
        ),
        "cut": (cut, "is moved, not cut"),
        "not moved": (not_moved, "would end after the scene"),
        "always at the end": (to_the_end, "Only an event that would end too late"),
        "cut before the stretch": (cut_before_the_stretch, "would end after the scene"),
        "asked before the stretch": (asked_before_the_stretch, "is asked after stretching"),
        "never cut": (never_cut, "is cut to its length"),
        "moved below zero": (moved_below_zero, "cannot begin before the scene"),
        "one number": (lambda *x: predict(*x)[0], "Return two numbers"),
    },
)


def n_mixtures(n_songs, n_places, n_sources=4, coherent=True, flips=False):
    count = (n_songs * n_places) ** (1 if coherent else n_sources)
    return count << (n_sources - 1) if flips else count


def by_listing(n_songs, n_places, n_sources=4, coherent=True, flips=False):
    starts = list(itertools.product(range(n_songs), range(n_places)))
    if coherent:
        choices = [(start,) * n_sources for start in starts]
    else:
        choices = list(itertools.product(starts, repeat=n_sources))
    if not flips:
        return len(choices)
    signs = {s for s in itertools.product((1, -1), repeat=n_sources) if s[0] == 1}
    return len(choices) * len(signs)


def counted_in_numpy(n_songs, n_places, n_sources=4, coherent=True, flips=False):
    count = np.prod([n_songs * n_places] * (1 if coherent else n_sources), dtype=np.int64)
    return count * (2**n_sources // 2 if flips else 1)


def counted_in_a_loop(n_songs, n_places, n_sources=4, coherent=True, flips=False):
    count = 1
    for stem in range(n_sources):
        if stem == 0 or not coherent:
            count *= n_songs * n_places
        if flips and stem > 0:
            count *= 2
    return float(count)


def counted(choices, signs=lambda s, coherent: 2 ** (s - 1)):
    """Mixtures from how many choices and how many signs there are."""

    def n_mixtures(n_songs, n_places, n_sources=4, coherent=True, flips=False):
        count = choices(n_songs, n_places, n_sources, coherent)
        return count * (signs(n_sources, coherent) if flips else 1)

    return n_mixtures


def all_choices(songs, places, s, coherent):
    return songs * places if coherent else (songs * places) ** s


N_MIXTURES = Answers(
    right={
        "powers": n_mixtures,
        "listed": by_listing,
        "numpy": counted_in_numpy,
        "in a loop, a float": counted_in_a_loop,
    },
    wrong={
        "added": (counted(lambda n, p, s, c: n + p if c else (n + p) ** s), "make 3 x 5 coherent"),
        "places alone": (counted(lambda n, p, s, c: p if c else p**s), "make 3 x 5 coherent"),
        "each stem counted": (
            counted(lambda n, p, s, c: n * p * (1 if c else s)),
            "Choices multiply",
        ),
        "one place for all": (
            counted(lambda n, p, s, c: n * p if c else n**s * p),
            "chooses its place too",
        ),
        "one song for all": (
            counted(lambda n, p, s, c: n * p if c else n * p**s),
            "chooses its song too",
        ),
        "always coherent": (counted(lambda n, p, s, c: n * p), "is `coherent` used"),
        "no song twice": (
            counted(lambda n, p, s, c: n * p if c else math.perm(n * p, s)),
            "may choose the same",
        ),
        "order does not count": (
            counted(lambda n, p, s, c: n * p if c else math.comb(n * p + s - 1, s)),
            "Stems are not alike",
        ),
        "all signs": (
            counted(all_choices, lambda s, coherent: 2**s),
            "it counts as the same",
        ),
        "signs of incoherent ones only": (
            counted(all_choices, lambda s, coherent: 1 if coherent else 2 ** (s - 1)),
            "whether the mixture is coherent or not",
        ),
        "twice as many": (counted(all_choices, lambda s, coherent: 2), "Each stem but one"),
        "a factor for each stem": (
            counted(all_choices, lambda s, coherent: 2 * (s - 1)),
            "Two places and four stems with flips",
        ),
        "no signs": (counted(all_choices, lambda s, coherent: 1), "is `flips` used"),
    },
)


def grid_rate(tempo, target):
    octaves = math.log2(target / tempo)
    return 2 ** (octaves - round(octaves))


def rate_from_a_list(tempo, target):
    rates = [target / tempo * 2.0**k for k in range(-40, 41)]
    return min(rates, key=lambda rate: max(rate, 1 / rate))


def rate_in_loops(tempo, target):
    rate = target / tempo
    while rate > math.sqrt(2):
        rate /= 2
    while rate < math.sqrt(0.5):
        rate *= 2
    return rate


def rate_in_numpy(tempo, target):
    rates = target / tempo * np.exp2(np.arange(-20, 21))
    return rates[np.argmin(np.abs(np.log(rates)))]


def nearest_by_difference(tempo, target):
    rates = [target / tempo * 2.0**k for k in range(-40, 41)]
    return min(rates, key=lambda rate: abs(rate - 1))


def near_target(tempo, target):
    return min((target / tempo * x for x in (0.5, 1, 2)), key=lambda x: abs(math.log(x)))


def halved_only(tempo, target):
    rate = target / tempo
    while rate > math.sqrt(2):
        rate /= 2
    return rate


def always_faster(tempo, target):
    octaves = math.log2(target / tempo)
    return 2 ** (octaves - math.floor(octaves))


def always_slower(tempo, target):
    octaves = math.log2(target / tempo)
    return 2 ** (octaves - math.ceil(octaves))


def any_multiple(tempo, target):
    rates = [target / tempo * k for k in range(1, 100)]
    rates += [target / tempo / k for k in range(1, 100)]
    return min(rates, key=lambda rate: abs(math.log(rate)))


GRID_RATE = Answers(
    right={
        "octaves": grid_rate,
        "list": rate_from_a_list,
        "loops": rate_in_loops,
        "numpy": rate_in_numpy,
        "tensor": lambda *x: torch.tensor(grid_rate(*x)),
    },
    wrong={
        "upside down": (lambda *x: 1 / grid_rate(*x), "makes a song faster"),
        "straight to the target": (
            lambda tempo, target: target / tempo,
            "lies on the grid of 120 already",
        ),
        "by difference": (nearest_by_difference, "Compare changes as ratios"),
        "three rates": (near_target, "have no end on either side"),
        "halved only": (halved_only, "halve the target, or double it"),
        "always faster": (always_faster, "slower as well as faster"),
        "always slower": (always_slower, "may be made faster as well"),
        "any multiple": (any_multiple, "Powers of two only"),
        "octaves": (lambda a, b: math.log2(b / a) - round(math.log2(b / a)), "That is in octaves"),
        "the new tempo": (lambda a, b: a * grid_rate(a, b), "That is the new tempo"),
    },
)


def polarity_change(one, other):
    return ((one + other).abs() - (one - other).abs()).abs()


def change_in_numpy(one, other):
    a, b = one.numpy(), other.numpy()
    return np.abs(np.abs(a + b) - np.abs(a - b))


def change_in_a_loop(one, other):
    bins = zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)
    change = [abs(abs(a + b) - abs(a - b)) for a, b in bins]
    return torch.tensor(change).reshape(one.shape)


def change_by_angle(one, other):
    a, b, angle = one.abs(), other.abs(), one.angle() - other.angle()
    across = 2 * a * b * angle.cos()
    square = a**2 + b**2
    return ((square + across).clamp(0).sqrt() - (square - across).clamp(0).sqrt()).abs().double()


def change_in_place(one, other):
    before = (one + other).abs()
    other *= -1
    return (before - (one + other).abs()).abs()


POLARITY_CHANGE = Answers(
    right={
        "magnitudes": polarity_change,
        "numpy": change_in_numpy,
        "in a loop": change_in_a_loop,
        "by angle, double": change_by_angle,
    },
    wrong={
        "how far it moves": (lambda a, b: 2 * b.abs(), "how far the spectrum moves"),
        "squares": (
            lambda a, b: ((a + b).abs() ** 2 - (a - b).abs() ** 2).abs(),
            "not their squares",
        ),
        "signed": (lambda a, b: (a + b).abs() - (a - b).abs(), "is not negative"),
        "complex": (lambda a, b: (a + b) - (a - b), "is a real number"),
        "magnitudes added": (
            lambda a, b: a.abs() + b.abs() - (a + b).abs(),
            "Magnitudes do not add up",
        ),
        "magnitudes turned": (
            lambda a, b: (a.abs() + b.abs()) - (a.abs() - b.abs()).abs(),
            "Magnitudes have no polarity",
        ),
        "the stem itself": (lambda a, b: (b.abs() - (-b).abs()).abs(), "magnitude of the mixture"),
        "relative": (
            lambda a, b: polarity_change(a, b) / (a + b).abs(),
            "not as a share",
        ),
        "in dB": (
            lambda a, b: 20 * torch.log10((a + b).abs() / (a - b).abs()).abs(),
            "asked for, not in dB",
        ),
        "real parts": (
            lambda a, b: ((a + b).real.abs() - (a - b).real.abs()).abs(),
            "not of the real part",
        ),
        "on average": (lambda a, b: polarity_change(a, b).mean(), "One number per bin"),
        "in place": (change_in_place, "Leave the two spectra"),
    },
)

ANSWERS = {
    "event_gain": EVENT_GAIN,
    "predict": PREDICT,
    "n_mixtures": N_MIXTURES,
    "grid_rate": GRID_RATE,
    "polarity_change": POLARITY_CHANGE,
}
