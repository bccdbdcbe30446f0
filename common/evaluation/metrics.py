"""Metrics of an estimate: SDR, SI-SDR, bleeding, tails and high frequencies.

Metrics take float32 audio and compute in float64. The result for a silent reference is NaN. BSS
Eval v4 has its own module, `common.evaluation.bss_eval`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy.signal
import torch
from torch import Tensor


def area_under_curve(scores: Tensor, active: Tensor) -> float:
    """How often an active frame scores higher than a silent one, ties half.

    scores: (n,), any numbers; active: (n,), 0 or 1 → 0.5 for guessing, 1 for
    never wrong; NaN where all frames are active, or none. The area under the
    receiver operating characteristic curve, Fawcett 2006.
    """
    order, ranks = scores.unique(return_inverse=True)
    counts = torch.bincount(ranks, minlength=len(order)).double()
    middle = counts.cumsum(0) - (counts - 1) / 2  # the mean rank of ties
    on = active.bool()
    n_on, n_off = on.sum().item(), (~on).sum().item()
    if n_on == 0 or n_off == 0:
        return math.nan
    above = middle[ranks][on].sum().item() - n_on * (n_on + 1) / 2
    return above / (n_on * n_off)


SILENCE = 1e-9
"""Mean square below which a source counts as silent: 90 dB below full scale, a CD's dither."""


def sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Signal-to-distortion ratio of a whole track in dB.

    reference, estimate: (..., c, t) → (...), float64, over all channels and
    samples; NaN where the reference is silent. Every difference counts as
    error, including a wrong gain. The definition of the Music Demixing
    Challenge, Mitsufuji et al. 2022, eq. 1.
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
    """Scale-invariant SDR of a whole track in dB, channels concatenated.

    reference, estimate: (..., c, t) → (...), float64; NaN where the reference
    is silent, -inf where only the estimate is. The reference is scaled to fit
    the estimate, so a wrong gain is no error. All channels share this scale,
    so a wrong stereo balance is an error. Le Roux et al. 2019, eq. 3.
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
    """How much of each true source every estimate contains, in dB.

    sources: (a, c, t), all sources; estimates: (b, c, t) → (a, b), float64.
    In each of `n_bands` equal bands and each channel, least squares explains
    an estimate by all true sources together, with one constant real gain each.
    Entry [A, B] is the energy of A under its gains in B over the energy of A,
    so B + A/10 contains -20 dB of A, and [B, B] is near 0 dB if B is complete.
    NaN where A is silent. Gains that change within a track are averaged.
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
    reference, so lower is better, and 0 dB means that the tail is missing. Measured in frames of
    50 ms in which the reference is falling and 20 to 50 dB below its loudest frame; with `notes`
    (start and end in seconds), in frames above -50 dB in which no note is active. NaN without any
    such frame, for example if the reference is silent.
    """
    length = min(round(0.05 * sample_rate), reference.shape[-1])
    wanted, error = (
        x.double().square().unfold(-1, length, length).sum(dim=(-3, -1))  # (..., n)
        for x in (reference, estimate - reference)
    )
    sounds = reference.double().square().mean(dim=(-2, -1)) > SILENCE
    level = 10 * torch.log10(wanted / wanted.amax(dim=-1, keepdim=True))
    rings = (level > -50) & sounds.unsqueeze(-1)
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
    """Error above 8 kHz in dB.

    reference, estimate: (..., c, t) → (...), float64: the energy of the error over that of the
    reference, both high-passed, so lower is better (it is minus the SDR of that band). NaN if the
    reference is silent in that band. Raises ValueError for a sample rate below that band.
    """
    if sample_rate <= 2 * above:
        raise ValueError(f"a sample rate of {sample_rate} Hz holds nothing above {above:g} Hz")
    window = ("kaiser", 10.0)  # attenuates low frequencies by 100 dB, loud ones included
    taps = scipy.signal.firwin(511, above, window=window, pass_zero=False, fs=sample_rate)
    kernel = taps.reshape((1,) * (reference.ndim - 1) + (-1,))
    wanted, error = (
        torch.from_numpy(scipy.signal.oaconvolve(x.double().numpy(), kernel, mode="same", axes=-1))
        .square()
        .mean(dim=(-2, -1))
        for x in (reference, estimate - reference)
    )
    return torch.where(wanted > SILENCE, 10 * torch.log10(error / wanted), torch.nan)
