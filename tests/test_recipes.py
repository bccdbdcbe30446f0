"""Recipes make the models that they describe, and weights are the same after saving and loading."""

from dataclasses import replace
from functools import partial

import pytest
import soundfile
import torch
from safetensors.torch import load_file

from common.data import SongSet
from common.models.unet_variants import ActivityUNet
from common.recipes import (
    RECIPES,
    bound_or_model,
    load,
    recipe,
    save_checkpoint,
    train,
    unknown_model,
)
from common.recipes.checkpoints import description
from common.recipes.parts import describe
from common.recipes.training import check_claim, run_facts
from common.signal.stft import STFT
from common.support.errors import UsageError
from common.support.files import write_json, write_tensors
from common.support.renamed import renamed, todays
from common.support.scale import SCALES, scale
from common.training import STATE


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


ALL_KEYS = [(name, key) for name, table in RECIPES.items() for key in table]


@pytest.mark.parametrize(("name", "key"), ALL_KEYS)
def test_a_file_alone_rebuilds_net_and_separator(name, key, tmp_path, monkeypatch):
    """On the CPU and at full size; the recipes are removed before the file is read."""
    made = RECIPES[name][key]
    net = made.net()
    with torch.no_grad():
        for x in net.parameters():
            x.uniform_(-0.5, 0.5)
    path = tmp_path / "x.safetensors"
    monkeypatch.setattr("torch.cuda.is_available", lambda: key == "live-gpu")
    save_checkpoint(path, net, name, key.removesuffix("-gpu"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    wanted = made.separator(net).eval()
    monkeypatch.setitem(RECIPES, name, {})
    again = load(path)
    assert settings(again) == settings(wanted)
    assert str(again) == str(wanted)  # every layer and its sizes
    new = again.state_dict()
    for key, old in wanted.state_dict().items():
        torch.testing.assert_close(new[key], old, atol=3e-4, rtol=0)


def settings(module):
    """Every constructor argument and constant that a module and the modules in it keep."""
    plain = (bool, int, float, str, tuple, list, dict, STFT)
    return [
        {k: as_tuples(v) for k, v in vars(x).items() if isinstance(v, plain) and k[0] != "_"}
        for x in module.modules()
        if not isinstance(x, torch.nn.RNNBase)
    ]


def as_tuples(value):
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value


def test_what_a_file_may_build_is_in_the_table(tmp_path):
    path = tmp_path / "x.safetensors"
    for net in ('{"make": "system", "command": "true"}', '{"make": "STFT", "n": 1}', "3", "{"):
        write_tensors(path, {"x": torch.zeros(1)}, {"net": net, "separator": "{}"})
        with pytest.raises(UsageError, match="is no checkpoint of this book"):
            load(path)
    net = recipe("unet", "smoke").net()
    whole = description("unet", "smoke")
    for separator in ('{"make": "system"}', "{}", '{"make": "STFT", "n": 1}', "3"):
        write_tensors(path, dict(net.state_dict()), whole | {"separator": separator})
        with pytest.raises(UsageError, match="is no checkpoint of this book"):
            load(path)
    with pytest.raises(TypeError, match="not in PARTS"):
        describe(torch.nn.Linear)
    with pytest.raises(TypeError, match="cannot hold"):
        describe(partial(STFT, torch.zeros(1)))


def test_checkpoints_that_name_their_recipe_only_still_load(tmp_path):
    """Files without a description of their net, as older versions and the committed files are."""
    net = recipe("unet", "smoke").net()
    tensors = dict(net.state_dict())
    write_tensors(tmp_path / "x.safetensors", tensors, {"recipe": "unet", "scale": "smoke"})
    again = load(tmp_path / "x.safetensors").net.state_dict()
    assert all(torch.equal(again[key], x) for key, x in tensors.items())


OLDER = {"chimera": ("embeddings.", "places."), "d3net": ("gate.gate.", "gate.trust.")}


@pytest.mark.parametrize("name", OLDER)
def test_weights_whose_names_have_changed_since_still_load(tmp_path, name):
    now, before = OLDER[name]
    net = recipe(name, "smoke").net()
    tensors = dict(net.state_dict())
    older = {
        key.replace(now, before) if key.startswith(now) else key: x for key, x in tensors.items()
    }
    assert any(key.startswith(before) for key in older)
    write_tensors(tmp_path / "x.safetensors", older, description(name, "smoke"))
    loaded = load(tmp_path / "x.safetensors").state_dict()
    for key, x in tensors.items():
        (found,) = (value for full, value in loaded.items() if full.endswith(f".{key}"))
        assert torch.equal(found, x), key


def test_names_of_today_are_not_renamed():
    for name in RECIPES:
        names = recipe(name, "smoke").net().state_dict()
        assert renamed(names).keys() == names.keys()
    assert todays("tell.weight") in ActivityUNet().state_dict()


def test_only_layers_that_are_no_norm_are_written_in_half_precision(tmp_path):
    """The type of a layer decides, not its name: `bn1` may be a norm, and `norm1` no norm."""
    norms = [torch.nn.BatchNorm1d(4), torch.nn.LayerNorm(4), torch.nn.GroupNorm(2, 4)]
    norms += [torch.nn.InstanceNorm1d(4, affine=True), torch.nn.RMSNorm(4)]
    halved = [torch.nn.Linear(4, 4), torch.nn.Conv2d(4, 4, 3), torch.nn.LSTM(4, 4)]
    halved += [torch.nn.MultiheadAttention(4, 2), torch.nn.ConvTranspose1d(4, 4, 3)]
    net = torch.nn.ModuleDict({f"bn{k}": x for k, x in enumerate(norms)})
    net.update({f"norm{k}": x for k, x in enumerate(halved)})
    net.register_buffer("centroids", torch.zeros(4, 2))
    net.register_parameter("scale", torch.nn.Parameter(torch.ones(4)))
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, net, "unet", "smoke")
    for key, x in load_file(path).items():
        whole = torch.int64 if key.endswith("num_batches_tracked") else torch.float32
        assert x.dtype == (torch.float16 if key.startswith("norm") else whole), key


def test_resuming_another_run_is_refused(tmp_path, monkeypatch):
    run = run_facts("unet", "smoke", tmp_path)
    check_claim(tmp_path, run, resume=False)
    write_json(tmp_path / "recipe.json", run)
    check_claim(tmp_path, run, resume=False)  # nothing is trained yet
    (tmp_path / STATE).touch()
    with pytest.raises(UsageError, match="continue it with --resume"):
        check_claim(tmp_path, run, resume=False)
    check_claim(tmp_path, run, resume=True)
    given = {"root": tmp_path, "folder": tmp_path, "resume": True}
    with pytest.raises(UsageError, match="a run of unet at scale smoke, not of chimera at scale"):
        train("chimera", "smoke", **given)
    with pytest.raises(UsageError, match="a run of unet at scale smoke, not of unet at scale zoo"):
        train("unet", "zoo", **given)
    others = {"net": "{}", "objective": "l1", "seconds": 3, "n_channels": 2, "sample_rate": 8000}
    others |= {"augment": {}, "precision": "no", "music": "/elsewhere"}
    others["config"] = run["config"] | {"steps": run["config"]["steps"] - 1}
    for key, value in others.items():
        with pytest.raises(UsageError, match=rf"unet at scale smoke with other .* \({key}\)"):
            check_claim(tmp_path, run | {key: value}, resume=True)
    assert set(run) - set(others) == {"recipe", "scale", "separator"}
    (tmp_path / "recipe.json").unlink()
    with pytest.raises(UsageError, match="does not state its model"):
        check_claim(tmp_path, run, resume=True)


@pytest.mark.parametrize(("name", "rate"), [("mask-inference", 44100), ("unet", 8192)])
def test_songs_are_rendered_at_the_rate_of_the_recipe(name, rate, tmp_path, monkeypatch):
    class Enough(Exception):
        pass

    def fit(net, objective, excerpts, *more):
        raise Enough(excerpts)

    monkeypatch.setenv("COMMON_DATA", str(tmp_path))
    monkeypatch.setattr("common.recipes.training.fit", fit)
    few = SongSet(n_train=1, n_test=0, seconds=5.0)
    changed = replace(RECIPES[name]["paper"], net=lambda: None, songs=few)
    monkeypatch.setitem(RECIPES[name], "smoke", changed)
    monkeypatch.setattr("common.recipes.training.description", lambda name, scale: {})
    with pytest.raises(Enough) as stopped:
        train(name, "smoke", folder=tmp_path / "run")
    assert soundfile.info(next(tmp_path.glob("songs-*/train/*/bass.wav"))).samplerate == rate
    assert stopped.value.args[0].tracks[0].sample_rate == rate


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
    assert 0 < moved.abs().max() < 0.1  # training continues from there


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
