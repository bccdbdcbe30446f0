"""The classical methods on constructed sounds, and in comparison with other libraries."""

from types import SimpleNamespace

import librosa
import numpy as np
import pytest
import torch
from sklearn.decomposition import FastICA, non_negative_factorization

from common import SAMPLE_RATE, SOURCES
from common.classical.background import BackgroundSeparator
from common.classical.hpss import HPSS, harmonic_percussive_masks, smooth_along
from common.classical.ica import fast_ica, whiten
from common.classical.nmf import (
    FLOOR,
    SupervisedNMF,
    beta_divergence,
    nmf,
    sounding_frames,
    trained_nmf,
    update_activations,
)
from common.classical.repetition import (
    FT2D,
    Repet,
    RepetSim,
    beat_spectrum,
    frame_similarity,
    most_similar,
    peaks_of,
    repeating_period,
    share,
)
from common.classical.rpca import RPCA, robust_pca
from common.classical.table import METHODS
from common.data.tracks import Track
from common.evaluation import sdr, si_sdr
from common.signal.stft import STFT
from common.support.nussl_compat import nussl

PRIMITIVE = nussl.separation.primitive


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def looped(period=20, n_frames=190, n_bins=40, seed=0):
    """A spectrogram that repeats itself exactly, (1, f, n)."""
    bar = noise(1, n_bins, period, seed=seed) ** 2
    return bar.repeat(1, 1, -(-n_frames // period))[..., :n_frames]


def singer(n_frames=190, n_bins=40, seed=1):
    """A few loud bins, (1, f, n)."""
    chance = noise(1, n_bins, n_frames, seed=seed)
    return torch.where(chance > 0.95, chance, torch.zeros(()))


# --- repetition


def test_beat_spectrum_peaks_at_the_period_and_is_nussls():
    power = looped()[0].square()
    beats = beat_spectrum(power)
    assert beats[0] == 1 and repeating_period(beats, 5, 60) in (20, 40, 60)
    torch.testing.assert_close(beats[20], torch.tensor(1.0), atol=0.05, rtol=0)
    theirs = PRIMITIVE.Repet.compute_beat_spectrum(power.numpy().T)
    np.testing.assert_allclose(beats, theirs / theirs[0], rtol=1e-4)


def test_a_period_is_heard_three_times():
    beats = torch.linspace(0, 1, 30)
    assert repeating_period(beats, 2, 100) == 10
    assert repeating_period(beats[:2], 2, 100) == 1


def test_repet_masks_what_repeats_and_agrees_with_nussl():
    background, voice = looped(), singer()
    mixture = background + voice
    mask = Repet(shortest=5, longest=60)(mixture)
    ideal = background / mixture
    assert (mask - ideal).abs().mean() < 0.02
    reference = object.__new__(PRIMITIVE.Repet)
    reference.repeating_period = repeating_period(beat_spectrum(mixture[0].square()), 5, 60)
    theirs = reference._compute_repeating_mask(mixture[0].numpy())
    heard = mixture[0] > 1e-3  # in silence nussl assigns everything to the background
    np.testing.assert_allclose(mask[0][heard], theirs[heard], atol=1e-4)


def test_similarity_is_a_cosine_and_nussls():
    magnitude = noise(30, 50)
    similarity = frame_similarity(magnitude)
    theirs = PRIMITIVE.RepetSim.compute_similarity_matrix(magnitude.numpy().T)
    np.testing.assert_allclose(similarity, theirs, atol=1e-5)
    assert frame_similarity(torch.zeros(4, 3)).isfinite().all()


def test_similar_frames_are_peaks_that_keep_their_distance():
    row = torch.tensor([0.1, 0.9, 0.8, 0.2, 0.7, 0.1, 1.0, 0.3])
    assert most_similar(row, 1, 10).tolist() == [6, 1, 4]
    assert most_similar(row, 1, 2).tolist() == [6, 1]
    assert most_similar(row, 7, 10).tolist() == [6]


def test_repet_sim_needs_no_fixed_period():
    """One sound, repeated after rests of different lengths."""
    sound, rest = noise(1, 40, 6, seed=3) ** 2, noise(1, 40, 30, seed=4) ** 2
    gaps = (5, 17, 9, 30, 12, 22, 7, 26)
    background = torch.cat([part for g in gaps for part in (sound, rest[..., :g])], dim=-1)
    mixture = background + singer(background.shape[-1])
    method = RepetSim(n_most=5, distance=2)
    mask, ideal = method(mixture), background / mixture
    assert (mask - ideal).abs().mean() < 0.5 * (1 - ideal).mean()

    reference = object.__new__(PRIMITIVE.RepetSim)
    reference._audio_signal = SimpleNamespace(stft_length=mixture.shape[-1])
    rows = frame_similarity(mixture[0])
    reference.similarity_indices = [most_similar(row, 2, 5).tolist() for row in rows]
    theirs = reference._compute_mask(mixture[0].numpy())
    heard = mixture[0] > 1e-3
    np.testing.assert_allclose(mask[0][heard], theirs[heard], atol=1e-4)


def test_peaks_of_a_plane_wave():
    frames, bins = torch.arange(64), torch.arange(48)
    wave = torch.cos(2 * torch.pi * (5 * frames / 64 + 3 * bins[:, None] / 48))
    peaks = peaks_of(torch.fft.fft2(wave), (1, 25))
    assert peaks[3, 5] > 0.9 and peaks[-3, -5] > 0.9
    peaks[3, 5] = peaks[-3, -5] = 0
    assert peaks.max() < 0.9


def test_ft2d_prefers_what_repeats():
    background, voice = looped(), singer()
    mask = FT2D()(background + voice)
    assert mask.min() >= 0 and mask.max() <= 1
    kept = (mask * background).sum() / background.sum()
    leaked = (mask * voice).sum() / voice.sum()
    assert kept > 1.5 * leaked


# --- harmonic and percussive


@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_hpss_masks_are_librosas(margin):
    magnitude = noise(2, 60, 80) ** 3 + 0.01
    ours = harmonic_percussive_masks(magnitude, 17, margin)
    theirs = librosa.decompose.hpss(magnitude.numpy(), kernel_size=17, mask=True, margin=margin)
    for mask, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mask, reference, atol=1e-4)


def test_a_horizontal_line_is_harmonic_and_a_vertical_one_percussive():
    magnitude = torch.full((64, 64), 1e-3)
    magnitude[20], magnitude[:, 40] = 1.0, 1.0
    harmonic, percussive = harmonic_percussive_masks(magnitude, 17)
    assert harmonic[20, 10] > 0.99 and percussive[50, 40] > 0.99
    harmonic, percussive = harmonic_percussive_masks(magnitude, 17, margin=3.0)
    assert harmonic[20, 40] + percussive[20, 40] < 0.5, "a crossing belongs to neither part"


# --- robust PCA


def test_robust_pca_takes_low_rank_and_sparse_apart_and_agrees_with_nussl():
    low_rank = noise(60, 2) @ noise(2, 50, seed=1)
    sparse = singer(50, 60)[0]
    found, rest = robust_pca(low_rank + sparse, tolerance=1e-5)
    torch.testing.assert_close(found, low_rank, atol=0.02, rtol=0)
    torch.testing.assert_close(found + rest, low_rank + sparse, atol=1e-3, rtol=0)
    reference = object.__new__(
        PRIMITIVE.RPCA if hasattr(PRIMITIVE, "RPCA") else nussl.separation.factorization.RPCA
    )
    reference.epsilon, reference.num_iterations = 1e-7, 100
    theirs, _ = reference.decompose((low_rank + sparse).double().numpy())
    np.testing.assert_allclose(found, theirs, atol=1e-3)


def test_rpca_masks_the_loop_and_not_the_singer():
    loop, voice = looped(), 2 * singer()
    mask = RPCA()(loop + voice)
    assert mask.min() >= 0 and mask.max() <= 1
    sung = voice > 1
    assert mask[sung].mean() < 0.5 < mask[~sung].mean()
    both = torch.cat([loop, voice])  # two channels share one mask
    torch.testing.assert_close(RPCA()(both)[0], RPCA()(both)[1])
    assert RPCA()(torch.zeros(1, 9, 9)).isfinite().all()


# --- factorization

LOSS = {2: "frobenius", 1: "kullback-leibler", 0: "itakura-saito"}


@pytest.mark.parametrize("beta", LOSS)
def test_every_step_of_nmf_lowers_the_divergence(beta):
    data = noise(30, 5) @ noise(5, 40, seed=1)
    _, _, losses = nmf(data, 6, beta, n_iter=60)
    assert all(b <= a * (1 + 1e-5) + 1e-6 for a, b in zip(losses, losses[1:], strict=False))
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("beta", [2, 1])
def test_activations_are_scikit_learns(beta):
    data, templates = noise(30, 40) + 0.1, noise(30, 6, seed=1)
    activations = torch.full((6, 40), float(data.mean() / 6) ** 0.5)  # where scikit-learn starts
    for _ in range(5):
        activations = update_activations(data, templates, activations, beta)
    theirs, _, _ = non_negative_factorization(
        data.T.double().numpy(), H=templates.T.double().numpy(), n_components=6, init=None,
        update_H=False, solver="mu", beta_loss=LOSS[beta], max_iter=5, tol=0,
    )  # fmt: skip
    np.testing.assert_allclose(activations, theirs.T, rtol=1e-4)


def test_both_factors_are_scikit_learns():
    """From the same start, with the Kullback-Leibler divergence."""
    data = noise(30, 40)
    templates, activations, _ = nmf(data, 4, n_iter=0)
    theirs, their_templates, _ = non_negative_factorization(
        data.T.numpy() + FLOOR, W=activations.T.numpy().copy(), H=templates.T.numpy().copy(),
        n_components=4, init="custom", solver="mu", beta_loss=LOSS[1], max_iter=50, tol=0,
    )  # fmt: skip
    templates, activations, _ = nmf(data, 4, n_iter=50)
    np.testing.assert_allclose(templates @ activations, (theirs @ their_templates).T, atol=1e-3)


def test_divergences_are_zero_only_for_the_data_and_refuse_other_betas():
    data = noise(4, 4) + 0.1
    for beta in LOSS:
        assert beta_divergence(data, data, beta).abs() < 1e-5
        assert beta_divergence(data, 2 * data, beta) > 0.1
    with pytest.raises(ValueError, match="beta"):
        beta_divergence(data, data, 3)


def test_nmf_gives_templates_of_unit_sum_and_fits():
    data = noise(30, 3) @ noise(3, 40, seed=1)
    templates, activations, _ = nmf(data, 3, n_iter=500)
    torch.testing.assert_close(templates.sum(dim=0), torch.ones(3))
    assert (templates @ activations - data).abs().max() < 0.1 * data.max()
    again = nmf(data, 3, n_iter=500)[0]
    assert torch.equal(templates, again)


def test_supervised_nmf_separates_what_its_dictionaries_model():
    """Two sources of disjoint bins: the masks are nearly perfect."""
    stft = STFT(256, 64)
    t = torch.arange(8000) / 8000
    low, high = torch.sin(2 * torch.pi * 400 * t), torch.sin(2 * torch.pi * 2000 * t)
    sources = 0.3 * torch.stack([low, high])[:, None].repeat(1, 2, 1)
    dictionaries = torch.stack([nmf(stft(s[0]).abs(), 2)[0] for s in sources])
    separator = SupervisedNMF(dictionaries, stft=stft, sources=("low", "high"))
    stems = separator(sources.sum(dim=0)[None])[0]
    assert sdr(sources, stems).min() > 20
    torch.testing.assert_close(stems.sum(dim=0), sources.sum(dim=0), atol=1e-4, rtol=0)


def test_sounding_frames_are_loud_ones_and_tracks_count_alike():
    audio = 0.2 * (noise(4, 2, 40000) - 0.5)
    audio[..., 20000:] = 0
    quiet = Track("quiet", 0.01 * audio, SAMPLE_RATE)
    loud = Track("loud", audio, SAMPLE_RATE)
    frames = sounding_frames([loud, quiet], "bass", STFT(), n_each=10)
    assert frames.shape == (STFT().n_bins, 20)
    torch.testing.assert_close(frames[:, :10].mean(), frames[:, 10:].mean())
    assert frames.sum(dim=0).min() > 0.1 * frames.sum(dim=0).max()
    again = sounding_frames([loud, quiet], "bass", STFT(), n_each=10)
    assert torch.equal(frames, again)


def test_committed_dictionaries_hold_templates_of_every_stem():
    separator = trained_nmf()
    assert separator.sources == SOURCES
    assert separator.dictionaries.shape == (4, separator.stft.n_bins, 32)
    assert separator.dictionaries.min() >= 0
    sums = separator.dictionaries.sum(dim=1)
    torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-2, rtol=0)
    centre = (torch.arange(separator.stft.n_bins)[:, None] * separator.dictionaries).sum(dim=1)
    drums, bass, *_ = centre.median(dim=1).values
    assert bass < 0.5 * drums


# --- independence


def two_voices(n_samples=20000):
    """Two signals that are rarely loud, (2, t)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, n_samples, generator=generator, dtype=torch.float64) ** 3


def test_whitened_mixtures_are_uncorrelated_and_equally_loud():
    mixtures = torch.tensor([[1.0, 0.7], [0.5, 1.0]]).double() @ two_voices() + 3
    white, matrix = whiten(mixtures)
    torch.testing.assert_close(white @ white.T / white.shape[1], torch.eye(2).double())
    centred = mixtures - mixtures.mean(dim=1, keepdim=True)
    torch.testing.assert_close(matrix @ centred, white)


def test_fast_ica_unmixes_and_agrees_with_scikit_learn():
    voices = two_voices()
    mixtures = torch.tensor([[1.0, 0.7], [0.5, 1.0]]).double() @ voices
    found, unmixing = fast_ica(mixtures)
    ratios = [max(si_sdr(v[None], f[None]) for f in found) for v in voices]
    assert min(ratios) > 25
    centred = mixtures - mixtures.mean(dim=1, keepdim=True)
    torch.testing.assert_close(unmixing @ centred, found)
    theirs = FastICA(2, whiten="unit-variance", random_state=1, tol=1e-8)
    reference = theirs.fit_transform(mixtures.T.numpy()).T
    agreement = np.abs(np.corrcoef(found, reference)[:2, 2:])
    np.testing.assert_allclose(agreement.max(axis=1), 1, atol=1e-6)


def test_ica_needs_as_many_microphones_as_sources():
    voices = two_voices()
    with pytest.raises(ValueError, match="there are fewer signals than channels"):
        fast_ica(voices.sum(dim=0).repeat(2, 1))
    with pytest.raises(ValueError, match="fewer signals"):
        whiten(torch.zeros(2, 100))


# --- all


@pytest.mark.parametrize("name", METHODS)
def test_stems_have_the_shape_of_separators_and_add_up(name):
    separator = METHODS[name]()
    assert separator.sample_rate == SAMPLE_RATE and separator.segment > 1
    for n_samples in (1, 30000):
        mixture = 0.1 * (noise(2, 2, n_samples) - 0.5)
        stems = separator(mixture)
        assert stems.shape == (2, len(separator.sources), 2, n_samples)
        torch.testing.assert_close(stems.sum(dim=1), mixture, atol=1e-5, rtol=0)
    silence = separator(torch.zeros(1, 2, 30000))
    assert silence.abs().max() == 0


def test_the_median_filter_mirrors_even_what_is_much_shorter_than_it():
    magnitude = noise(2, 2, 1025, 2)
    for axis in (-1, -2):
        beyond = [(0, 0)] * 4
        beyond[axis] = (15, 15)
        mirrored = np.pad(magnitude.numpy(), beyond, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(mirrored, 31, axis)
        np.testing.assert_array_equal(smooth_along(magnitude, 31, axis), np.median(windows, -1))


def test_all_that_lies_below_the_cutoff_is_background():
    """A tone of 96.9 Hz, the middle of bin 9, is below 100 Hz, and one of bin 10 is not."""
    separator = BackgroundSeparator(torch.zeros_like)
    time = torch.arange(3 * SAMPLE_RATE)
    for cycles, at_home in ((9, 1), (10, 0)):
        tone = 0.1 * torch.sin(2 * torch.pi * cycles / 2048 * time).expand(1, 2, -1)
        energy = separator(tone)[0].square().sum(dim=(1, 2))
        assert energy.argmax() == at_home


def test_share_of_silence_is_nothing():
    assert share(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)).abs().max() == 0
    assert HPSS().sources == ("drums", "no_drums")
