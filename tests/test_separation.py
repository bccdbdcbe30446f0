"""Separators accept recordings of any length, rate and channel count, and return the same."""

import subprocess
import weakref

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from common.models.mask_inference import MaskInference
from common.separation import MaskSeparator, TwoStems, any_length, separate, separate_file
from common.separation.any_length import with_enough_memory
from common.separation.consistency import Consistent, share_equally
from common.separation.overlap_add import Plan, segments
from common.separation.separators import WienerSeparator
from common.signal.stft import STFT
from common.support.errors import UsageError


class Shares(nn.Module):
    """Returns fixed shares of the mixture, so that the output is known in advance."""

    def __init__(self, *shares, n_channels=2, sample_rate=22050, segment=0.5):
        super().__init__()
        self.shares, self.n_channels = shares, n_channels
        self.sample_rate, self.segment = sample_rate, segment
        self.sources = tuple("abcd"[: len(shares)])
        self.longest = 0

    def forward(self, mixture):
        assert mixture.ndim == 3 and mixture.shape[1] == self.n_channels
        self.longest = max(self.longest, mixture.shape[-1])
        return torch.stack([share * mixture for share in self.shares], dim=1)


def music(n_channels, n_samples, rate, seed=0):
    """Noise below 3 kHz, so that every rate in these tests can represent it."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((n_channels, n_samples)))
    spectrum[:, np.fft.rfftfreq(n_samples, 1 / rate) > 3000] = 0
    audio = np.fft.irfft(spectrum, n_samples)
    return torch.from_numpy(0.1 * audio / (audio.std() + 1e-9)).float()


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("n_channels", [1, 2, 3, 6])
def test_any_rate_and_channels(rate, n_channels):
    mixture = music(n_channels, 3 * rate + 17, rate)
    stems = separate(Shares(0.25, 0.75), mixture, rate)
    assert stems.shape == (2, *mixture.shape)
    inner = slice(100, -100)  # resampling rings at the outer ends of a recording
    expected = torch.stack([0.25 * mixture, 0.75 * mixture])[..., inner]
    error = (stems[..., inner] - expected).square().mean().sqrt()
    assert error < 1e-3 * mixture.std()


@pytest.mark.parametrize("n_samples", [1, 2, 100, 11025, 11026])
def test_any_length(n_samples):
    mixture = 0.1 * torch.ones(2, n_samples)
    stems = separate(Shares(1.0, 0.0), mixture, 22050)
    torch.testing.assert_close(stems[0], mixture)
    assert separate(Shares(1.0), mixture, 44100).shape == (1, 2, n_samples)


class Half(nn.Module):
    """A mask of one half for each of two sources."""

    def forward(self, magnitude):
        return torch.full((len(magnitude), 2, *magnitude.shape[1:]), 0.5)


@pytest.mark.parametrize("n_samples", [1, 2048, 2049])
def test_a_recording_shorter_than_half_a_window_that_is_reflected(n_samples):
    separator = WienerSeparator(Half(), STFT(4096, 1024, "reflect"), ("a", "b"))
    stems = separate(separator, music(2, n_samples, 22050) + 0.1, 22050)
    assert stems.shape == (2, 2, n_samples) and stems.isfinite().all()
    assert stems.abs().max() > 0.01


def test_a_recording_without_samples_is_refused():
    with pytest.raises(UsageError, match="holds no samples"):
        separate(Shares(1.0), torch.zeros(2, 0), 22050)


def test_a_net_gives_back_shape_at_another_rate():
    torch.manual_seed(0)
    net = MaskInference(hidden_size=4)
    stems = separate(MaskSeparator(net, STFT(), segment=1.0).eval(), music(1, 50000, 44100), 44100)
    assert stems.shape == (4, 1, 50000)
    assert stems.isfinite().all()


def test_silence_stays_silent():
    net = MaskSeparator(MaskInference(hidden_size=4), STFT(), segment=1.0).eval()
    assert separate(net, torch.zeros(2, 60000), 44100).abs().max() == 0


def test_segments_are_never_longer_than_the_separator_takes():
    separator = Shares(1.0)
    separate(separator, music(2, 100_000, 44100), 44100)
    assert separator.longest <= 0.5 * separator.sample_rate * 1.02


def test_segments_cover_the_recording_in_order():
    plan = Plan.make(1.0, 1000, 1000)
    audio = torch.arange(4321.0)[None]
    blocks = list(audio.split(333, dim=-1))
    seen = torch.zeros(4321)
    for k, (segment, is_last) in enumerate(segments(iter(blocks), plan)):
        assert segment[0, 0] == k * plan.hop
        assert is_last == (segment[0, -1] == 4320)
        seen[segment[0].long()] += 1
    assert seen.min() == 1 and seen.max() == 2


def test_borders_between_segments_are_smooth():
    """A separator whose gain changes from call to call must not click: its gains cross-fade."""

    class Moody(Shares):
        calls = 0

        def forward(self, mixture):
            self.calls += 1
            return (mixture * (self.calls % 2))[:, None]

    separator = Moody(1.0)
    stem = separate(separator, torch.full((2, 44100), 0.5), 22050)[0]
    assert separator.calls > 3
    assert stem.diff(dim=-1).abs().max() < 1e-3
    assert stem.max() > 0.49 and stem.min() < 0.01


def test_the_top_octave_goes_where_the_octave_below_goes():
    """A hi-hat dominates at 8 kHz, so the band above the net's 11 kHz goes to its stem."""

    class Split(Shares):
        def forward(self, mixture):
            spectrum = torch.fft.rfft(mixture)
            low = spectrum.clone()
            low[..., round(5512 / 11025 * low.shape[-1]) :] = 0
            stems = torch.stack([low, spectrum - low], dim=1)
            return torch.fft.irfft(stems, mixture.shape[-1])

    time = torch.arange(44100) / 44100
    tones = [torch.sin(2 * torch.pi * f * time) for f in (500.0, 8000.0, 15000.0)]
    mixture = 0.2 * torch.stack([sum(tones)] * 2)
    stems = separate(Split(0.0, 0.0, segment=2.0), mixture, 44100)
    torch.testing.assert_close(
        stems.sum(dim=0)[:, 500:-500], mixture[:, 500:-500], atol=1e-3, rtol=0
    )

    def level(stem, frequency):
        return (
            stem[0].double().mul(torch.exp(2j * torch.pi * frequency * time.double())).mean().abs()
        )

    assert level(stems[1], 15000) > 0.095
    assert level(stems[0], 15000) < 0.002


def test_a_single_stem_takes_only_its_part_of_the_top():
    assert shares_of_the_top(Shares(0.5, segment=2.0)) == [pytest.approx(0.5, abs=0.01)]


def test_some_of_the_sources_leave_the_rest_its_part_of_the_top():
    """Energies of 1, 1 and, in the rest, 4 sixteenths."""
    separator = Shares(0.25, 0.25, segment=2.0)
    assert shares_of_the_top(separator) == [pytest.approx(1 / 2, abs=0.01)] * 2
    separator.sources = ("drums", "vocals")
    assert shares_of_the_top(separator) == [pytest.approx(1 / 6, abs=0.01)] * 2


def shares_of_the_top(separator):
    """The share of each stem in the energy of noise above 15 kHz."""
    mixture = 0.1 * torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
    stems = separate(separator, mixture, 44100)
    signals = torch.cat([mixture[None], stems])
    top, *levels = torch.fft.rfft(signals)[..., 15000:].abs().mean(dim=(1, 2)).tolist()
    return [level / top for level in levels]


def test_two_stems_add_up_and_are_named():
    two = TwoStems(Shares(0.3, 0.7), "b")
    assert two.sources == ("b", "no_b")
    mixture = music(2, 5000, 22050)[None]
    torch.testing.assert_close(two(mixture).sum(dim=1), mixture)
    with pytest.raises(UsageError, match="gives a, b"):
        TwoStems(Shares(0.3, 0.7), "z")


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_consistent_stems_add_up_at_any_rate(rate):
    """Independent masks leave a remainder 20 dB below the mixture; the README states 100 dB."""
    mixture = music(2, 2 * rate, rate)
    lacking = mixture - separate(Consistent(Shares(0.2, 0.5)), mixture, rate).sum(dim=0)
    level = 10 * torch.log10(lacking.square().sum() / mixture.square().sum())
    # Below the net's rate, resampling costs the very top of the band and rings at the ends.
    assert level < (-100 if rate >= 22050 else -30)
    lacking = mixture - separate(Shares(0.2, 0.5), mixture, rate).sum(dim=0)
    assert lacking.square().mean() > 0.05 * mixture.square().mean()


def test_sharing_what_is_lacking_makes_no_error_larger():
    """The sum is a linear constraint, which the true stems fulfil as well."""
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(3, 4, 2, 1000, generator=generator)
    estimates = true + 0.3 * torch.randn(true.shape, generator=generator)
    shared = share_equally(estimates, true.sum(dim=1))
    torch.testing.assert_close(shared.sum(dim=1), true.sum(dim=1))
    assert (shared - true).square().sum() < 0.8 * (estimates - true).square().sum()
    added_up = share_equally(true, true.sum(dim=1))
    torch.testing.assert_close(added_up, true)


def test_a_consistent_separator_listens_where_its_own_does():
    class Listening(Shares):
        def listen(self, segments):
            return Shares(*[len(list(segments)) / 10] * 2)

    segments = iter([torch.zeros(1, 2, 5)] * 3)
    heard = Consistent(Listening(0.0, 0.0)).listen(segments)
    assert heard.separator.shares == (0.3, 0.3)
    deaf = Consistent(Shares(0.5, 0.5))
    assert deaf.listen(iter([])) is deaf


def test_only_all_sources_together_can_add_up():
    alone = Shares(1.0)
    alone.sources = ("vocals",)
    with pytest.raises(UsageError, match="vocals alone cannot add up"):
        Consistent(alone)
    with pytest.raises(UsageError, match="a alone cannot add up"):
        Consistent(Shares(1.0))


def test_nan_is_refused():
    mixture = music(2, 5000, 22050)
    mixture[1, 77] = float("nan")
    with pytest.raises(UsageError, match="NaN"):
        separate(Shares(1.0), mixture, 22050)


def test_a_full_gpu_means_shorter_segments_then_the_cpu():
    said, tried = [], []

    def attempt(segment, device):
        tried.append(segment)
        if len(tried) < 4:
            raise torch.cuda.OutOfMemoryError("full")
        return "done"

    assert with_enough_memory(Shares(1.0, segment=8.0), attempt, said.append) == "done"
    assert tried == [8.0, 4.0, 2.0, 8.0]
    assert len(said) == 4 and "CPU" in said[-1]


MPS_FULL = "MPS backend out of memory (MPS allocated: 8.90 GB, max allowed: 9.07 GB). Tried to"


def test_a_full_mac_means_shorter_segments_too_and_is_emptied_of_what_was_tried(monkeypatch):
    """MPS raises a RuntimeError, whose traceback keeps the tensors of the failed attempt."""
    said, tried, alive = [], [], []
    monkeypatch.setattr(any_length, "device_of", lambda separator: torch.device("mps"))
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: alive.append(tensors[-1]()))
    tensors = []

    def attempt(segment, device):
        tried.append((segment, device.type))
        if device.type == "mps":
            held = torch.zeros(10)
            tensors.append(weakref.ref(held))
            raise RuntimeError(MPS_FULL)
        return "done"

    assert with_enough_memory(Shares(1.0, segment=8.0), attempt, said.append) == "done"
    assert tried == [(8.0, "mps"), (4.0, "mps"), (2.0, "mps"), (8.0, "cpu")]
    assert alive == [None] * 3
    assert len(said) == 4 and "memory of mps" in said[0]


def test_cuda_is_emptied_after_the_failed_try_has_let_go(monkeypatch):
    alive, tensors = [], []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(tensors[-1]()))

    def attempt(segment, device):
        if not tensors:
            held = torch.zeros(10)
            tensors.append(weakref.ref(held))
            raise torch.cuda.OutOfMemoryError("full")
        return "done"

    assert with_enough_memory(Shares(1.0), attempt, print) == "done"
    assert alive == [None]


def test_other_errors_are_not_taken_for_a_full_memory():
    def attempt(segment, device):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        with_enough_memory(Shares(1.0), attempt, print)


@pytest.mark.parametrize("name", ["song.wav", "Für Élise – 2. Satz.flac", "a b .ogg"])
def test_files_keep_rate_channels_length_and_name(tmp_path, name):
    audio = music(2, 70_001, 44100).T.numpy()
    path = tmp_path / name
    soundfile.write(path, audio, 44100)
    written = separate_file(Shares(0.25, 0.75), path, tmp_path / "out")
    assert written["a"] == tmp_path / "out" / path.stem / "a.wav"
    total = 0
    for file in written.values():
        stem, rate = soundfile.read(file)
        assert rate == 44100 and stem.shape == audio.shape
        total = total + stem
    reference, _ = soundfile.read(path)
    assert np.abs(total - reference)[100:-100].max() < 1e-3
    assert sorted(p.name for p in (tmp_path / "out" / path.stem).iterdir()) == ["a.wav", "b.wav"]


def test_files_and_memory_give_the_same(tmp_path):
    mixture = music(2, 90_000, 44100)
    soundfile.write(tmp_path / "x.wav", mixture.T.numpy(), 44100, subtype="FLOAT")
    written = separate_file(Shares(0.4, 0.6), tmp_path / "x.wav", tmp_path)
    from_file = soundfile.read(written["b"], dtype="float32")[0].T
    np.testing.assert_array_equal(from_file, separate(Shares(0.4, 0.6), mixture, 44100)[1].numpy())


def test_nothing_half_written_is_left_where_a_stem_cannot_take_its_place(tmp_path):
    """A folder with the name of a stem appears while the file is separated."""

    class Late(Shares):
        def forward(self, mixture):
            (tmp_path / "out" / "x" / "b.wav").mkdir(exist_ok=True)
            return super().forward(mixture)

    soundfile.write(tmp_path / "x.wav", music(2, 5000, 22050).T.numpy(), 22050)
    with pytest.raises(UsageError, match=r"cannot write .*b\.wav.* written before it: a\.wav"):
        separate_file(Late(0.5, 0.5), tmp_path / "x.wav", tmp_path / "out")
    left = [p.name for p in (tmp_path / "out" / "x").iterdir()]
    assert sorted(left) == ["a.wav", "b.wav"]


def test_nothing_is_left_where_the_disk_is_full_at_the_last_byte(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.wav", music(2, 5000, 22050).T.numpy(), 22050)
    close = soundfile.SoundFile.close

    def failing(file):
        writes = not file.closed and file.mode == "w"
        close(file)
        if writes:
            raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile.SoundFile, "close", failing)
    with pytest.raises(UsageError, match="cannot write to"):
        separate_file(Shares(0.5, 0.5), tmp_path / "x.wav", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recording_that_is_heard_twice_is_decoded_once_and_whole(tmp_path, monkeypatch):
    """A separator that first reads the whole of a compressed file, and runs out of memory once."""
    heard, decoded = [], []

    class Listener(Shares):
        def listen(self, segments):
            heard.append(sum(segment.shape[-1] for segment in segments))
            return self

        def forward(self, mixture):
            if len(heard) == 1:
                raise torch.cuda.OutOfMemoryError("full")
            return super().forward(mixture)

    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: decoded.append(a) or run(*a, **k))
    mixture = music(2, 60_000, 22050).T.numpy()
    soundfile.write(tmp_path / "x.flac", mixture, 22050)
    said = []
    written = separate_file(Listener(1.0), tmp_path / "x.flac", tmp_path / "out", said.append)
    assert len(heard) == 2 and min(heard) >= 60_000
    assert len(said) == 1 and "memory" in said[0]
    assert len(decoded) == 1
    np.testing.assert_allclose(soundfile.read(written["a"])[0], mixture, atol=1e-4)
