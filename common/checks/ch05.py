"""Checks of chapter 05, repetition and harmonic-percussive separation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from scipy import ndimage
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.checks.tensors import tensor
from common.classical.hpss import harmonic_percussive_masks, smooth_along
from common.classical.repetition import beat_spectrum


@check
def percussive_filter(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 1: a median filter along frequency."""
    magnitude = _noise(12, 12)
    filtered = tensor(function(magnitude.clone(), 7))
    expect(
        tuple(filtered.shape) != (6, 12),
        "Six bins are lost at the ends: mirror the picture before you filter.",
    )
    expect(filtered.shape == magnitude.shape, "Keep the shape (f, n).")
    right = smooth_along(magnitude, 7, axis=-2)
    name_mistake(
        filtered,
        {
            "That runs along time: hits are vertical, so take neighbours in frequency.": (
                smooth_along(magnitude, 7, axis=-1)
            ),
            "That is a median over both axes: take neighbours in frequency only.": (
                torch.from_numpy(ndimage.median_filter(magnitude.numpy(), 7, mode="reflect"))
            ),
            "That is a mean: one loud neighbour moves it, and a median ignores it.": (
                torch.from_numpy(
                    ndimage.uniform_filter1d(magnitude.numpy(), 7, axis=0, mode="reflect")
                )
            ),
            "That is the largest of the neighbours: take the middle one.": (
                torch.from_numpy(
                    ndimage.maximum_filter1d(magnitude.numpy(), 7, axis=0, mode="reflect")
                )
            ),
            "Beyond the ends you take silence: mirror the picture.": _filtered(
                magnitude, 7, "constant"
            ),
            "You repeat the outermost bin beyond the ends: mirror the picture.": _filtered(
                magnitude, 7, "nearest"
            ),
            "Your mirror is on the outermost bin: that bin should appear twice.": _filtered(
                magnitude, 7, "mirror"
            ),
            "Beyond one end you take what is at the other: mirror the picture.": _filtered(
                magnitude, 7, "wrap"
            ),
            "You mirror the picture, but not in order: the nearest bins come first.": (
                _mirrored_backwards(magnitude)
            ),
        },
        tolerance=1e-5,
    )
    expect_close(filtered[3:-3], right[3:-3], "Inside, take the middle one of 7 neighbours.")
    hint = "At the ends the picture is mirrored, the outermost bin itself being repeated."
    expect_close(filtered, right, hint)
    hint = "With a width of 9 something goes wrong: where is half a width?"
    expect_close(tensor(function(magnitude.clone(), 9)), smooth_along(magnitude, 9, axis=-2), hint)
    narrow = tensor(function(magnitude.clone(), 1))
    expect_close(narrow, magnitude, "A width of 1 changes nothing.")
    return "What is percussive stays, what is harmonic goes."


def _filtered(magnitude: Tensor, width: int, mode: str) -> Tensor:
    """A median along frequency with another continuation beyond the ends."""
    return torch.from_numpy(ndimage.median_filter(magnitude.numpy(), (width, 1), mode=mode))


def _mirrored_backwards(magnitude: Tensor) -> Tensor:
    """A median of 7 along frequency after the outer bins were repeated in their own order."""
    longer = torch.cat([magnitude[:3], magnitude, magnitude[-3:]])
    return longer.unfold(0, 7, 1).median(dim=-1).values


@check
def frames_per_bar(function: Callable[..., float]) -> str:
    """Exercise 2: the period of a bar."""
    cases = torch.tensor([[120, 4, 441, 44100], [60, 3, 512, 22050], [90, 5, 256, 8000]]).double()
    tempo, beats, hop, rate = cases.T
    right = beats * 60 / tempo * rate / hop
    answers = [tensor(function(*case)) for case in cases.int().tolist()]
    got = torch.stack([answer.reshape(()).double() for answer in answers])
    name_mistake(
        got,
        {
            "That is a bar in samples: how many hops are in it?": right * hop,
            "That is a bar in seconds: how many hops are in it?": beats * 60 / tempo,
            "That is one beat: how many make a bar?": right / beats,
            "All your bars have 4 beats: use `beats`.": 4 * right / beats,
            "All your hops have 512 samples: use `hop_length`.": right * hop / 512,
            "All your seconds have 22 050 samples: use `sample_rate`.": 22050 * right / rate,
            "At a faster tempo a bar is shorter: yours is longer.": (
                beats * tempo / 60 * rate / hop
            ),
            "The tempo counts beats per minute, not per second.": right / 60,
            "You round, but the period need not be a whole number of frames.": right.round(),
            "You round down, but the period need not be a whole number of frames.": right.floor(),
            "You round up, but the period need not be a whole number of frames.": right.ceil(),
        },
        tolerance=1e-5,
    )
    hint = f"At 120 a bar of four beats lasts 2 s: with hops of 10 ms that is not {got[0]:g}."
    expect(abs(got[0] - 200) < 1e-3, hint)
    expect_close(got, right, "With other beats, hops and sample rates it goes wrong.", 1e-5)
    default = tensor(function(90, 3)).item()
    expect(abs(default - 2 * 22050 / 512) < 1e-3, "Keep the default hop and sample rate.")
    return f"A waltz at 90 repeats every {default:.0f} frames."


@check
def repetitiveness(function: Callable[[Tensor, int, int], float]) -> str:
    """Exercise 3: the height of the highest peak over the usual level."""
    beats = torch.tensor([1.3, 0.9, 0.2, 0.3, 0.2, 0.7, 0.2, 0.95])
    got = tensor(function(beats.clone(), 2, 6))
    expect(got.numel() == 1, f"Return one number, not {got.numel()}.")
    name_mistake(
        got.reshape(()),
        {
            "That is the lag of the peak: how high is it?": torch.tensor(5.0),
            "That is the place of the peak in the range: how high is it?": torch.tensor(3.0),
            "That is the height alone: a share of lag 0 is asked for, without the usual level.": (
                torch.tensor(0.7)
            ),
            "You divide by lag 0, but take no median off.": torch.tensor(0.7 / 1.3),
            "You take the median off the peak only: take it off lag 0 as well.": (
                torch.tensor(0.5 / 1.3)
            ),
            "You take the median off the peak, but do not divide by lag 0.": torch.tensor(0.5),
            "You take the median off after dividing by lag 0.": torch.tensor(0.7 / 1.3 - 0.2),
            "You take off the mean: take the median of the lags.": torch.tensor(0.38 / 0.98),
            "You take off the median of all lags, though only those of the range count.": (
                torch.tensor(0.4)
            ),
            "You take off the median of all lags: only those of the range count.": (
                torch.tensor(0.25)
            ),
            "The highest point of all lags is lag 0: look between `shortest` and `longest`.": (
                torch.tensor(1.0)
            ),
        },
        tolerance=1e-5,
    )
    hint = "The lags from 2 to 6 have the median 0.2 and the peak 0.7, and lag 0 has 1.3."
    expect(abs(got - 0.5 / 1.1) < 1e-4, hint)
    # With six lags two medians are right: the lower of the two in the middle, and their mean.
    got = tensor(function(beats.clone(), 2, 7))
    expect(
        0.7 / 1.05 - 1e-3 < got < 0.75 / 1.1 + 1e-3,
        "Both ends of the range count: the peak is at `longest` now.",
    )
    got = tensor(function(beats.clone(), 1, 5))
    expect(abs(got - 0.6) < 1e-4, "Both ends of the range count: the peak is at `shortest`.")
    loop = beat_spectrum(_noise(40, 20).repeat(1, 12) ** 4)
    never = beat_spectrum(_noise(40, 240) ** 4)
    high, low = (tensor(function(x, 5, 100)).item() for x in (loop, never))
    expect(high > 0.9 > 0.3 > low, f"A loop gives {high:.2f} and noise {low:.2f}: too near.")
    return f"A loop reaches {high:.2f}, and noise that never comes back {low:.2f}."


@check
def three_masks(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 4: harmonic, percussive and the rest."""
    magnitude = _noise(40, 50) ** 3
    masks = tensor(function(magnitude.clone(), 2.0))
    expect(masks.shape != (2, 40, 50), "Two masks leave something over: the residual is the third.")
    expect(masks.shape == (3, 40, 50), f"Three masks (3, f, n), not {tuple(masks.shape)}.")
    expect(masks.isfinite().all(), "There is a mask that is infinite or NaN.")
    harmonic, percussive = harmonic_percussive_masks(magnitude, margin=2.0)
    plain = torch.stack(harmonic_percussive_masks(magnitude))
    rest = 1 - harmonic - percussive
    name_mistake(
        masks,
        {
            "The harmonic and the percussive mask are exchanged.": torch.stack(
                [percussive, harmonic, rest]
            ),
            "The residual comes last.": torch.stack([rest, harmonic, percussive]),
            "Without the margin nothing is left over: use `margin`.": (
                torch.cat([plain, 0 * plain[:1]])
            ),
            "The residual is what *both* masks leave, but yours multiplies what each leaves.": (
                torch.stack([harmonic, percussive, (1 - harmonic) * (1 - percussive)])
            ),
            "The residual is what is in neither mask: yours is what is in both.": (
                torch.stack([harmonic, percussive, harmonic * percussive])
            ),
            "The residual leaves out the harmonic part only: leave out both.": (
                torch.stack([harmonic, percussive, 1 - harmonic])
            ),
            "The residual leaves out the percussive part only: leave out both.": (
                torch.stack([harmonic, percussive, 1 - percussive])
            ),
            "You multiply the masks by the magnitude: return the masks.": (
                torch.stack([harmonic, percussive, rest]) * magnitude
            ),
            "You divide the two masks by their sum, which undoes the margin.": torch.stack(
                [harmonic / (harmonic + percussive), percussive / (harmonic + percussive), 0 * rest]
            ),
        },
        tolerance=1e-4,
    )
    expect_close(masks.sum(dim=0), torch.ones(40, 50), "The three should add up to 1 in each bin.")
    expect(masks.min() >= -1e-6, "A mask is not negative.")
    expect_close(
        masks[0], harmonic, "The first mask is that of the harmonic part, with the margin."
    )
    expect_close(
        masks[1], percussive, "The second mask is that of the percussive part, with the margin."
    )
    harmonic, percussive = harmonic_percussive_masks(magnitude, margin=3.0)
    other = tensor(function(magnitude.clone(), 3.0))
    right = torch.stack([harmonic, percussive, 1 - harmonic - percussive])
    expect_close(other, right, "With a margin of 3 it goes wrong: use `margin`.")
    return f"With a margin of 2 the residual gets {masks[2].mean():.0%} of a bin on average."


def _noise(*shape: int) -> Tensor:
    """Positive numbers, the same ones every time."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))
