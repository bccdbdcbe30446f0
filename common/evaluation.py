"""How good an estimate is: SDR, SI-SDR, bleeding, tails and highs, and the loop over tracks.

Metrics take float32 audio and compute in float64. A reference that is silent has no ratio: the
result is NaN, which `evaluate` stores as None and counts. BSS Eval v4 has a module of its own,
`common.bss_eval`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import scipy.signal
import torch
from torch import Tensor

from common.bounds import (
    BOUNDS,
    Bound,
    MaskBound,
    MixtureBound,
    SilenceBound,
    StaticFilterBound,
    parts_of,
    true_sources,
)
from common.bss_eval import BSSEval, bss_eval
from common.errors import UsageError
from common.results import bootstrap_interval, compare, load_results, median, save_results
from common.separation import Separator, separate
from common.tracks import Track

__all__ = [
    "BOUNDS", "BSSEval", "Bound", "MaskBound", "MixtureBound", "SilenceBound", "StaticFilterBound",
    "bleeding", "bootstrap_interval", "bss_eval", "compare", "evaluate", "high_frequency_error",
    "load_results", "save_results", "sdr", "si_sdr", "tail_error", "true_sources",
]  # fmt: skip

SILENCE = 1e-9
"""Mean square below which a source counts as silent: 90 dB below full scale, a CD's dither."""

LIMIT = 100.0
"""Results are stored within ±100 dB: beyond, float32 audio holds nothing to measure."""


def sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Signal-to-distortion ratio of a whole track in dB.

    Over all channels and samples: reference, estimate: (..., c, t) → (...),
    float64; NaN where the reference is silent. Any difference is an error, a
    wrong gain too. The definition of the Music Demixing Challenge, Mitsufuji
    et al. 2022, eq. 1.
    """
    if reference.shape != estimate.shape:
        shapes = f"{tuple(reference.shape)} and {tuple(estimate.shape)}"
        raise ValueError(f"shapes differ: {shapes}")
    reference, estimate = reference.double(), estimate.double()
    signal = reference.square().mean(dim=(-2, -1))
    error = (reference - estimate).square().mean(dim=(-2, -1))
    ratio = 10 * torch.log10(signal / error)
    return torch.where(signal > SILENCE, ratio, torch.nan)


def si_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Scale-invariant SDR of a whole track, channels end to end, in dB.

    reference, estimate: (..., c, t) → (...), float64; NaN where the reference
    is silent, -inf where only the estimate is. The reference is scaled to meet
    the estimate, so a wrong gain is no error; one gain for all channels, so a
    wrong balance is. Le Roux et al. 2019, eq. 3.
    """
    if reference.shape != estimate.shape:
        shapes = f"{tuple(reference.shape)} and {tuple(estimate.shape)}"
        raise ValueError(f"shapes differ: {shapes}")
    reference = reference.double().flatten(-2)
    estimate = estimate.double().flatten(-2)
    power = reference.square().mean(dim=-1)
    scale = (reference * estimate).mean(dim=-1) / power
    target = scale.unsqueeze(-1) * reference
    signal = target.square().mean(dim=-1)
    error = (target - estimate).square().mean(dim=-1)
    ratio = 10 * torch.log10(signal / error)
    ratio = torch.where(signal > 0, ratio, -torch.inf)
    return torch.where(power > SILENCE, ratio, torch.nan)


def bleeding(sources: Tensor, estimates: Tensor, n_bands: int = 32) -> Tensor:
    """How much of each true source every estimate holds, in dB of the former.

    sources: (a, c, t), all that sound; estimates: (b, c, t) → (a, b), float64.
    In each of `n_bands` equal bands and each channel, an estimate is explained
    by all true sources together, one constant real gain each, by least
    squares; entry [A, B] is the energy of A under its gains in B. So B + A/10
    holds -20 dB of A, and [B, B] near 0 dB says that B is all there. NaN where
    A is silent; gains that change within a track are averaged.
    """
    n_sources, n_estimates = len(sources), len(estimates)
    found = torch.zeros(n_sources, n_estimates, dtype=torch.float64)
    whole = torch.zeros(n_sources, 1, dtype=torch.float64)
    spectra = torch.fft.rfft(torch.cat([sources, estimates]).double())
    for band in spectra.tensor_split(n_bands, dim=-1):
        true, estimate = band[:n_sources], band[n_sources:]
        products = torch.einsum("acf,bcf->cab", true, true.conj()).real
        shared = torch.einsum("acf,bcf->cab", true, estimate.conj()).real
        gains = torch.linalg.pinv(products, hermitian=True) @ shared
        found += torch.einsum("cab,caa->ab", gains.square(), products)
        whole += torch.einsum("caa->a", products).unsqueeze(1)
    audible = sources.double().square().mean(dim=(1, 2)) > SILENCE
    level = 10 * torch.log10(found / whole)
    return torch.where(audible.unsqueeze(1), level, torch.nan)


def tail_error(
    reference: Tensor,
    estimate: Tensor,
    sample_rate: int,
    notes: Sequence[tuple[float, float]] | None = None,
) -> Tensor:
    """Error in the tails, where notes have ended and decay or reverberation still rings, in dB.

    reference, estimate: (..., c, t) → (...), float64: the energy of the error over that of the
    reference, so lower is better and 0 dB is a tail cut off. Measured in frames of 50 ms in which
    the reference is falling and lies 20 to 50 dB below its loudest frame; with `notes` (start and
    end in seconds), in those above -50 dB in which no note sounds. NaN without any such frame.
    """
    length = min(round(0.05 * sample_rate), reference.shape[-1])
    wanted, error = (
        x.double().square().unfold(-1, length, length).sum(dim=(-3, -1))  # (..., n)
        for x in (reference, estimate - reference)
    )
    level = 10 * torch.log10(wanted / wanted.amax(dim=-1, keepdim=True))
    rings = level > -50
    if notes is None:
        before = level.roll(1, dims=-1)
        before[..., 0] = -torch.inf
        rings &= (level < -20) & (level < before)
    else:
        start = torch.arange(level.shape[-1]) * length / sample_rate
        for on, off in notes:
            rings &= (start + length / sample_rate <= on) | (start >= off)
    return 10 * torch.log10((error * rings).sum(dim=-1) / (wanted * rings).sum(dim=-1))


def high_frequency_error(
    reference: Tensor, estimate: Tensor, sample_rate: int, above: float = 8000.0
) -> Tensor:
    """Error above 8 kHz, where detail and air live, in dB.

    reference, estimate: (..., c, t) → (...), float64: the energy of the error over that of the
    reference, both high-passed, so lower is better (it is minus the SDR of that band). NaN where
    the reference has nothing there. Raises ValueError for a sample rate that holds no such band.
    """
    if sample_rate <= 2 * above:
        raise ValueError(f"a sample rate of {sample_rate} Hz holds nothing above {above:g} Hz")
    window = ("kaiser", 10.0)  # 100 dB down below the edge, so that loud lows do not leak in
    taps = scipy.signal.firwin(511, above, window=window, pass_zero=False, fs=sample_rate)
    kernel = taps.reshape((1,) * (reference.ndim - 1) + (-1,))
    wanted, error = (
        torch.from_numpy(scipy.signal.oaconvolve(x.double().numpy(), kernel, mode="same", axes=-1))
        .square()
        .mean(dim=(-2, -1))
        for x in (reference, estimate - reference)
    )
    return torch.where(wanted > SILENCE, 10 * torch.log10(error / wanted), torch.nan)


def evaluate(
    separator: Separator | Bound,
    tracks: Iterable[Track],
    bss: bool = False,
    progress: bool = True,
) -> dict:
    """Separate tracks and measure every estimate; the result is ready for JSON.

    A separator hears only the mixture; a bound (`oracle = True`) also sees the true sources.
    References are found by name, so `("vocals", "accompaniment")`, `("drums", "no_drums")` and a
    single source are measured as well as four stems. `bss` adds BSS Eval v4, its medians over 1 s
    windows. Each track holds {metric: {source: value | None}} in dB, and "bleeding" {true source:
    {estimate: value | None}}; None where there is nothing to measure, values clipped to ±100 dB.
    Over tracks: "median" and the bootstrap "interval" of it per metric and source, "mean over
    sources" of the medians (None if one is missing), "counted" tracks behind each median, and
    how often each source was "silent". Tails are found by the notes where the track knows them.
    Raises UsageError for a source that no track has, ValueError
    for estimates of a wrong shape or with NaN.
    """
    from tqdm import tqdm

    sources = tuple(separator.sources)
    name = getattr(separator, "name", type(separator).__name__)
    rows = [
        evaluate_track(separator, track, bss)
        for track in tqdm(tracks, desc=f"evaluate {name}", unit="track", disable=not progress)
    ]
    if not rows:
        raise UsageError("there are no tracks to evaluate on")
    metrics = [key for key in rows[0] if key not in ("name", "bleeding")]
    values = {m: {s: [row[m][s] for row in rows] for s in sources} for m in metrics}
    medians = {m: {s: median(values[m][s]) for s in sources} for m in metrics}
    return {
        "model": name,
        "oracle": getattr(separator, "oracle", False),
        "sources": list(sources),
        "tracks": rows,
        "median": medians,
        "mean over sources": {m: _strict_mean(medians[m].values()) for m in metrics},
        "interval": {m: {s: bootstrap_interval(values[m][s]) for s in sources} for m in metrics},
        "counted": {
            m: {s: sum(value is not None for value in values[m][s]) for s in sources}
            for m in metrics
        },
        "silent": {s: values["sdr"][s].count(None) for s in sources},
        "bleeding": _median_bleeding(rows),
    }


def evaluate_track(separator: Separator | Bound, track: Track, bss: bool = False) -> dict:
    """One row of `evaluate`: every metric of every source of one track."""
    sources = tuple(separator.sources)
    references = true_sources(track, sources)
    if getattr(separator, "oracle", False):
        estimates = separator.estimate(track)
    else:
        estimates = separate(separator, track.mixture, track.sample_rate)
    if estimates.shape != references.shape:
        found, wanted = tuple(estimates.shape), tuple(references.shape)
        raise ValueError(f"{track.name}: estimates are {found}, the sources {wanted}")
    if not estimates.isfinite().all():
        raise ValueError(f"{track.name}: the estimates hold NaN or infinite samples")

    rate = track.sample_rate
    measured = {
        "sdr": sdr(references, estimates),
        "si_sdr": si_sdr(references, estimates),
        "tail_error": _tail_errors(track, sources, references, estimates),
        "high_frequency_error": high_frequency_error(references, estimates, rate)
        if rate > 16000
        else torch.full((len(sources),), torch.nan),
    }
    if bss:
        measured |= _bss_medians(track, references, estimates)
    # Bleeding is explained by all that sounds: by the stems, unless an estimate is a sum of them.
    stems = track.source_names
    whole = all(len(parts_of(source, stems, sources)) == 1 for source in sources)
    true, names = (track.sources, stems) if whole else (references, sources)
    found = zip(names, bleeding(true, estimates), strict=True)
    return {
        "name": track.name,
        **{metric: _by_source(sources, values) for metric, values in measured.items()},
        "bleeding": {source: _by_source(sources, row) for source, row in found},
    }


def _tail_errors(
    track: Track, sources: Sequence[str], references: Tensor, estimates: Tensor
) -> Tensor:
    """`tail_error` of every source, by its notes where the track knows them."""
    if track.notes is None:
        return tail_error(references, estimates, track.sample_rate)
    errors = []
    for source, reference, estimate in zip(sources, references, estimates, strict=True):
        stems = parts_of(source, track.source_names, sources)
        notes = [note for stem in stems for note in track.notes[track.source_names[stem]]]
        errors.append(tail_error(reference, estimate, track.sample_rate, notes))
    return torch.stack(errors)


def _bss_medians(track: Track, references: Tensor, estimates: Tensor) -> dict[str, Tensor]:
    """BSS Eval v4, medians over windows; a single source is measured against all the rest."""
    n_sources = len(references)
    if n_sources == 1:
        references = torch.cat([references, track.mixture - references])
        estimates = torch.cat([estimates, references[1:]])  # of no account for the first
    ratios = bss_eval(references, estimates, track.sample_rate)._asdict()
    return {f"bss_{name}": x.nanquantile(0.5, dim=1)[:n_sources] for name, x in ratios.items()}


def _by_source(sources: Sequence[str], values: Tensor) -> dict[str, float | None]:
    """A tensor (s,) in dB as {source: value}, None for NaN, without infinities."""
    numbers = values.clamp(-LIMIT, LIMIT).tolist()
    pairs = zip(sources, numbers, strict=True)
    return {source: None if number != number else round(number, 4) for source, number in pairs}


def _strict_mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values, None as soon as one is missing."""
    values = list(values)
    return None if None in values else sum(values) / len(values)


def _median_bleeding(rows: list[dict]) -> dict[str, dict[str, float | None]]:
    """Median over tracks of every entry of the bleeding matrix."""
    first = rows[0]["bleeding"]
    return {
        a: {b: median([row["bleeding"][a][b] for row in rows]) for b in first[a]} for a in first
    }
