"""Checks of chapter 01, listening."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close


@check
def mix(function: Callable[[Tensor, list[float]], Tensor]) -> str:
    """Exercise 1: faders in decibels."""
    stems = _stems()
    flat = function(stems, [0.0, 0.0, 0.0, 0.0])
    expect(flat.shape == stems.shape[1:], f"One mixture, (c, t): yours is {tuple(flat.shape)}.")
    expect_close(flat, stems.sum(dim=0), "With all faders at 0 dB this is the plain sum.", 1e-5)
    quiet = function(stems, [-20.0, -20.0, -20.0, -20.0])
    expect_close(quiet, stems.sum(dim=0) / 10, "20 dB down is a tenth of the amplitude.", 1e-4)
    karaoke = function(stems, [0.0, 6.0, -200.0, -200.0])
    wanted = stems[0] + 10 ** (6 / 20) * stems[1]
    expect_close(karaoke, wanted, "Each stem has a fader of its own.", 1e-4)
    return "That is a mixing desk: 6 dB is nearly twice the amplitude."


@check
def impostors(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 2: wrong stems with the right sum."""
    stems = _stems()
    fakes = function(stems.clone())
    expect(fakes.shape == stems.shape, f"Four stems like the true ones: {tuple(stems.shape)}.")
    gap = (fakes.sum(dim=0) - stems.sum(dim=0)).abs().max()
    expect(gap < 1e-4, "They do not add up to the mixture: what one gains another must lose.")
    error = (fakes - stems).square().sum(dim=(1, 2))
    for source, (wrong, energy) in enumerate(
        zip(error, fakes.square().sum(dim=(1, 2)), strict=True)
    ):
        expect(wrong > 0.5 * energy, f"Stem {source} is too honest: make it more wrong.")
    return "The sum cannot tell yours from the true ones, and nobody who sees only the sum can."


@check
def remove_middle(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: left less right."""
    voice, guitar = _stems()[0, :1], _stems()[1, :1]
    middle = function(torch.cat([voice, voice]))
    expect(middle.shape == voice.shape, f"One channel, (1, t): yours is {tuple(middle.shape)}.")
    expect(
        middle.abs().max() < 1e-5,
        "A voice that is the same in both channels should vanish. How do two equal numbers cancel?",
    )
    left = function(torch.cat([voice + guitar, voice]))
    expect(left.abs().max() > 0.1, "A guitar on the left has gone as well: keep the sides.")
    expect(
        torch.nn.functional.cosine_similarity(left.flatten(), guitar.flatten(), dim=0).abs()
        > 0.999,
        "With a guitar on the left and the voice in the middle, only the guitar should be left.",
    )
    return "The voice is gone, and everything else that stood in the middle went with it."


@check
def worst_neighbours(function: Callable[[Tensor], tuple[int, int]]) -> str:
    """Exercise 4: the pair that shares most."""
    energy = torch.zeros(4, 3, 2)
    energy[0, 0], energy[1, 0], energy[1, 1], energy[3, 1], energy[2, 2] = 9.0, 1.0, 5.0, 4.0, 50.0
    pair = tuple(int(index) for index in function(energy))
    expect(len(pair) == 2, "Return two indices.")
    expect(pair[0] < pair[1], "Two different stems, the lower index first.")
    expect(2 not in pair, "Stem 2 is loudest here, but it has its bins for itself.")
    expect(pair == (1, 3), "Compare the smaller of the two energies in each bin, then add up.")
    flipped = tuple(int(index) for index in function(energy.flip(0)))
    expect(flipped == (0, 2), "Try all pairs, whatever their order.")
    return "Try it on the song: `worst_neighbours(STFT()(song.sources).abs().square().mean(1))`."


def _stems() -> Tensor:
    """Four stems of noise in stereo."""
    return torch.randn(4, 2, 1000, generator=torch.Generator().manual_seed(0))
