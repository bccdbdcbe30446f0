"""Masks against their definitions, on numbers small enough to check by hand."""

import torch

from common.signal.masks import (
    apply_mask,
    complex_mask,
    ideal_binary_mask,
    ideal_ratio_mask,
    phase_sensitive_mask,
    wiener_mask,
)


def spectra(*values):
    """One bin: source values → (s, 1, 1, 1)."""
    return torch.tensor(values, dtype=torch.complex64)[:, None, None, None]


def random_spectra(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 4, 2, 9, 7, dtype=torch.complex64, generator=generator)


def flat(mask):
    return mask.flatten().tolist()


def test_by_hand():
    sources = spectra(3.0, 1.0)
    assert flat(ideal_binary_mask(sources)) == [1.0, 0.0]
    assert torch.allclose(ideal_ratio_mask(sources).flatten(), torch.tensor([0.75, 0.25]))
    assert torch.allclose(wiener_mask(sources).flatten(), torch.tensor([0.9, 0.1]))


def test_ratio_masks_stand_large_powers():
    for level in (1e3, 1e-3):
        masks = ideal_ratio_mask(level * spectra(1.0, 0.9, 0.0), power=30.0).flatten()
        wanted = torch.tensor([1.0, 0.9, 0.0]) ** 30
        torch.testing.assert_close(masks, wanted / wanted.sum())


def test_phase_sensitive_is_the_projection():
    sources = spectra(1.0, 1.0j)  # at a right angle, equally loud
    assert torch.allclose(phase_sensitive_mask(sources).flatten(), torch.tensor([0.5, 0.5]))
    opposed = spectra(2.0, -1.0)
    raw = phase_sensitive_mask(opposed, truncate=False)
    assert torch.allclose(raw.flatten(), torch.tensor([2.0, -1.0]))
    assert flat(phase_sensitive_mask(opposed)) == [1.0, 0.0]


def test_phase_sensitive_beats_every_other_real_mask():
    sources = random_spectra()
    mixture = sources.sum(dim=1)

    def error(masks):
        return (apply_mask(masks, mixture) - sources).abs().square().sum()

    best = error(phase_sensitive_mask(sources, truncate=False))
    for mask in (ideal_binary_mask, ideal_ratio_mask, wiener_mask, phase_sensitive_mask):
        assert best < error(mask(sources))


def test_sums_and_ranges():
    sources = random_spectra(1)
    for mask in (ideal_binary_mask, ideal_ratio_mask, wiener_mask):
        masks = mask(sources)
        assert masks.shape == sources.shape
        assert ((masks >= 0) & (masks <= 1)).all()
        torch.testing.assert_close(masks.sum(dim=1), torch.ones(2, 2, 9, 7))


def test_complex_mask_is_exact():
    sources = random_spectra(2)
    estimates = apply_mask(complex_mask(sources), sources.sum(dim=1))
    torch.testing.assert_close(estimates, sources, atol=1e-4, rtol=1e-4)


def test_silence_gives_numbers():
    sources = torch.zeros(4, 2, 5, 5, dtype=torch.complex64)
    for mask in (
        ideal_binary_mask, ideal_ratio_mask, wiener_mask, phase_sensitive_mask, complex_mask
    ):
        assert torch.isfinite(torch.view_as_real(mask(sources) + 0j)).all()
