"""Open-Unmix and its Wiener filter: compared with the published implementation, and their effect.

The fixture is made by tests/reference/make_fixtures.py.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from common.evaluation import sdr
from common.experiments import wiener
from common.experiments.open_unmix import (
    SEEDS,
    SIZE,
    VARIANTS,
    Ablated,
    OneSided,
)
from common.experiments.resumable import RESULTS
from common.models.open_unmix import OpenUnmix, input_statistics, scale_input
from common.models.unet import PerSource
from common.separation import WienerSeparator
from common.signal.masks import apply_mask, wiener_mask
from common.signal.stft import STFT
from common.signal.wiener import expectation_maximization, solve_hermitian, wiener_filter
from common.songs.dataset import GENERATOR_VERSION

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


def test_a_single_target_shares_the_mixture_with_the_rest(reference):
    nets = PerSource({"vocals": net(reference, "vocals")})
    stft = STFT(128, 32, pad_mode="reflect")
    separator = WienerSeparator(nets, stft, ("vocals",), n_frames=50, rest=True).eval()
    assert_agrees(separator(reference["audio"]), reference["alone"])


def test_published_sizes_have_the_published_numbers_of_parameters():
    assert sum(x.numel() for x in OpenUnmix().parameters()) == 8_893_348
    with torch.device("meta"):
        large = OpenUnmix(hidden_size=1024)
    assert sum(x.numel() for x in large.parameters()) == 28_257_188


def test_input_is_scaled_to_mean_zero_and_deviation_one_bin_by_bin():
    stft = STFT(64, 16)
    generator = torch.Generator().manual_seed(0)
    loudness = torch.linspace(0.01, 1.0, 64)
    excerpts = [
        (level * torch.randn(2, 800, generator=generator).cumsum(-1), None) for level in loudness
    ]
    mean, std = input_statistics(excerpts, stft, n_excerpts=64)
    assert mean.shape == std.shape == (33,)
    assert mean[0] > 3 * mean[20]  # a random walk is louder below
    nets = PerSource({name: OpenUnmix(33, 30, hidden_size=8, n_layers=1) for name in "ab"})
    scale_input(nets, excerpts * 4, stft)
    for net in nets.nets.values():
        magnitude = torch.stack([stft(audio).abs() for audio, _ in excerpts])[:, :, :30]
        seen = (magnitude + net.input_mean[:, None]) * net.input_scale[:, None]
        seen = seen.detach().transpose(0, 2).flatten(1)
        torch.testing.assert_close(seen.mean(1), torch.zeros(30), atol=0.02, rtol=0)
        torch.testing.assert_close(seen.std(1), torch.ones(30), atol=0.02, rtol=0)
        assert net.input_mean.requires_grad and net.output_mean.eq(1).all()


def test_a_bin_that_never_sounds_is_not_divided_by_zero():
    excerpts = [(torch.ones(2, 800), None)] * 2
    _, std = input_statistics(excerpts, STFT(64, 16), n_excerpts=2)
    assert std.min() > 0 and std.min() >= 0.99e-4 * std.max()


def test_wiener_filter_gives_mixture_phase_without_iterations_and_nothing_for_silence():
    mixture = torch.randn(2, 9, 7, dtype=torch.complex64)
    magnitudes = torch.rand(3, 2, 9, 7)
    plain = wiener_filter(magnitudes, mixture, n_iter=0)
    torch.testing.assert_close(plain.abs(), magnitudes)
    torch.testing.assert_close(plain.angle(), mixture.angle().expand(3, 2, 9, 7))
    silent = wiener_filter(0 * magnitudes, 0 * mixture)
    assert silent.abs().max() == 0 and silent.isfinite().all()


@pytest.mark.parametrize("loudness", [0.3, 1.0, 1e4])
def test_equal_channels_are_filtered_like_one(loudness):
    """Many stereo files are mono, so their covariances are singular."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, 1, 40, 200)
    one = loudness * torch.randn(shape, dtype=torch.complex64, generator=generator)
    sources = one.expand(-1, 2, -1, -1)
    both = expectation_maximization(sources, sources.sum(dim=0))
    alone = apply_mask(wiener_mask(one), one.sum(dim=0)).expand(-1, 2, -1, -1)
    error = (both - alone).abs().max()
    assert error < 2e-3 * alone.abs().max()
    filtered = wiener_filter(one.abs().expand(-1, 2, -1, -1), sources.sum(dim=0))
    assert filtered.isfinite().all()


def covariances(n_channels, floor, generator):
    """Hermitian matrices (c, c, f, n) of few points and a little noise, and right-hand sides."""
    places = torch.randn(2, n_channels, 9, 50, dtype=torch.complex128, generator=generator)
    matrix = torch.einsum("sifn,sjfn->ijfn", places, places.conj())
    if n_channels > 1:
        matrix[..., :25] = torch.einsum("ifn,jfn->ijfn", places[0], places[0].conj())[..., :25]
    matrix = matrix + floor * torch.eye(n_channels).to(matrix)[..., None, None]
    return matrix, torch.einsum("ijfn,jfn->ifn", matrix, places[1])


@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("floor", [1.0, 1e-3, 1e-5])
def test_elimination_is_as_exact_as_linalg_solve(n_channels, floor):
    """Also where one source sounds alone, and only the floor keeps the matrix invertible."""
    matrix, right = covariances(n_channels, floor, torch.Generator().manual_seed(0))
    columns = right.movedim(0, -1)[..., None]
    true = torch.linalg.solve(matrix.permute(2, 3, 0, 1), columns)[..., 0].movedim(-1, 0)
    small = matrix.to(torch.complex64)
    library = torch.linalg.solve(small.permute(2, 3, 0, 1), columns.to(torch.complex64))
    allowed = (library[..., 0].movedim(-1, 0) - true).abs().square().mean().sqrt()
    error = (solve_hermitian(small, right.to(torch.complex64)) - true).abs().square().mean().sqrt()
    assert error < 2 * allowed + 1e-6 * true.abs().mean()
    torch.testing.assert_close(solve_hermitian(matrix, right), true, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_the_filter_works_where_complex_solvers_are_missing(monkeypatch, n_channels):
    """As on Macs, whose GPU has no complex `torch.linalg.solve` or `inv`."""

    def missing(*args, **kwargs):
        raise NotImplementedError("not implemented for MPS with complex input")

    for name in ("solve", "inv", "cholesky", "lu_factor", "eigh"):
        monkeypatch.setattr(torch.linalg, name, missing)
    mixture = torch.randn(n_channels, 9, 12, dtype=torch.complex64)
    filtered = wiener_filter(torch.rand(2, n_channels, 9, 12), mixture)
    assert filtered.shape == (2, n_channels, 9, 12) and filtered.isfinite().all()


def test_blocks_are_filtered_by_themselves():
    mixture = torch.randn(2, 5, 12, dtype=torch.complex64)
    magnitudes = torch.rand(2, 2, 5, 12)
    whole = wiener_filter(magnitudes, mixture, n_frames=6)
    for part in (slice(0, 6), slice(6, 12)):
        alone = wiener_filter(magnitudes[..., part], mixture[..., part])
        torch.testing.assert_close(whole[..., part], alone)


def test_places_improve_estimates_that_share_one_magnitude():
    """Two sources at different positions with approximately known magnitudes."""
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


@torch.no_grad()
def test_what_nothing_is_taken_from_is_open_unmix():
    torch.manual_seed(0)
    whole, ablated = OpenUnmix(**SIZES, n_layers=1).eval(), Ablated(**SIZES, n_layers=1).eval()
    ablated.load_state_dict(whole.state_dict())
    magnitude = torch.rand(2, 2, 65, 9)
    assert torch.equal(whole(magnitude), ablated(magnitude))


@torch.no_grad()
def test_a_one_sided_net_treats_the_channels_alike_and_apart():
    torch.manual_seed(0)
    net = OneSided(OpenUnmix(n_channels=1, **SIZES, n_layers=1)).eval()
    magnitude = torch.rand(1, 2, 65, 9)
    swapped = net(magnitude.flip(1)).flip(2)
    torch.testing.assert_close(net(magnitude), swapped)
    changed = magnitude * torch.tensor([1.0, 2.0])[:, None, None]
    torch.testing.assert_close(net(magnitude)[:, :, 0], net(changed)[:, :, 0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_trained_on_what_it_says(variant):
    make, scaled = VARIANTS[variant]
    net = make(**SIZE)
    masks = net(torch.rand(1, 2, SIZE["n_bins"], 5))
    assert masks.shape == (1, 1, 2, SIZE["n_bins"], 5)
    assert scaled == (variant != "no input scaling")
    if variant == "no compression":
        assert net.lstm.input_size == 2 * SIZE["max_bin"]
    if variant == "no skip":
        assert net.fc2.in_features == SIZE["hidden_size"]


def test_the_tables_of_parts_and_of_filters_are_whole_and_todays():
    found = json.loads((RESULTS / "open_unmix.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    rows = sorted((row["variant"], row["seed"]) for row in found["rows"])
    assert rows == sorted(itertools.product(VARIANTS, SEEDS))
    found = json.loads((RESULTS / "wiener.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    assert found["about"]["weights"] == wiener.weights_hash()  # else: run the experiment again
    assert all(
        key.items() <= row.items() for key, row in zip(wiener.KEYS, found["rows"], strict=True)
    )


def bleeding_of(row: dict) -> float:
    """How much of the wrong stems is in the estimates, mean in dB."""
    rows = row["bleeding"].items()
    return np.mean([level for a, found in rows for b, level in found.items() if a != b])


def test_sharing_power_is_worth_as_much_as_the_filter():
    """With any magnitudes; and with true ones less bleeds through than without."""
    found = json.loads((RESULTS / "wiener.json").read_text(encoding="utf-8"))
    rows = {(r["magnitudes"], r["n_iter"]): r for r in found["rows"] if r["n_frames"] == 300}
    for kind in ("net", "true"):
        once, shared = (
            np.mean(list(rows[kind, way]["sdr"]["test"].values())) for way in (1, wiener.SHARED)
        )
        assert abs(once - shared) < 0.5
    assert bleeding_of(rows["true", 1]) < bleeding_of(rows["true", 0])
    assert rows["net", 2]["cost"] > rows["net", 0]["cost"]
