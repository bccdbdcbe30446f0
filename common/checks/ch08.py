"""Checks of chapter 08, datasets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations

import torch
from torch import Tensor

from common.checks import check, expect, name_mistake
from common.signal.resampling import resample

RATE = 8000


@check
def silent_share(function: Callable[..., float]) -> str:
    """Exercise 1: the share of tenths of a second below -60 dB of full scale."""

    def share(audio: Tensor, rate: int = RATE, **settings: float) -> float:
        return float(function(audio.clone(), rate, **settings))

    audio = _tenths(200)
    mistaken = _mistaken_shares(audio)
    right = _share_under(audio.unflatten(-1, (200, -1)).square().mean(dim=(0, 2)))
    got = share(audio)
    name_mistake(got, mistaken, 1e-6)
    hint = f"{200 * right:.0f} of 200 tenths of a second are silent, but you find {200 * got:.0f}: "
    expect(abs(got - right) < 1e-6, f"{hint}compare the mean square of each tenth with the floor.")
    expect(abs(share(torch.zeros(2, RATE)) - 1) < 1e-6, "Samples of zero are always silent.")
    for amplitude, said in ((0.0011, 0.0), (0.0009, 1.0)):
        hint = "-60 dB is a mean square of one millionth, the square of an amplitude of 0.001."
        expect(abs(share(_steady(amplitude)) - said) < 1e-6, hint)
    for amplitude, said in ((0.005, 1.0), (0.02, 0.0)):
        hint = "With floor=-40 more is silent: is `floor` used?"
        expect(abs(share(_steady(amplitude), floor=-40.0) - said) < 1e-6, hint)
    audio = torch.zeros(2, RATE)
    audio[:, : 4 * RATE // 10] = 0.5
    longer = torch.cat([audio, torch.full((2, RATE // 20), 0.5)], dim=-1)
    hint = "Ignore a last piece that is shorter than a tenth of a second."
    expect(abs(share(longer) - 0.6) < 1e-6, hint)
    faster = torch.cat([torch.full((2, 17640), 0.5), torch.zeros(2, 26460)], dim=-1)
    hint = "A tenth of a second has more samples at 44.1 kHz than at 8 kHz: use `sample_rate`."
    expect(abs(share(faster, 44100) - 0.6) < 1e-6, hint)
    return f"Of a second with four tenths of sound, {share(audio):.0%} are silent."


def _steady(amplitude: float) -> Tensor:
    """One second (2, t) at a steady amplitude."""
    return torch.full((2, RATE), amplitude)


def _tenths(n: int) -> Tensor:
    """Noise (2, t) with a new level every tenth of a second, in 40 % of them in opposite phase."""
    generator = torch.Generator().manual_seed(1)
    left, other = torch.randn(2, n, RATE // 10, generator=generator)
    kind = torch.rand(n, 1, generator=generator)
    right = torch.where(kind < 0.4, -left, other)
    levels = -47 - 30 * torch.rand(2, n, 1, generator=generator)
    levels[:, ::2] = -20 - 120 * torch.rand(2, n // 2, 1, generator=generator)
    levels[1] = torch.where(kind < 0.4, levels[0], levels[1])
    return (torch.stack([left, right]) * 10 ** (levels / 20)).flatten(1)


def _share_under(power: Tensor, floor: float = -60.0) -> float:
    return (power < 10 ** (floor / 10)).double().mean().item()


def _mistaken_shares(audio: Tensor) -> dict[str, float]:
    """Hint → the wrong result that it explains, with a floor of -60 dB."""
    pieces, share = audio.unflatten(-1, (-1, RATE // 10)), _share_under
    sides, absolute = pieces.square().mean(dim=-1), pieces.abs()
    power, mono = sides.mean(dim=0), pieces.mean(dim=0).square().mean(dim=-1)
    softer, louder = sides.min(dim=0).values, sides.max(dim=0).values
    peak, mean = absolute.amax(dim=(0, 2)).square(), absolute.mean(dim=(0, 2)).square()
    return {
        "That is the share that is not silent.": 1 - share(power),
        "That is a number of tenths: divide it by the number of all.": share(power) * len(power),
        "Channels in opposite phase cancel if you add them: average their squares.": share(mono),
        "Take the mean over both channels, not their sum.": share(2 * power),
        "A sound in one channel is not silence: average over both channels.": share(softer),
        "Use the mean over both channels, not the louder one.": share(louder),
        "Average the squares of both channels first, not the two results.": share(sides),
        "That is the left channel only: average the squares of both channels.": share(sides[0]),
        "Take the mean of the squares, not the loudest sample.": share(peak),
        "Take the mean of the squares, not of the absolute values.": share(mean),
        "Take the mean of the squares, not their sum.": share(power * 2 * pieces.shape[-1]),
        "That counts samples: a whole tenth is silent or not.": share(audio.square()),
        "The level of a power is 10 log10; 20 log10 is for amplitudes.": share(power, -30),
        "The level of an amplitude is 20 log10; 10 log10 is for powers.": share(power, -120),
    }


@check
def split_by_artist(function: Callable[[Sequence[str], int, int], tuple]) -> str:
    """Exercise 2: no artist in both training and test."""
    names = [f"Band {k} - Song {i}" for k in range(12) for i in range(1 + k % 3)]
    names += ["Solo - One - Two", "Solo - One", "Duo-Trio - Live - At Home", "Duo-Quartet - Live"]
    artist_of = {name: name.split(" - ")[0] for name in names}
    artists, kept, sizes = list(dict.fromkeys(artist_of.values())), set(), set()

    def split(given: list[str], seed: int) -> tuple[list[str], list[str]]:
        train, test = ([str(name) for name in part] for part in function(given, 6, seed))
        return train, test

    for seed in range(120):
        given = list(names)
        train, test = split(given, seed)
        expect(given == names, "Do not change the list of names.")
        expect(not set(train + test) & set(artists), "Return names of songs, not artists.")
        hint = "Every song has to be in training or in test, exactly once."
        expect(Counter(train + test) == Counter(names), hint)
        counts = Counter(artist_of[name] for name in test)
        others = Counter(artist_of[name] for name in train)
        both = counts.keys() & others.keys()
        hint = f"{min(both, default='')} is in training and test: split by artist, not by song."
        expect(not both, hint)
        fits, exchanged = (_stops_at(6, part) for part in (counts, others))
        expect(fits or not exchanged, "Return training first and then the test.")
        expect(len(test) >= 6, f"The test set has {len(test)} songs instead of at least 6.")
        hint = f"Stop at 6 songs: with seed {seed} the test has {len(test)}, one artist too many."
        expect(fits, hint)
        kept.add(frozenset(counts))
        sizes.add(len(test))
    for seed in range(6):
        hint = "The same seed should give the same split."
        expect(split(list(names), seed) == split(list(names), seed), hint)
    expect(len(kept) > 1, "Every seed gives the same split: shuffle the artists with the seed.")
    for one, other in permutations(artists, 2):
        hint = f"{one} is never in the test without {other}. Is every artist chosen by itself?"
        expect(any(one in group and other not in group for group in kept), hint)
    hint = "Do not skip an artist whose songs bring the test beyond 6 songs."
    expect(sizes != {6}, hint)
    for seed in range(6):
        test = split(list(names), seed)[1]
        # A new first word changes the order of a set, but not an order by name or by occurrence.
        renamed = split([f"The {name}" for name in names], seed)[1]
        hint = "The order of a set changes each time Python starts: sort the artists first."
        expect({name[4:] for name in renamed} == set(test), hint)
    n_artists = len({artist_of[name] for name in test})
    return f"{n_artists} artists with {len(test)} songs are reserved for the test."


def _stops_at(n_songs: int, counts: Counter) -> bool:
    """Whether there are enough songs, and not without the last artist."""
    return n_songs <= counts.total() < n_songs + max(counts.values(), default=0)


@check
def bleed_ceiling(function: Callable[[float, float, float], float]) -> str:
    """Exercise 3: the highest possible SDR against a reference with bleed, in dB."""
    cases = ((-8.0, 0.0, -20.0), (0.0, 0.0, -20.0), (5.0, 2.0, -10.0), (-6.0, 3.0, -4.0))
    got = [float(function(*case)) for case in cases]
    mistakes = [_mistaken_ceilings(*case) for case in cases]
    name_mistake(got, {hint: [one[hint] for one in mistakes] for hint in mistakes[0]}, 1e-3)
    hint = f"With equal levels and bleed at -20 dB the ceiling is 20.04 dB, not {got[1]:.2f}."
    expect(abs(got[1] - 20.0432) < 1e-3, hint)
    hint = "How many dB is the stem above the bleed, and what has to be added?"
    expect(abs(got[0] - 12.266) < 1e-2, hint)
    expect(abs(got[2] - 13.212) < 1e-2, "Only the differences between the levels matter.")
    hint = "If the bleed is louder than the stem, the ceiling is low, but still above 0 dB."
    expect(abs(got[3] - 1.193) < 1e-2, hint)
    return f"A stem 8 dB below the others cannot exceed {got[0]:.1f} dB with bleed at -20 dB."


def _mistaken_ceilings(stem: float, others: float, bleed: float) -> dict[str, float]:
    """Hint → the wrong result that it explains."""

    def summed(level: float, factor: float = 10.0) -> float:
        return factor * math.log10(1 + 10 ** (level / 10))

    over = stem - others - bleed
    energies = 1 + 10 ** (over / 10)
    return {
        "Nearly: the reference is the stem and the bleed. Add the 1.": over,
        "Bleed is quieter than the others: check its sign.": summed(stem - others + bleed),
        "A quiet stem suffers more than a loud one: check the sign.": summed(others - stem - bleed),
        "The error is the bleed of the others: their level matters too.": summed(stem - bleed),
        "The ceiling depends on the level of the stem too.": summed(-others - bleed),
        "That is the ratio itself: return it in dB.": energies,
        "That is the error over the reference: invert the ratio.": -summed(over),
        "Levels in dB become energies by 10 ** (level / 10).": summed(over / 2),
        "A ratio of energies in dB is 10 log10, not 20 log10.": summed(over, 20),
        "Uncorrelated signals add up in energy, not in amplitude.": summed(over / 2, 20),
        "Decibels take the logarithm with base 10.": 10 * math.log(energies),
        "Decibels do not add up: convert them to energies first.": 1 + over,
    }


@check
def find_leaks(function: Callable[..., Sequence]) -> str:
    """Exercise 4: which new recordings contain known ones."""
    known = {f"song {k}": _melody(k) for k in range(4)}
    known["album"] = torch.cat([known["song 1"], known["song 2"], known["song 0"]], dim=-1)
    start = known["song 3"][:, 22050 + 77 : 3 * 22050 + 77]
    new = {
        "b side": _melody(9),
        "loud cut": 3 * known["song 2"][:, 3 * 22050 + 100 : 6 * 22050],
        "the same": known["song 0"],
        "medley": torch.cat([start, _melody(9)[:, : 7 * 22050]], dim=-1),
    }

    def pairs(music: dict, **settings: float) -> list[tuple]:
        found = [tuple(pair) for pair in function(music, dict(known), **settings)]
        hint = "Each leak is a pair: the name of the new recording, then that of the known one."
        expect(all(len(p) == 2 and p[0] in new and p[1] in known for p in found), hint)
        expect(len(found) == len(set(found)), "Return each pair once.")
        return found

    found = pairs(new)
    expect(("the same", "song 0") in found, "An identical copy is missed.")
    hint = "A louder excerpt is missed: measure the share of the new recording in the known one."
    expect(any(name == "loud cut" for name, _ in found), hint)
    copies = {("the same", "song 0"), ("loud cut", "song 2")}
    copies |= {("the same", "album"), ("loud cut", "album")}
    hint = "A recording can be in two known ones, a song and an album: return all pairs."
    expect(copies <= set(found), hint)
    expect(("medley", "song 3") in found, "A short piece of a known song in a medley is missed.")
    extra = set(found) - copies - {("medley", "song 3")}
    expect(not extra, f"{sorted(extra)[:1]} match by chance only: is the threshold applied?")
    strict = set(pairs(new, threshold=0.3))
    hint = "With threshold=0.3 the medley is no leak: is the given threshold used?"
    expect(("medley", "song 3") not in strict, hint)
    hint = "Most of the loud cut is in the album, but only a small part of the album is in the cut."
    expect(("loud cut", "album") in strict, hint)
    expect(strict == copies, "Is the given threshold used?")
    hint = "Include shares that equal the threshold: an identical copy reaches exactly 1."
    expect(set(pairs(new, threshold=1.0)) == {("the same", "song 0")}, hint)
    expect(not pairs({"b side": new["b side"]}), "Without a leak the list is empty.")
    return f"{len({name for name, _ in found})} of {len(new)} new recordings contain known music."


COPIES = {
    10000: "An unchanged copy is missed: include the original speed, and keep the largest share.",
    9787: "A copy that is 2 % faster is missed: compare `new` at several speeds.",
    10213: "A copy that is 2 % slower is missed: try longer and shorter versions of `new`.",
    9718: "A copy that is almost 3 % faster is missed: cover all speeds up to 3 %.",
    10282: "A copy that is almost 3 % slower is missed: cover all speeds down to -3 %.",
    10136: "A copy between two of your speeds is missed: take smaller steps.",
}
"""Length of a copy in parts of ten thousand → the hint if it is missed."""


@check
def share_at_any_speed(function: Callable[[Tensor, Tensor], float]) -> str:
    """Exercise 5: recognise a recording at another speed, with a mean share of at least 0.45."""
    known = _melody(0)[:1, : 6 * 22050]
    piece = known[:, 64 * 512 : 64 * 512 + 3 * 22050]  # from the start of a frame

    def share(new: Tensor) -> float:
        got = function(new.clone(), known.clone())
        expect(not isinstance(got, (tuple, list)), "Return the share only, without the shift.")
        expect(0 <= float(got) <= 1, f"A share is between 0 and 1, not {float(got):.2f}.")
        return float(got)

    shares = []
    for length, hint in COPIES.items():
        shares.append(share(resample(piece, 10000, length)))
        expect(shares[-1] > 0.1, f"{hint} (The share is {shares[-1]:.2f}.)")
    chance = share(_melody(5)[:1, : 3 * 22050])
    hint = f"An unrelated recording has a share of {chance:.2f}: keep the best single speed."
    expect(chance < 0.05, hint)
    mean = sum(shares[1:]) / len(shares[1:])
    hint = f"Changed copies have a mean share of {mean:.2f}: resample `new` in smaller steps."
    expect(mean >= 0.45, hint)
    return f"Changed copies have a mean share of {mean:.2f}, and other music {chance:.2f}."


def _melody(seed: int) -> Tensor:
    """Ten seconds of random chords (2, t) at 22,050 Hz, different for every seed."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(22050 // 4) / 22050
    notes = []
    for _ in range(40):
        pitches = 110 * 2 ** (torch.randint(0, 60, (4,), generator=generator) / 12)
        chord = torch.sin(2 * torch.pi * pitches[:, None] * time).sum(dim=0)
        notes.append(chord * torch.exp(-6 * time) / 8)
    return torch.cat(notes).expand(2, -1)
