"""Checks of chapter 01, listening."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.checks.band import RATE, band
from common.checks.tensors import tensor

GOOD_SDR = 7
"""What a good accompaniment reaches in exercise 5, in dB."""


@check
def mix(function: Callable[[Tensor, list[float]], Tensor]) -> str:
    """Exercise 1: fader positions in decibels."""
    stems = _stems()
    given = stems.clone()
    flat = tensor(function(given, [0.0, 0.0, 0.0, 0.0]))
    expect(flat.shape == stems.shape[1:], f"One mixture, (c, t): yours is {tuple(flat.shape)}.")
    name_mistake(
        flat,
        {
            "A mixture is the sum of its stems, not their mean.": stems.mean(dim=0),
            "A fader at 0 dB leaves the level alone: decibels are not factors.": 0 * stems[0],
        },
    )
    expect_close(
        flat, stems.sum(dim=0), "With all faders at 0 dB the mixture is the plain sum.", 1e-5
    )
    faders = torch.tensor([-20.0, 6.0, 0.0, -200.0])
    mixed = tensor(function(given, faders.tolist()))
    expect(
        torch.equal(given, stems),
        "Your function changes the stems that it is given: write into new tensors.",
    )
    name_mistake(
        mixed,
        {
            "You use d/10, which is for energies: amplitudes take d/20.": _mixed(
                10 ** (faders / 10)
            ),
            "A fader below 0 dB makes a stem quieter: the sign is wrong.": _mixed(
                10 ** (-faders / 20)
            ),
            "Decibels are powers of 10, not of e.": _mixed((faders / 20).exp()),
            "Decibels are powers of 10, not of 2.": _mixed(2 ** (faders / 20)),
            "All stems get one gain, but each has a fader of its own.": _mixed(
                10 ** (faders.mean() / 20).expand(4)
            ),
            "The faders are in the wrong order: the first belongs to the first stem.": _mixed(
                10 ** (faders.flip(0) / 20)
            ),
        },
    )
    hint = "20 dB down is a tenth of the amplitude, and each stem has a fader of its own."
    expect_close(mixed, _mixed(10 ** (faders / 20)), hint, 1e-4)
    return "Your mixing desk works; note that 6 dB is nearly twice the amplitude."


def _mixed(gains: Tensor) -> Tensor:
    """The stems' sum with a gain for each."""
    return torch.einsum("s,sct->ct", gains, _stems())


@check
def wrong_stems(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 2: wrong stems with the right sum."""
    stems = _stems()
    fakes = tensor(function(stems.clone()))
    expect(fakes.shape == stems.shape, f"Four stems like the true ones: {tuple(stems.shape)}.")
    expect(fakes.isfinite().all(), "Your stems contain a number that is infinite or NaN.")
    mixture, total = stems.sum(dim=0), fakes.sum(dim=0)
    ratio = ((total * mixture).sum() / mixture.square().sum()).item()
    expect(
        (total - mixture).abs().max() < 1e-4 or (total - ratio * mixture).abs().max() > 1e-3,
        f"They add up to {ratio:.2g} times the mixture: the level must stay the same.",
    )
    hint = "They do not add up to the mixture: subtract from one stem what you add to another."
    expect((total - mixture).abs().max() < 1e-4, hint)
    error = (fakes - stems).square().sum(dim=(1, 2))
    energy = fakes.square().sum(dim=(1, 2))
    same = [source for source in range(4) if error[source] < 1e-6 * energy[source]]
    expect(len(same) < 4, "You return the true stems themselves.")
    expect(not same, f"Stem {', '.join(map(str, same))} is still the true one: change all four.")
    for source, part in enumerate(error / energy):
        expect(
            part.isnan() or part > 0.4999,
            f"Stem {source} is too close to the true one: its error has {part:.0%} of its energy.",
        )
    return "The mixture is the same, so it cannot show which stems are the true ones."


@check
def remove_centre(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: the difference of the channels."""
    voice, guitar = _stems()[0, :1], _stems()[1, :1]
    centre = tensor(function(torch.cat([voice, voice])))
    expect(centre.shape == voice.shape, f"One channel, (1, t): yours is {tuple(centre.shape)}.")
    expect(centre.isfinite().all(), "Your channel contains a number that is infinite or NaN.")
    name_mistake(
        centre,
        {
            "You add the channels, which makes the centre louder.": 2 * voice,
            "The voice is unchanged: you need both channels to cancel it.": voice,
        },
    )
    expect(
        centre.abs().max() < 1e-5,
        "A voice that is the same in both channels should vanish. How do two equal numbers cancel?",
    )
    sides = {
        "left": tensor(function(torch.cat([voice + guitar, voice]))),
        "right": tensor(function(torch.cat([voice, voice + guitar]))),
    }
    for side, kept in sides.items():
        expect(kept.abs().max() > 0.1, f"A guitar on the {side} is gone too: keep both sides.")
        likeness = torch.cosine_similarity(kept.flatten(), guitar.flatten(), dim=0).abs()
        expect(
            likeness > 0.999,
            f"With a guitar on the {side} and the voice in the centre, more than the guitar is "
            "left: subtract samples, with their signs.",
        )
    return "The voice is gone, and so is everything else in the centre."


@check
def largest_overlap(function: Callable[[Tensor], tuple[int, int]]) -> str:
    """Exercise 4: the pair of stems that overlaps most."""
    # Each mistake below gives another pair than the right answer, and than the other mistakes.
    energy = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(5851)) ** 4
    energy *= torch.rand(5, generator=torch.Generator().manual_seed(5851))[:, None, None] * 5
    right = _largest(energy, _shared)
    pair = _pair(function(energy.clone()))
    mistakes = {
        "Those are the two loudest stems, but loud stems may use different bins.": (
            lambda a, b: torch.minimum(a.sum(), b.sum())
        ),
        "You add up products: take the smaller of the two energies in each bin.": (
            lambda a, b: (a * b).sum()
        ),
        "You add up the larger of the two energies in each bin: take the smaller.": (
            lambda a, b: torch.maximum(a, b).sum()
        ),
        "That is a cosine, which ignores how loud the stems are.": (
            lambda a, b: torch.cosine_similarity(a.flatten(), b.flatten(), dim=0)
        ),
        "That pair overlaps least: find the largest sum.": (
            lambda a, b: -torch.minimum(a, b).sum()
        ),
    }
    for hint, measure in mistakes.items():
        expect(pair != _largest(energy, measure), hint)
    next_to = max(
        (pair for pair in itertools.combinations(range(5), 2) if pair[1] == pair[0] + 1),
        key=lambda pair: _shared(energy[pair[0]], energy[pair[1]]),
    )
    expect(pair != next_to, "You compare each stem only with the next one: compare all pairs.")
    expect(pair == right, "Compare the smaller of the two energies in each bin, then add up.")
    for order in ([4, 3, 2, 1, 0], [2, 0, 1, 4, 3], [1, 4, 3, 0, 2]):
        wanted = tuple(sorted(order.index(stem) for stem in right))
        hint = "Compare all pairs, whatever the order of the stems."
        expect(_pair(function(energy[order])) == wanted, hint)
    return "Try it on the song: `largest_overlap(STFT()(song.sources).abs().square().mean(1))`."


def _shared(a: Tensor, b: Tensor) -> Tensor:
    """The overlap of two stems: the smaller energy of each bin, added up."""
    return torch.minimum(a, b).sum()


def _largest(energy: Tensor, measure: Callable[[Tensor, Tensor], Tensor]) -> tuple[int, int]:
    """The pair of stems for which a measure is largest."""
    pairs = itertools.combinations(range(len(energy)), 2)
    return max(pairs, key=lambda pair: measure(energy[pair[0]], energy[pair[1]]).item())


def _pair(answer: object) -> tuple[int, int]:
    """Two indices, the lower one first."""
    indices = tensor(answer).flatten().int().tolist()
    expect(len(indices) == 2, f"Return two indices, not {len(indices)}.")
    expect(indices[0] != indices[1], "That is one stem with itself: compare different stems.")
    expect(indices[0] < indices[1], "The lower index comes first.")
    return indices[0], indices[1]


@check
def accompaniment(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 5: remove the voice, keep the bass; measured by the SDR of the accompaniment."""
    stems = _panned_band()
    mixture = stems.sum(dim=0)
    wanted = mixture - stems[0]
    estimate = tensor(function(mixture.clone(), RATE))
    shape = tuple(estimate.shape)
    expect(shape == mixture.shape, f"A stereo accompaniment, (2, t): yours is {shape}.")
    expect(estimate.isfinite().all(), "Your estimate contains a number that is infinite or NaN.")
    voice, bass, guitar, keyboard = _gains(stems, estimate).tolist()
    expect(
        voice < 0.5 or bass > 0.5,
        "You keep the voice and remove the bass: the filter is the wrong way round.",
    )
    expect(
        max(guitar, keyboard) > 0.2,
        "The guitar on the left and the keyboard on the right are gone: keep the sides.",
    )
    expect(
        min(guitar, keyboard) > -0.2,
        "One side has changed its sign: use left minus right in the left channel, and right "
        "minus left in the right channel.",
    )
    expect(
        bass > 0.5,
        "The bass is gone with the voice. Both are in the centre: which property of the bass "
        "does the voice not share?",
    )
    expect(
        voice < 0.5,
        "Most of the voice is still there: remove the centre above the frequencies of the bass.",
    )
    error = (wanted - estimate).square().sum()
    reached = (10 * torch.log10(wanted.square().sum() / error)).item()
    expect(
        reached >= GOOD_SDR,
        f"The SDR is {reached:.1f} dB; a good answer reaches {GOOD_SDR} dB. Listen to your error: "
        "is it voice, bass, or a side that has become too quiet?",
    )
    return f"The SDR of your accompaniment is {reached:.1f} dB."


def _gains(stems: Tensor, estimate: Tensor) -> Tensor:
    """How much of each stem an estimate contains, by least squares: (s, c, t), (c, t) → (s,)."""
    return torch.linalg.lstsq(stems.flatten(1).T, estimate.flatten()[:, None]).solution[:, 0]


def _panned_band() -> Tensor:
    """Voice and bass in the centre, guitar on the left, keyboard on the right: (4, 2, t)."""
    gains = {"voice": (1, 1), "bass": (1, 1), "guitar": (1, 0), "keyboard": (0, 1)}
    stems = band()
    return torch.stack([torch.tensor(gains[name])[:, None] * stems[name] for name in gains])


def _stems() -> Tensor:
    """Four stems of noise in stereo."""
    return torch.randn(4, 2, 1000, generator=torch.Generator().manual_seed(0))
