"""Checks of chapter 08, datasets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations

import torch
from torch import Tensor

from common.checks import check, expect, name_mistake

RATE = 8000


@check
def silent_share(function: Callable[..., float]) -> str:
    """Exercise 1: the share of tenths of a second under -60 dB of full scale."""

    def share(audio: Tensor, rate: int = RATE, **settings: float) -> float:
        return float(function(audio.clone(), rate, **settings))

    audio = _tenths(200)
    mistaken = _mistaken_shares(audio)
    right = _share_under(audio.unflatten(-1, (200, -1)).square().mean(dim=(0, 2)))
    got = share(audio)
    name_mistake(got, mistaken, 1e-6)
    hint = f"Of 200 noises of a tenth each {200 * right:.0f} are silent, not {200 * got:.0f}: "
    expect(abs(got - right) < 1e-6, f"{hint}compare each tenth's mean square with the floor.")
    expect(abs(share(torch.zeros(2, RATE)) - 1) < 1e-6, "Digital silence is always silent.")
    for amplitude, said in ((0.0011, 0.0), (0.0009, 1.0)):
        hint = "-60 dB is a mean square of a millionth: an amplitude of 0.001."
        expect(abs(share(_steady(amplitude)) - said) < 1e-6, hint)
    for amplitude, said in ((0.005, 1.0), (0.02, 0.0)):
        hint = "With floor=-40 the line lies higher: is `floor` used?"
        expect(abs(share(_steady(amplitude), floor=-40.0) - said) < 1e-6, hint)
    audio = torch.zeros(2, RATE)
    audio[:, : 4 * RATE // 10] = 0.5
    longer = torch.cat([audio, torch.full((2, RATE // 20), 0.5)], dim=-1)
    hint = "Leave out a last piece that is shorter than a tenth of a second."
    expect(abs(share(longer) - 0.6) < 1e-6, hint)
    faster = torch.cat([torch.full((2, 17640), 0.5), torch.zeros(2, 26460)], dim=-1)
    hint = "A tenth of a second has more samples at 44.1 kHz than at 8 kHz: use `sample_rate`."
    expect(abs(share(faster, 44100) - 0.6) < 1e-6, hint)
    return f"Of a second with four tenths of sound, {share(audio):.0%} are silent."


def _steady(amplitude: float) -> Tensor:
    """One second (2, t) at a steady amplitude."""
    return torch.full((2, RATE), amplitude)


def _tenths(n: int) -> Tensor:
    """Noise (2, t), louder and softer by tenths of a second, now apart, now against each other."""
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
    """Hint → what a reader gets who needs it, with a floor of -60 dB."""
    pieces, share = audio.unflatten(-1, (-1, RATE // 10)), _share_under
    sides, absolute = pieces.square().mean(dim=-1), pieces.abs()
    power, mono = sides.mean(dim=0), pieces.mean(dim=0).square().mean(dim=-1)
    softer, louder = sides.min(dim=0).values, sides.max(dim=0).values
    peak, mean = absolute.amax(dim=(0, 2)).square(), absolute.mean(dim=(0, 2)).square()
    return {
        "That is the share that sounds.": 1 - share(power),
        "That is how many are silent: divide by how many there are.": share(power) * len(power),
        "Left against right cancels if the channels are added: average squares.": share(mono),
        "The mean over both channels is asked for, not their sum.": share(2 * power),
        "What sounds in one channel is not silent: average over both.": share(softer),
        "The mean over both channels decides, not the louder one.": share(louder),
        "Average the squares of both channels first, not the answers.": share(sides),
        "Left alone is measured: average the squares of both channels.": share(sides[0]),
        "Take the mean of the squares, not the loudest sample.": share(peak),
        "Take the mean of the squares, not of the absolute values.": share(mean),
        "Take the mean of the squares, not their sum.": share(power * 2 * pieces.shape[-1]),
        "Samples are counted: a tenth of a second is silent, or it is not.": share(audio.square()),
        "A power in dB is 10 log10 of it; 20 log10 belongs to amplitudes.": share(power, -30),
        "An amplitude in dB is 20 log10 of it; 10 log10 belongs to powers.": share(power, -120),
    }


@check
def side_over_mid(function: Callable[[Tensor], float]) -> str:
    """Exercise 2: stereo width as side energy over mid energy, in dB."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 4000, generator=generator)
    # A side of rare, tall peaks: only its energy is what the ratio says.
    mid = right + 0.3
    side = 2 * left * (torch.rand(4000, generator=generator) < 0.05)
    both = torch.stack([mid + side, mid - side])
    said = 10 * torch.log10(side.square().sum() / mid.square().sum()).item()
    rare = float(function(both.clone()))
    name_mistake(rare, _mistaken_widths(mid, side), 1e-3)
    hint = f"A side of rare peaks lies {-said:.2f} dB under the mid, not {-rare:.2f}: add squares."
    expect(abs(rare - said) < 0.01, hint)
    narrow = float(function(torch.stack([left, 0.998 * left])))
    expect(narrow < -50, f"Nearly mono has hardly any side: far under 0 dB, not {narrow:.0f}.")
    against = float(function(torch.stack([left, -0.998 * left])))
    expect(against > 50, f"Left against right is nearly side alone: not {against:.0f} dB.")
    one = float(function(torch.stack([left, torch.zeros(4000)])))
    expect(abs(one) < 1e-3, f"A sound on one side has as much side as mid: 0 dB, not {one:.2f}.")
    got = float(function(torch.stack([left, 0.5 * left])))
    hint = f"With the right channel at half, side over mid is 1/9 of the energy, not {got:.2f} dB."
    expect(abs(got + 9.542) < 0.01, hint)
    return f"With the right channel at half the left, the side lies {-got:.1f} dB under the mid."


def _mistaken_widths(mid: Tensor, side: Tensor) -> dict[str, float]:
    """Hint → what a reader gets who needs it."""
    left, right = (mid + side).square().sum(), (mid - side).square().sum()
    energy = side.square().sum() / mid.square().sum()
    absolute, highest = (f(side.abs()) / f(mid.abs()) for f in (torch.sum, torch.max))
    whole, level = energy / (1 + energy), torch.log10
    mistakes = {
        "That is mid over side: side over mid is asked for.": -10 * level(energy),
        "That is the ratio itself: return it in dB.": energy,
        "That is a ratio of amplitudes: return one of energies, in dB.": energy.sqrt(),
        "Energies are squares already: 10 log10, not 20.": 20 * level(energy),
        "That is half of it: 10 log10 of energies, or 20 log10 of amplitudes.": 5 * level(energy),
        "That is in bels: ten decibels are one.": level(energy),
        "Decibels take the logarithm with base 10.": 10 * energy.log(),
        "Energy is the sum of squares, not of absolute values.": 20 * level(absolute),
        "Energy is the sum of squares: square before you add.": 10 * level(absolute),
        "Do not take off the mean: it belongs to the energy.": 10 * level(side.var() / mid.var()),
        "That compares the highest samples: add up squares.": 20 * level(highest),
        "That compares right with left: add and subtract them first.": 10 * level(right / left),
        "That is a share of the whole energy: divide by that of the mid.": 10 * level(whole),
        "The mid is halved and the side is not: halve both, or neither.": 10 * level(energy * 4),
    }
    return {hint: wrong.item() for hint, wrong in mistakes.items()}


@check
def split_by_artist(function: Callable[[Sequence[str], int, int], tuple]) -> str:
    """Exercise 3: no artist in both training and test."""
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
        expect(given == names, "Leave the list of names as it was.")
        expect(not set(train + test) & set(artists), "Return names of songs, not artists.")
        hint = "Every song belongs to training or to test, once."
        expect(Counter(train + test) == Counter(names), hint)
        counts = Counter(artist_of[name] for name in test)
        others = Counter(artist_of[name] for name in train)
        both = counts.keys() & others.keys()
        expect(not both, f"{min(both, default='')} is on both sides: deal out artists, not songs.")
        fits, exchanged = (_stops_at(6, part) for part in (counts, others))
        expect(fits or not exchanged, "Return training first and then the test.")
        expect(len(test) >= 6, f"Test should have 6 songs at least, and has {len(test)}.")
        hint = f"Stop at 6 songs: with seed {seed} the test has {len(test)}, an artist too many."
        expect(fits, hint)
        kept.add(frozenset(counts))
        sizes.add(len(test))
    for seed in range(6):
        hint = "The same seed should give the same split."
        expect(split(list(names), seed) == split(list(names), seed), hint)
    expect(len(kept) > 1, "Every seed gives the same split: shuffle the artists with it.")
    for one, other in permutations(artists, 2):
        hint = (
            f"{one} never comes to the test without {other}. Are all artists dealt, each by itself?"
        )
        expect(any(one in group and other not in group for group in kept), hint)
    hint = "An artist whose songs take the test beyond 6 belongs to it too: leave nobody out."
    expect(sizes != {6}, hint)
    for seed in range(6):
        test = split(list(names), seed)[1]
        # Any order of the artists themselves outlasts a new first word; that of a set does not.
        renamed = split([f"The {name}" for name in names], seed)[1]
        hint = "A set has another order whenever Python starts: bring the artists into a fixed one."
        expect({name[4:] for name in renamed} == set(test), hint)
    n_artists = len({artist_of[name] for name in test})
    return f"{n_artists} artists with {len(test)} songs are kept for the test."


def _stops_at(n_songs: int, counts: Counter) -> bool:
    """Whether so many songs are reached, and only by the last artist."""
    return n_songs <= counts.total() < n_songs + max(counts.values(), default=0)


@check
def bleed_ceiling(function: Callable[[float, float, float], float]) -> str:
    """Exercise 4: the highest SDR against a reference that holds bleed, in dB."""
    cases = ((-8.0, 0.0, -20.0), (0.0, 0.0, -20.0), (5.0, 2.0, -10.0), (-6.0, 3.0, -4.0))
    got = [float(function(*case)) for case in cases]
    mistakes = [_mistaken_ceilings(*case) for case in cases]
    name_mistake(got, {hint: [one[hint] for one in mistakes] for hint in mistakes[0]}, 1e-3)
    hint = f"Equal levels, bleed at -20 dB: 20.04 dB, not {got[1]:.2f}."
    expect(abs(got[1] - 20.0432) < 1e-3, hint)
    hint = "How far does the stem lie above the bleed, and what is added?"
    expect(abs(got[0] - 12.266) < 1e-2, hint)
    expect(abs(got[2] - 13.212) < 1e-2, "Only differences of levels count.")
    hint = "Where bleed is louder than the stem, the ceiling is low, and still above 0 dB."
    expect(abs(got[3] - 1.193) < 1e-2, hint)
    return f"A stem 8 dB under the others cannot pass {got[0]:.1f} dB at -20 dB of bleed."


def _mistaken_ceilings(stem: float, others: float, bleed: float) -> dict[str, float]:
    """Hint → what a reader gets who needs it."""

    def summed(level: float, factor: float = 10.0) -> float:
        return factor * math.log10(1 + 10 ** (level / 10))

    over = stem - others - bleed
    energies = 1 + 10 ** (over / 10)
    return {
        "Nearly: the reference holds the stem and the bleed. Add the 1.": over,
        "Bleed is softer than the others: mind its sign.": summed(stem - others + bleed),
        "A quiet stem suffers more than a loud one: mind the sign.": summed(others - stem - bleed),
        "The error is the bleed of the others: their level counts too.": summed(stem - bleed),
        "How loud the stem is counts too.": summed(-others - bleed),
        "That is the ratio itself: return it in dB.": energies,
        "That is the error over the reference: turn the ratio over.": -summed(over),
        "Levels in dB become energies by 10 ** (level / 10).": summed(over / 2),
        "A ratio of energies in dB is 10 log10 of it, not 20.": summed(over, 20),
        "Energies add up, amplitudes do not: compare energies.": summed(over / 2, 20),
        "Decibels take the logarithm with base 10.": 10 * math.log(energies),
        "Decibels do not add up like energies: turn them into energies first.": 1 + over,
    }


@check
def find_leaks(function: Callable[..., Sequence]) -> str:
    """Exercise 5: which new recordings hold music that is known."""
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
        hint = "Each leak is a pair: the new recording's name, then the known one's."
        expect(all(len(p) == 2 and p[0] in new and p[1] in known for p in found), hint)
        expect(len(found) == len(set(found)), "Name each pair once.")
        return found

    found = pairs(new)
    expect(("the same", "song 0") in found, "A recording that is simply there again is missed.")
    hint = "A louder excerpt is missed: ask how much of the new one is in the known one."
    expect(any(name == "loud cut" for name, _ in found), hint)
    copies = {("the same", "song 0"), ("loud cut", "song 2")}
    copies |= {("the same", "album"), ("loud cut", "album")}
    hint = "One recording may be in two known ones, a song and an album: name all pairs."
    expect(copies <= set(found), hint)
    expect(("medley", "song 3") in found, "A short piece of a known song in a medley is missed.")
    extra = set(found) - copies - {("medley", "song 3")}
    expect(not extra, f"{sorted(extra)[:1]} share nothing but chance: is the threshold applied?")
    strict = set(pairs(new, threshold=0.3))
    hint = "With threshold=0.3 the medley, of which less than that is known, is no leak."
    expect(("medley", "song 3") not in strict, hint)
    hint = "Most of the loud cut is in the album, but a small part of the album in the cut."
    expect(("loud cut", "album") in strict, hint)
    expect(strict == copies, "Is the threshold that is given the one used?")
    hint = "At least the threshold: a recording that is all there reaches even 1."
    expect(set(pairs(new, threshold=1.0)) == {("the same", "song 0")}, hint)
    expect(not pairs({"b side": new["b side"]}), "Without a leak the list is empty.")
    return f"{len({name for name, _ in found})} of {len(new)} new recordings hold known music."


def _melody(seed: int) -> Tensor:
    """Ten seconds of random chords (2, t) at 22,050 Hz, other ones for every seed."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(22050 // 4) / 22050
    notes = []
    for _ in range(40):
        pitches = 110 * 2 ** (torch.randint(0, 60, (4,), generator=generator) / 12)
        chord = torch.sin(2 * torch.pi * pitches[:, None] * time).sum(dim=0)
        notes.append(chord * torch.exp(-6 * time) / 8)
    return torch.cat(notes).expand(2, -1)
