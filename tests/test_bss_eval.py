"""BSS Eval v4 agrees with museval, on noise, on correlated and silent stems, and on real music."""

import numpy as np
import pytest
import stempeg
import torch
from museval.metrics import bss_eval as museval_bss_eval
from scipy.signal import resample_poly

from common.evaluation.bss_eval import BSSEval, bss_eval, distortion_filters

RATE = 8000


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_museval(references, estimates, window, hop, filters_len=512) -> BSSEval:
    """museval expects (s, t, c), float64, and windows in samples."""
    ratios = museval_bss_eval(
        references.transpose(1, 2).double().numpy(),
        estimates.transpose(1, 2).double().numpy(),
        window=window,
        hop=hop,
        compute_permutation=False,
        filters_len=filters_len,
        framewise_filters=False,
        bsseval_sources_version=False,
    )
    return BSSEval(*(torch.from_numpy(np.array(ratio)) for ratio in ratios[:4]))


def assert_agree(ours: BSSEval, theirs: BSSEval, tolerance: float = 0.01) -> None:
    """Within `tolerance` dB at every source and window, NaN where the other is."""
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=0, equal_nan=True)


def leaky(references: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Estimates with a wrong gain, some of the next source, an echo and a little noise."""
    echo = references.roll(40, dims=-1)
    return (
        0.9 * references
        + 0.2 * references.roll(1, dims=0)
        + 0.1 * echo
        + 0.02 * noise(*references.shape, seed=seed)
    )


@pytest.mark.parametrize("n_sources", [2, 4])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_agrees_on_random_tracks(n_sources, n_channels):
    references = noise(n_sources, n_channels, 3 * RATE + 777)
    estimates = leaky(references)
    ours = bss_eval(references, estimates, RATE, filter_length=128)
    assert ours.sdr.shape == (n_sources, 3)
    assert_agree(ours, by_museval(references, estimates, RATE, RATE, filters_len=128))


def test_agrees_with_filters_of_full_length():
    references = noise(2, 2, 2 * RATE)
    estimates = leaky(references)
    assert_agree(
        bss_eval(references, estimates, RATE), by_museval(references, estimates, RATE, RATE)
    )


def test_agrees_with_overlapping_windows_and_one_longer_than_the_track():
    references = noise(2, 1, 2 * RATE)
    estimates = leaky(references)
    for window, hop in ((0.5, 0.2), (5.0, 5.0)):
        ours = bss_eval(references, estimates, RATE, window, hop, filter_length=64)
        theirs = by_museval(
            references, estimates, int(window * RATE), int(hop * RATE), filters_len=64
        )
        assert_agree(ours, theirs)


def test_agrees_on_correlated_sources():
    independent = noise(3, 2, 2 * RATE)
    references = torch.einsum("rs,sct->rct", torch.eye(3) + 2.0, independent)
    estimates = leaky(references)
    ours = bss_eval(references, estimates, RATE, filter_length=128)
    assert_agree(ours, by_museval(references, estimates, RATE, RATE, filters_len=128))


def test_twin_channels_explain_what_one_of_them_does():
    references = noise(2, 1, 2 * RATE).expand(2, 2, -1)
    estimates = leaky(references)
    ours = bss_eval(references, estimates, RATE, filter_length=128)
    # Equal channels make museval's equations singular; one channel of the pair is equivalent.
    filters = distortion_filters(references, estimates, 128)
    alone = distortion_filters(references[:, :1], estimates[:, :1], 128)
    torch.testing.assert_close(filters[1][:, 0, :, 0], alone[1][:, 0, :, 0], atol=1e-9, rtol=0)
    assert all(x.isfinite().all() for x in ours)


def test_silent_windows_are_nan_for_every_source():
    references, estimates = noise(3, 2, 4 * RATE), noise(3, 2, 4 * RATE, seed=2)
    references[1, :, :RATE] = 0  # a silent stem in the first window
    estimates[2, :, 2 * RATE : 3 * RATE] = 0  # a silent estimate in the third
    ours = bss_eval(references, estimates, RATE, filter_length=64)
    assert ours.sdr.isnan().all(dim=0).tolist() == [True, False, True, False]
    assert_agree(ours, by_museval(references, estimates, RATE, RATE, filters_len=64))


def test_channels_that_cancel_count_as_silent_as_in_museval():
    references, estimates = noise(2, 2, 2 * RATE), noise(2, 2, 2 * RATE, seed=2)
    references[0, 1, :RATE] = -references[0, 0, :RATE]
    ours = bss_eval(references, estimates, RATE, filter_length=64)
    assert ours.sdr.isnan().all(dim=0).tolist() == [True, False]
    assert_agree(ours, by_museval(references, estimates, RATE, RATE, filters_len=64))


def test_a_stem_silent_throughout_leaves_nothing_to_measure():
    references, estimates = noise(2, 2, 2 * RATE), noise(2, 2, 2 * RATE, seed=2)
    references[0] = 0
    for ratio in bss_eval(references, estimates, RATE):
        assert ratio.shape == (2, 2)
        assert ratio.isnan().all()


def test_a_silent_channel_is_no_obstacle():
    references, estimates = noise(2, 2, 2 * RATE), noise(2, 2, 2 * RATE, seed=2)
    references[0, 1] = 0  # panned hard to the left
    ours = bss_eval(references, estimates, RATE, filter_length=64)
    assert all(ratio.isfinite().all() for ratio in ours)


def real_stems(sample_rate: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three seconds of stempeg's excerpt and their estimates by ideal ratio masks, (s, c, t)."""
    audio, rate = stempeg.read_stems(stempeg.example_stem_path())
    audio = audio[:, rate : 4 * rate]
    stems = (
        resample_poly(audio[1:], sample_rate, rate, axis=1) if sample_rate != rate else audio[1:]
    )
    stems = torch.from_numpy(np.ascontiguousarray(stems.swapaxes(1, 2))).float()
    window = torch.hann_window(2048)
    flat = stems.flatten(0, 1)
    spectra = torch.stft(flat, 2048, 512, window=window, return_complex=True)
    spectra = spectra.unflatten(0, stems.shape[:2])
    share = spectra.abs() / (spectra.abs().sum(dim=0) + 1e-9)
    masked = (share * spectra.sum(dim=0)).flatten(0, 1)
    estimates = torch.istft(masked, 2048, 512, window=window, length=stems.shape[-1])
    return stems, estimates.unflatten(0, stems.shape[:2])


def test_agrees_on_real_music_at_the_bench_rate():
    # Vocals and accompaniment: museval takes eight times as long for twice as many stems.
    pairs = (torch.stack([stems[3], stems[:3].sum(dim=0)]) for stems in real_stems(22050))
    references, estimates = pairs
    ours = bss_eval(references, estimates, 22050)
    assert_agree(ours, by_museval(references, estimates, 22050, 22050))


def test_agrees_on_real_music_at_its_own_rate():
    references, estimates = real_stems(44100)
    ours = bss_eval(references, estimates, 44100)
    theirs = by_museval(references, estimates, 44100, 44100)
    # Almost no energy is above 16 kHz in the excerpt, so the equations are so ill-conditioned that
    # museval's own window values move by 0.02 dB with the order in which a library adds numbers up;
    # the number that is reported, the median over windows, agrees.
    medians = [BSSEval(*(x.quantile(0.5, dim=1) for x in ratios)) for ratios in (ours, theirs)]
    assert_agree(*medians)
    assert_agree(ours, theirs, tolerance=0.05)


def test_perfect_and_scaled_estimates():
    references = noise(2, 2, 2 * RATE)
    perfect = bss_eval(references, references, RATE, filter_length=64)
    assert all(bool((ratio > 150).all()) for ratio in perfect)
    half = bss_eval(references, 0.5 * references, RATE, filter_length=64)
    # Half the amplitude: the error is as loud as the estimate. All of it is filtering, no artifact.
    torch.testing.assert_close(half.sdr, torch.full_like(half.sdr, 6.0206), atol=1e-3, rtol=0)
    torch.testing.assert_close(half.isr, half.sdr, atol=1e-6, rtol=0)
    assert bool((half.sir > 150).all()) and bool((half.sar > 150).all())


def test_wrong_shapes_and_windows_are_refused():
    references = noise(2, 2, RATE)
    with pytest.raises(ValueError, match="must both be"):
        bss_eval(references, references[:1], RATE)
    with pytest.raises(ValueError, match="must both be"):
        bss_eval(references[0], references[0], RATE)
    with pytest.raises(ValueError, match="window and hop"):
        bss_eval(references, references, RATE, window=0.0)
