"""Every metric of every estimate, track by track, and a summary over all tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from functools import partial

import torch
from torch import Tensor

from common.data.tracks import Track, parts_of
from common.evaluation.bss_eval import bss_eval
from common.evaluation.metrics import bleeding, high_frequency_error, sdr, si_sdr, tail_error
from common.evaluation.oracles import Bound, stems_of, true_sources
from common.evaluation.results import bootstrap_interval, median
from common.separation.any_length import separate
from common.separation.separators import Separator
from common.support.errors import UsageError

LIMIT = 100.0
"""Results are stored within ±100 dB: beyond, float32 audio holds nothing to measure."""


def evaluate(
    separator: Separator | Bound,
    tracks: Iterable[Track],
    bss: bool = False,
    progress: bool = True,
) -> dict:
    """Separate tracks and measure every estimate; the result is ready for JSON.

    A separator receives only the mixture; a bound (`oracle = True`) also receives the true sources.
    References are found by name, so `("vocals", "accompaniment")`, `("drums", "no_drums")` and a
    single source are measured as well as four stems. The sample rate is that of the tracks; the
    result states it in Hz. `bss` adds BSS Eval v4, its medians over 1 s windows. Each track holds
    {metric: {source: value | None}} in dB, and "bleeding" {true source: {estimate: value | None}};
    None where there is nothing to measure, values clipped to ±100 dB.
    Over tracks: "median" and the bootstrap "interval" of it per metric and source, "mean over
    sources" of the medians (None if one is missing), "counted" tracks behind each median, and
    how often each source was "silent". Tails are found from the notes of tracks that have them.
    Tracks may come from a generator: one at a time is in memory. Raises UsageError for a source
    that a track lacks, ValueError for estimates with a wrong shape or NaN and for mixed sample
    rates.
    """
    from tqdm import tqdm

    sources = tuple(separator.sources)
    name = getattr(separator, "name", type(separator).__name__)
    # `map` releases a track before it requests the next, so that only one is in memory.
    measured = map(partial(evaluate_track, separator, bss=bss), tracks)
    n = len(tracks) if isinstance(tracks, Sized) else None
    bar = tqdm(measured, f"evaluate {name}", n, unit="track", disable=not progress)
    rows = list(bar)
    rates = {row.pop("sample_rate") for row in rows}
    if not rows:
        raise UsageError("there are no tracks to evaluate on")
    if len(rates) > 1:
        raise ValueError(f"the tracks have more than one sample rate: {sorted(rates)} Hz")
    metrics = [key for key in rows[0] if key not in ("name", "bleeding")]
    values = {m: {s: [row[m][s] for row in rows] for s in sources} for m in metrics}
    medians = {m: {s: median(values[m][s]) for s in sources} for m in metrics}
    return {
        "model": name,
        "oracle": getattr(separator, "oracle", False),
        "sources": list(sources),
        "sample_rate": rates.pop(),
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
        measured |= _bss_medians(track, sources, references, estimates)
    # Bleeding needs each stem of the mixture once: the sources, if they contain all of them.
    whole = stems_of(track, sources) == list(range(len(track.source_names)))
    true, names = (references, sources) if whole else (track.sources, track.source_names)
    found = zip(names, bleeding(true, estimates), strict=True)
    return {
        "name": track.name,
        "sample_rate": rate,
        **{metric: _by_source(sources, values) for metric, values in measured.items()},
        "bleeding": {source: _by_source(sources, row) for source, row in found},
    }


def _tail_errors(
    track: Track, sources: Sequence[str], references: Tensor, estimates: Tensor
) -> Tensor:
    """`tail_error` of every source, from its notes if the track has them."""
    if track.notes is None:
        return tail_error(references, estimates, track.sample_rate)
    errors = []
    for source, reference, estimate in zip(sources, references, estimates, strict=True):
        stems = parts_of(source, track.source_names)
        notes = [note for stem in stems for note in track.notes[track.source_names[stem]]]
        errors.append(tail_error(reference, estimate, track.sample_rate, notes))
    return torch.stack(errors)


def _bss_medians(
    track: Track, sources: Sequence[str], references: Tensor, estimates: Tensor
) -> dict[str, Tensor]:
    """BSS Eval v4, medians over windows.

    Sources are measured against each other and against the rest of the mixture, if there is any;
    sources that share stems are measured one by one, each against the rest.
    """
    n_sources, used = len(references), stems_of(track, sources)
    if n_sources > 1 and len(used) > len(set(used)):
        each = [
            _bss_medians(track, (source,), references[i : i + 1], estimates[i : i + 1])
            for i, source in enumerate(sources)
        ]
        return {name: torch.cat([values[name] for values in each]) for name in each[0]}
    if len(used) < len(track.source_names):
        rest = (track.mixture - references.sum(dim=0))[None]
        references = torch.cat([references, rest])
        estimates = torch.cat([estimates, rest])  # an estimate does not affect the others' ratios
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
