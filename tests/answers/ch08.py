"""Answers to the exercises of chapter 08, datasets."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import torch
from scipy import signal
from torch.nn import functional

from answers import Answers
from common.data.fingerprint import landmarks, match
from common.signal import resample


def tenths(audio, sample_rate):
    length = sample_rate // 10
    whole = audio.shape[-1] // length
    return audio[:, : whole * length].reshape(len(audio), whole, length)


def under(level, floor=-60.0):
    return (level < floor).double().mean().item()


def by_level(measure, decibels=lambda power: 10 * torch.log10(power)):
    """The share of tenths whose measure, in dB, is under the floor."""

    def silent_share(audio, sample_rate, floor=-60.0):
        return under(decibels(measure(tenths(audio, sample_rate))), floor)

    return silent_share


def power_of(pieces):
    return pieces.square().mean(dim=(0, 2))


def by_root_mean_square(audio, sample_rate, floor=-60.0):
    rms = power_of(tenths(audio.double(), sample_rate)).sqrt()
    return (rms < 10 ** (floor / 20)).sum() / len(rms)


def in_a_loop(audio, sample_rate, floor=-60.0):
    length, silent, pieces = round(0.1 * sample_rate), 0, 0
    for first in range(0, audio.shape[1] - length + 1, length):
        piece = audio[:, first : first + length].numpy().astype(float)
        silent += 10 * np.log10(np.mean(piece**2) + 1e-20) < floor
        pieces += 1
    return silent / pieces


def with_the_last_piece(audio, sample_rate, floor=-60.0):
    pieces = audio.split(sample_rate // 10, dim=-1)
    return sum(10 * math.log10(p.square().mean() + 1e-20) < floor for p in pieces) / len(pieces)


def per_channel(audio, sample_rate, floor=-60.0):
    return under(10 * torch.log10(tenths(audio, sample_rate).square().mean(dim=2)), floor)


def counted(audio, sample_rate, floor=-60.0):
    level = 10 * torch.log10(power_of(tenths(audio, sample_rate)))
    return int((level < floor).sum())


SILENT_SHARE = Answers(
    right={
        "levels": by_level(power_of),
        "root mean square, double": by_root_mean_square,
        "numpy, in a loop": in_a_loop,
        "unfolded": lambda audio, rate, floor=-60.0: (
            (audio.unfold(1, rate // 10, rate // 10).square().mean((0, 2)) < 10 ** (floor / 10))
            .float()
            .mean()
        ),
    },
    wrong={
        "what sounds": (
            lambda audio, rate, floor=-60.0: 1 - by_level(power_of)(audio, rate, floor),
            "share that is not silent",
        ),
        "counted": (counted, "divide it by the number of all"),
        "mono": (by_level(lambda x: x.mean(0).square().mean(-1)), "Channels in opposite phase"),
        "both added": (by_level(lambda x: 2 * power_of(x)), "over both channels, not their sum"),
        "louder channel": (by_level(lambda x: x.square().mean(2).amax(0)), "not the louder one"),
        "softer channel": (by_level(lambda x: x.square().mean(2).amin(0)), "in one channel is"),
        "left": (by_level(lambda x: x[0].square().mean(-1)), "That is the left channel only"),
        "per channel": (per_channel, "not the two results"),
        "peak": (by_level(lambda x: x.abs().amax((0, 2)).square()), "not the loudest sample"),
        "absolute": (by_level(lambda x: x.abs().mean((0, 2)).square()), "not of the absolute"),
        "sum of squares": (by_level(lambda x: x.square().sum((0, 2))), "not their sum"),
        "20 log10": (by_level(power_of, lambda p: 20 * torch.log10(p)), "The level of a power"),
        "10 log10 of amplitudes": (
            by_level(power_of, lambda p: 10 * torch.log10(p.sqrt())),
            "The level of an amplitude",
        ),
        "samples": (
            lambda audio, rate, floor=-60.0: under(20 * torch.log10(audio.abs()), floor),
            "That counts samples",
        ),
        "floor typed in": (
            lambda audio, rate, floor=-60.0: by_level(power_of)(audio, rate),
            "is `floor` used?",
        ),
        "rate typed in": (
            lambda audio, rate, floor=-60.0: by_level(power_of)(audio, 8000, floor),
            "A tenth of a second has more samples",
        ),
        "last piece": (with_the_last_piece, "Ignore a last piece"),
    },
)


def artist(name):
    return name.split(" - ")[0]


def split_by_artist(names, n_test, seed):
    artists = sorted({artist(name) for name in names})
    np.random.default_rng(seed).shuffle(artists)
    return dealt(names, artists, n_test)


def dealt(names, artists, n_test, artist=artist):
    """Artists in their order to the test, until it is full."""
    test = []
    for one in artists:
        if len(test) >= n_test:
            break
        test += [name for name in names if artist(name) == one]
    return [name for name in names if name not in test], test


def with_random(names, n_test, seed):
    groups = {}
    for name in names:
        groups.setdefault(name.partition(" - ")[0], []).append(name)
    order = list(groups)
    random.Random(seed).shuffle(order)
    train, test = [], []
    for one in order:
        (test if len(test) < n_test else train).extend(groups[one])
    return train, test


def with_torch(names, n_test, seed):
    artists = list(dict.fromkeys(artist(name) for name in names))
    order = torch.randperm(len(artists), generator=torch.Generator().manual_seed(seed))
    return dealt(names, [artists[k] for k in order], n_test)


def with_groupby(names, n_test, seed):
    groups = [list(g) for _, g in itertools.groupby(sorted(names, key=artist), key=artist)]
    random.seed(seed)
    random.shuffle(groups)
    ends = np.cumsum([len(g) for g in groups])
    last = int(np.searchsorted(ends, n_test)) + 1
    return np.array(sum(groups[last:], [])), np.array(sum(groups[:last], []))


def by_song(names, n_test, seed):
    shuffled = list(names)
    random.Random(seed).shuffle(shuffled)
    return shuffled[n_test:], shuffled[:n_test]


def names_shuffled(names, n_test, seed):
    random.Random(seed).shuffle(names)
    return dealt(names, dict.fromkeys(map(artist, names)), n_test)


def ordered(order, **how):
    """Artists brought into some order and shuffled with the seed."""

    def split(names, n_test, seed):
        artists = order({how.get("artist", artist)(name) for name in names})
        random.Random(seed).shuffle(artists)
        return dealt(names, artists, n_test + how.get("more", 0), how.get("artist", artist))

    return split


def unseeded(names, n_test, seed):
    artists = sorted({artist(name) for name in names})
    random.shuffle(artists)
    return dealt(names, artists, n_test)


def never_too_many(names, n_test, seed):
    artists = sorted({artist(name) for name in names})
    random.Random(seed).shuffle(artists)
    test = []
    for one in artists:
        songs = [name for name in names if artist(name) == one]
        if len(test) + len(songs) <= n_test:
            test += songs
    return [name for name in names if name not in test], test


def last_artist_cut(names, n_test, seed):
    train, test = split_by_artist(names, n_test, seed)
    return train + test[n_test:], test[:n_test]


def artists_returned(names, n_test, seed):
    train, test = split_by_artist(names, n_test, seed)
    return sorted({artist(n) for n in train}), sorted({artist(n) for n in test})


def rest_forgotten(names, n_test, seed):
    train, test = split_by_artist(names, n_test, seed)
    return train[:-1], test


SPLIT_BY_ARTIST = Answers(
    right={
        "numpy": split_by_artist,
        "random, by dictionary": with_random,
        "torch": with_torch,
        "groupby, arrays": with_groupby,
    },
    wrong={
        "songs": (by_song, "split by artist, not by song"),
        "last artist cut": (last_artist_cut, "split by artist, not by song"),
        "at the last dash": (
            ordered(sorted, artist=lambda name: name.rsplit(" - ", 1)[0]),
            "split by artist, not by song",
        ),
        "at the first hyphen": (
            ordered(sorted, artist=lambda name: name.split("-")[0]),
            "Is every artist chosen by itself?",
        ),
        "one song more": (ordered(sorted, more=1), "one artist too many"),
        "a song short": (ordered(sorted, more=-1), "instead of at least 6"),
        "never too many": (never_too_many, "Do not skip an artist"),
        "exchanged": (lambda *x: split_by_artist(*x)[::-1], "Return training first"),
        "in the order of a set": (ordered(list), "sort the artists first"),
        "unseeded": (unseeded, "The same seed should give the same split"),
        "not shuffled": (
            lambda names, n, seed: dealt(names, sorted(set(map(artist, names))), n),
            "Every seed gives the same split",
        ),
        "one seed for all": (
            lambda names, n, seed: split_by_artist(names, n, 0),
            "Every seed gives the same split",
        ),
        "names shuffled": (names_shuffled, "Do not change the list of names"),
        "artists": (artists_returned, "not artists"),
        "a song lost": (rest_forgotten, "Every song has to be in training or in test"),
    },
)


def over_bleed(stem, others, bleed):
    return stem - others - bleed


def decibels(ratio):
    return 10 * math.log10(ratio)


def ceiling_by_energies(stem, others, bleed):
    energy, error = 10 ** (stem / 10), 10 ** ((others + bleed) / 10)
    return 10 * np.log10((energy + error) / error)


def ceiling_by_amplitudes(stem, others, bleed):
    s, o, g = (torch.tensor(x).div(20).exp2().pow(math.log2(10)) for x in (stem, others, bleed))
    return 10 * torch.log10((s**2 + (g * o) ** 2) / (g * o) ** 2)


BLEED_CEILING = Answers(
    right={
        "levels": lambda *x: decibels(1 + 10 ** (over_bleed(*x) / 10)),
        "energies, numpy": ceiling_by_energies,
        "amplitudes, torch": ceiling_by_amplitudes,
        "logarithm of a sum": lambda *x: float(
            10
            * np.logaddexp(0, x[0] / 10 * np.log(10) - (x[1] + x[2]) / 10 * np.log(10))
            / np.log(10)
        ),
    },
    wrong={
        "without the stem": (over_bleed, "the stem and the bleed. Add the 1"),
        "bleed the other way": (
            lambda s, o, b: decibels(1 + 10 ** ((s - o + b) / 10)),
            "Bleed is quieter than the others",
        ),
        "stem and others exchanged": (
            lambda s, o, b: decibels(1 + 10 ** ((o - s - b) / 10)),
            "A quiet stem suffers more",
        ),
        "no others": (lambda s, o, b: decibels(1 + 10 ** ((s - b) / 10)), "their level matters"),
        "no stem": (lambda s, o, b: decibels(1 + 10 ** ((-o - b) / 10)), "level of the stem too"),
        "a ratio": (lambda *x: 1 + 10 ** (over_bleed(*x) / 10), "return it in dB"),
        "turned over": (
            lambda *x: -decibels(1 + 10 ** (over_bleed(*x) / 10)),
            "invert the ratio",
        ),
        "amplitudes": (
            lambda *x: decibels(1 + 10 ** (over_bleed(*x) / 20)),
            "10 ** (level / 10)",
        ),
        "20 log10": (
            lambda *x: 2 * decibels(1 + 10 ** (over_bleed(*x) / 10)),
            "10 log10, not 20",
        ),
        "added as amplitudes": (
            lambda *x: 2 * decibels(1 + 10 ** (over_bleed(*x) / 20)),
            "add up in energy, not in amplitude",
        ),
        "natural logarithm": (
            lambda *x: 10 * math.log(1 + 10 ** (over_bleed(*x) / 10)),
            "with base 10",
        ),
        "1 dB added": (lambda *x: 1 + over_bleed(*x), "convert them to energies first"),
    },
)


def find_leaks(new, known, threshold=0.02):
    prints = {name: landmarks(audio) for name, audio in known.items()}
    ours = {name: landmarks(audio) for name, audio in new.items()}
    return [
        (name, song)
        for name, one in ours.items()
        for song, other in prints.items()
        if match(one, other)[0] >= threshold
    ]


def in_two_loops(new, known, threshold=0.02):
    leaks, ours = set(), [(name, landmarks(new[name])) for name in new]
    for song, audio in known.items():
        other = landmarks(audio)
        for name, one in ours:
            share, _ = match(one, other)
            if not share < threshold:
                leaks.add((name, song))
    return leaks


def as_array(new, known, threshold=0.02):
    prints = [landmarks(audio) for audio in known.values()]
    ours = [landmarks(audio) for audio in new.values()]
    shares = np.array([[match(one, other)[0] for other in prints] for one in ours])
    names, songs = list(new), list(known)
    return [[names[i], songs[k]] for i, k in np.argwhere(shares >= threshold)]


def leaks(decide):
    """Pairs for which `decide(new, known, threshold)` holds, as fingerprints."""

    def find_leaks(new, known, threshold=0.02):
        ours = {name: landmarks(audio) for name, audio in new.items()}
        theirs = {song: landmarks(audio) for song, audio in known.items()}
        return [(n, k) for n in ours for k in theirs if decide(ours[n], theirs[k], threshold)]

    return find_leaks


def best_only(new, known, threshold=0.02):
    prints = {song: landmarks(audio) for song, audio in known.items()}
    found = []
    for name, audio in new.items():
        shares = {song: match(landmarks(audio), x)[0] for song, x in prints.items()}
        best = max(shares, key=shares.get)
        if shares[best] >= threshold:
            found.append((name, best))
    return found


def samples_compared(new, known, threshold=0.02):
    return [(n, k) for n in new for k in known if torch.equal(new[n], known[k])]


FIND_LEAKS = Answers(
    right={
        "comprehension": find_leaks,
        "two loops, a set": in_two_loops,
        "numpy, lists": as_array,
    },
    wrong={
        "share of the known": (
            leaks(lambda one, other, x: match(other, one)[0] >= x),
            "a small part of the album is in the cut",
        ),
        "best only": (best_only, "return all pairs"),
        "samples": (samples_compared, "A louder excerpt is missed"),
        "no threshold": (
            leaks(lambda one, other, x: match(one, other)[0] > 0),
            "match by chance only",
        ),
        "threshold typed in": (
            leaks(lambda one, other, x: match(one, other)[0] >= 0.02),
            "With threshold=0.3 the medley",
        ),
        "above the threshold": (
            leaks(lambda one, other, x: match(one, other)[0] > x),
            "Include shares that equal the threshold",
        ),
        "share and shift": (
            leaks(lambda one, other, x: max(match(one, other)) >= x),
            "match by chance only",
        ),
        "exchanged": (
            lambda *given, **more: [pair[::-1] for pair in find_leaks(*given, **more)],
            "the name of the new recording, then",
        ),
        "names only": (
            lambda *given, **more: [name for name, _ in find_leaks(*given, **more)],
            "the name of the new recording, then",
        ),
        "twice": (lambda *given, **more: 2 * find_leaks(*given, **more), "Return each pair once"),
        "nothing": (lambda new, known, threshold=0.02: [], "An identical copy is missed"),
    },
)

def at_speeds(lengths, decide=max, answer=0):
    """What `decide` makes of the matches of `new` at several lengths, in thousandths."""

    def share_at_any_speed(new, known):
        other = landmarks(known)
        versions = [landmarks(resample(new, 1000, length)) for length in lengths]
        return decide(match(one, other)[answer] for one in versions)

    return share_at_any_speed


def known_resampled(new, known):
    one, best = landmarks(new), 0.0
    for length in np.linspace(0.97, 1.03, 25):
        changed = resample(known, 10000, round(10000 * length))
        best = max(best, match(one, landmarks(changed))[0])
    return best


def interpolated(new, known):
    other, shares = landmarks(known), []
    for factor in torch.arange(0.97, 1.0301, 0.003).tolist():
        length = round(factor * new.shape[-1])
        changed = functional.interpolate(new[None], size=length, mode="linear")[0]
        shares.append(match(landmarks(changed), other)[0])
    return max(shares)


def by_polyphase(new, known):
    other, best = landmarks(known), 0.0
    for up in range(325, 346):
        changed = torch.from_numpy(signal.resample_poly(new.numpy(), up, 335, axis=-1))
        best = max(best, match(landmarks(changed), other)[0])
    return torch.tensor(best)


def coarse_to_fine(new, known):
    other = landmarks(known)

    def share(length):
        return match(landmarks(resample(new, 1000, length)), other)[0]

    best = max(range(970, 1031, 5), key=share)
    return max(share(length) for length in range(best - 3, best + 4))


SHARE_AT_ANY_SPEED = Answers(
    right={
        "steps of 0.3 %": at_speeds(range(970, 1031, 3)),
        "scipy, a tensor": by_polyphase,
        "coarse to fine": coarse_to_fine,
    },
    wrong={
        "match alone": (
            lambda new, known: match(landmarks(new), landmarks(known))[0],
            "2 % faster is missed",
        ),
        "only longer": (at_speeds(range(1000, 1031, 3)), "2 % slower is missed"),
        "only shorter": (at_speeds(range(970, 1001, 3)), "2 % faster is missed"),
        "narrow": (at_speeds(range(979, 1022, 3)), "almost 3 % faster"),
        "steps of 1 %": (at_speeds(range(970, 1031, 10)), "resample `new` in smaller steps"),
        "the known one resampled": (known_resampled, "resample `new` in smaller steps"),
        "linear interpolation": (interpolated, "resample `new` in smaller steps"),
        "mean": (
            at_speeds(range(970, 1031, 5), lambda shares: np.mean(list(shares))),
            "An unchanged copy is missed",
        ),
        "sum": (at_speeds(range(970, 1031, 5), sum), "A share is between 0 and 1"),
        "shift": (at_speeds(range(970, 1031, 5), answer=1), "A share is between 0 and 1"),
        "share and shift": (
            lambda new, known: match(landmarks(new), landmarks(known)),
            "without the shift",
        ),
        "constant": (lambda new, known: 1.0, "An unrelated recording"),
    },
)

ANSWERS = {
    "silent_share": SILENT_SHARE,
    "split_by_artist": SPLIT_BY_ARTIST,
    "bleed_ceiling": BLEED_CEILING,
    "find_leaks": FIND_LEAKS,
    "share_at_any_speed": SHARE_AT_ANY_SPEED,
}
