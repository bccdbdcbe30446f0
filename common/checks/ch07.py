"""Checks of chapter 07, space."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake


@check
def widen(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 1: the side made larger, the middle kept."""
    audio = _noise(2, 50)
    given = audio.clone()
    wide = _tensor(function(audio, 3.0))
    expect_close(audio, given, "The recording itself was changed: work on a copy.")
    expect(wide.shape == audio.shape, f"Keep the shape (2, t): yours is {tuple(wide.shape)}.")
    middle, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2
    sides = torch.stack([side, -side])
    mistakes = {
        "That is the recording as it was: a factor over 1 should widen it.": audio,
        "Middle and side are both multiplied: the middle should stay.": 3 * audio,
        "The middle is multiplied: it is the side that should be.": 3 * middle + sides,
        "Only the side is left: add the middle.": 3 * sides,
        "Everything is twice as loud: middle and side are halves of sum and difference.": (
            2 * middle + 6 * sides
        ),
        "These are middle and side themselves: turn them back into left and right.": (
            torch.stack([middle, 3 * side])
        ),
        "Left is now right: mind the sign with which the side comes back.": (middle - 3 * sides),
        "The factor multiplies amplitudes as it is: no square, no root.": middle + 9 * sides,
        "Multiply the side, do not divide it.": middle + sides / 3,
    }
    name_mistake(wide, mistakes)
    expect_close(wide.sum(0), audio.sum(0), "Left plus right is twice the middle: it should stay.")
    hint = "Left minus right is twice the side: with a factor of 3 that should be tripled."
    expect_close(wide[0] - wide[1], 6 * side, hint)
    expect_close(_tensor(function(audio, 1.0)), audio, "A factor of 1 changes nothing.")
    flat = _tensor(function(audio, 0.0))
    expect_close(flat[0], flat[1], "A factor of 0 leaves no difference between the channels.")
    for factor in (0.0, 0.5, 2.0):
        hint = f"With a factor of {factor:g} the side should be {factor:g} times what it was."
        expect_close(_tensor(function(audio, factor)), middle + factor * sides, hint)
    louder = (middle + 2 * sides).square().sum() / audio.square().sum()
    return f"Twice as wide, and for noise {10 * louder.log10():.1f} dB louder."


@check
def safe_distance(function: Callable[[float], float]) -> str:
    """Exercise 2: half a period of travel."""
    got = float(function(1000.0))
    mistakes = {
        "That is a whole period: half of it is the limit.": 0.343,
        "That is a quarter of a period: up to half of one, a delay is unambiguous.": 0.343 / 4,
        "Metres, please: that is in centimetres.": 17.15,
        "Metres, please: that is in millimetres.": 171.5,
        "That is a delay in seconds: how far does sound travel in it?": 0.0005,
        "Hertz are whole turns per second: no factor of pi.": 0.343 / (2 * math.pi),
        "Sound travels at 343 m/s here.": 0.17,
        "A higher frequency has a shorter period: divide by it.": 1000 / (2 * 343),
    }
    name_mistake(got, mistakes, 2e-5)
    hint = f"At 1000 Hz half a period lasts 0.5 ms; sound travels 17 cm in it, not {got:.3g} m."
    expect(abs(got - 0.1715) < 1e-4, hint)
    hint = "The higher the frequency, the shorter the distance: use `frequency`."
    for frequency in (343.0, 8000.0):
        expect_close(float(function(frequency)), 171.5 / frequency, hint)
    return f"Up to 11 kHz they may stand {1000 * float(function(11025.0)):.1f} mm apart."


@check
def disjointness(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: what a mask keeps, less what it lets through."""
    apart = torch.zeros(2, 3, 4)
    apart[0, :, :2], apart[1, :, 2:] = 3.0, 1.0
    got = _tensor(function(apart))
    hint = f"One number per source: (s,), and not {tuple(got.shape)}."
    expect(got.shape == (2,), hint)
    magnitudes = _noise(3, 20, 30).square() * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    given = magnitudes.clone()
    got = _tensor(function(magnitudes)).double()
    expect_close(magnitudes, given, "The magnitudes themselves were changed: work on a copy.")
    name_mistake(got, _mistaken_disjointness(magnitudes))
    kept, passed = _shares(magnitudes.square())
    hint = f"For three noises k is {kept.mean():.2f} and r {passed.mean():.2f} on average: k - r"
    expect_close(got, kept - passed, f"{hint} is not {got.mean():.2f}.")
    hint = "Sources that share no bin are disjoint: 1 for each."
    expect_close(_tensor(function(apart)), torch.ones(2), hint)
    one = torch.tensor([[[2.0, 1.0, 0.0]], [[1.0, 2.0, 0.0]], [[1.0, 1.0, 3.0]]])
    hint = "In the first bin energies are 4, 1 and 1: the first source has k = 4/5."
    expect_close(_tensor(function(one)), torch.tensor([0.4, 0.4, 9 / 11]), hint)
    some = _tensor(function(_noise(3, 40, 50).abs() ** 4)).double()
    return f"Three noises with a few loud bins reach {some.mean():.2f}."


def _shares(energy: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What is kept and what comes through, as shares of the source's energy: (s,) each."""
    others = energy.sum(dim=0) - energy
    mask = (energy > others) if mask is None else mask
    whole = energy.sum(dim=(1, 2)).double()
    return (mask * energy).sum(dim=(1, 2)) / whole, (mask * others).sum(dim=(1, 2)) / whole


def _mistaken_disjointness(magnitudes: Tensor) -> dict[str, Tensor]:
    """Hint → what a reader gets who needs it."""

    def difference(energy: Tensor, mask: Tensor | None = None) -> Tensor:
        kept, passed = _shares(energy, mask)
        return kept - passed

    own, summed = magnitudes.square(), magnitudes.sum(dim=0) - magnitudes
    others, whole = own.sum(dim=0) - own, own.sum(dim=(1, 2))
    mask, loudest = own > others, own >= own.max(dim=0).values
    counted = mask * (own - others)
    kept, passed = _shares(own)
    return {
        "Energies, not magnitudes: square first.": difference(magnitudes),
        "Energy is magnitude squared once, not twice.": difference(own.square()),
        "That is what is kept, k: what comes through of the others is to be subtracted.": kept,
        "That is what comes through, r: it is to be subtracted from k.": passed,
        "That is k + r: what comes through counts against the source.": kept + passed,
        "The sign is the other way round: k - r.": passed - kept,
        "A bin counts if a source is louder than all others together, not than each.": (
            difference(own, loudest)
        ),
        "Others together: compare with the sum of their energies, not of magnitudes.": (
            difference(own, magnitudes > summed)
        ),
        "The energy of the others is the sum of squares, not the square of the sum.": (
            (mask * (own - summed.square())).sum(dim=(1, 2)) / whole
        ),
        "r is a share of the source's own energy, not of the energy of the others.": (
            kept - (mask * others).sum(dim=(1, 2)) / others.sum(dim=(1, 2))
        ),
        "r is a share of the source's whole energy, not of what the mask keeps.": (
            kept - passed / kept
        ),
        "Add up over frames too before you divide, not in each frame by itself.": (
            (counted.sum(dim=1) / own.sum(dim=1)).mean(dim=1)
        ),
        "Add up over frequencies too before you divide, not in each bin by itself.": (
            (counted.sum(dim=2) / own.sum(dim=2)).mean(dim=1)
        ),
        "That is a share of bins: add up the energies in them.": mask.double().mean(dim=(1, 2)),
        "Divide by the source's whole energy: shares are asked for.": counted.sum(dim=(1, 2)),
        "Of the others, only what is in the bins of the mask comes through.": (
            kept - others.sum(dim=(1, 2)) / whole
        ),
    }


@check
def karaoke(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 4: the side above a bin, the mixture below."""
    spectrum = torch.complex(_noise(2, 10, 6), _noise(2, 10, 6, seed=1))
    spectrum[1, 7] = spectrum[0, 7]
    given = spectrum.clone()
    out = _tensor(function(spectrum, 4))
    expect(torch.equal(spectrum, given), "The spectrum itself was changed: work on a copy.")
    expect(out.shape == given.shape, f"Keep the shape (2, f, n): yours is {tuple(out.shape)}.")
    name_mistake(out, _mistaken_karaoke(given, 4))
    expect(out.is_complex(), "Keep the spectrum complex: subtract spectra, not magnitudes.")
    expect_close(out[:, :4], given[:, :4], "Below bin `low` nothing should change.")
    expect(out[:, 7].abs().max() < 1e-6, "What is alike in both channels should have gone.")
    side = (given[0] - given[1]).expand_as(given) / 2
    hint = "From bin `low` on, bin `low` itself included, both channels hold (left - right) / 2."
    expect_close(out[:, 4:], side[:, 4:], hint)
    for low in (0, 2, 10):
        right = torch.cat([given[:, :low], side[:, low:]], dim=1)
        hint = f"Let `low` decide: with low={low} the first {low} of 10 bins stay as they are."
        expect_close(_tensor(function(given.clone(), low)), right, hint)
    gone = 1 - out.abs().square().sum() / given.abs().square().sum()
    return f"Of this noise {gone:.0%} of the energy have gone, and all of its middle above."


def _mistaken_karaoke(spectrum: Tensor, low: int) -> dict[str, Tensor]:
    """Hint → what a reader gets who needs it."""
    left, right = spectrum
    side, middle = ((left + sign * right).expand_as(spectrum) / 2 for sign in (-1, 1))

    def above(replaced: Tensor, start: int = low) -> Tensor:
        return torch.cat([spectrum[:, :start], replaced[:, start:]], dim=1)

    return {
        "That is the spectrum as it was: from bin `low` on the side should replace it.": spectrum,
        "The side is half of left minus right: divide by 2.": above(2 * side),
        "Both channels hold the side with the same sign.": above(torch.stack([side[0], -side[0]])),
        "That is right minus left: the side is left minus right.": above(-side),
        "That is the middle: subtract the channels instead of adding them.": above(middle),
        "The right channel should be replaced too.": above(torch.stack([side[0], right])),
        "The right channel takes the new left one: compute the side before you replace any.": above(
            torch.stack([side[0], (side[0] - right) / 2])
        ),
        "The bass is gone as well: below bin `low` both channels stay as they are.": side,
        "Below and above are exchanged: the side belongs from bin `low` on.": torch.cat(
            [side[:, :low], spectrum[:, low:]], dim=1
        ),
        "Bin `low` itself should be replaced too.": above(side, low + 1),
        "One bin too many is replaced: the first to change is bin `low`.": above(side, low - 1),
        "From bin `low` on there is nothing left: put the side there.": above(0 * side),
        "Magnitudes are subtracted: subtract the complex spectra.": above(
            ((left.abs() - right.abs()) / 2).expand_as(spectrum)
        ),
        "Above, the side's phase is lost: subtract, and take no magnitude.": above(
            side.abs().to(spectrum.dtype)
        ),
        "`low` counts bins, not frames: slice the axis before the last.": torch.cat(
            [spectrum[..., :low], side[..., low:]], dim=2
        ),
    }


def _tensor(answer: object) -> Tensor:
    """An answer as a tensor, be it one, an array, or a list of either or of numbers."""
    if isinstance(answer, (list, tuple)):
        return torch.stack([torch.as_tensor(part) for part in answer])
    return torch.as_tensor(answer)


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """Gaussian noise, the same every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
