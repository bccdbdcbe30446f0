"""Recipes make what they say, and weights survive the way to disk and back."""

import pytest
import torch

from common.errors import UsageError
from common.recipes import (
    RECIPES,
    bound_or_model,
    load,
    recipe,
    save_checkpoint,
    unknown_model,
)
from common.scale import SCALES, scale


@pytest.mark.parametrize("name", RECIPES)
def test_every_scale_has_a_net_that_its_objective_and_separator_take(name):
    assert set(SCALES) <= set(RECIPES[name])
    for at in ("smoke", "live", "zoo"):
        made = recipe(name, at)
        net = made.net()
        sources = 0.1 * torch.randn(2, 4, made.n_channels, made.sample_rate)
        loss = made.objective(net, sources.sum(dim=1), sources)
        assert loss.isfinite() and loss.requires_grad
        separator = made.separator(net).eval()
        mixture = 0.1 * torch.randn(1, separator.n_channels, 4000)
        stems = separator(mixture)
        assert stems.shape == (1, len(separator.sources), separator.n_channels, 4000)


def test_paper_size_of_mask_inference():
    """Four layers of 600 units per direction, as in Luo et al. 2017 and Wang et al. 2018."""
    net = recipe("mask-inference", "paper").net()
    assert net.stack.lstm.hidden_size == 600 and net.stack.lstm.num_layers == 4
    assert net.head.linear.out_features == 4 * 2049


def test_weights_come_back(tmp_path):
    torch.manual_seed(3)
    made = recipe("mask-inference", "smoke")
    net = made.net()
    net(torch.rand(2, 1, 1025, 30))  # moves the running statistics away from 0 and 1
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, net, "mask-inference", "smoke")
    again = load(path)
    assert again.sources == ("drums", "bass", "other", "vocals") and not again.training
    for (name, old), new in zip(
        net.state_dict().items(), again.net.state_dict().values(), strict=True
    ):
        assert new.dtype == old.dtype
        exact = "norm" in name
        torch.testing.assert_close(new, old, atol=0 if exact else 1e-3, rtol=0)
    assert path.stat().st_size < 2.2 * sum(x.numel() for x in net.state_dict().values()) + 4000


def test_half_precision_costs_nothing_to_hear(tmp_path):
    torch.manual_seed(0)
    net = recipe("mask-inference", "smoke").net().eval()
    save_checkpoint(tmp_path / "x.safetensors", net, "mask-inference", "smoke")
    mixture = 0.1 * torch.randn(1, 2, 22050)
    separator = load(tmp_path / "x.safetensors")
    halved = separator(mixture)
    separator.net.load_state_dict(net.state_dict())
    error = (halved - separator(mixture)).square().mean() / halved.square().mean()
    assert error < 1e-5  # 50 dB below the stems


def test_names():
    assert bound_or_model("silence").oracle
    with pytest.raises(UsageError, match="did you mean silence"):
        bound_or_model("silense")
    with pytest.raises(UsageError, match="did you mean mask-inference"):
        recipe("mask_inference", "live")
    assert "there are a, b" in str(unknown_model("zzzzzz", ["b", "a"]))


def test_scale_is_read_from_the_environment(monkeypatch):
    monkeypatch.delenv("BOOK_SCALE", raising=False)
    assert scale() == "live"
    monkeypatch.setenv("BOOK_SCALE", "smoke")
    assert scale() == "smoke"
    monkeypatch.setenv("BOOK_SCALE", "huge")
    with pytest.raises(UsageError, match="'huge'"):
        scale()
