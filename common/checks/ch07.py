"""Checks of chapter 07, space."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close


@check
def widen(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 1: the side made larger, the middle kept."""
    audio = _noise(2, 50)
    given = audio.clone()
    wide = _tensor(function(audio, 2.0))
    expect_close(audio, given, "The recording itself was changed: work on a copy.")
    expect(wide.shape == audio.shape, "Keep the shape (2, t).")
    expect_close(wide.sum(0), audio.sum(0), "Left plus right is twice the middle: it should stay.")
    apart, before = (wide[0] - wide[1]).double(), (audio[0] - audio[1]).double()
    expect(not torch.allclose(apart, -2 * before, atol=1e-4), "Left is now right.")
    hint = "Left less right is twice the side: with a factor of 2 it should be doubled."
    expect_close(apart, 2 * before, hint)
    expect_close(_tensor(function(audio, 1.0)), audio, "A factor of 1 changes nothing.")
    flat = _tensor(function(audio, 0.0))
    expect_close(flat[0], flat[1], "A factor of 0 leaves no difference between the channels.")
    for factor in (0.5, 3.0):
        some = _tensor(function(audio, factor))
        hint = f"With a factor of {factor:g} the side should be {factor:g} times what it was."
        expect_close(some[0] - some[1], factor * before, hint)
        expect_close(some.sum(0), audio.sum(0), "The middle should stay, whatever the factor.")
    louder = wide.square().sum() / audio.square().sum()
    return f"Twice as wide, and for noise {10 * louder.log10():.1f} dB louder."


@check
def safe_distance(function: Callable[[float], float]) -> str:
    """Exercise 2: half a period of travel."""
    got = float(function(1000.0))
    expect(abs(got - 0.343) > 1e-4, "That is a whole period: half of it is the limit.")
    expect(abs(got - 17.15) > 1e-2, "Metres, please: that is in centimetres.")
    hint = f"At 1000 Hz half a period lasts 0.5 ms; sound travels 17 cm in it, not {got:.3g} m."
    expect(abs(got - 0.1715) < 1e-3, hint)
    expect(abs(float(function(343.0)) - 0.5) < 1e-3, "The higher the frequency, the closer.")
    return f"Up to 11 kHz they may stand {1000 * float(function(11025.0)):.1f} mm apart."


@check
def disjointness(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: what a mask keeps, less what it lets through."""
    apart = torch.zeros(2, 3, 4)
    apart[0, :, :2], apart[1, :, 2:] = 3.0, 1.0
    got = _tensor(function(apart))
    expect(got.shape == (2,), f"One number per source: (s,), not {tuple(got.shape)}.")
    expect_close(got, torch.ones(2), "Sources that share no bin are disjoint: 1 for each.")
    one = torch.tensor([[[2.0, 1.0, 0.0]], [[1.0, 2.0, 0.0]], [[1.0, 1.0, 3.0]]])
    right = torch.tensor([0.4, 0.4, 9 / 11])
    given = one.clone()
    got = _tensor(function(one)).double()
    expect_close(one, given, "The magnitudes themselves were changed: work on a copy.")
    magnitudes = torch.tensor([0.0, 0.0, 3 / 5]).double()
    expect(not torch.allclose(got, magnitudes), "Energies, not magnitudes: square first.")
    kept = torch.tensor([0.8, 0.8, 9 / 11]).double()
    hint = "That is what is kept, k: what comes through of the others is to be subtracted."
    expect(not torch.allclose(got, kept, atol=1e-4), hint)
    expect_close(
        got, right, "In the first bin energies are 4, 1 and 1: the first source has k = 4/5."
    )
    three = torch.tensor([[[3.0, 4.0]], [[2.0, 0.0]], [[2.5, 0.0]]])
    hint = "A bin counts only if a source is louder than all others together, not than each."
    expect_close(_tensor(function(three))[0], torch.tensor(16 / 25), hint)
    rows = torch.tensor([[[2.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 3.0]]])
    hint = "Add up over all bins first, over frequencies and frames, and divide once at the end."
    expect_close(_tensor(function(rows)), torch.tensor([5 / 6, 8 / 9]), hint)
    some = _tensor(function(_noise(3, 40, 50).abs() ** 4)).double()
    return f"Three noises with a few loud bins reach {some.mean():.2f}."


@check
def karaoke(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 4: the side above a bin, the mixture below."""
    spectrum = torch.complex(_noise(2, 10, 6), _noise(2, 10, 6, seed=1))
    spectrum[1, 7] = spectrum[0, 7]
    given = spectrum.clone()
    out = _tensor(function(spectrum, 4))
    expect(torch.equal(spectrum, given), "The spectrum itself was changed: work on a copy.")
    expect(out.shape == spectrum.shape, "Keep the shape (2, f, n).")
    expect_close(out[:, :4].abs(), given[:, :4].abs(), "Below bin `low` nothing should change.")
    expect_close(out[:, :4], given[:, :4], "Below bin `low` nothing should change.")
    expect(out[:, 7].abs().max() < 1e-6, "What is alike in both channels should have gone.")
    side = (given[0] - given[1]) / 2
    hint = "From bin `low` on, bin `low` itself included, both channels hold (left - right) / 2."
    expect_close(out[0, 4:], side[4:], hint)
    expect_close(out[1, 4:], side[4:], hint)
    lower = _tensor(function(spectrum, 2))
    expect_close(lower[:, :2], given[:, :2], "Let `low` decide: below it nothing should change.")
    expect_close(
        lower[:, 2:], side[2:].expand(2, -1, -1), "Let `low` decide where the side begins."
    )
    gone = 1 - out.abs().square().sum() / given.abs().square().sum()
    return f"Of this noise {gone:.0%} of the energy have gone, and all of its middle above."


def _tensor(answer: object) -> Tensor:
    """An answer as a tensor, be it one, an array, or a list of either or of numbers."""
    if isinstance(answer, (list, tuple)):
        return torch.stack([torch.as_tensor(part) for part in answer])
    return torch.as_tensor(answer)


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """Gaussian noise, the same every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
