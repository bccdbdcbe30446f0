"""Answers to the exercises of chapter 09, mixing with Scaper."""

from __future__ import annotations

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
            "`snr` is relative to `ref_db`",
        ),
        "no snr": (
            lambda x, snr, ref=-26.0: event_gain(x, 0, ref),
            "`snr` is relative to `ref_db`",
        ),
        "snr above nothing": (lambda x, snr, ref=-26.0: event_gain(x, snr, 0), "use `ref_db`"),
        "no loudness": (lambda x, snr, ref=-26.0: event_gain(0, snr, ref), "use `loudness`"),
        "no limit": (
            lambda x, snr, ref=-26.0: float(np.float64(10) ** ((ref + snr - x) / 20)),
            "what does Scaper do?",
        ),
        "silence untouched": (silence_untouched, "What is below -70 LUFS"),
        "silence alone": (silence_only, "Not only silence"),
        "limit on the gain": (limited, "not to the gain"),
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
            "how long it lasts, not when it ends",
        ),
        "exchanged": (lambda *x: predict(*x)[::-1], "Return the beginning first"),
        "time stretched too": (
            lambda t, d, x, end: predict(t * x, d, x, end),
            "Only the event is stretched",
        ),
        "cut": (cut, "is moved, not cut"),
        "not moved": (not_moved, "would end after the scene"),
        "always at the end": (to_the_end, "Only an event that would end too late"),
        "cut before the stretch": (cut_before_the_stretch, "would end after the scene"),
        "asked before the stretch": (asked_before_the_stretch, "with the scene after stretching"),
        "never cut": (never_cut, "is cut to its length"),
        "moved below zero": (moved_below_zero, "cannot begin before the scene"),
        "one number": (lambda *x: predict(*x)[0], "Return two numbers"),
    },
)


def best_by(measure, shifts=range(-6, 6)):
    """The transposition for which a measure of chords and bass is highest."""
    return lambda chords, bass: max(shifts, key=lambda k: measure(chords, bass.roll(k, 0)))


def products(chords, bass):
    return (chords * bass).sum()


def correlations_in_numpy(chords, bass):
    pairs = zip(chords.numpy().T, bass.numpy().T, strict=True)
    return np.mean([np.corrcoef(pair)[0, 1] for pair in pairs])


def transposed_notes(chords, bass):
    """By the strongest note of the bass in each frame."""
    notes, frames = bass.argmax(dim=0), torch.arange(bass.shape[1])
    found = [chords[(notes + k) % 12, frames].sum().item() for k in range(-6, 6)]
    return np.argmax(found) - 6


def as_tensor(chords, bass):
    shifted = torch.stack([bass.roll(k, 0) for k in range(12)])
    best = (shifted - chords).square().sum(dim=(1, 2)).argmin()
    return (best + 6) % 12 - 6


def averages(chords, bass):
    return chords.mean(dim=1) @ bass.mean(dim=1)


TRANSPOSITION = Answers(
    right={
        "products": best_by(products),
        "correlations, numpy": best_by(correlations_in_numpy),
        "strongest notes": transposed_notes,
        "least difference, a tensor": as_tensor,
    },
    wrong={
        "nothing": (lambda chords, bass: 0, "never transposed"),
        "wrong direction": (lambda *x: -best_by(products, range(-5, 6))(*x), "wrong direction"),
        "averages over time": (best_by(averages), "compare the chroma frame by frame"),
        "the first frame": (best_by(lambda c, b: c[:, 0] @ b[:, 0]), "use all frames"),
        "upwards only": (best_by(products, range(6)), "as well as down"),
        "least agreement": (best_by(lambda c, b: -products(c, b)), "in every frame"),
        "an octave up": (lambda *x: best_by(products)(*x) + 12, "Return a number between"),
        "for each frame": (lambda c, b: (c * b).argmax(dim=0), "one number of semitones"),
        "a fraction": (lambda *x: best_by(products)(*x) + 0.5, "a whole number"),
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
            "fits a target of 120 already",
        ),
        "by difference": (nearest_by_difference, "Compare changes as ratios"),
        "three rates": (near_target, "Use any power of two"),
        "halved only": (halved_only, "halve the target, or double it"),
        "always faster": (always_faster, "slower as well as faster"),
        "always slower": (always_slower, "may also be made faster"),
        "any multiple": (any_multiple, "Only powers of two"),
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
        "how far it moves": (lambda a, b: 2 * b.abs(), "the change of the spectrum"),
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
            "itself, not in dB",
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
    "transposition": TRANSPOSITION,
    "grid_rate": GRID_RATE,
    "polarity_change": POLARITY_CHANGE,
}
