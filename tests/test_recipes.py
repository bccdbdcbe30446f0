"""Recipes make what they say, and weights survive the way to disk and back."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from common.recipes import (
    RECIPES,
    bound_or_model,
    load,
    recipe,
    save_checkpoint,
    train,
    unknown_model,
)
from common.support.errors import UsageError
from common.support.scale import SCALES, scale


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


def test_statistics_are_kept_whole(tmp_path):
    """A running variance may be beyond what half precision holds."""
    net = recipe("open-unmix", "smoke").net()
    first = net.nets["drums"]
    with torch.no_grad():
        first.bn3.running_var.fill_(1e6)
        first.input_scale.fill_(1e6)
    save_checkpoint(tmp_path / "x.safetensors", net, "open-unmix", "smoke")
    again = load(tmp_path / "x.safetensors").net.nets["drums"]
    assert again.bn3.running_var.eq(1e6).all() and again.input_scale.eq(1e6).all()


class Noise:
    """A track of noise; vocals are ten times as loud as the rest."""

    sample_rate, n_samples, source_names = 22050, 30000, ("drums", "bass", "other", "vocals")

    def read(self, source, first, n_samples):
        generator = torch.Generator().manual_seed(source)
        audio = torch.randn(2, self.n_samples, generator=generator)
        return (1.0 if source == 3 else 0.1) * audio[:, first : first + n_samples]


def test_an_interrupted_run_with_prepared_input_equals_one_that_was_not(tmp_path, monkeypatch):
    made = recipe("open-unmix", "smoke")
    seen, calls = [], []

    def prepare(net, excerpts):
        made.prepare(net, excerpts)
        seen.append(net.nets["bass"].input_scale.detach().clone())

    def objective(net, mixture, sources):
        calls.append(len(sources))
        if len(calls) == 6:  # steps are saved up to the fourth
            raise KeyboardInterrupt
        return made.objective(net, mixture, sources)

    config = replace(made.config, steps=8, save_every=4)
    changed = replace(made, prepare=prepare, objective=objective, config=config)
    monkeypatch.setitem(RECIPES["open-unmix"], "smoke", changed)
    tracks = {"train": [Noise()], "valid": []}
    monkeypatch.setattr(
        "common.recipes.training.training_tracks", lambda _, split, rate: tracks[split]
    )
    given = {"name": "open-unmix", "scale": "smoke", "root": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        train(**given, folder=tmp_path / "a")
    resumed = load_file(train(**given, folder=tmp_path / "a", resume=True))
    whole = load_file(train(**given, folder=tmp_path / "b"))
    assert len(calls) == 6 + 4 + 8
    assert all(torch.equal(resumed[name], x) for name, x in whole.items())
    assert len(seen) == 3 and torch.equal(seen[0], seen[1]) and seen[0].ne(1).all()
    moved = whole["nets.bass.input_scale"] - seen[0]
    assert 0 < moved.abs().max() < 0.1  # from there it goes on learning


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
