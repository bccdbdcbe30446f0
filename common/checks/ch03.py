"""Checks of chapter 03, masks."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.checks.band import band
from common.checks.tensors import tensor
from common.evaluation.metrics import sdr
from common.signal.masks import ideal_binary_mask, wiener_mask
from common.signal.stft import STFT

BETTER = 0.8
"""By how many dB better masks exceed the Wiener mask in exercise 5."""

PLAIN = {"Wiener": wiener_mask, "binary": ideal_binary_mask}
"""What exercise 5 starts from."""


@check
def ratio_mask(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 1: divide each bin in proportion to magnitude ** power."""
    magnitudes = torch.tensor([3.0, 1.0, 0.0]).reshape(3, 1, 1).repeat(1, 4, 5)
    masks = tensor(function(magnitudes.clone(), 1.0))
    expect(masks.shape == magnitudes.shape, "One mask per source: keep the shape (s, f, n).")
    name_mistake(
        masks,
        {
            "You add up over frequencies: the sources are the first axis.": _share(magnitudes, 1),
            "You add up over frames: the sources are the first axis.": _share(magnitudes, 2),
            "You divide by the sum over all bins: each bin has a sum of its own.": magnitudes / 80,
            "That is a softmax, which divides by exponentials.": magnitudes.softmax(dim=0),
            "That gives everything to the loudest source: divide the bin instead.": (
                magnitudes == magnitudes.amax(dim=0)
            ).float(),
        },
    )
    expect_close(masks.sum(dim=0), torch.ones(4, 5), "The masks of a bin should add up to 1.")
    expect_close(masks[:, 0, 0], [0.75, 0.25, 0.0], "Magnitudes of 3 and 1 divide a bin 3 : 1.")
    squared = tensor(function(magnitudes.clone(), 2.0))[:, 0, 0]
    name_mistake(
        squared,
        {
            "With a power of 2 you give the same as with 1: use `power`.": masks[:, 0, 0],
            "Raise the magnitudes to the power, not the finished masks.": masks[:, 0, 0] ** 2,
        },
    )
    expect_close(
        squared, [0.9, 0.1, 0.0], "With a power of 2, magnitudes of 3 and 1 divide a bin 9 : 1."
    )
    silent = tensor(function(torch.zeros(2, 1, 3), 1.0))
    expect(silent.isfinite().all(), "Where all sources are silent you divide 0 by 0.")
    expect(
        silent.abs().max() < 1e-4,
        "Where all sources are silent the masks must be 0, not equal shares.",
    )
    several = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    wanted = _share(several**1.5, 0)
    got = tensor(function(several.clone(), 1.5))
    expect_close(got, wanted, "With a power of 1.5 and four sources your masks are wrong.")
    _expect_large_powers(function)
    return "The masks of every bin add up to 1; with a power of 2 this is the Wiener mask."


def _expect_large_powers(function: Callable[[Tensor, float], Tensor]) -> None:
    """A power of 30 must work in loud and in quiet bins."""
    for level, what in ((1000.0, "too large"), (0.001, "too small")):
        magnitudes = level * torch.tensor([1.0, 0.9, 0.0]).reshape(3, 1, 1)
        masks = tensor(function(magnitudes, 30.0)).flatten()
        expect_close(
            masks,
            [1 / (1 + 0.9**30), 0.9**30 / (1 + 0.9**30), 0.0],
            f"A magnitude of {level:g} to the power of 30 is {what} for a float. Only ratios of "
            "magnitudes matter: what could you divide by before you raise them?",
        )


@check
def best_equaliser(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 2: one real gain per frequency, by least squares."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(6, 50, dtype=torch.complex64, generator=generator)
    rest = torch.randn(6, 50, dtype=torch.complex64, generator=generator)
    # The source is alone, in more and more noise, nearly cancelled (best gain above 1), and
    # reversed (below 0).
    kept = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.4, -0.5])[:, None]
    noise = torch.tensor([0.0, 1.0, 2.0, 3.0, 0.1, 0.1])[:, None]
    mixture = kept * source + noise * rest
    gains = tensor(function(source.clone(), mixture.clone()))
    expect(gains.numel() != 1, "That is one gain for all frequencies: every frequency has its own.")
    expect(
        gains.shape != source.shape,
        "That is a mask with a gain per frame: a fixed filter has the same gain in all frames.",
    )
    expect(gains.shape == (6, 1), f"One gain per frequency: (f, 1), not {tuple(gains.shape)}.")
    expect(not gains.is_complex(), "The gains should be real numbers.")
    product, energy = (source * mixture.conj()).real, mixture.abs().square()
    shared, total = product.sum(dim=1, keepdim=True), energy.sum(dim=1, keepdim=True)
    best, own = shared / total, source.abs().square().sum(dim=1, keepdim=True)
    lengths = (source.abs() * mixture.abs()).sum(dim=1, keepdim=True) / total
    name_mistake(
        gains,
        {
            "You average the gains of the frames. Least squares over all frames gives more weight "
            "to loud frames: add up first, then divide.": (product / energy).mean(1, keepdim=True),
            "You divide by the energy of the source: which of the two is scaled?": shared / own,
            "Your gains are limited to 0..1, and the best may be outside.": best.clamp(0, 1),
            "None of your gains is negative, but where the source is reversed in the mixture "
            "the best one is.": best.clamp(min=0),
            "All your gains are positive: do not take the absolute value.": best.abs(),
            "You use magnitudes only: the angle between source and mixture matters.": lengths,
            "That is a ratio of magnitudes: the angle between source and mixture matters.": (
                own / total
            ).sqrt(),
            "That is a ratio of energies: the angle between source and mixture matters.": (
                own / total
            ),
        },
    )
    expect_close(gains[0], torch.ones(1), "Where the source is alone its gain should be 1.")
    expect_close(
        gains, best, "Other gains leave a smaller error: set its derivative to zero.", 1e-3
    )
    error = (source - gains * mixture).abs().square().sum()
    reached = 10 * torch.log10(own.sum() / error)
    return f"No gain can be improved; here the best fixed filter reaches {reached:.1f} dB."


@check
def upper_bound(function: Callable[[float], float]) -> str:
    """Exercise 3: the best SDR of a real mask, from the angle."""
    angles = torch.tensor([pi / 6, 1.0, 5 * pi / 6])
    got = torch.stack([tensor(function(angle)).reshape(()) for angle in angles.tolist()])
    expect(
        not got[2].isnan(),
        "At 150 degrees you get NaN: take the logarithm of a length, which is never negative.",
    )
    sine, cosine = angles.sin(), angles.cos()
    true = -20 * sine.log10()
    clamped = torch.where(angles > pi / 2, 0.0, true)
    name_mistake(
        got,
        {
            "Half the error raises the SDR by 6 dB, not by 3 dB: energies are squares.": true / 2,
            "The sign is wrong: the smaller the error, the higher the SDR.": -true,
            "The angle is given in radians.": -20 * (angles * pi / 180).sin().log10(),
            "The logarithm in decibels has the base 10.": -20 * sine.log(),
            "That is the length of the projection. Which length is the error?": (
                -20 * cosine.abs().log10()
            ),
            "You compare the projection with the error, but the SDR compares the whole source.": (
                20 * (cosine / sine).abs().log10()
            ),
            "Beyond a right angle you use a mask of 0, but a negative mask is better.": clamped,
            "That is the error of a mask of 1, which leaves the mixture unchanged.": (
                -20 * (2 * (angles / 2).sin()).log10()
            ),
            "That is a ratio, not yet in dB.": 1 / sine,
            "That is a ratio of energies, not yet in dB.": 1 / sine.square(),
        },
        tolerance=0.005,
    )
    expect(
        (got - true).abs().max() < 0.01,
        "At 30 degrees the perpendicular is half the source. How many dB is a factor of two?",
    )
    right_angle = tensor(function(pi / 2))
    expect(
        right_angle.abs() < 1e-3,
        "At a right angle the best estimate is silence. Which SDR does silence have?",
    )
    return "Half the angle, if it is small, raises the bound by 6 dB."


@check
def make_consistent(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 4: the nearest masks that sum to one."""
    masks = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    changed = tensor(function(masks.clone()))
    expect(changed.shape == masks.shape, "Keep the shape (s, c, f, n).")
    total = masks.sum(dim=0)
    nearest = masks + (1 - total) / 3
    last = torch.cat([masks[:2], 1 - masks[:2].sum(dim=0, keepdim=True)])
    name_mistake(
        changed,
        {
            "You add all that is missing to every mask, so it is added three times.": (
                masks + 1 - total
            ),
            "You subtract the mean, which leaves a sum of 0.": masks - total / 3,
            "Your masks add up over the channels. Which axis are the sources?": (
                masks + (1 - masks.sum(dim=1, keepdim=True)) / 2
            ),
            "You divide by the sum over channels. Which axis are the sources?": _share(masks, 1),
            "You divide by the sum, which changes large masks more than small ones. They add up, "
            "but a smaller change is enough.": masks / total,
            "That is a softmax: they add up, but they have changed much more than necessary.": (
                masks.softmax(dim=0)
            ),
            "One source gets all that is missing. They add up, but the sum of squares is smaller "
            "if all sources get a part.": last,
            "You clamp the masks to 0..1 afterwards, and then the sum is no longer 1. The task "
            "allows masks outside that range.": nearest.clamp(0, 1),
        },
        tolerance=1e-4,
    )
    expect_close(changed.sum(dim=0), torch.ones(2, 4, 5), "Their sum over s is not 1 yet.")
    expect(
        changed.min() < 0,
        "None of your masks is negative. The task does not ask for that, and without it the "
        "change is smaller.",
    )
    here, best = (changed - masks).square().sum(), (nearest - masks).square().sum()
    expect(
        here < best * 1.001,
        f"They add up, but the change is {here / best:.2f} times the smallest possible: "
        "should one mask of a bin change more than another?",
    )
    return "The masks add up, and the change is the smallest possible."


@check
def better_masks(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 5: masks from magnitudes with random errors, measured by their mean SDR."""
    stft = STFT(512, 128)
    stems = _four_stems()
    spectra = stft(stems)
    error = torch.randn(spectra.shape, generator=torch.Generator().manual_seed(0))
    magnitudes = spectra.abs() * 10 ** (12 * error / 20)

    def reached(masks: Tensor) -> float:
        estimates = stft.inverse(masks * spectra.sum(dim=0), stems.shape[-1])
        return sdr(stems[:, None], estimates[:, None]).mean().item()

    masks = tensor(function(magnitudes.clone()))
    expect(masks.shape == magnitudes.shape, "One mask per source: keep the shape (s, f, n).")
    expect(masks.isfinite().all(), "Your masks contain a number that is infinite or NaN.")
    plain = {name: mask(magnitudes[:, None])[:, 0] for name, mask in PLAIN.items()}
    name_mistake(
        masks,
        {
            "That is the Wiener mask of the uncertain magnitudes: reduce their errors first.": (
                plain["Wiener"]
            ),
            "That is the binary mask of the uncertain magnitudes: reduce their errors first.": (
                plain["binary"]
            ),
        },
    )
    still = (masks - masks.mean(dim=-1, keepdim=True)).abs().max() < 1e-3
    expect(not still, "Your masks are the same in all frames: that is a fixed filter.")
    order = torch.randperm(masks.shape[-1], generator=torch.Generator().manual_seed(1))
    alone = (tensor(function(magnitudes[..., order])) - masks[..., order]).abs().max() < 1e-3
    expect(not alone, "You treat each frame alone: the neighbouring frames can help.")
    got, wiener = reached(masks), reached(plain["Wiener"])
    ideal = reached(wiener_mask(spectra[:, None])[:, 0])
    expect(
        got > wiener,
        f"The mean SDR is {got:.1f} dB, less than that of the Wiener mask, {wiener:.1f} dB: "
        "average over fewer frames, and over magnitudes of the same source and frequency.",
    )
    expect(
        got >= wiener + BETTER,
        f"The mean SDR is {got:.1f} dB and that of the Wiener mask {wiener:.1f} dB: a good answer "
        f"gains {BETTER:g} dB. How many frames do you combine, and how?",
    )
    return (
        f"The mean SDR is {got:.1f} dB; the Wiener mask of the uncertain magnitudes has "
        f"{wiener:.1f} dB, and that of the true magnitudes {ideal:.1f} dB."
    )


def _four_stems() -> Tensor:
    """Voice, bass, chords and drums: (4, t)."""
    stems = band()
    chords = stems["guitar"] + stems["keyboard"]
    return torch.stack([stems["voice"], stems["bass"], chords, stems["drums"]])


def _share(values: Tensor, axis: int) -> Tensor:
    """Each value over the sum along one axis; 0 where that sum is 0."""
    return (values / values.sum(dim=axis, keepdim=True)).nan_to_num(nan=0.0)
