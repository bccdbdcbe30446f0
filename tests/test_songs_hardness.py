"""The embedded songs are as hard to separate as real music.

On real excerpts, ideal ratio masks reach 6-14 dB per stem, and the best static filter (an oracle
that is constant over the song) 3-9 dB. Measured on the default set's eight test songs.
"""

import numpy as np
import pytest
import torch

from common import SOURCES
from common.data import SONG_SETS, embedded_tracks
from common.signal.masks import apply_mask, ideal_ratio_mask
from common.signal.stft import STFT

TRANSFORM = STFT(n_fft=2048, hop_length=512)


def sdr(references: torch.Tensor, estimates: torch.Tensor) -> np.ndarray:
    """dB per source over all channels and samples, (s, c, t) → (s,); NaN where a stem is silent."""
    power = references.square().sum(dim=(1, 2))
    error = (references - estimates).square().sum(dim=(1, 2))
    return torch.where(power > 0, 10 * torch.log10(power / error), torch.nan).numpy()


def static_gains(spectra: torch.Tensor) -> torch.Tensor:
    """The best gain per source and frequency bin, constant over the song: (s, 1, f, 1)."""
    mixture = spectra.sum(dim=0)
    shared = (spectra * mixture.conj()).real.sum(dim=(1, 3), keepdim=True)
    return shared / mixture.abs().square().sum(dim=(0, 2))[None, None, :, None].clamp(min=1e-9)


@pytest.fixture(scope="module")
def measured() -> dict[str, np.ndarray]:
    """SDR per song and source, (8, 4), of ideal ratio masks and of static filters."""
    ratio, static = [], []
    for track in embedded_tracks("test", songs=SONG_SETS["live"]):
        sources = track.sources
        spectra = TRANSFORM(sources)
        for masks, results in (
            (ideal_ratio_mask(spectra), ratio),
            (static_gains(spectra), static),
        ):
            estimates = TRANSFORM.inverse(apply_mask(masks, spectra.sum(dim=0)), sources.shape[-1])
            results.append(sdr(sources, estimates))
    return {"ratio": np.array(ratio), "static": np.array(static)}


@pytest.mark.parametrize("s", range(4), ids=SOURCES)
def test_ideal_ratio_masks_separate_as_far_as_on_real_music(measured, s):
    assert 6 <= np.nanmedian(measured["ratio"][:, s]) <= 13


@pytest.mark.parametrize("s", range(4), ids=SOURCES)
def test_a_filter_that_never_moves_is_not_enough(measured, s):
    assert np.nanmedian(measured["static"][:, s]) < 6


def test_every_stem_is_heard_in_most_songs(measured):
    assert np.isfinite(measured["ratio"]).sum(axis=0).min() >= 6
