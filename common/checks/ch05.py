"""Checks of chapter 05, repetition and harmonic-percussive separation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from scipy import ndimage
from torch import Tensor

from common.checks import check, expect, expect_close, name_mistake
from common.checks.tensors import tensor
from common.classical.hpss import harmonic_percussive_masks, smooth_along
from common.classical.repetition import Repet, beat_spectrum, repeating_period


@check
def percussive_filter(function: Callable[[Tensor, int], Tensor]) -> str:
    """Exercise 1: a median filter along frequency."""
    magnitude = _noise(12, 12)
    filtered = tensor(function(magnitude.clone(), 7))
    expect(
        tuple(filtered.shape) != (6, 12),
        "Six bins are lost at the ends: mirror the spectrogram before you filter.",
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
            "You take zeros beyond the ends: mirror the spectrogram.": _filtered(
                magnitude, 7, "constant"
            ),
            "You repeat the outermost bin beyond the ends: mirror the spectrogram.": _filtered(
                magnitude, 7, "nearest"
            ),
            "Your mirror is at the outermost bin: that bin should appear twice.": _filtered(
                magnitude, 7, "mirror"
            ),
            "You continue one end with bins from the other: mirror the spectrogram.": _filtered(
                magnitude, 7, "wrap"
            ),
            "You mirror the spectrogram in the wrong order: the nearest bins come first.": (
                _mirrored_backwards(magnitude)
            ),
        },
        tolerance=1e-5,
    )
    hint = "Away from the ends, take the middle one of 7 neighbours."
    expect_close(filtered[3:-3], right[3:-3], hint)
    hint = "At the ends the spectrogram is mirrored, and the outermost bin appears twice."
    expect_close(filtered, right, hint)
    hint = "The result is wrong for a width of 9: how many bins are half a width?"
    expect_close(tensor(function(magnitude.clone(), 9)), smooth_along(magnitude, 9, axis=-2), hint)
    narrow = tensor(function(magnitude.clone(), 1))
    expect_close(narrow, magnitude, "A width of 1 changes nothing.")
    return "The filter keeps the percussive part and removes the harmonic part."


def _filtered(magnitude: Tensor, width: int, mode: str) -> Tensor:
    """A median along frequency with another continuation beyond the ends."""
    return torch.from_numpy(ndimage.median_filter(magnitude.numpy(), (width, 1), mode=mode))


def _mirrored_backwards(magnitude: Tensor) -> Tensor:
    """A median of 7 along frequency after the outer bins were repeated in their own order."""
    longer = torch.cat([magnitude[:3], magnitude, magnitude[-3:]])
    return longer.unfold(0, 7, 1).median(dim=-1).values


@check
def better_period(function: Callable[[Tensor, int, int], int]) -> str:
    """Exercise 2: a period with which REPET separates the voice better."""
    shortest, longest = 10, 140
    peaks, yours, same = [], [], True
    for background, voice in _songs():
        beats = beat_spectrum((background + voice).square())
        period = _whole(function(beats.clone(), shortest, longest))
        limit = min(longest, len(beats) // 3)
        expect(period >= shortest, f"{period} frames are shorter than `shortest`.")
        hint = f"{period} frames are longer than `longest` or do not fit three times into the song."
        expect(period <= limit, hint)
        peak = repeating_period(beats, shortest, longest)
        same = same and period == peak
        peaks.append(_voice_sdr(background, voice, peak))
        yours.append(_voice_sdr(background, voice, period))
    expect(not same, "These are the highest peaks: are some of their multiples nearly as high?")
    before, after = sum(peaks) / len(peaks), sum(yours) / len(yours)
    told = f"Your periods give {after:.1f} dB for the voice, the highest peaks {before:.1f} dB"
    expect(after > before + 0.2, f"{told}: yours are no better.")
    expect(after > before + 1, f"{told}: better, but more is possible.")
    return f"{told}, on average over {len(yours)} songs."


def _whole(answer: object) -> int:
    """The answer as a whole number of frames."""
    number = tensor(answer)
    expect(number.numel() == 1, f"Return one period, not {number.numel()} numbers.")
    expect(number == number.round(), f"Return a whole number of frames, not {number.item():g}.")
    return int(number)


def _voice_sdr(background: Tensor, voice: Tensor, period: int) -> float:
    """SDR in dB of the voice's magnitude (f, n) that REPET finds with a period."""
    mixture = (background + voice)[None]
    found = (1 - Repet(period, period)(mixture)) * mixture
    return float(10 * torch.log10(voice.square().sum() / (found[0] - voice).square().sum()))


def _songs() -> Iterator[tuple[Tensor, Tensor]]:
    """Background and voice (f, n) of twelve small songs.

    Their drums repeat every `half` frames and their chords after `n_chords` times as many. The
    drums become louder, so that short lags look more similar than long ones.
    """
    for half, n_chords, n_frames in ((16, 4, 480), (16, 8, 520), (20, 4, 420),
                                     (12, 8, 420), (24, 4, 480), (20, 2, 360)):  # fmt: skip
        for seed in range(2):
            generator = torch.Generator().manual_seed(seed)
            yield _song(half, n_chords, n_frames, generator)


def _song(
    half: int, n_chords: int, n_frames: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One of the `_songs`."""

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    frames = torch.arange(n_frames)
    hits = torch.zeros(32, half)
    hits[:, :2], hits[:, half // 2 : half // 2 + 2] = 2.5 * rand(32, 1), 2.5 * rand(32, 1)
    velocity = (0.7 + 0.6 * rand(n_frames // 4 + 1)).repeat_interleave(4)[:n_frames]
    drums = hits[:, frames % half] * velocity * (1.2 * (frames / n_frames - 0.5)).exp()
    chords = 0.8 * (rand(32, n_chords) > 0.6)[:, (frames // half) % n_chords]
    background = (drums + chords) * (0.9 + 0.2 * rand(32, n_frames))
    voice, start = torch.zeros(32, n_frames), 0
    while start < n_frames:
        end = start + 4 + int(12 * rand(1))
        if rand(1) < 0.4:
            pitch = 3 + int(6 * rand(1))
            voice[pitch::pitch, start:end] = 1.5
        start = end
    return background, voice


@check
def repetitiveness(function: Callable[[Tensor, int, int], float]) -> str:
    """Exercise 3: the highest peak relative to the level of unrelated frames."""
    beats = torch.tensor([1.3, 0.9, 0.2, 0.3, 0.2, 0.7, 0.2, 0.95])
    got = tensor(function(beats.clone(), 2, 6))
    expect(got.numel() == 1, f"Return one number, not {got.numel()}.")
    name_mistake(
        got.reshape(()),
        {
            "That is the lag of the peak: how high is it?": torch.tensor(5.0),
            "That is the position of the peak in the range: how high is it?": torch.tensor(3.0),
            "That is the height alone: subtract the median, and divide by lag 0.": (
                torch.tensor(0.7)
            ),
            "You divide by lag 0, but subtract no median.": torch.tensor(0.7 / 1.3),
            "You subtract the median from the peak only: subtract it from lag 0 as well.": (
                torch.tensor(0.5 / 1.3)
            ),
            "You subtract the median from the peak, but do not divide by lag 0.": torch.tensor(0.5),
            "You subtract the median after dividing by lag 0.": torch.tensor(0.7 / 1.3 - 0.2),
            "You subtract the mean: subtract the median of the lags.": torch.tensor(0.38 / 0.98),
            "You subtract the median of all lags, and only those of the range count.": (
                torch.tensor(0.4)
            ),
            "You subtract the median of all lags: only those of the range count.": (
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
    expect(high > 0.9 > 0.3 > low, f"A loop gives {high:.2f}, noise {low:.2f}: too similar.")
    return f"A loop reaches {high:.2f}, and noise that never repeats {low:.2f}."


@check
def three_masks(function: Callable[[Tensor, float], Tensor]) -> str:
    """Exercise 4: harmonic, percussive and residual mask."""
    magnitude = _noise(40, 50) ** 3
    masks = tensor(function(magnitude.clone(), 2.0))
    expect(masks.shape != (2, 40, 50), "You return two masks: the residual is the third.")
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
            "The residual is what *both* masks leave: you multiply what each leaves.": (
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
    expect_close(other, right, "The masks are wrong for a margin of 3: use `margin`.")
    return f"With a margin of 2 the residual gets {masks[2].mean():.0%} of a bin on average."


def _noise(*shape: int) -> Tensor:
    """Positive numbers, the same ones every time."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))
