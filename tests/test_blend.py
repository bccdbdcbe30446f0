"""A blend is the weighted mean of its parts' stems, and its weights are optimal."""

import json
import weakref

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from common import SAMPLE_RATE, SOURCES
from common.__main__ import main
from common.data.tracks import Track
from common.evaluation import evaluate, sdr
from common.experiments import blend as experiment
from common.recipes import best_model, checkpoints, load, recipe, save_checkpoint
from common.separation import Blend, TwoStems, separate, separate_file
from common.separation.any_length import device_of
from common.separation.consistency import Consistent
from common.support.errors import UsageError
from common.support.files import write_json


class Shares(nn.Module):
    """Returns fixed shares of the mixture, so that the output is known in advance."""

    def __init__(self, *shares, sources=None, n_channels=2, sample_rate=SAMPLE_RATE, segment=0.5):
        super().__init__()
        self.shares, self.n_channels = shares, n_channels
        self.sample_rate, self.segment = sample_rate, segment
        self.sources = sources or tuple("abcd"[: len(shares)])
        self.longest = 0
        self.gain = nn.Linear(1, 1)

    def forward(self, mixture):
        assert mixture.ndim == 3 and mixture.shape[1] == self.n_channels
        self.longest = max(self.longest, mixture.shape[-1])
        return torch.stack([share * mixture for share in self.shares], dim=1)


class Listener(Shares):
    """Depends on the whole recording: the first source is its share times the number of samples."""

    alive: list[weakref.ref]

    def listen(self, segments):
        self.alive, self.most, samples = [], 0, 0
        for segment in segments:
            assert segment.shape[:2] == (1, self.n_channels)
            samples += segment.shape[-1]
            self.alive.append(weakref.ref(segment))
            self.most = max(self.most, sum(ref() is not None for ref in self.alive))
        heard = Shares(*self.shares, n_channels=self.n_channels, segment=self.segment)
        heard.samples = samples
        return heard


def music(n_channels=2, n_samples=30000, rate=SAMPLE_RATE, seed=0):
    """Noise below 3 kHz, so that every rate in these tests can represent it."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((n_channels, n_samples)))
    spectrum[:, np.fft.rfftfreq(n_samples, 1 / rate) > 3000] = 0
    audio = np.fft.irfft(spectrum, n_samples)
    return torch.from_numpy(0.1 * audio / audio.std()).float()


def test_two_separators_by_hand():
    weights = torch.tensor([[0.25, 0.5], [0.75, 0.5]])
    blend = Blend({"x": Shares(0.2, 0.8), "y": Shares(0.6, 0.2)}, weights)
    assert (blend.name, blend.sources, blend.segment) == ("x+y", ("a", "b"), 0.5)
    mixture = music()
    expected = torch.stack([0.5 * mixture, 0.5 * mixture])
    torch.testing.assert_close(blend(mixture[None])[0], expected)
    torch.testing.assert_close(separate(blend, mixture, SAMPLE_RATE), expected)


def test_all_parts_count_alike_where_nothing_else_is_said():
    blend = Blend({"x": Shares(0.0, 1.0), "y": Shares(0.3, 0.4), "z": Shares(0.6, 0.1)})
    mixture = music()[None]
    torch.testing.assert_close(blend(mixture)[0], torch.stack([0.3 * mixture, 0.5 * mixture])[:, 0])


def test_parts_that_add_up_to_the_mixture_still_do_together():
    weights = torch.tensor([[0.3, 0.3, 0.3], [0.7, 0.7, 0.7]])
    blend = Blend({"x": Shares(0.1, 0.2, 0.7), "y": Shares(0.5, 0.25, 0.25)}, weights)
    mixture = music()[None]
    torch.testing.assert_close(blend(mixture).sum(dim=1), mixture)


def test_a_separator_blended_with_itself_is_that_separator():
    part, mixture = Shares(0.3, 0.6), music(3, 50_000)
    both = separate(Blend({"one": part, "two": part}), mixture, SAMPLE_RATE)
    torch.testing.assert_close(both, separate(part, mixture, SAMPLE_RATE), rtol=0, atol=0)


def test_sources_are_matched_by_name():
    turned = Shares(0.9, 0.1, sources=("b", "a"))
    blend = Blend({"x": Shares(0.3, 0.5), "turned": turned})
    mixture = music()[None]
    torch.testing.assert_close(blend(mixture)[:, 0], 0.2 * mixture)
    torch.testing.assert_close(blend(mixture)[:, 1], 0.7 * mixture)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_parts_of_other_rates_widths_and_lengths(rate, n_channels):
    mono = Shares(0.1, 0.9, n_channels=1, sample_rate=16000, segment=0.3)
    blend = Blend({"mono": mono, "stereo": Shares(0.3, 0.7)})
    assert (blend.sample_rate, blend.n_channels, blend.segment) == (SAMPLE_RATE, 2, 0.3)
    mixture = music(n_channels, 2 * rate + 17, rate)
    stems = separate(blend, mixture, rate)
    inner = slice(100, -100)  # resampling rings at the outer ends of a recording
    expected = torch.stack([0.2 * mixture, 0.8 * mixture])[..., inner]
    assert (stems[..., inner] - expected).square().mean().sqrt() < 2e-3 * mixture.std()
    assert mono.longest <= 0.3 * 16000 * 1.02


def test_every_part_that_listens_hears_the_whole_recording_and_holds_none_of_it(tmp_path):
    parts = {
        "one": Listener(0.5, 0.5),
        "deaf": Shares(0.5, 0.5),
        "two": Listener(0.5, 0.5, n_channels=2, segment=0.4),
    }
    mixture, heard = music(2, 100_000), {}

    def listen(self, segments):
        found = Blend.listen(self, segments)
        heard.update(found.parts)
        return found

    blend = type("Blend", (Blend,), {"listen": listen})(parts)
    stems = separate(blend, mixture, SAMPLE_RATE)
    torch.testing.assert_close(stems[0], 0.5 * mixture)
    assert heard["deaf"] is parts["deaf"]
    assert heard["one"].samples == heard["two"].samples >= 100_000
    assert max(parts["one"].most, parts["two"].most) <= 3 < len(parts["one"].alive)
    soundfile.write(tmp_path / "x.wav", mixture.T.numpy(), SAMPLE_RATE, subtype="FLOAT")
    written = separate_file(Consistent(blend), tmp_path / "x.wav", tmp_path / "out")
    from_file = soundfile.read(written["a"], dtype="float32")[0].T
    np.testing.assert_allclose(from_file, stems[0].numpy(), atol=1e-6)


def test_a_blend_is_a_separator_like_any_other():
    blend = Blend({"x": Shares(0.2, 0.3), "y": Shares(0.4, 0.3)})
    mixture = music()
    torch.testing.assert_close(separate(Consistent(blend), mixture, SAMPLE_RATE).sum(0), mixture)
    torch.testing.assert_close(TwoStems(blend, "b")(mixture[None]).sum(dim=1), mixture[None])
    blend.eval()
    assert not any(part.training for part in blend.parts.values())
    assert len(list(blend.parameters())) == 4
    assert device_of(blend.to("meta")).type == "meta"
    assert all(x.is_meta for part in blend.parts.values() for x in part.parameters())


def test_a_blend_on_the_bench():
    track = songs(1)[0]
    quarter = Shares(*[0.25] * 4, sources=SOURCES)
    found = evaluate(Blend({"x": quarter, "y": quarter}), [track], progress=False)
    assert found["model"] == "x+y"
    expected = sdr(track.sources, 0.25 * track.mixture.expand(4, -1, -1))
    assert list(found["median"]["sdr"].values()) == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.parametrize("weights", [[[0.5, 0.5]], [[0.5, 0.5], [0.5, 0.4]]])
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="add up to 1"):
        Blend({"x": Shares(0.5, 0.5), "y": Shares(0.5, 0.5)}, torch.tensor(weights))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("d3net+open-unmx", "did you mean open-unmix?"),
        ("d3net+", "no model ''"),
        ("d3net+mixture", "no model 'mixture'"),
        ("d3net+unet+d3net", "names d3net twice"),
        ("d3net+hpss", "hpss gives drums, no_drums"),
    ],
)
def test_blends_that_cannot_be(tmp_path, capsys, name, expected):
    soundfile.write(tmp_path / "song.wav", music(2, 3000).T.numpy(), SAMPLE_RATE)
    out = tmp_path / "out"
    for command in (
        ["separate", str(tmp_path / "song.wav"), "--model", name, "--out", str(out)],
        ["evaluate", name, "--data", str(tmp_path)],
    ):
        assert main(command) == 2
        errors = capsys.readouterr().err
        assert expected in errors and errors.count("\n") == 1
    assert not out.exists()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two tiny untrained nets: these tests are about files, not about quality."""
    folder = tmp_path_factory.mktemp("weights")
    for seed, name in enumerate(("a+b.safetensors", "c.safetensors")):
        torch.manual_seed(seed)
        net = recipe("mask-inference", "smoke").net()
        save_checkpoint(folder / name, net, "mask-inference", "smoke")
    return [str(folder / "c.safetensors"), str(folder / "a+b.safetensors")]


def test_the_command_line_blends(weights, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, _ = weights
    (tmp_path / "d.safetensors").write_bytes(open(weights[1], "rb").read())
    name, mixture = f"{path}+d.safetensors", music(2, 40_000)
    soundfile.write(tmp_path / "song.wav", mixture.T.numpy(), SAMPLE_RATE, subtype="FLOAT")
    run = ["separate", "song.wav", "--model", name, "--device", "cpu"]
    assert main([*run, "--out", "raw", "--no-mixture-consistency"]) == 0
    parts = [separate(load(part), mixture, SAMPLE_RATE) for part in weights]
    expected = sum(parts) / 2
    for source, stem in zip(SOURCES, expected, strict=True):
        found = soundfile.read(tmp_path / "raw" / "song" / f"{source}.wav")[0]
        np.testing.assert_allclose(found.T, stem.numpy(), atol=1e-6)
    assert main([*run, "--out", "out"]) == 0
    total = sum(soundfile.read(stem)[0] for stem in (tmp_path / "out" / "song").iterdir())
    np.testing.assert_allclose(total.T, mixture.numpy(), atol=1e-6)


def test_a_plus_in_a_files_own_name_makes_no_blend(weights):
    assert not isinstance(load(weights[1]), Blend)


def fitted(path, name, rows, hashes=checkpoints.weights_hash):
    """A file that holds weights: name → row of weights by source."""
    about = {
        "weights": {part: dict(zip(SOURCES, row, strict=True)) for part, row in rows.items()},
        "sdr": dict(zip(SOURCES, (6.5, 4.5, 3.5, 5.25), strict=True)),
        "real_time_factor": 7.9,
    }
    write_json(
        path, {"blends": {name: about}, "weights_sha256": {part: hashes(part) for part in rows}}
    )


def test_fitted_weights_are_used_and_listed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checkpoints, "BLENDS", tmp_path / "blend.json")
    assert load("unet+d3net").weights.unique().tolist() == [0.5]
    rows = {"d3net": [0.1, 0.2, 0.3, 0.4], "unet": [0.9, 0.8, 0.7, 0.6]}
    fitted(tmp_path / "blend.json", "d3net+unet", rows)
    blend = load("unet+d3net")
    assert blend.name == "unet+d3net" and not blend.training
    torch.testing.assert_close(blend.weights, torch.tensor([rows["unet"], rows["d3net"]]))
    assert load("unet+d3net+spleeter").weights.unique().numel() == 1
    assert main(["models"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("d3net+unet"))
    size = sum(checkpoints.card(part)["parameters"] for part in rows)
    assert line.split() == ["d3net+unet", f"{size:,}", "7.9", "6.50", "4.50", "3.50", "5.25"]


def test_weights_that_were_fitted_to_other_nets_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "BLENDS", tmp_path / "blend.json")
    rows = {"d3net": [0.1, 0.2, 0.3, 0.4], "unet": [0.9, 0.8, 0.7, 0.6]}
    fitted(tmp_path / "blend.json", "d3net+unet", rows, hashes=lambda part: "0" * 64)
    assert checkpoints.measured_blends() == {}
    assert load("unet+d3net").weights.unique().tolist() == [0.5]


def test_the_best_model_is_fast_enough_and_may_be_a_blend():
    def about(level, speed):
        return {"sdr": dict.fromkeys(SOURCES, level), "real_time_factor": speed}

    nets = {"a": about(4.0, 9.0), "b": about(5.0, 8.0), "slow": about(9.0, 3.9)}
    assert best_model(nets) == "b"
    assert best_model(nets | {"a+b": about(6.0, 4.2)}) == "a+b"
    assert best_model(nets | {"a+b": about(6.0, 3.9)}) == "b"


def products_of(errors):
    """Inner products of errors (p, t)."""
    return errors @ errors.T


def test_the_best_weights_are_the_best_of_all_that_are_tried():
    rng = np.random.default_rng(0)
    for _ in range(20):
        errors = rng.standard_normal((3, 50)) * rng.uniform(0.3, 2.0, (3, 1)) + rng.normal(size=50)
        found = experiment.best_weights(products_of(errors))
        assert found.min() >= 0 and found.sum() == pytest.approx(1)
        tried = rng.dirichlet(np.ones(3) * 0.5, 5000)
        least = np.square(tried @ errors).sum(axis=1).min()
        assert np.square(found @ errors).sum() <= least + 1e-9


def test_twins_share_what_one_of_them_would_get():
    errors = np.random.default_rng(0).standard_normal((2, 500))
    alone = experiment.best_weights(products_of(errors))
    twins = experiment.best_weights(products_of(errors[[0, 0, 1]]))
    assert twins[:2].sum() == pytest.approx(alone[0], abs=1e-6)


class Noisy(Shares):
    """Returns the true stems of one track plus noise, with one level per stem."""

    def __init__(self, tracks, levels, seed):
        super().__init__(*[0.0] * 4, sources=SOURCES, segment=60.0)
        self.tracks, self.levels, self.seed = tracks, torch.tensor(levels)[:, None, None], seed

    def forward(self, mixture):
        track = next(x for x in self.tracks if torch.equal(x.mixture, mixture[0]))
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(track.sources.shape, generator=generator)
        return (track.sources + self.levels * noise)[None]


def songs(n_songs=4, n_samples=4000):
    generator = torch.Generator().manual_seed(0)
    shape = 4, 2, n_samples
    return [
        Track(f"song {k}", 0.1 * torch.randn(shape, generator=generator), SAMPLE_RATE)
        for k in range(n_songs)
    ]


def test_errors_tell_the_sdr_of_every_blend():
    tracks = songs(2)
    parts = [Noisy(tracks, [0.1, 0.05, 0.2, 0.1], 1), Noisy(tracks, [0.2, 0.1, 0.1, 0.1], 2)]
    weights = torch.tensor([[0.2, 0.4, 0.6, 1.0], [0.8, 0.6, 0.4, 0.0]])
    products = torch.stack([experiment.error_products(parts, track) for track in tracks])
    found = experiment.song_sdr(products.numpy(), weights.numpy())
    blend = Blend({"x": parts[0], "y": parts[1]}, weights)
    for track, row in zip(tracks, found, strict=True):
        stems = separate(blend, track.mixture, SAMPLE_RATE)
        assert sdr(track.sources, stems).tolist() == pytest.approx(row.tolist(), abs=1e-3)


def test_fitted_weights_beat_equal_ones_where_one_part_is_noise(monkeypatch):
    tracks = songs()
    tracks[0].sources[3] = 0  # a silent stem has no influence
    parts = {
        "good": Noisy(tracks, [0.05, 0.05, 0.05, 0.05], 1),
        "mixed": Noisy(tracks, [0.05, 0.5, 0.05, 0.5], 2),
        "noise": Noisy(tracks, [1.0, 1.0, 1.0, 1.0], 3),
    }
    everything = parts | {"good+mixed+noise": Blend(parts)}
    monkeypatch.setattr(experiment, "load", everything.__getitem__)
    monkeypatch.setattr(experiment, "card", lambda name: {"real_time_factor": 12.0})
    monkeypatch.setattr(experiment, "weights_hash", str)
    found = experiment.measure(["good+mixed+noise"], iter(tracks))
    blend = found["blends"]["good+mixed+noise"]
    assert blend["real_time_factor"] == 4.0 and blend["best_part"] == "good"
    for source in SOURCES:
        rows = {name: blend["weights"][name][source] for name in parts}
        assert sum(rows.values()) == pytest.approx(1) and rows["noise"] < 0.02
        assert blend["sdr"][source] > blend["equal_weights"]["sdr"][source] + 6
        assert blend["gain"][source]["tracks"] == (3 if source == "vocals" else 4)
    assert rows["good"] > 0.9  # of the vocals, "mixed" has little more than the noise
    assert blend["weights"]["mixed"]["drums"] == pytest.approx(0.5, abs=0.05)
    assert blend["gain"]["drums"]["difference"] == pytest.approx(3.0, abs=0.3)
    assert found["models"]["good"]["sdr"]["drums"] == pytest.approx(6.0, abs=0.3)
    json.dumps(found, allow_nan=False)


def test_one_song_is_no_validation_set(monkeypatch):
    part = Noisy(songs(1), [0.1] * 4, 1)
    monkeypatch.setattr(experiment, "load", lambda name: part)
    with pytest.raises(UsageError, match="two or more songs, not 1"):
        experiment.measure(["x+y"], songs(1))
