"""Checks of chapter 07, space."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.classical.panning import positions as bin_positions
from common.signal import STFT

MARGIN = 1.5
"""How many dB above a binary mask an answer to exercise 4 has to reach."""


@check
def safe_distance(function: Callable[[float], float]) -> str:
    """Exercise 1: the distance that sound travels in half a period."""
    got = float(function(1000.0))
    mistakes = {
        "That is a whole period: half of it is the limit.": 0.343,
        "That is a quarter of a period: up to half of one, a delay is unambiguous.": 0.343 / 4,
        "That is in centimetres: return metres.": 17.15,
        "That is in millimetres: return metres.": 171.5,
        "That is a delay in seconds: how far does sound travel in it?": 0.0005,
        "`frequency` is in Hz, not in radians per second: no factor of pi.": 0.343 / (2 * math.pi),
        "Use 343 m/s for the speed of sound.": 0.17,
        "A higher frequency has a shorter period: divide by it.": 1000 / (2 * 343),
    }
    name_mistake(got, mistakes, 2e-5)
    hint = f"At 1000 Hz half a period lasts 0.5 ms; sound travels 17 cm in it, not {got:.3g} m."
    expect(abs(got - 0.1715) < 1e-4, hint)
    hint = "The higher the frequency, the shorter the distance: use `frequency`."
    for frequency in (343.0, 8000.0):
        expect_close(float(function(frequency)), 171.5 / frequency, hint)
    return f"Up to 11 kHz the limit is {1000 * float(function(11025.0)):.1f} mm."


@check
def disjointness(function: Callable[[Tensor], Tensor]) -> str:
    """Exercise 2: what a mask keeps, minus what it lets through."""
    apart = torch.zeros(2, 3, 4)
    apart[0, :, :2], apart[1, :, 2:] = 3.0, 1.0
    got = _tensor(function(apart))
    hint = f"Return one number per source, (s,): yours is {tuple(got.shape)}."
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
    return f"Three noises, each with few loud bins, reach {some.mean():.2f} on average."


def _shares(energy: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What is kept and what comes through, as shares of the source's energy: (s,) each."""
    others = energy.sum(dim=0) - energy
    mask = (energy > others) if mask is None else mask
    whole = energy.sum(dim=(1, 2)).double()
    return (mask * energy).sum(dim=(1, 2)) / whole, (mask * others).sum(dim=(1, 2)) / whole


def _mistaken_disjointness(magnitudes: Tensor) -> dict[str, Tensor]:
    """Hint → the result of the mistake that it names."""

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
        "That is k, what is kept: subtract r, what comes through of the others.": kept,
        "That is r, what comes through: subtract it from k.": passed,
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
        "Divide by the source's whole energy: k and r are shares.": counted.sum(dim=(1, 2)),
        "Of the others, only what is in the bins of the mask comes through.": (
            kept - others.sum(dim=(1, 2)) / whole
        ),
    }


@check
def karaoke(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 3: the side from a bin on, the mixture below it."""
    spectrum = torch.complex(_noise(2, 10, 6), _noise(2, 10, 6, seed=1))
    spectrum[1, 7] = spectrum[0, 7]
    given = spectrum.clone()
    out = _tensor(function(spectrum, 4))
    expect(torch.equal(spectrum, given), "The spectrum itself was changed: work on a copy.")
    expect(out.shape == given.shape, f"Keep the shape (2, f, n): yours is {tuple(out.shape)}.")
    name_mistake(out, _mistaken_karaoke(given, 4))
    expect(out.is_complex(), "Keep the spectrum complex: subtract spectra, not magnitudes.")
    expect_close(out[:, :4], given[:, :4], "Below bin `low` nothing should change.")
    expect(out[:, 7].abs().max() < 1e-6, "What is equal in both channels should be gone.")
    side = (given[0] - given[1]).expand_as(given) / 2
    hint = "From bin `low` on, bin `low` itself included, both channels hold (left - right) / 2."
    expect_close(out[:, 4:], side[:, 4:], hint)
    for low in (0, 2, 10):
        right = torch.cat([given[:, :low], side[:, low:]], dim=1)
        hint = f"Let `low` decide: with low={low} the first {low} of 10 bins stay as they are."
        expect_close(_tensor(function(given.clone(), low)), right, hint)
    removed = 1 - out.abs().square().sum() / given.abs().square().sum()
    return f"This removes {removed:.0%} of the noise's energy, and the whole mid from bin `low` on."


def _mistaken_karaoke(spectrum: Tensor, low: int) -> dict[str, Tensor]:
    """Hint → the result of the mistake that it names."""
    left, right = spectrum
    side, mid = ((left + sign * right).expand_as(spectrum) / 2 for sign in (-1, 1))

    def above(replaced: Tensor, start: int = low) -> Tensor:
        return torch.cat([spectrum[:, :start], replaced[:, start:]], dim=1)

    return {
        "The spectrum is unchanged: from bin `low` on the side should replace it.": spectrum,
        "The side is half of left minus right: divide by 2.": above(2 * side),
        "Both channels get the side with the same sign.": above(torch.stack([side[0], -side[0]])),
        "That is right minus left: the side is left minus right.": above(-side),
        "That is the mid: subtract the channels instead of adding them.": above(mid),
        "The right channel should be replaced too.": above(torch.stack([side[0], right])),
        "The left channel is replaced too early: compute the side before you replace any.": above(
            torch.stack([side[0], (side[0] - right) / 2])
        ),
        "The bass is gone as well: below bin `low` both channels stay as they are.": side,
        "Below and above are exchanged: the side starts at bin `low`.": torch.cat(
            [side[:, :low], spectrum[:, low:]], dim=1
        ),
        "Bin `low` itself should be replaced too.": above(side, low + 1),
        "One bin too many is replaced: the first to change is bin `low`.": above(side, low - 1),
        "From bin `low` on the result is silent: put the side there.": above(0 * side),
        "Magnitudes are subtracted: subtract the complex spectra.": above(
            ((left.abs() - right.abs()) / 2).expand_as(spectrum)
        ),
        "From bin `low` on the phase of the side is lost: take no magnitude.": above(
            side.abs().to(spectrum.dtype)
        ),
        "`low` counts bins, not frames: slice the axis before the last.": torch.cat(
            [spectrum[..., :low], side[..., low:]], dim=2
        ),
    }


@check
def separate_panned(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Exercise 4: bins shared between panned sources, better than by a binary mask."""
    sources, positions = _panned_sources((-0.6, 0.0, 0.5), seed=1)
    spectrum = sources.sum(dim=0)
    given, at = spectrum.clone(), positions.clone()
    found = _tensor(function(spectrum, positions))
    same = torch.equal(spectrum, given) and torch.equal(positions, at)
    expect(same, "The input itself was changed: work on a copy.")
    hint = f"Return stereo spectra (s, 2, f, n): yours are {tuple(found.shape)}."
    expect(found.shape == sources.shape, hint)
    expect(found.is_complex(), "Return complex spectra: the phase is needed, too.")
    expect(found.isfinite().all(), "Some values are infinite or not a number.")
    name_mistake(found, _mistaken_separation(given, at))
    hint = "Both channels of every source are equal: multiply them by the source's pan gains."
    expect((found[:, 0] - found[:, 1]).abs().max() > 1e-3 * found.abs().max(), hint)
    reached = _mean_sdr(sources, found)
    orders = itertools.permutations(range(len(sources)))
    best = max(_mean_sdr(sources, found[list(order)]) for order in orders)
    expect(best < reached + 1, "Return the sources in the order of `positions`.")
    baseline = _mean_sdr(sources, _by_nearest_position(given, at))
    hint = f"The mean SDR is {reached:.1f} dB, and the binary mask reaches {baseline:.1f} dB: "
    expect(reached > baseline, hint + "map a position p to the angle (p + 1) · 45°.")
    hint += f"at least {baseline + MARGIN:.1f} dB are needed. Divide a bin that sources share."
    expect(reached >= baseline + MARGIN, hint)
    others, elsewhere = _panned_sources((-0.8, -0.2, 0.3, 0.9), seed=0)
    found = _tensor(function(others.sum(dim=0), elsewhere))
    hint = "It works for three sources, but not for four at other positions: use `positions`."
    expect(found.shape == others.shape, hint)
    fair = _mean_sdr(others, _by_nearest_position(others.sum(dim=0), elsewhere))
    expect(_mean_sdr(others, found) > fair + MARGIN / 2, hint)
    return f"A mean SDR of {reached:.1f} dB: {reached - baseline:.1f} dB above the binary mask."


def _panned_sources(positions: tuple[float, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Panned notes of several harmonics as complex spectra (s, 2, f, n), and the positions (s,)."""
    generator = torch.Generator().manual_seed(seed)
    time, harmonics = torch.arange(16000) / 8000, torch.arange(1, 7)[:, None]
    notes = torch.zeros(len(positions), len(time))
    for source in notes:
        for start, height in torch.rand(6, 2, generator=generator):
            since = (time - 1.7 * start).clamp(min=0)
            phases = 2 * math.pi * 110 * 4**height * harmonics * since
            envelope = torch.exp(-4 * since) - torch.exp(-40 * since)
            source += (torch.sin(phases) / harmonics).sum(dim=0) * envelope
    at = torch.tensor(positions)
    spectra = STFT(1024, 256)(notes / notes.square().mean(dim=1, keepdim=True).sqrt())
    return _gains(at)[:, :, None, None] * spectra[:, None], at


def _gains(positions: Tensor) -> Tensor:
    """Pan gains (s, 2) of positions (s,)."""
    angles = (positions + 1) * math.pi / 4
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def _by_nearest_position(spectrum: Tensor, at: Tensor) -> Tensor:
    """Each bin given to the source whose position is nearest: (2, f, n) → (s, 2, f, n)."""
    nearest = (bin_positions(spectrum) - at[:, None, None]).abs().argmin(dim=0)
    return torch.stack([(nearest == i) * spectrum for i in range(len(at))])


def _mean_sdr(sources: Tensor, found: Tensor) -> float:
    """Mean over the sources of the SDR of their spectra, in dB."""
    error = (sources - found).abs().square().sum(dim=(1, 2, 3))
    return (10 * (sources.abs().square().sum(dim=(1, 2, 3)) / error).log10()).mean().item()


def _mistaken_separation(spectrum: Tensor, at: Tensor) -> dict[str, Tensor]:
    """Hint → the result of the mistake that it names."""
    gains = _gains(at)
    least = torch.linalg.pinv(gains.T).to(spectrum.dtype)  # (s, 2)
    mono = torch.einsum("sc,cfn->sfn", least, spectrum)
    return {
        "That is the binary mask of the nearest position, the baseline: divide shared bins.": (
            _by_nearest_position(spectrum, at)
        ),
        "Every source is the whole mixture: divide the bins.": spectrum.expand(len(at), -1, -1, -1),
        "Every source gets the same part of each bin: use the position of the bin.": (
            (spectrum / len(at)).expand(len(at), -1, -1, -1)
        ),
        "The pseudo-inverse shares every bin among all sources: assume at most two in a bin.": (
            gains[:, :, None, None] * mono[:, None]
        ),
    }


def _tensor(answer: object) -> Tensor:
    """An answer as a tensor; it may be a tensor, an array, a number, or a list of these."""
    if isinstance(answer, (list, tuple)):
        return torch.stack([torch.as_tensor(part) for part in answer])
    return torch.as_tensor(answer)


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """Gaussian noise with a fixed seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
