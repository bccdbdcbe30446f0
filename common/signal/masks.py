"""Ideal masks, the application of masks, and the dominant source of each bin.

Every ideal mask is a function of the complex spectra of the sources, `(..., s, c, f, n)`, with one
mask per source in the same shape. `mixture` is `(..., c, f, n)`; left out, it is their sum.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

EPSILON = 1e-10
"""Keeps a division by the magnitude of silence at zero instead of NaN."""


def apply_mask(masks: Tensor, mixture: Tensor) -> Tensor:
    """Masks `(..., s, c, f, n)` times mixture `(..., c, f, n)` → sources."""
    return masks * mixture.unsqueeze(-4)


def ideal_binary_mask(sources: Tensor) -> Tensor:
    """1 where a source is the loudest of all, 0 elsewhere. Wang 2005."""
    loudest = sources.abs().argmax(dim=-4, keepdim=True)
    masks = torch.zeros(sources.shape, device=sources.device)
    return masks.scatter(-4, loudest, 1.0)


def ideal_ratio_mask(sources: Tensor, power: float = 1.0) -> Tensor:
    """Each source's share of the magnitudes, in [0, 1].

    The shares add up to 1, and in silence to 0.
    `power` raises the magnitudes first: 1 shares amplitude, 2 shares energy.
    They are divided by the loudest first, so that no power overflows.
    Liutkus and Badeau 2015.
    """
    magnitude = sources.abs()
    loudest = magnitude.amax(dim=-4, keepdim=True)
    raised = (magnitude / (loudest + EPSILON)) ** power
    return raised / (raised.sum(dim=-4, keepdim=True) + EPSILON)


def wiener_mask(sources: Tensor) -> Tensor:
    """Each source's share of the energy: optimal if phases are random."""
    return ideal_ratio_mask(sources, power=2.0)


def phase_sensitive_mask(
    sources: Tensor, mixture: Tensor | None = None, truncate: bool = True
) -> Tensor:
    """The real mask whose product with the mixture is nearest to the source.

    It projects the source on the mixture. Unless `truncate` is False it is
    truncated to [0, 1], the range of a net that ends in a sigmoid.
    Erdogan et al. 2015, eq. 9.
    """
    mixture = sources.sum(dim=-4) if mixture is None else mixture
    mixture = mixture.unsqueeze(-4)
    mask = (sources * mixture.conj()).real / (mixture.abs() ** 2 + EPSILON)
    return mask.clamp(0, 1) if truncate else mask


def complex_mask(sources: Tensor, mixture: Tensor | None = None) -> Tensor:
    """The complex mask that gives every source back exactly.

    Williamson et al. 2016, eq. 5.
    """
    mixture = sources.sum(dim=-4) if mixture is None else mixture
    mixture = mixture.unsqueeze(-4)
    return sources * mixture.conj() / (mixture.abs() ** 2 + EPSILON)


def bin_weights(magnitude: Tensor, floor: float = -40.0) -> Tensor:
    """Weights of the bins: proportional to magnitude, and 0 for quiet bins.

    magnitude: (b, i), linear → (b, i), with the sum 1, or all 0 in silence.
    A bin is quiet if it is at least `-floor` dB below the loudest.
    Hershey et al. 2016 (the floor); Wang et al. 2018 (the magnitude).
    """
    loudest = magnitude.amax(dim=-1, keepdim=True)
    kept = magnitude * (magnitude > loudest * 10 ** (floor / 20))
    return kept / kept.sum(dim=-1, keepdim=True).clamp(min=EPSILON)


def owned_bins(mixture: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """The dominant source and the weight of every bin, for each channel.

    mixture: (b, c, f, n), sources: (b, s, c, f, n), spectra → labels:
    (b c, f n, s), one-hot, 1 for the loudest source; weights: (b c, f n).
    """
    labels = ideal_binary_mask(sources)
    labels = rearrange(labels, "b s c f n -> (b c) (f n) s")
    magnitude = rearrange(mixture.abs(), "b c f n -> (b c) (f n)")
    return labels, bin_weights(magnitude)
