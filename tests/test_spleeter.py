"""Spleeter: compared with the published implementation in both families, and its files.

The fixture is made by tests/reference/make_fixtures.py.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from common.experiments.resumable import RESULTS
from common.experiments.spleeter import CHANGES, SEEDS, nets_with
from common.models.spleeter import (
    DecoderBlock,
    EncoderBlock,
    RatioMasks,
    SpleeterNet,
)
from common.models.unet import PerSource
from common.official import load_official
from common.official import spleeter as official
from common.recipes import RECIPES
from common.separation import MaskSeparator
from common.signal.masks import apply_mask
from common.signal.stft import STFT
from common.songs.dataset import GENERATOR_VERSION
from common.support.book import book_file
from common.support.errors import UsageError
from common.training.objectives import PhaseSensitiveObjective

FIXTURE = book_file("reference/spleeter.safetensors")
FAMILIES = ("2stems", "4stems")


@pytest.fixture(scope="module")
def reference() -> dict[str, torch.Tensor]:
    return load_file(FIXTURE)


def published(reference: dict[str, torch.Tensor], family: str) -> dict[str, torch.Tensor]:
    """The weights of a family under their published names."""
    found = {k.removeprefix(f"{family}."): x for k, x in reference.items() if k.startswith(family)}
    return {name: x for name, x in found.items() if "/" in name}


def assert_agrees(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Within 1e-5 of the peak."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def seen_by_tensorflow(audio: torch.Tensor) -> torch.Tensor:
    """Audio (t, c) → (1, c, t) whose frames are those of the reference.

    Its first frame ends where the music begins, ours would be centred there; and it has one more
    at the end.
    """
    return functional.pad(audio.T, (128, 64))[None]


def test_the_fixture_says_what_made_it():
    with safe_open(FIXTURE, framework="pt") as file:
        about = file.metadata()
    assert about["package"] == "spleeter" and about["version"] == "2.4.2"


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_nets_with_the_references_weights_give_its_output(reference, family):
    nets = official.nets(published(reference, family)).eval()
    magnitude = STFT(256, 64)(seen_by_tensorflow(reference["audio"])).abs()[:, :, :64]
    masked = apply_mask(nets(magnitude), magnitude)[:, -1]
    theirs = reference[f"{family}.masked"].permute(0, 3, 2, 1)
    n_frames = masked.shape[-1]
    assert theirs[..., n_frames:].abs().max() == 0  # its padding up to 64 frames
    assert_agrees(masked, theirs[..., :n_frames])


@torch.no_grad()
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_whole_separator_is_the_references(reference, family, average):
    nets = official.nets(published(reference, family))
    masks = RatioMasks(nets, max_bin=64, average=average)
    separator = MaskSeparator(masks, STFT(256, 64), tuple(nets.nets)).eval()
    stems = separator(seen_by_tensorflow(reference["audio"]))[0, :, :, 128:-64]
    extension = "average" if average else "zeros"
    for source, stem in zip(separator.sources, stems, strict=True):
        assert_agrees(stem.T, reference[f"{family}.{extension}.{source}"])


@torch.no_grad()
def test_the_other_family_with_the_same_weights_is_not_the_reference(reference):
    """The parity test above can fail."""
    nets = official.nets(published(reference, "4stems")).eval()
    wrong = SpleeterNet(channels=(2, 3, 4, 5, 6, 7)).eval()
    wrong.load_state_dict(nets.nets["other"].state_dict())
    magnitude = STFT(256, 64)(seen_by_tensorflow(reference["audio"])).abs()[:, :, :64]
    assert (wrong(magnitude) - nets(magnitude)[:, 3:]).abs().max() > 0.01


@pytest.mark.parametrize("elu", [False, True])
def test_published_size_has_the_published_number_of_parameters(elu):
    assert sum(x.numel() for x in SpleeterNet(elu=elu).parameters()) == 9_823_749


def test_paper_recipe_is_the_published_size():
    made = RECIPES["spleeter"]["paper"]
    net = made.net()
    assert sum(x.numel() for x in net.parameters()) == 4 * 9_823_749
    assert made.sample_rate == 44100 and -(-round(made.seconds * 44100) // 1024) + 1 == 512
    assert all(isinstance(one.encoder[0].activation, nn.ELU) for one in net.nets.values())


def test_zoo_fits_into_three_megabytes():
    net = RECIPES["spleeter"]["zoo"].net()
    assert sum(x.numel() for x in net.parameters()) <= 1_500_000


@pytest.mark.parametrize("elu", [False, True])
def test_blocks_halve_and_double(elu):
    x = torch.rand(2, 3, 16, 24)
    raw, down = EncoderBlock(3, 5, elu, 0.01)(x)
    assert raw.shape == down.shape == (2, 5, 8, 12)
    assert DecoderBlock(5, 3, elu, 0.01, 0.5)(down).shape == (2, 3, 16, 24)


@pytest.mark.parametrize("size", [(64, 16), (65, 20), (70, 1), (9, 3)])
def test_masks_have_the_shape_and_range_of_masks_at_any_size(size):
    torch.manual_seed(0)
    masks = SpleeterNet(channels=(4, 6, 8), max_bin=64)(torch.rand(2, 2, *size))
    assert masks.shape == (2, 1, 2, *size)
    assert masks.min() >= 0 and masks.max() <= 1
    assert masks[..., 64:, :].abs().sum() == 0 and masks[..., :64, :].min() > 0


def test_all_weights_that_are_to_learn_do():
    """A weight without a gradient would stop training in several processes."""
    torch.manual_seed(0)
    net = SpleeterNet(channels=(4, 6, 8), elu=True, max_bin=64, power=0.3)
    sources = torch.randn(2, 1, 2, 2048)
    sources[0] = 0.0
    PhaseSensitiveObjective(STFT(128, 32))(net, sources.sum(dim=1), sources).backward()
    wanting = [name for name, x in net.named_parameters() if x.requires_grad and x.grad is None]
    assert wanting == []
    assert all(x.grad.isfinite().all() for x in net.parameters() if x.requires_grad)
    still = [name for name, x in net.named_parameters() if not x.requires_grad]
    assert still == ["encoder.2.norm.weight", "encoder.2.norm.bias"]


@pytest.mark.parametrize("average", [False, True])
def test_ratio_masks_share_out_every_bin_that_the_nets_see(average):
    torch.manual_seed(0)
    nets = PerSource({name: SpleeterNet((4, 6), max_bin=32) for name in "abc"}).eval()
    magnitude = torch.rand(2, 2, 65, 12)
    magnitude[:, :, 3, 4] = 0.0
    with torch.no_grad():
        masks, plain = RatioMasks(nets, 32, average)(magnitude), nets(magnitude)
    assert masks.shape == plain.shape and masks.isfinite().all()
    torch.testing.assert_close(masks[..., :32, :].sum(dim=1), torch.ones(2, 2, 32, 12))
    energy = (plain * magnitude[:, None]).square()[:, :, :, 10, 7]
    torch.testing.assert_close(masks[:, :, :, 10, 7], energy / energy.sum(dim=1, keepdim=True))
    top = masks[..., 32:, :]
    if average:
        torch.testing.assert_close(top[..., 5, :], masks[..., :32, :].mean(dim=-2))
    else:
        assert top.abs().max() == 0


def test_published_files_load_by_the_models_name(reference, tmp_path):
    path = tmp_path / "4stems.safetensors"
    weights = {name: x.contiguous() for name, x in published(reference, "4stems").items()}
    save_file(weights, path)
    separator = load_official("spleeter", path)
    assert separator.sources == ("vocals", "drums", "bass", "other")
    stems = separator(0.1 * torch.randn(1, 2, 44100))
    assert stems.shape == (1, 4, 2, 44100)
    less = {name: x for name, x in weights.items() if name != "conv2d_9/bias"}
    save_file(less, path)
    with pytest.raises(UsageError, match="does not fit Spleeter.*conv2d_9/bias"):
        load_official("spleeter", path)
    save_file(weights | {"conv2d_9/kernel": torch.zeros(5, 5, 4, 6)}, path)
    with pytest.raises(UsageError, match="does not fit Spleeter"):
        load_official("spleeter", path)
    save_file({name: x for name, x in weights.items() if "conv2d_9/" not in name}, path)
    with pytest.raises(UsageError, match="this has 27"):
        load_official("spleeter", path)


def test_names_count_through_the_stems():
    first, third = dict(official.names(0)), dict(official.names(2))
    assert first["encoder.0.conv.weight"] == "conv2d/kernel"
    assert first["head.bias"] == "conv2d_6/bias"
    assert third["encoder.0.conv.weight"] == "conv2d_14/kernel"
    assert third["decoder.5.conv.bias"] == "conv2d_transpose_17/bias"
    assert third["decoder.0.norm.running_var"] == "batch_normalization_30/moving_variance"


class Reader:
    """What TensorFlow's reader of checkpoints offers."""

    def __init__(self, variables: dict[str, np.ndarray]):
        self.variables = variables

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(x.shape) for name, x in self.variables.items()}

    def get_tensor(self, name: str) -> np.ndarray:
        return self.variables[name]


def tensorflow(load_checkpoint: Callable[[str], Reader]) -> ModuleType:
    """As much of TensorFlow as the converter asks for."""
    module = ModuleType("tensorflow")
    module.__spec__ = ModuleSpec("tensorflow", None)
    module.errors = SimpleNamespace(OpError=OSError)
    module.train = SimpleNamespace(load_checkpoint=load_checkpoint)
    return module


def test_converter_keeps_the_nets_and_leaves_the_optimiser(
    reference, tmp_path, monkeypatch, capsys
):
    weights = {name: x.numpy() for name, x in published(reference, "2stems").items()}
    optimiser = {"conv2d/kernel/Adam": np.zeros(3), "global_step": np.zeros(1)}
    there = {str(tmp_path / "2stems"): Reader(weights | optimiser)}

    def load_checkpoint(folder: str) -> Reader:
        if folder not in there:
            raise ValueError("no checkpoint")
        return there[folder]

    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow(load_checkpoint))
    out = tmp_path / "2stems.safetensors"
    assert official.main([str(tmp_path / "2stems"), str(out)]) == 0
    assert load_file(out).keys() == weights.keys()
    assert load_official("spleeter", out).sources == ("vocals", "accompaniment")
    assert official.main([str(tmp_path / "other"), str(tmp_path / "x.safetensors")]) == 2
    assert official.main([str(tmp_path / "2stems"), str(tmp_path / "x.npz")]) == 2
    told = capsys.readouterr().err.strip().split("\n")
    assert len(told) == 2 and "no TensorFlow checkpoint" in told[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2stems.safetensors"]


def test_converter_says_what_it_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert official.main([str(tmp_path), str(tmp_path / "x.safetensors")]) == 2
    told = capsys.readouterr().err.strip()
    assert "pip install tensorflow" in told and "\n" not in told


def test_every_change_makes_another_net_of_one_form():
    magnitude, answers = torch.rand(1, 2, 1024, 32), {}
    for change in CHANGES:
        torch.manual_seed(0)
        with torch.no_grad():
            answers[change] = nets_with(change)(magnitude)
        assert answers[change].shape == (1, 4, 2, 1024, 32)
    whole = answers.pop("as it is")
    alike = {change for change, masks in answers.items() if torch.equal(masks, whole)}
    assert alike == {"masks trained apart", "momentum of TensorFlow"}  # they differ in training


def test_the_table_of_changes_is_whole_and_todays():
    found = json.loads((RESULTS / "spleeter.json").read_text(encoding="utf-8"))
    assert found["about"]["generator_version"] == GENERATOR_VERSION
    assert found["about"]["changes"] == CHANGES
    rows = sorted((row["change"], row["seed"]) for row in found["rows"])
    assert rows == sorted(itertools.product(CHANGES, SEEDS))
    apart = {row["change"] for row in found["rows"] if "alone" in row["sdr"]}
    assert apart == {"masks trained apart"}
    losses = {(row["change"], row["seed"]): row["loss"] for row in found["rows"]}
    for seed in SEEDS:  # running statistics have no influence on the training
        assert losses["momentum of TensorFlow", seed] == losses["as it is", seed]
