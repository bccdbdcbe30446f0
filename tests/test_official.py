"""Published weights: correct files load completely, all others cause one clear message.

The files here are written in the published layouts, with random weights.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from common.models.open_unmix import OpenUnmix
from common.official import load_official
from common.official.open_unmix import load, sizes
from common.official.weights import check_hash, read_weights
from common.support.errors import UsageError

SMALL = {"n_bins": 65, "max_bin": 50, "hidden_size": 16}


def weights(seed: int = 0, **size: int) -> dict[str, torch.Tensor]:
    """A net's parameters under their published names, none of them trivial."""
    torch.manual_seed(seed)
    state = OpenUnmix(**(SMALL | size)).state_dict()
    return {
        name: x + 0.1 * torch.rand_like(x) if x.is_floating_point() else x
        for name, x in state.items()
    }


def published(folder: Path, target: str, state: dict, old: bool = False) -> Path:
    """Write a file as it was published: with the start of its hash in its name."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{target}.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not old)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(path.with_name(f"{target}-{digits}.pth"))


@pytest.mark.parametrize("old", [False, True])
def test_published_size_old_and_new(tmp_path, old):
    state = weights(n_bins=2049, max_bin=1487, hidden_size=512)
    # Names and shapes as they stand in the published files.
    assert state["fc1.weight"].shape == (512, 2974)
    assert state["lstm.weight_ih_l0_reverse"].shape == (1024, 512)
    assert state["fc3.weight"].shape == (4098, 512) and state["input_mean"].shape == (1487,)
    more = {"sample_rate": torch.tensor(44100.0), "stft.window": torch.hann_window(4096)}
    more["transform.0.window"] = torch.hann_window(4096)
    path = published(tmp_path, "vocals", state | (more if old else {}), old)
    separator = load_official("open-unmix", path)
    assert separator.sources == ("vocals",) and separator.sample_rate == 44100
    assert separator.stft.n_fft == 4096 and separator.stft.hop_length == 1024
    assert separator.stft.pad_mode == "reflect" and separator.filter["rest"]
    found = separator.net.nets["vocals"].state_dict()
    assert all(torch.equal(found[name], x) for name, x in state.items())


def test_a_folder_holds_one_file_per_target_in_any_order_and_kind(tmp_path):
    states = {name: weights(k) for k, name in enumerate(("vocals", "other", "bass", "drums"))}
    for name in ("vocals", "bass"):
        published(tmp_path, name, states[name])
    save_file(states["other"], tmp_path / "other.safetensors")
    torch.save(states["drums"], tmp_path / "drums.pth")
    (tmp_path / "vocals.json").write_text("{}")  # Open-Unmix writes its settings beside the net
    separator = load(tmp_path)
    assert separator.sources == ("drums", "bass", "other", "vocals")
    assert not separator.filter["rest"]
    for source, net in separator.net.nets.items():
        assert torch.equal(net.fc1.weight, states[source]["fc1.weight"])
    assert separator(0.1 * torch.randn(1, 2, 900)).shape == (1, 4, 2, 900)


def test_missing_targets_leave_a_rest(tmp_path):
    for k, name in enumerate(("vocals", "bass")):
        published(tmp_path, name, weights(k))
    separator = load(tmp_path)
    assert separator.sources == ("bass", "vocals") and separator.filter["rest"]
    assert separator(0.1 * torch.randn(1, 2, 900)).shape == (1, 2, 2, 900)


@pytest.mark.parametrize(
    "size", [{"hidden_size": 12}, {"n_layers": 1}, {"n_channels": 1}, {"max_bin": 65}]
)
def test_sizes_are_read_off_the_shapes(size):
    wanted = {"n_channels": 2, "n_layers": 3} | SMALL | size
    assert sizes(weights(**size)) == wanted


def test_weights_of_before_batches_were_counted(tmp_path):
    state = {k: x for k, x in weights().items() if "num_batches" not in k}
    published(tmp_path, "drums", state)
    assert load(tmp_path).sources == ("drums",)


def test_rate_is_the_files_where_it_says(tmp_path):
    published(tmp_path, "drums", weights() | {"sample_rate": torch.tensor(22050.0)})
    assert load(tmp_path).sample_rate == 22050


class Bomb:
    """Unpickling this runs a command."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def wrong_hash(folder: Path) -> str:
    good = published(folder, "vocals", weights())
    good.rename(good.with_name("vocals-b62c91ce.pth"))
    return "SHA-256 begins with"


def code(folder: Path) -> str:
    published(folder, "vocals", weights() | {"bomb": Bomb(folder / "ran")})
    return "could run any code"


def old_code(folder: Path) -> str:
    published(folder, "vocals", weights() | {"bomb": Bomb(folder / "ran")}, old=True)
    return "could run any code"


def whole_module(folder: Path) -> str:
    torch.save(OpenUnmix(**SMALL), folder / "vocals.pth")
    return "could run any code"


def cut(folder: Path) -> str:
    path = published(folder, "vocals", weights())
    (folder / "vocals.pth").write_bytes(path.read_bytes()[:-3000])
    path.unlink()
    return "truncated"


def old_cut(folder: Path) -> str:
    path = published(folder, "vocals", weights(), old=True)
    (folder / "vocals.pth").write_bytes(path.read_bytes()[:-3000])
    path.unlink()
    return "truncated"


def empty(folder: Path) -> str:
    (folder / "vocals.pth").touch()
    return "truncated"


def letter(folder: Path) -> str:
    (folder / "vocals.pth").write_text("this is a letter to my aunt\n" * 50)
    return "no file of torch.save"


def damaged_safetensors(folder: Path) -> str:
    save_file(weights(), folder / "vocals.safetensors")
    whole = (folder / "vocals.safetensors").read_bytes()
    (folder / "vocals.safetensors").write_bytes(whole[:-3000])
    return "damaged"


def a_list(folder: Path) -> str:
    torch.save([torch.zeros(3)], folder / "vocals.pth")
    return "something other than names and tensors"


def nested(folder: Path) -> str:
    torch.save({"state_dict": weights()}, folder / "vocals.pth")
    return "something other than names and tensors"


def another_net(folder: Path) -> str:
    torch.save({"encoder.0.weight": torch.zeros(3)}, folder / "vocals.pth")
    return "does not fit Open-Unmix"


def missing_weight(folder: Path) -> str:
    torch.save({k: x for k, x in weights().items() if k != "bn2.bias"}, folder / "vocals.pth")
    return "bn2.bias"


def extra_weight(folder: Path) -> str:
    torch.save(weights() | {"fc4.weight": torch.zeros(3)}, folder / "vocals.pth")
    return "fc4.weight"


def wrong_shape(folder: Path) -> str:
    torch.save(weights() | {"bn1.weight": torch.zeros(3)}, folder / "vocals.pth")
    return "size mismatch for bn1.weight"


def one_way(folder: Path) -> str:
    state = {k: x for k, x in weights().items() if "reverse" not in k}
    torch.save(state, folder / "vocals.pth")
    return "does not fit Open-Unmix"


def scalar(folder: Path) -> str:
    torch.save(weights() | {"input_mean": torch.tensor(0.0)}, folder / "vocals.pth")
    return "does not fit Open-Unmix"


def twice(folder: Path) -> str:
    published(folder, "vocals", weights())
    torch.save(weights(1), folder / "vocals.pth")
    return "two files for vocals"


def unlike(folder: Path) -> str:
    torch.save(weights(), folder / "vocals.pth")
    torch.save(weights(n_bins=33, max_bin=20), folder / "bass.pth")
    return "differ in channels and bins: bass 2 x 33, vocals 2 x 65"


def no_target(folder: Path) -> str:
    torch.save(weights(), folder / "speech.pth")
    return "for no target"


@pytest.mark.parametrize(
    "spoil",
    [
        wrong_hash, code, old_code, whole_module, cut, old_cut, empty, letter,
        damaged_safetensors, a_list, nested, another_net, missing_weight, extra_weight,
        wrong_shape, one_way, scalar, twice, unlike, no_target,
    ],
)  # fmt: skip
def test_bad_files_give_one_line(tmp_path, spoil):
    expected = spoil(tmp_path)
    with pytest.raises(UsageError) as caught:
        load_official("open-unmix", tmp_path)
    assert expected in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_names_that_lead_nowhere(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        load(tmp_path / "nothing")
    with pytest.raises(UsageError, match="does not exist"):
        read_weights(tmp_path / "nothing.pth")
    with pytest.raises(UsageError, match="must end in .pth"):
        (tmp_path / "vocals.h5").touch()
        read_weights(tmp_path / "vocals.h5")
    with pytest.raises(UsageError, match="not of 'mask-inference'"):
        load_official("mask-inference", tmp_path)


def test_names_without_a_hash_pass(tmp_path):
    for name in ("vocals.pth", "vocals-best.pth", "vocals-12.pth"):
        (tmp_path / name).write_text("")
        check_hash(tmp_path / name)
