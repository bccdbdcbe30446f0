"""Tests of every feature of nussl with which this book compares its own methods.

nussl's last release is older than the versions of scipy, NumPy and torch that are used here. If a
new version of one of them breaks a feature, a test in this file shows which one.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common import SAMPLE_RATE
from common.support.nussl_compat import nussl

SEPARATION = nussl.separation
PRIMITIVE, SPATIAL = SEPARATION.primitive, SEPARATION.spatial
LENGTH = 3 * SAMPLE_RATE


def two_sources() -> list[nussl.AudioSignal]:
    """A loop of clicks on the left, and a gliding tone on the right, `(c, t)` each."""
    rng = np.random.default_rng(0)
    t = np.arange(LENGTH) / SAMPLE_RATE
    click = rng.standard_normal(LENGTH) * np.exp(-(t % 0.25) / 0.02)
    glide = np.sin(2 * np.pi * (400 * t + 60 * t**2)) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * t))
    left, right = np.array([[0.9], [0.3]]), np.array([[0.3], [0.9]])
    places = (0.2 * left * click, 0.2 * right * glide)
    return [nussl.AudioSignal(audio_data_array=audio, sample_rate=SAMPLE_RATE) for audio in places]


@pytest.fixture(scope="module")
def sources() -> list[nussl.AudioSignal]:
    return two_sources()


@pytest.fixture
def mixture(sources) -> nussl.AudioSignal:
    return sum(sources[1:], sources[0])


def audio(signals: list[nussl.AudioSignal]) -> np.ndarray:
    """All signals as one array, (s, c, t)."""
    return np.stack([signal.audio_data for signal in signals])


def test_a_signal_goes_to_its_spectrum_and_back(mixture):
    before = mixture.audio_data.copy()
    spectrum = mixture.stft()
    assert spectrum.shape[-1] == 2 and np.abs(spectrum).max() > 0
    mixture.istft()
    np.testing.assert_allclose(mixture.audio_data, before, atol=1e-6)


METHODS = {
    "HPSS": lambda x: PRIMITIVE.HPSS(x),
    "REPET": lambda x: PRIMITIVE.Repet(x),
    "REPET-SIM": lambda x: PRIMITIVE.RepetSim(x),
    "FT2D": lambda x: PRIMITIVE.FT2D(x),
    "RPCA": lambda x: SEPARATION.factorization.RPCA(x, num_iterations=10),
    "DUET": lambda x: SPATIAL.Duet(x, num_sources=2),
    # Without delays, of which our sources have none: sixteen times less to compute.
    "PROJET": lambda x: SPATIAL.Projet(
        x, 2, maximum_delay_in_samples=0, location_set_delay=1, projection_set_delay=1
    ),
    "spatial clustering": lambda x: SPATIAL.SpatialClustering(x, num_sources=2),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_two_stems_that_nearly_add_up(name, mixture):
    estimates = audio(METHODS[name](mixture)())
    assert estimates.shape == (2, 2, LENGTH)
    assert np.isfinite(estimates).all() and np.abs(estimates).max() > 0.01
    error = np.square(estimates.sum(axis=0) - mixture.audio_data).sum()
    assert error < 0.1 * np.square(mixture.audio_data).sum()


@pytest.mark.parametrize("name", ["DUET", "PROJET", "spatial clustering"])
def test_places_tell_two_sources_apart(name, mixture, sources):
    estimates, true = audio(METHODS[name](mixture)()), audio(sources)
    for source in true:
        found = max(np.corrcoef(source.ravel(), e.ravel())[0, 1] for e in estimates)
        assert found > 0.8, f"{name} did not find a source"


def test_ica_unmixes_as_many_microphones_as_sources(sources):
    voices = audio(sources).sum(axis=1)
    heard = np.array([[1.0, 0.6], [0.5, 1.0]]) @ voices
    signals = [
        nussl.AudioSignal(audio_data_array=row[None], sample_rate=SAMPLE_RATE) for row in heard
    ]
    np.random.seed(0)
    found = audio(SEPARATION.factorization.ICA(signals)()).mean(axis=1)
    agreement = np.abs(np.corrcoef(voices, found)[:2, 2:])
    assert agreement.max(axis=1).min() > 0.99


@pytest.mark.parametrize("name", ["IdealBinaryMask", "IdealRatioMask", "WienerFilter"])
def test_masks_that_know_the_answer(name, mixture, sources):
    true = audio(sources)
    estimates = audio(getattr(SEPARATION.benchmark, name)(mixture, sources)())
    for source, estimate in zip(true, estimates, strict=True):
        assert np.square(source - estimate).sum() < 0.1 * np.square(source).sum()


def test_bss_eval_and_si_sdr_of_a_perfect_and_of_a_swapped_estimate(sources):
    evaluator = nussl.evaluation.BSSEvalScale(sources, sources)
    perfect = evaluator.evaluate()["source_0"]["SI-SDR"]
    swapped = nussl.evaluation.BSSEvalScale(sources, sources[::-1]).evaluate()
    assert np.min(perfect) > 60 > 0 > np.max(swapped["source_0"]["SI-SDR"])


def test_the_blocks_of_nets_take_a_spectrogram():
    n_bins = 65
    config = nussl.ml.networks.builders.build_recurrent_mask_inference(
        n_bins, 8, 1, True, 0.0, 2, ["sigmoid"], num_audio_channels=1
    )
    net = nussl.ml.SeparationModel(config)
    masks = net({"mix_magnitude": torch.rand(2, 20, n_bins, 1)})["mask"]
    assert masks.shape == (2, 20, n_bins, 1, 2)
    assert 0 <= masks.min() and masks.max() <= 1


def test_deep_clustering_and_chimera_are_built():
    builders, rows = nussl.ml.networks.builders, torch.rand(2, 20, 65, 1)
    sizes = (65, 8, 1, True, 0.0, 5)
    clustering = builders.build_recurrent_dpcl(*sizes, ["sigmoid", "unit_norm"])
    embedding = nussl.ml.SeparationModel(clustering)({"mix_magnitude": rows})["embedding"]
    assert embedding.shape == (2, 20, 65, 1, 5)
    heads = (["sigmoid", "unit_norm"], ["softmax"])
    chimera = builders.build_recurrent_chimera(*sizes, heads[0], 2, heads[1])
    both = nussl.ml.SeparationModel(chimera)({"mix_magnitude": rows})
    assert {"embedding", "mask"} <= set(both)


def test_losses_for_clustering_and_masks():
    loss = nussl.ml.train.loss.DeepClusteringLoss()
    embedding = torch.nn.functional.normalize(torch.rand(1, 6, 5, 1, 4), dim=-1)
    assignments = torch.eye(2)[torch.randint(0, 2, (1, 6, 5, 1))]
    found = loss(embedding, assignments, torch.ones(1, 6, 5, 1))
    assert torch.isfinite(found) and found >= 0
