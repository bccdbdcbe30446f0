"""BSS Eval version 4: the error of an estimate, split into three components.

An estimate is compared with two least-squares projections: onto its own true source, and onto all
true sources, each filtered by a 512-tap filter. The first projection less the true source is
spatial (or filtering) distortion, the second less the first is interference, and the remainder,
which no filter explains, is artifacts:

    estimate = true source + spatial distortion + interference + artifacts

Vincent, Gribonval and Févotte 2006 give the decomposition; Stöter, Liutkus and Ito 2018 (version 4)
estimate the filters once per track and only the energies per frame. The results agree with the
`museval` package. This module is faster because of exact blockwise correlations, a Schur factor
shared by all estimates, and energies from the spectra of the frames (Parseval), without inverse
transforms.
"""

from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

FRAMES_AT_ONCE = 4
BLOCKS_AT_ONCE = 8
BINS_AT_ONCE = 1024
"""How much is transformed together, so that it fits into a processor's cache."""


class BSSEval(NamedTuple):
    """Energy ratios of BSS Eval v4 in dB, each of shape (s, n): one value per source and window."""

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor


def bss_eval(
    references: Tensor,
    estimates: Tensor,
    sample_rate: int,
    window: float = 1.0,
    hop: float = 1.0,
    filter_length: int = 512,
) -> BSSEval:
    """SDR, ISR, SIR and SAR of BSS Eval v4 per source and window.

    references, estimates: (s, c, t), in the same order of sources; window and hop in seconds;
    filter_length in samples → four tensors (s, n) in dB, float64. Summarise a track by
    `x.nanquantile(0.5, dim=1)`, as the MUSDB18 protocol does (1 s windows without overlap).

    A window in which any reference or any estimate is silent is NaN for every source, as in
    `museval`; if one is silent throughout, every window is NaN (`museval` raises). A last
    incomplete window is left out. Raises ValueError when the shapes differ or the window is not
    longer than a sample. Vincent et al. 2006, eqs. 10-15; Stöter et al. 2018.
    """
    if references.ndim != 3 or references.shape != estimates.shape:
        raise ValueError(
            f"references and estimates must both be (s, c, t), got "
            f"{tuple(references.shape)} and {tuple(estimates.shape)}"
        )
    length, step = int(window * sample_rate), int(hop * sample_rate)
    if length < 1 or step < 1:
        raise ValueError(f"window and hop must last a sample or more, got {window} s and {hop} s")
    length = min(length, references.shape[-1])
    silent = _silent_frames(references, length, step) | _silent_frames(estimates, length, step)
    if bool(silent.all()):
        return BSSEval(*torch.full((4, len(references), len(silent)), torch.nan).double())

    n_fft = next_fast_len(length + filter_length - 1, real=True)
    filters = _filter_spectra(*distortion_filters(references, estimates, filter_length), n_fft)
    ratios = []
    for first in range(0, len(silent), FRAMES_AT_ONCE):
        starts = range(first * step, len(silent) * step, step)[:FRAMES_AT_ONCE]
        frames = (_frames(signals, starts, length) for signals in (references, estimates))
        ratios.append(_frame_ratios(*frames, filters, n_fft))
    return BSSEval(*torch.cat(ratios, dim=-1).masked_fill(silent, torch.nan))


def distortion_filters(
    references: Tensor, estimates: Tensor, filter_length: int
) -> tuple[Tensor, Tensor]:
    """Filters that turn the references into the closest match of each estimate (least squares).

    references, estimates: (s, c, t) → own (s, c, c, d), from the channels of each source to the
    channels of its own estimate, and everything (s, c, s, c, d), from every source and channel to
    every estimate and channel.
    """
    s, c, _ = references.shape
    x = references.flatten(0, 1)
    lags = _correlations(x, torch.cat([x, estimates.flatten(0, 1)]), filter_length)
    # The product of x_i delayed by a and x_j delayed by b is their correlation at lag a - b, found
    # in lags[i, j, d-1 + a - b]; that of x_i delayed by a and estimate m is lags[i, m, d-1 + a].
    gram, products = lags[:, : s * c], lags[:, s * c :, filter_length - 1 :]
    groups = [slice(source * c, (source + 1) * c) for source in range(s)]
    own = torch.stack([_solve(gram[g, g], products[g, g]) for g in groups])
    return own, _solve(gram, products).unflatten(1, (s, c)).unflatten(0, (s, c))


def _solve(gram: Tensor, products: Tensor) -> Tensor:
    """Solve the normal equations: gram (k, k, 2d-1), products (k, m, d) → filters (k, m, d).

    A reference that repeats an earlier one (both channels of a centred stem) or is silent explains
    nothing new and gets no filter. Where the rest is still singular but for rounding (empty bands),
    a ridge, relative to each reference's own energy, starts at the size of rounding and grows until
    the factor exists.
    """
    d = products.shape[-1]
    new = _independent(gram[..., d - 1])
    gram = gram[new][:, new]
    ridge = 0.0
    while (factor := _cholesky(gram, d, ridge)) is None:
        ridge = max(10 * ridge, 1e-14)
    wanted = products[new]
    found = _substitute(factor, wanted)
    # One step of refinement reduces the rounding error where the equations are nearly singular.
    found += _substitute(factor, wanted - _explained(gram, found))
    filters = torch.zeros_like(products)
    filters[new] = found
    return filters


def _explained(gram: Tensor, filters: Tensor) -> Tensor:
    """Left side of the normal equations: gram (k, k, 2d-1), filters (k, m, d) → (k, m, d)."""
    d, k = filters.shape[-1], range(len(gram))
    sums = [sum(_toeplitz(gram[i, j], d) @ filters[j].T for j in k) for i in k]
    return torch.stack(sums).transpose(1, 2)


def _toeplitz(lags: Tensor, d: int) -> Tensor:
    """Correlations at lags -(d-1) … d-1 as a matrix (d, d) whose entry (a, b) is that at a - b."""
    return lags.unfold(0, d, 1).flip(1)


def _independent(products: Tensor) -> list[int]:
    """Indices of the references that are neither silent nor a multiple of an earlier one.

    products: (k, k), of the references with each other.
    """
    kept: list[int] = []
    for i, energy in enumerate(products.diagonal()):
        repeats = products[i, kept] ** 2 > (1 - 1e-12) * energy * products.diagonal()[kept]
        if energy > 0 and not repeats.any():
            kept.append(i)
    return kept


def _substitute(factor: Tensor, products: Tensor) -> Tensor:
    """Solve with a factor of `_cholesky`, forwards and then backwards: (k, m, d) → (k, m, d)."""
    k, m, d = products.shape
    x = products.permute(2, 0, 1).reshape(d * k, m)
    x = torch.linalg.solve_triangular(factor.mT, x, upper=False)
    x = torch.linalg.solve_triangular(factor, x, upper=True)
    return x.view(d, k, m).permute(1, 2, 0)


def _cholesky(gram: Tensor, d: int, ridge: float) -> Tensor | None:
    """Upper Cholesky factor of the block Toeplitz matrix of d x d blocks, one per pair of delays.

    gram: (k, k, 2d-1) correlations; ridge is relative to the diagonal → (d·k, d·k), or None when
    rounding leaves a matrix that is not positive definite. Block Schur algorithm: a row of blocks
    follows from the row above it, delayed, and what the delay misses, so that the work grows with
    d², not d³. Kailath and Sayed 1995.
    """
    k = len(gram)
    row = gram[..., :d].flip(-1).transpose(1, 2).clone()  # (k, d, k): delay 0 with every other
    row[:, 0].diagonal().mul_(1 + ridge)
    lower, failed = torch.linalg.cholesky_ex(row[:, 0])
    if failed:
        return None
    row = torch.linalg.solve_triangular(lower, row.flatten(1), upper=False)
    factor = gram.new_empty(d * k, d * k)  # below the diagonal it is never read
    factor[:k] = row
    missed = row[:, k:]
    identity = torch.eye(k, dtype=gram.dtype, device=gram.device)
    for start in range(k, d * k, k):
        above = factor[start - k : start, start - k : -k]
        # The hyperbolic rotation that makes the first missed block zero.
        share = torch.linalg.solve_triangular(above[:, :k], missed[:, :k], upper=True, left=False)
        both = torch.stack([identity - share.mT @ share, identity - share @ share.mT])
        lower, failed = torch.linalg.cholesky_ex(both)
        if failed.any():
            return None
        inverse = torch.linalg.solve_triangular(lower[0], identity, upper=False)
        row = factor[start : start + k, start:]
        torch.mm(inverse, torch.addmm(above, share.mT, missed, alpha=-1), out=row)
        # The second half uses the new row instead of the one above, for numerical stability.
        missed = torch.addmm(
            lower[1].mT @ missed[:, k:], lower[1].mT @ share @ inverse.mT, row[:, k:], alpha=-1
        )
    return factor


def _correlations(x: Tensor, y: Tensor, n_lags: int) -> Tensor:
    """Sums over t of x[t] · y[t + lag] for |lag| < n_lags, in float64.

    x: (p, t), y: (q, t) → (p, q, 2 n_lags - 1). Cut into blocks whose spectra are multiplied and
    summed: a short inverse transform per pair, and no transform of the whole track.
    """
    margin = n_lags - 1
    n_fft = 8 * 2 ** (n_lags - 1).bit_length()  # fast, and at least 3/4 of it is signal
    block = n_fft - 2 * margin
    n_blocks = -(-x.shape[-1] // block)
    missing = n_blocks * block - x.shape[-1]
    x, y = pad(x, (0, missing)), pad(y, (margin, margin + missing))
    total = torch.zeros(n_fft // 2 + 1, len(x), len(y), dtype=torch.complex128, device=x.device)
    for first in range(0, n_blocks, BLOCKS_AT_ONCE):
        start, stop = first * block, min(first + BLOCKS_AT_ONCE, n_blocks) * block
        # x lies `margin` samples inside its block, so no lag wraps round.
        inside = pad(x[:, start:stop].double().unfold(-1, block, block), (margin, margin))
        around = y[:, start : stop + 2 * margin].double().unfold(-1, n_fft, block)
        total.baddbmm_(
            torch.fft.rfft(inside).conj().permute(2, 0, 1).contiguous(),
            torch.fft.rfft(around).permute(2, 1, 0).contiguous(),
        )
    lags = torch.fft.irfft(total, n=n_fft, dim=0)
    return torch.cat([lags[n_fft - margin :], lags[:n_lags]]).permute(1, 2, 0)


def _frames(signals: Tensor, starts: range, length: int) -> Tensor:
    """Cut (s, c, t) at the given starts → (s, c, n, length), float64."""
    cut = signals[..., starts[0] : starts[-1] + length]
    return cut.double().unfold(-1, length, starts.step)


def _silent_frames(signals: Tensor, length: int, step: int) -> Tensor:
    """Whether any source of (s, c, t) is silent, for each window → (n,) of bool.

    Silent means: at every sample the channels sum to zero. `museval` uses this definition (a source
    whose channels cancel counts as silent), and results can be compared only over the same windows.
    """
    return (signals.sum(dim=1) == 0).unfold(-1, length, step).all(dim=-1).any(dim=0)


def _filter_spectra(own: Tensor, everything: Tensor, n_fft: int) -> Tensor:
    """Both sets of filters as one matrix per bin, own before everything: (f, s·c, 2·s·c)."""
    s, c, _, d = own.shape
    alone = own.new_zeros(s, c, s, c, d)
    alone[range(s), :, range(s)] = own
    both = torch.stack([alone, everything], dim=2).flatten(2, 4).flatten(0, 1)
    return torch.fft.rfft(both, n=n_fft).permute(2, 0, 1).contiguous()


def _frame_ratios(references: Tensor, estimates: Tensor, filters: Tensor, n_fft: int) -> Tensor:
    """Energy ratios of framed signals: (s, c, n, length) → SDR, ISR, SIR and SAR, (4, s, n).

    A frame is filtered by itself, with silence before it and the filters' ringing after it.
    """
    references, estimates = torch.fft.rfft(references, n_fft), torch.fft.rfft(estimates, n_fft)
    energies = torch.zeros(7, len(references), references.shape[2], dtype=torch.float64)
    for first in range(0, len(filters), BINS_AT_ONCE):
        bins = slice(first, first + BINS_AT_ONCE)
        true, estimate = (
            spectrum[..., bins].permute(3, 2, 0, 1).contiguous()  # (f, n, s, c)
            for spectrum in (references, estimates)
        )
        if first == 0:  # Parseval: every bin counts twice, except the one at 0 Hz
            true[0], estimate[0] = true[0] / 2**0.5, estimate[0] / 2**0.5
        if n_fft % 2 == 0 and first + len(true) == len(filters):  # and at half the rate
            true[-1], estimate[-1] = true[-1] / 2**0.5, estimate[-1] / 2**0.5
        filtered = true.flatten(2) @ filters[bins]
        near, explained = filtered.unflatten(2, (2, *true.shape[2:])).unbind(2)
        parts = (
            true,
            estimate - true,
            near - true,
            near,
            explained - near,
            explained,
            estimate - explained,
        )
        for energy, part in zip(energies, parts, strict=True):
            energy += torch.view_as_real(part).square().sum(dim=(0, 3, 4)).T
    true, error, spatial, near, interference, explained, artifacts = energies
    ratios = [true / error, true / spatial, near / interference, explained / artifacts]
    return 10 * torch.log10(torch.stack(ratios))
