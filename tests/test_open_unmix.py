"""Open-Unmix and its Wiener filter: the published implementation's numbers, and what they are for.

The fixture is made by tests/reference/make_fixtures.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from common.evaluation import sdr
from common.masks import apply_mask
from common.models.open_unmix import OpenUnmix
from common.models.unet import PerSource
from common.separation import WienerSeparator
from common.stft import STFT
from common.wiener import expectation_maximization, wiener_filter

FIXTURE = Path(__file__).parent / "reference" / "open_unmix.safetensors"
SIZES = {"n_bins": 65, "max_bin": 50, "hidden_size": 16}


@pytest.fixture(scope="module")
def reference() -> dict[str, torch.Tensor]:
    return load_file(FIXTURE)


def net(reference: dict[str, torch.Tensor], name: str) -> OpenUnmix:
    """Our net with the reference's weights, every one of them."""
    made = OpenUnmix(**SIZES)
    weights = {k.split(".", 1)[1]: x for k, x in reference.items() if k.startswith(f"{name}.")}
    made.load_state_dict(weights)
    return made.eval()


def assert_agrees(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Within 1e-5 of the peak."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_the_fixture_says_what_made_it():
    with safe_open(FIXTURE, framework="pt") as file:
        about = file.metadata()
    assert about["package"] == "openunmix" and about["version"] == "1.3.0"


@torch.no_grad()
def test_net_with_the_references_weights_gives_its_output(reference):
    magnitude = reference["magnitude"]
    mask = net(reference, "vocals")(magnitude)
    assert mask.shape == (2, 1, 2, 65, 20) and mask.min() >= 0
    assert_agrees(apply_mask(mask, magnitude)[:, 0], reference["masked"])


@pytest.mark.parametrize("n_iter", [1, 2])
def test_wiener_filter_is_the_references(reference, n_iter):
    mixture = torch.view_as_complex(reference["wiener.mixture"]).permute(2, 1, 0)
    magnitudes = reference["wiener.magnitudes"].permute(3, 2, 1, 0)
    ours = wiener_filter(magnitudes, mixture.contiguous(), n_iter)
    theirs = reference[f"wiener.{n_iter}"].permute(4, 2, 1, 0, 3).contiguous()
    # The reference writes 1 into a mixture's silent bins before it filters them; ours stay silent.
    (silent,) = (mixture.abs().sum(dim=0) == 0).nonzero()
    assert ours[:, :, *silent].abs().max() == 0
    other = torch.arange(65) != silent[0]
    assert_agrees(torch.view_as_real(ours)[:, :, other], theirs[:, :, other])


def test_whole_separator_is_the_references(reference):
    nets = PerSource({name: net(reference, name) for name in ("vocals", "drums")})
    stft = STFT(128, 32, pad_mode="reflect")
    separator = WienerSeparator(nets, stft, ("vocals", "drums"), n_frames=50).eval()
    assert_agrees(separator(reference["audio"]), reference["separated"])


def test_published_size_has_the_published_number_of_parameters():
    assert sum(x.numel() for x in OpenUnmix().parameters()) == 8_893_348


def test_wiener_filter_gives_mixture_phase_without_iterations_and_nothing_for_silence():
    mixture = torch.randn(2, 9, 7, dtype=torch.complex64)
    magnitudes = torch.rand(3, 2, 9, 7)
    plain = wiener_filter(magnitudes, mixture, n_iter=0)
    torch.testing.assert_close(plain.abs(), magnitudes)
    torch.testing.assert_close(plain.angle(), mixture.angle().expand(3, 2, 9, 7))
    silent = wiener_filter(0 * magnitudes, 0 * mixture)
    assert silent.abs().max() == 0 and silent.isfinite().all()


def test_blocks_are_filtered_by_themselves():
    mixture = torch.randn(2, 5, 12, dtype=torch.complex64)
    magnitudes = torch.rand(2, 2, 5, 12)
    whole = wiener_filter(magnitudes, mixture, n_frames=6)
    for part in (slice(0, 6), slice(6, 12)):
        alone = wiener_filter(magnitudes[..., part], mixture[..., part])
        torch.testing.assert_close(whole[..., part], alone)


def test_places_improve_estimates_that_share_one_magnitude():
    """Two sources at different places whose magnitudes are known up to a blur."""
    rng = np.random.default_rng(0)
    mono = rng.standard_normal((2, 1, 33, 200)) + 1j * rng.standard_normal((2, 1, 33, 200))
    mono = torch.from_numpy(mono * rng.random((2, 1, 33, 200)) ** 4)
    places = torch.tensor([[0.9, 0.3], [0.3, 0.9]]).double()[:, :, None, None]
    sources = places * mono
    mixture = sources.sum(dim=0)
    magnitudes = sources.abs() + 0.3 * mixture.abs()
    plain = wiener_filter(magnitudes, mixture, n_iter=0)
    filtered = wiener_filter(magnitudes, mixture, n_iter=1)
    parts = [torch.view_as_real(x).flatten(2) for x in (sources, plain, filtered)]
    before, after = (sdr(parts[0], x).mean() for x in parts[1:])
    assert after > before + 3
    again = expectation_maximization(sources, mixture, n_iter=3)
    assert (
        torch.view_as_real(again - sources).square().mean() < 0.05 * sources.abs().square().mean()
    )
