"""Answers to the exercises of chapter 05."""

from __future__ import annotations

import statistics

import numpy as np
import torch
from scipy import ndimage

from answers import Answers
from common.classical.hpss import harmonic_percussive_masks, smooth_along
from common.classical.repetition import repeating_period


def percussive_unfolded(magnitude, width):
    half = width // 2
    low = magnitude[:half].flip(0)
    high = magnitude[len(magnitude) - half :].flip(0)
    return torch.cat([low, magnitude, high]).unfold(0, width, 1).median(dim=-1).values


def percussive_padded(magnitude, width):
    half = width // 2
    padded = np.pad(magnitude.numpy(), ((half, half), (0, 0)), mode="symmetric")
    rows = [np.median(padded[f : f + width], axis=0) for f in range(len(magnitude))]
    return np.stack(rows).astype(np.float64)


def percussive_loop(magnitude, width):
    n_bins, n_frames = magnitude.shape
    filtered = torch.zeros(n_bins, n_frames)
    for f in range(n_bins):
        for n in range(n_frames):
            seen = []
            for k in range(f - width // 2, f + width // 2 + 1):
                k = -1 - k if k < 0 else k
                seen.append(float(magnitude[2 * n_bins - 1 - k if k >= n_bins else k, n]))
            filtered[f, n] = sorted(seen)[width // 2]
    return filtered


def filtered_with(mode, size=(1, 0)):
    """scipy's median filter; size: 1 for the axes along which it runs."""

    def percussive(magnitude, width):
        widths = [width if along else 1 for along in size]
        return ndimage.median_filter(magnitude.numpy(), widths, mode=mode)

    return percussive


def percussive_without_ends(magnitude, width):
    return magnitude.unfold(0, width, 1).median(dim=-1).values


def percussive_mean(magnitude, width):
    return ndimage.uniform_filter1d(magnitude.numpy(), width, axis=0, mode="reflect")


def percussive_not_flipped(magnitude, width):
    half = width // 2
    longer = torch.cat([magnitude[:half], magnitude, magnitude[len(magnitude) - half :]])
    return longer.unfold(0, width, 1).median(dim=-1).values


def percussive_of_seven(magnitude, width):
    return percussive_unfolded(magnitude, 7)


def period_of_all_multiples(beats, shortest, longest):
    scores = [beats[p : 2 * len(beats) // 3 : p].mean() for p in range(shortest, longest + 1)]
    within = min(longest, len(beats) // 3) - shortest + 1
    return shortest + int(torch.stack(scores[:within]).argmax())


def period_of_high_multiple(beats, shortest, longest):
    period = repeating_period(beats, shortest, longest)
    inside = beats.numpy()[shortest : min(longest, len(beats) // 3) + 1]
    usual, longest = np.median(inside), shortest + len(inside) - 1
    high = np.arange(period, longest + 1, period)
    high = high[beats.numpy()[high] - usual >= 0.8 * (beats.numpy()[period] - usual)]
    return high.max()


def period_doubled(beats, shortest, longest, times=10):
    """Double while the period fits three times into the song."""
    period = repeating_period(beats, shortest, longest)
    for _ in range(times):
        if 2 * period <= min(longest, len(beats) // 3):
            period *= 2
    return float(period)


def period_tripled(beats, shortest, longest):
    period = repeating_period(beats, shortest, longest)
    return 3 * period if 3 * period <= min(longest, len(beats) // 3) else period


def period_twice_if_higher(beats, shortest, longest):
    period = repeating_period(beats, shortest, longest)
    fits = 2 * period <= min(longest, len(beats) // 3)
    return 2 * period if fits and beats[2 * period] > 0.97 * beats[period] else period


def period_of_late_peak(beats, shortest, longest):
    """The longest peak that is nearly as high as the highest."""
    longest = min(longest, len(beats) // 3)
    inside = beats[shortest : longest + 1]
    usual = inside.median()
    found = 0
    for lag in range(shortest, longest + 1):
        is_peak = beats[lag] >= beats[lag - 3 : lag + 4].max()
        if is_peak and beats[lag] - usual >= 0.9 * (inside.max() - usual):
            found = lag
    return torch.tensor(found)


def repeats(beats, shortest, longest):
    inside = beats[shortest : longest + 1]
    usual = inside.median()
    return ((inside.max() - usual) / (beats[0] - usual)).item()


def repeats_numpy(beats, shortest, longest):
    inside = beats.numpy().astype(np.float64)[shortest : longest + 1]
    return (inside.max() - np.median(inside)) / (beats.numpy()[0] - np.median(inside))


def repeats_plain(beats, shortest, longest):
    values = [float(beats[lag]) for lag in range(shortest, longest + 1)]
    usual = statistics.median(values)
    return (max(values) - usual) / (float(beats[0]) - usual)


def repeats_shifted(beats, shortest, longest):
    shifted = beats.double() - beats[shortest : longest + 1].median()
    return (shifted / shifted[0])[shortest : longest + 1].amax()


def repeats_with(value):
    """A number that `value` makes of the whole beat spectrum and of the range."""
    return lambda beats, shortest, longest: value(beats, beats[shortest : longest + 1])


def over_usual(peak, usual, first):
    return (peak - usual) / (first - usual)


def masks_stacked(magnitude, margin):
    harmonic, percussive = harmonic_percussive_masks(magnitude, margin=margin)
    return torch.stack([harmonic, percussive, 1 - harmonic - percussive])


def masks_numpy(magnitude, margin):
    harmonic, percussive = (
        np.square(smooth_along(magnitude, 31, axis).numpy().astype(np.float64)) for axis in (-1, -2)
    )
    masks = np.zeros((3, *magnitude.shape))
    masks[0] = harmonic / (harmonic + margin**2 * percussive + 1e-10)
    masks[1] = percussive / (percussive + margin**2 * harmonic + 1e-10)
    masks[2] = 1 - masks.sum(axis=0)
    return masks


def masks_concatenated(magnitude, margin):
    two = torch.cat([mask[None] for mask in harmonic_percussive_masks(magnitude, 31, margin)])
    return torch.cat([two, 1 - two.sum(dim=0, keepdim=True)]).double()


def masks_with(rest):
    """Three masks with another residual."""

    def masks(magnitude, margin):
        harmonic, percussive = harmonic_percussive_masks(magnitude, margin=margin)
        return torch.stack([harmonic, percussive, rest(harmonic, percussive)])

    return masks


def masks_shared(magnitude, margin):
    masks = torch.stack(harmonic_percussive_masks(magnitude, margin=margin))
    masks = masks / masks.sum(dim=0)
    return torch.cat([masks, 1 - masks.sum(dim=0, keepdim=True)])


ANSWERS = {
    "percussive_filter": Answers(
        right={
            "unfold": percussive_unfolded,
            "NumPy, double precision": percussive_padded,
            "loops": percussive_loop,
            "scipy": filtered_with("reflect"),
        },
        wrong={
            "along time": (filtered_with("reflect", (0, 1)), "That runs along time"),
            "along both": (filtered_with("reflect", (1, 1)), "over both axes"),
            "silence beyond": (filtered_with("constant"), "You take zeros"),
            "outermost repeated": (filtered_with("nearest"), "repeat the outermost bin"),
            "mirror on the bin": (filtered_with("mirror"), "should appear twice"),
            "round the corner": (filtered_with("wrap"), "bins from the other"),
            "mean": (percussive_mean, "That is a mean"),
            "ends lost": (percussive_without_ends, "Six bins are lost"),
            "not flipped": (percussive_not_flipped, "the nearest bins come first"),
            "fixed width": (percussive_of_seven, "for a width of 9"),
        },
    ),
    "better_period": Answers(
        right={
            "mean of all multiples": period_of_all_multiples,
            "high multiple, NumPy": period_of_high_multiple,
            "doubled": period_doubled,
            "late peak": period_of_late_peak,
        },
        wrong={
            "highest peak": (repeating_period, "These are the highest peaks"),
            "shortest": (lambda beats, shortest, longest: shortest, "yours are no better"),
            "longest": (
                lambda beats, shortest, longest: min(longest, len(beats) // 3),
                "yours are no better",
            ),
            "doubled too far": (
                lambda *x: 2 * period_doubled(*x),
                "do not fit three times into the song",
            ),
            "halved": (
                lambda beats, shortest, longest: repeating_period(beats, shortest, longest) // 2,
                "are shorter than `shortest`",
            ),
            "tripled": (period_tripled, "yours are no better"),
            "doubled where higher": (period_twice_if_higher, "better, but more is possible"),
            "no whole number": (lambda *x: 1.5 * repeating_period(*x) + 0.25, "a whole number"),
            "lags": (lambda beats, *limits: beats.topk(3).indices, "Return one period"),
        },
    ),
    "repetitiveness": Answers(
        right={
            "slice": repeats,
            "NumPy, double precision": repeats_numpy,
            "plain Python": repeats_plain,
            "shifted first": repeats_shifted,
        },
        wrong={
            "lag": (
                lambda beats, shortest, longest: (
                    shortest + int(beats[shortest : longest + 1].argmax())
                ),
                "the lag of the peak",
            ),
            "no median": (
                repeats_with(lambda beats, inside: inside.max() / beats[0]),
                "subtract no median",
            ),
            "off the peak only": (
                repeats_with(lambda beats, inside: (inside.max() - inside.median()) / beats[0]),
                "from the peak only",
            ),
            "not divided": (
                repeats_with(lambda beats, inside: inside.max() - inside.median()),
                "do not divide by lag 0",
            ),
            "mean": (
                repeats_with(lambda b, inside: over_usual(inside.max(), inside.mean(), b[0])),
                "You subtract the mean",
            ),
            "median of all": (
                repeats_with(lambda b, inside: over_usual(inside.max(), b.median(), b[0])),
                "the median of all lags",
            ),
            "peak of all": (
                repeats_with(lambda b, inside: over_usual(b.max(), inside.median(), b[0])),
                "The highest point of all lags is lag 0",
            ),
            "longest left out": (
                lambda beats, shortest, longest: over_usual(
                    beats[shortest:longest].max(), beats[shortest : longest + 1].median(), beats[0]
                ),
                "at `longest` now",
            ),
            "shortest left out": (
                lambda beats, shortest, longest: over_usual(
                    beats[shortest + 1 : longest + 1].max(),
                    beats[shortest : longest + 1].median(),
                    beats[0],
                ),
                "at `shortest`",
            ),
        },
    ),
    "three_masks": Answers(
        right={
            "stack": masks_stacked,
            "NumPy, double precision": masks_numpy,
            "concatenated": masks_concatenated,
        },
        wrong={
            "two masks": (
                lambda magnitude, margin: torch.stack(
                    harmonic_percussive_masks(magnitude, margin=margin)
                ),
                "the residual is the third",
            ),
            "exchanged": (lambda x, margin: masks_stacked(x, margin)[[1, 0, 2]], "are exchanged"),
            "residual first": (
                lambda x, margin: masks_stacked(x, margin)[[2, 0, 1]],
                "The residual comes last",
            ),
            "no margin": (lambda x, margin: masks_stacked(x, 1.0), "use `margin`"),
            "product": (masks_with(lambda h, p: (1 - h) * (1 - p)), "what each leaves"),
            "in both": (masks_with(lambda h, p: h * p), "yours is what is in both"),
            "all but the harmonic part": (
                masks_with(lambda h, p: 1 - h),
                "leaves out the harmonic part only",
            ),
            "fixed margin": (lambda x, margin: masks_stacked(x, 2.0), "for a margin of 3"),
            "times the magnitude": (
                lambda x, margin: masks_stacked(x, margin) * x,
                "by the magnitude",
            ),
            "shared": (masks_shared, "which undoes the margin"),
        },
    ),
}
