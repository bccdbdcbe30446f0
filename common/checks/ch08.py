"""Checks of chapter 08, datasets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import isinf

import torch
from torch import Tensor

from common.checks import check, expect

RATE = 8000


@check
def silent_share(function: Callable[[Tensor, int], float]) -> str:
    """Exercise 1: the share of tenths of a second under -60 dB of full scale."""
    audio = torch.zeros(2, 10 * RATE // 10)
    expect(abs(float(function(audio, RATE)) - 1) < 1e-6, "Digital silence is silent all the time.")
    audio[:, : 4 * RATE // 10] = 0.5
    got = float(function(audio, RATE))
    expect(abs(got - 0.4) > 1e-6, "That is the share that sounds.")
    expect(abs(got - 0.6) < 1e-6, f"Four tenths of this second sound, and {got:.2f} is said.")
    hint = "-60 dB is a mean square of a millionth: 10 log10 of a power, 20 log10 of an amplitude."
    for amplitude, share in ((0.002, 0.0), (0.0005, 1.0)):
        steady = torch.full((2, RATE), amplitude)
        expect(abs(float(function(steady, RATE)) - share) < 1e-6, hint)
    against = torch.stack([torch.full((RATE,), 0.1), torch.full((RATE,), -0.1)])
    hint = "Left against right cancels if the channels are added: average their squares."
    expect(float(function(against, RATE)) < 1e-6, hint)
    one_side = torch.stack([torch.full((RATE,), 0.1), torch.zeros(RATE)])
    hint = "What sounds in one channel is not silent: average the squares over both."
    expect(float(function(one_side, RATE)) < 1e-6, hint)
    longer = torch.cat([audio, torch.full((2, RATE // 20), 0.5)], dim=-1)
    hint = "Leave out a last piece that is shorter than a tenth of a second."
    expect(abs(float(function(longer, RATE)) - 0.6) < 1e-6, hint)
    return f"Of a second with four tenths of sound, {got:.0%} are silent."


@check
def side_over_mid(function: Callable[[Tensor], float]) -> str:
    """Exercise 2: stereo width as side energy over mid energy, in dB."""
    left, right = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    mono = float(function(torch.stack([left, left])))
    expect(isinf(mono) and mono < 0, f"Mono has no side at all: -inf dB, not {mono:g}.")
    against = float(function(torch.stack([left, -left])))
    expect(
        isinf(against) and against > 0, f"Left against right is side alone: inf, not {against:g}."
    )
    one = float(function(torch.stack([left, torch.zeros(4000)])))
    expect(abs(one) < 1e-3, f"A sound on one side has as much side as mid: 0 dB, not {one:.2f}.")
    got = float(function(torch.stack([left, 0.5 * left])))
    expect(abs(got + 19.085) > 0.01, "Energies are squares: is the logarithm taken twice?")
    expect(abs(got + 4.771) > 0.01, "Amplitudes in place of energies: square first, or use 20.")
    hint = f"With the right channel at half, side over mid is 1/9 of the energy, not {got:.2f} dB."
    expect(abs(got + 9.542) < 0.01, hint)
    wide = float(function(torch.stack([left, right])))
    expect(abs(wide) < 1.0, f"Two unrelated channels lie near 0 dB, not at {wide:.1f}.")
    return f"With the right channel at half the left, the side lies {-got:.1f} dB under the mid."


@check
def split_by_artist(function: Callable[[Sequence[str], int, int], tuple]) -> str:
    """Exercise 3: no artist in both training and test."""
    names = [f"Band {k} - Song {i}" for k in range(12) for i in range(1 + k % 3)]
    names += ["Solo - One - Two", "Solo - One", "Duo-Trio - Live - At Home"]
    given = list(names)
    train, test = (list(part) for part in function(names, 6, 0))
    expect(names == given, "Leave the list of names as it was.")
    hint = "Every song belongs to training or to test, once."
    expect(Counter(train + test) == Counter(names), hint)
    artists = [{name.split(" - ")[0] for name in part} for part in (train, test)]
    both = artists[0] & artists[1]
    expect(not both, f"{min(both, default='')} is on both sides: deal out artists, not songs.")
    expect(len(test) >= 6, f"Test should have 6 songs at least, and has {len(test)}.")
    expect(len(test) <= 8, f"Stop when test has 6 songs: it has {len(test)} already.")
    again = [list(part) for part in function(names, 6, 0)]
    expect(again == [train, test], "The same seed should give the same split.")
    others = {tuple(sorted(function(names, 6, seed)[1])) for seed in range(8)}
    expect(len(others) > 2, "Another seed should draw other artists.")
    return f"{len(artists[1])} artists with {len(test)} songs are kept for the test."


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
def find_leaks(function: Callable[[dict, dict], list]) -> str:
    """Exercise 5: which new recordings hold music that is known."""
    known = {f"song {k}": _melody(k) for k in range(4)}
    cut = known["song 2"][:, 3 * 22050 + 100 : 8 * 22050]
    new = {"b side": _melody(9), "loud copy": 3 * cut, "the same": known["song 0"]}
    found = [tuple(pair) for pair in function(new, known)]
    hint = "Each leak is a pair: the new recording's name, then the known one's."
    expect(all(pair[0] in new and pair[1] in known for pair in found), hint)
    expect(("the same", "song 0") in found, "A recording that is simply there again is missed.")
    hint = "A louder excerpt is missed: ask how much of the new one is in the known one."
    expect(("loud copy", "song 2") in found, hint)
    extra = set(found) - {("the same", "song 0"), ("loud copy", "song 2")}
    expect(not extra, f"{sorted(extra)[:1]} share nothing but chance: is the threshold applied?")
    expect(function({"b side": _melody(9)}, known) == [], "Without a leak the list is empty.")
    return f"{len(found)} of {len(new)} new recordings are old."


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
