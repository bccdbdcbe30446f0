"""Checks of chapter 08, datasets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations

import torch
from torch import Tensor

from common.checks import check, expect

RATE = 8000


@check
def silent_share(function: Callable[..., float]) -> str:
    """Exercise 1: the share of tenths of a second under -60 dB of full scale."""

    def share(audio: Tensor, rate: int = RATE, **settings: float) -> float:
        return float(function(audio, rate, **settings))

    audio = torch.zeros(2, RATE)
    expect(abs(share(audio) - 1) < 1e-6, "Digital silence is silent all the time.")
    audio[:, : 4 * RATE // 10] = 0.5
    got = share(audio)
    expect(abs(got - 0.4) > 1e-6, "That is the share that sounds.")
    expect(abs(got - 0.6) < 1e-6, f"Four tenths of this second sound, and {got:.2f} is said.")
    against = torch.stack([torch.full((RATE,), 0.1), torch.full((RATE,), -0.1)])
    hint = "Left against right cancels if the channels are added: average their squares."
    expect(share(against) < 1e-6, hint)
    hint = (
        "-60 dB is a mean square (not a sum) of a millionth: "
        "10 log10 of a power, 20 log10 of an amplitude."
    )
    for amplitude, said in ((0.0011, 0.0), (0.0009, 1.0)):
        expect(abs(share(_steady(amplitude, amplitude)) - said) < 1e-6, hint)
    for sides in ((0.1, 0.0), (0.0, 0.1), (0.0016, 0.0004), (0.0004, 0.0016)):
        hint = "What sounds in one channel is not silent: average the squares over both."
        expect(share(_steady(*sides)) < 1e-6, hint)
    for sides in ((0.0012, 0.0), (0.0, 0.0012)):
        hint = "The mean over both channels decides, neither the louder one nor the sum of the two."
        expect(abs(share(_steady(*sides)) - 1) < 1e-6, hint)
    noise = torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))
    hint = "Noise is louder than its mean and softer than its peak: take the mean of its squares."
    for amplitude, said in ((0.00112, 0.0), (0.0009, 1.0)):
        expect(abs(share(amplitude * noise) - said) < 1e-6, hint)
    for amplitude, said in ((0.005, 1.0), (0.02, 0.0)):
        hint = "With floor=-40 the line lies higher: is `floor` used?"
        steady = _steady(amplitude, amplitude)
        expect(abs(share(steady, floor=-40.0) - said) < 1e-6, hint)
    longer = torch.cat([audio, torch.full((2, RATE // 20), 0.5)], dim=-1)
    hint = "Leave out a last piece that is shorter than a tenth of a second."
    expect(abs(share(longer) - 0.6) < 1e-6, hint)
    faster = torch.cat([torch.full((2, 17640), 0.5), torch.zeros(2, 26460)], dim=-1)
    hint = "A tenth of a second has more samples at 44.1 kHz than at 8 kHz."
    expect(abs(share(faster, 44100) - 0.6) < 1e-6, hint)
    return f"Of a second with four tenths of sound, {got:.0%} are silent."


def _steady(left: float, right: float) -> Tensor:
    """One second (2, t) at two steady amplitudes."""
    return torch.tensor([[left], [right]]).repeat(1, RATE)


@check
def side_over_mid(function: Callable[[Tensor], float]) -> str:
    """Exercise 2: stereo width as side energy over mid energy, in dB."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 4000, generator=generator)
    narrow = float(function(torch.stack([left, 0.998 * left])))
    expect(narrow < 0, f"Nearly mono has hardly any side: far under 0 dB, not {narrow:.0f}.")
    against = float(function(torch.stack([left, -0.998 * left])))
    expect(against > 0, f"Left against right is nearly side alone: not {against:.0f} dB.")
    one = float(function(torch.stack([left, torch.zeros(4000)])))
    expect(abs(one) < 1e-3, f"A sound on one side has as much side as mid: 0 dB, not {one:.2f}.")
    got = float(function(torch.stack([left, 0.5 * left])))
    expect(abs(got + 19.085) > 0.01, "Energies are squares: is the logarithm taken twice?")
    expect(abs(got + 4.771) > 0.01, "Amplitudes in place of energies: square first, or use 20.")
    hint = f"With the right channel at half, side over mid is 1/9 of the energy, not {got:.2f} dB."
    expect(abs(got + 9.542) < 0.01, hint)
    # A side of rare, tall peaks: only its energy is what the ratio says.
    mid = right + 0.3
    side = 2 * left * (torch.rand(4000, generator=generator) < 0.05)
    said = 10 * torch.log10(side.square().sum() / mid.square().sum()).item()
    rare = float(function(torch.stack([mid + side, mid - side])))
    hint = f"A side of rare peaks lies {-said:.2f} dB under the mid, not {-rare:.2f}: add squares."
    expect(abs(rare - said) < 0.01, hint)
    return f"With the right channel at half the left, the side lies {-got:.1f} dB under the mid."


@check
def split_by_artist(function: Callable[[Sequence[str], int, int], tuple]) -> str:
    """Exercise 3: no artist in both training and test."""
    names = [f"Band {k} - Song {i}" for k in range(12) for i in range(1 + k % 3)]
    names += ["Solo - One - Two", "Solo - One", "Duo-Trio - Live - At Home", "Duo-Quartet - Live"]
    artist_of = {name: name.split(" - ")[0] for name in names}
    kept = set()
    for seed in range(120):
        given = list(names)
        train, test = ([str(name) for name in part] for part in function(given, 6, seed))
        expect(given == names, "Leave the list of names as it was.")
        hint = "Every song belongs to training or to test, once."
        expect(Counter(train + test) == Counter(names), hint)
        counts = Counter(artist_of[name] for name in test)
        both = counts.keys() & {artist_of[name] for name in train}
        expect(not both, f"{min(both, default='')} is on both sides: deal out artists, not songs.")
        expect(len(test) >= 6, f"Test should have 6 songs at least, and has {len(test)}.")
        hint = (
            f"Stop when test has 6 songs: with seed {seed} it has {len(test)}, an artist too many."
        )
        expect(len(test) - max(counts.values()) < 6, hint)
        kept.add(frozenset(counts))
    artists = list(dict.fromkeys(artist_of.values()))
    for one, other in permutations(artists, 2):
        hint = (
            f"{one} never comes to the test without {other}. Are all artists dealt, each by itself?"
        )
        expect(any(one in group and other not in group for group in kept), hint)
    for seed in range(6):
        train, test = (list(part) for part in function(list(names), 6, seed))
        again = [list(part) for part in function(list(names), 6, seed)]
        expect(again == [train, test], "The same seed should give the same split.")
        # Any order of the artists themselves outlasts a new first word; that of a set does not.
        renamed = function([f"The {name}" for name in names], 6, seed)[1]
        hint = "A set has another order whenever Python starts: bring the artists into a fixed one."
        expect({str(name)[4:] for name in renamed} == {str(name) for name in test}, hint)
    n_artists = len({artist_of[str(name)] for name in test})
    return f"{n_artists} artists with {len(test)} songs are kept for the test."


@check
def bleed_ceiling(function: Callable[[float, float, float], float]) -> str:
    """Exercise 4: the highest SDR against a reference that holds bleed, in dB."""
    got = float(function(0.0, 0.0, -20.0))
    expect(abs(got - 20) > 1e-3, "Nearly: the reference holds the stem and the bleed. Add the 1.")
    expect(abs(got - 20.0432) < 1e-3, f"Equal levels, bleed at -20 dB: 20.04 dB, not {got:.2f}.")
    got = float(function(-8.0, 0.0, -20.0))
    expect(abs(got - 28.007) > 1e-2, "A quiet stem suffers more than a loud one: mind the sign.")
    expect(
        abs(got - 12.266) < 1e-2, "How far does the stem lie above the bleed, and what is added?"
    )
    expect(
        abs(float(function(5.0, 2.0, -10.0)) - 13.212) < 1e-2, "Only differences of levels count."
    )
    return f"A stem 8 dB under the others cannot pass {got:.1f} dB at -20 dB of bleed."


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
