"""Checks of the variants of the U-Net, the page beside chapter 14."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.evaluation.metrics import area_under_curve
from common.signal.stft import STFT

BETTER = 0.2
"""By how much a good answer raises the area under the curve."""


def stem_to_label() -> Tensor:
    """Noise at several levels, tones, and sound on one side or out of phase, (2, t)."""
    generator = torch.Generator().manual_seed(0)
    tone = torch.sin(torch.arange(640) * torch.pi / 4) * 2**0.5
    parts = []
    for kind, dB in (
        *(("noise", dB) for dB in (0, -15, -25, -35, -80)),
        *(("tone", dB) for dB in (-17, -24)),
        *(("right", dB) for dB in (-12, -22)),
        ("against", -10),
    ):
        noise = torch.randn(2, 640, generator=generator)
        left = tone if kind == "tone" else noise[0]
        sides = {
            "noise": noise,
            "tone": torch.stack([tone, tone]),
            "right": torch.stack([0 * left, left * 2**0.5]),
            "against": torch.stack([left, -left]),
        }
        parts.append(sides[kind] * 10 ** (dB / 20))
    return torch.cat(parts, dim=1)


def mistaken_levels(spectrum: Tensor) -> dict[str, Tensor]:
    """What people take for a frame's level in dB, (n,), by the hint that it gets."""
    magnitude = spectrum.abs()
    energy = magnitude.square()
    return {
        "A level in dB is 20 times the logarithm of a magnitude, but only ten times that of an "
        "energy, which is squared already.": 20 * energy.sum(dim=(0, 1)).log10(),
        "An energy is a sum of squares: first square the magnitudes, then add the squares up.": 20
        * magnitude.sum(dim=(0, 1)).log10(),
        "Add the energy up over all bins, instead of taking the largest.": 10
        * energy.amax(dim=(0, 1)).log10(),
        "Here only the first channel decides: add up the energy of every channel.": 10
        * energy[0].sum(dim=0).log10(),
        "Here only the louder channel decides: add up the energy of every channel.": 10
        * energy.sum(dim=1).amax(dim=0).log10(),
        "Channels of opposite sign cancel when you add their sound: add their energy.": 10
        * spectrum.sum(dim=0).abs().square().sum(dim=0).log10(),
    }


@check
def loud_frames(function: Callable[[Tensor, STFT, float], Tensor]) -> str:
    """Exercise 1: labels from a stem's level."""
    stft, audio = STFT(64, 16), stem_to_label()
    spectrum = stft(audio)
    energy = spectrum.abs().square().sum(dim=(0, 1))
    level = 10 * torch.log10(energy / energy.max())
    got = torch.as_tensor(function(audio, stft, 20.0))
    hint = f"One answer per frame: the shape should be {tuple(level.shape)}, not "
    expect(got.shape == level.shape, f"{hint}{tuple(got.shape)}.")
    got = got.bool()
    quieter = torch.as_tensor(function(0.01 * audio, stft, 20.0)).bool()
    expect(torch.equal(quieter, got), "Turning the stem down should not change when it is loud.")
    for hint, other in mistaken_levels(spectrum).items():
        expect(not torch.equal(got, other - other.max() > -20), hint)
    deeper = torch.as_tensor(function(audio, stft, 30.0)).bool()
    hint = "The answer should depend on `below`: more frames are loud at 30 dB than at 20 dB."
    expect(not torch.equal(deeper, got), hint)
    for below, labels in ((20, got), (30, deeper)):
        clear = (level + below).abs() > 0.05
        expect(
            torch.equal(labels[clear], (level > -below)[clear]),
            f"At `below={below}` a frame is loud if its energy, over all bins and channels, is "
            f"less than {below} dB under the energy of the loudest frame.",
        )
    silent = torch.as_tensor(function(torch.zeros(2, 320), stft, 20.0)).bool()
    expect(not silent.any(), "In a silent stem no frame is loud.")
    return f"{int(got.sum())} of {len(got)} frames are loud."


@check
def film(function: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: feature-wise linear modulation by a table of scales and shifts."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 4, generator=generator)
    scales, shifts = torch.rand(2, 4, 3, generator=generator) + 0.5
    one = torch.tensor([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    both = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.2, 0.0, 0.8]])

    def modulated(scale: Tensor, shift: Tensor) -> Tensor:
        return scale[..., None, None] * x + shift[..., None, None]

    got = torch.as_tensor(function(x.clone(), one, scales.clone(), shifts.clone()))
    hint = f"The shape of the feature maps should not change: {tuple(x.shape)}, not "
    expect(got.shape == x.shape, f"{hint}{tuple(got.shape)}.")
    scale, shift = scales[[2, 0]], shifts[[2, 0]]
    mistakes = {
        "These are the feature maps themselves: the condition has no effect.": x,
        "The shift is missing.": modulated(scale, 0 * shift),
        "The scale is missing.": modulated(0 * scale + 1, shift),
        "Scale first, then shift: you scale the shift, too.": modulated(scale, scale * shift),
        "The scale is multiplied as it is: do not add 1 to it.": modulated(1 + scale, shift),
        "Scales and shifts are exchanged.": modulated(shift, scale),
        "All items of the batch get the condition of the first: each has its own.": modulated(
            scale[:1].expand(2, -1), shift[:1].expand(2, -1)
        ),
        "You use the rows in the order of the batch: the condition selects a row.": modulated(
            scales[:2], shifts[:2]
        ),
    }
    name_mistake(got, mistakes)
    hint = "Each feature map has one scale and one shift, the same in all bins and frames."
    expect_close(got, modulated(scale, shift), hint)
    got = torch.as_tensor(function(x.clone(), both, scales.clone(), shifts.clone()))
    hint = (
        "Right for one source. A condition may also be a mixture of sources, such as one half of "
        "each: multiply it with the table."
    )
    expect_close(got, modulated(both @ scales, both @ shifts), hint)
    return "Feature-wise linear modulation, also for conditions between two sources."


@check
def smoothed(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 3: a better estimate of activity from noisy frames."""
    scores, active = noisy_activity()
    got = torch.as_tensor(function(scores.clone())).double()
    hint = f"One number per frame: the shape should be {tuple(scores.shape)}, not "
    expect(got.shape == scores.shape, f"{hint}{tuple(got.shape)}.")
    expect(got.isfinite().all(), "Your answer contains a number that is infinite or NaN.")
    plain, reached = (area_under_curve(x, active) for x in (scores, got))
    expect(reached > 0.5, "The AUC is below one half: large numbers should mean that it sounds.")
    if reached < plain + BETTER:
        expect(reached > plain + 0.002, "This is no better than the scores of single frames.")
        ties = len(got.unique()) < 10
        hint = "You decide before you smooth: the size of a score says how certain it is."
        expect(not ties, hint)
        late, early = (area_under_curve(got.roll(n), active) for n in (-8, 8))
        hint = "Your answer comes too late: use as many frames from the future as from the past."
        expect(late < reached + 0.01, hint)
        hint = "Your answer comes too early: use as many frames from the past as from the future."
        expect(early < reached + 0.01, hint)
        hint = (
            f"The AUC rises from {plain:.2f} to {reached:.2f}, and a good answer gains {BETTER:g}. "
            "How long is a phrase, and how many frames do you average?"
        )
        expect(False, hint)
    return f"The AUC rises from {plain:.2f} to {reached:.2f}."


def noisy_activity() -> tuple[Tensor, Tensor]:
    """Scores (n,) with noise in every frame, and the true activity (n,) in phrases."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(25, 75, (40,), generator=generator)
    active = (torch.arange(40) % 2).repeat_interleave(lengths).float()
    return active + 1.2 * torch.randn(len(active), generator=generator), active
