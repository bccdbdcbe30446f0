"""Music decoded once: shared, updated when files change, usable on machines without a decoder."""

import json
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import soundfile
import stempeg
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from common import SOURCES
from common.data import Excerpts, decoded
from common.data.decoded import INDEX, DecodedTrack, decode, decoded_tracks, training_tracks
from common.data.musdb_folder import TrackOnDisk, load_tracks, open_database
from common.data.tracks import Track
from common.recipes import train
from common.support.errors import UsageError

RATE = 22050


def write_song(folder, seed, n_samples=2 * RATE):
    folder.mkdir(parents=True, exist_ok=True)
    sources = 0.5 * np.random.default_rng(seed).standard_normal((4, n_samples, 2))
    for name, stem in zip(("mixture", *SOURCES), [sources.sum(axis=0), *sources], strict=True):
        soundfile.write(folder / f"{name}.wav", stem, RATE, subtype="FLOAT")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Seven songs; none is small enough to stay in memory, and the caches are in `tmp_path`."""
    monkeypatch.setenv("COMMON_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(decoded, "IN_MEMORY", 0)
    for k in range(7):
        write_song(tmp_path / "music" / "train" / f"Song {k}", k)
    return tmp_path / "music"


@pytest.fixture
def reads(monkeypatch):
    """The names of all tracks that are decoded from now on."""
    names, read_track = [], decoded.read_track

    def spy(entry, *more):
        names.append(entry.name)
        return read_track(entry, *more)

    monkeypatch.setattr(decoded, "read_track", spy)
    return names


def test_decoded_tracks_hold_what_the_files_do(root, reads):
    folder = decode(root, RATE)
    found = training_tracks(folder, "train", RATE)
    assert [x.name for x in found] == [f"Song {k}" for k in (0, 1, 2, 3, 4, 6)]
    assert [x.name for x in training_tracks(folder, "valid", RATE)] == ["Song 5"]
    assert len(reads) == 7  # both splits at once
    for track, whole in zip(found, load_tracks(root, "train", RATE), strict=True):
        assert isinstance(track, DecodedTrack) and track.n_samples == whole.n_samples
        error = track.read(2, 1000, 5000) - whole.read(2, 1000, 5000)
        assert error.square().mean() < 1e-7 * whole.sources.square().mean()  # 70 dB below
        assert track.read(1, RATE * 2 - 10, 50).shape == (2, 10)


def test_small_wav_folders_stay_in_memory(root, monkeypatch):
    monkeypatch.setattr(decoded, "IN_MEMORY", 1e9)
    assert isinstance(training_tracks(root, "train", RATE)[0], Track)
    assert not (root.parent / "home").exists()


def test_large_wav_folders_are_read_excerpt_by_excerpt_and_take_no_more_room(root):
    found = training_tracks(root, "train", RATE)
    assert all(isinstance(track, TrackOnDisk) for track in found)
    assert not (root.parent / "home").exists()
    whole = load_tracks(root, "train", RATE)
    for item in range(4):  # bit for bit the same as from memory
        assert torch.equal(Excerpts(found, 0.2)[item][1], Excerpts(whole, 0.2)[item][1])
    other = training_tracks(root, "train", 8000)
    assert all(isinstance(track, DecodedTrack) for track in other)


def test_a_track_on_disk_that_holds_nan_is_named(root):
    path = root / "train" / "Song 2" / "bass.wav"
    broken = np.full((2 * RATE, 2), np.nan)
    soundfile.write(path, broken, RATE, subtype="FLOAT")
    track = training_tracks(root, "train", RATE)[2]
    with pytest.raises(UsageError, match="Song 2 holds NaN"):
        track.read(SOURCES.index("bass"), 10, 50)


def test_another_rate_is_decoded_for_itself(root):
    assert decode(root, RATE) != decode(root, 8000)
    assert decoded_tracks(decode(root, 8000), "train", 8000)[0].n_samples == 16000
    with pytest.raises(UsageError, match="decoded at 8000 Hz, not at 22050"):
        training_tracks(decode(root, 8000), "train", RATE)


def test_only_music_that_changed_is_decoded_again(root, reads):
    folder = decode(root, RATE)
    write_song(root / "train" / "Song 3", seed=30)
    shutil.rmtree(root / "train" / "Song 6")
    write_song(root / "train" / "Song 7", seed=7)
    (root / "train" / "Song 1" / ".DS_Store").touch()
    del reads[:]
    assert decode(root, RATE) == folder and sorted(reads) == ["Song 3", "Song 7"]
    assert len(list(folder.glob("*.npy"))) == 7
    new = load_tracks(root, "train", RATE)[3]
    found = decoded_tracks(folder, "train", RATE)[3]
    torch.testing.assert_close(found.read(0, 0, 99), new.read(0, 0, 99), atol=1e-3, rtol=1e-3)
    decode(root, RATE)
    assert len(reads) == 2


def test_music_that_changed_behind_a_link_is_decoded_again(root, reads):
    elsewhere = root.parent / "disk" / "Song 3"
    elsewhere.parent.mkdir()
    (root / "train" / "Song 3").rename(elsewhere)
    (root / "train" / "Song 3").symlink_to(elsewhere, target_is_directory=True)
    decode(root, RATE)
    del reads[:]
    write_song(elsewhere, seed=30)
    decode(root, RATE)
    assert reads == ["Song 3"]


def test_interrupted_decoding_goes_on_where_it_stopped(root, reads, monkeypatch):
    save = np.save

    def disk_full(file, array):
        if len(reads) == 4:
            file.write(b"half")
            raise OSError("disk full")
        save(file, array)

    monkeypatch.setattr(np, "save", disk_full)
    with pytest.raises(OSError, match="disk full"):
        decode(root, RATE)
    folder = next((root.parent / "home" / "decoded").iterdir())
    assert len(list(folder.iterdir())) == 3, "nothing half-written remains, and no index"
    monkeypatch.setattr(np, "save", save)
    decode(root, RATE)
    assert len(reads) == 4 + 4


def test_two_that_ask_at_once_decode_once(root, reads):
    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(lambda _: decode(root, RATE), range(2)))) == 1
    assert len(reads) == 7


def test_what_workers_are_sent_is_small(root):
    excerpts = Excerpts(training_tracks(decode(root, RATE), "train", RATE), 0.2)
    items = [excerpts[i] for i in range(4)]
    assert len(pickle.dumps(excerpts)) < 10_000
    again = pickle.loads(pickle.dumps(excerpts))
    assert all(torch.equal(again[i][1], items[i][1]) for i in range(4))
    batches = DataLoader(excerpts, batch_sampler=[range(4)], num_workers=1)
    assert torch.equal(next(iter(batches))[1], torch.stack([x[1] for x in items]))


def test_music_in_memory_is_shared_with_workers_and_not_copied(root, monkeypatch):
    monkeypatch.setattr(decoded, "IN_MEMORY", 1e9)
    excerpts = Excerpts(training_tracks(root, "train", RATE), 0.2)
    assert len(ForkingPickler.dumps(excerpts)) < 20_000


def test_stems_are_decoded_and_ffmpeg_is_not_asked_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path / "home"))
    audio = 0.05 * np.random.default_rng(0).standard_normal((5, 3 * 44100, 2))
    (tmp_path / "train").mkdir()
    for name in ("Band - One", "Band - Two"):
        path = str(tmp_path / "train" / f"{name}.stem.mp4")
        stempeg.write_stems(path, audio, 44100, writer=stempeg.StreamsWriter(codec="aac"))
    whole = load_tracks(tmp_path, "train", RATE)
    training_tracks(tmp_path, "train", RATE)
    monkeypatch.setattr(subprocess, "Popen", None)
    found = training_tracks(tmp_path, "train", RATE)
    assert [x.name for x in found] == ["Band - One", "Band - Two"]
    expected = whole[0].read(3, 0, RATE)
    torch.testing.assert_close(found[0].read(3, 0, RATE), expected, atol=1e-3, rtol=1e-3)


BARE = """
import importlib.abc, pkgutil, sys
NAMES = "musdb stempeg ffmpeg soundfile soxr librosa scipy pretty_midi museval nussl scaper"

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in NAMES.split():
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Missing())
import common.data, common.models, common.training
for module in pkgutil.iter_modules(common.models.__path__, "common.models."):
    __import__(module.name)
from pathlib import Path
from common.recipes.training import train
train("unet", "smoke", root=Path(sys.argv[1]), folder=Path(sys.argv[2]))
"""


def test_a_carried_folder_trains_a_net_where_nothing_can_be_decoded(root, tmp_path):
    """Torch, NumPy, einops, accelerate, safetensors and tqdm are enough."""
    here = load_file(train("unet", "smoke", root=decode(root, RATE), folder=tmp_path / "here"))
    carried = tmp_path / "carried"
    shutil.move(decode(root, RATE), carried)
    shutil.rmtree(root)
    assert str(tmp_path) not in (carried / INDEX).read_text(encoding="utf-8")
    command = [sys.executable, "-c", BARE, str(carried), str(tmp_path / "there")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there = load_file(tmp_path / "there" / "unet.safetensors")
    assert all(torch.equal(there[key], x) for key, x in here.items())
    assert json.loads((carried / INDEX).read_text(encoding="utf-8"))["sample_rate"] == RATE


def test_listing_asks_ffprobe_nothing_and_lengths_are_asked_for_once(tmp_path, monkeypatch):
    import ffmpeg

    (tmp_path / "train").mkdir()
    for name in ("Band - One", "Band - Two"):
        shutil.copy(stempeg.example_stem_path(), tmp_path / "train" / f"{name}.stem.mp4")
    asked, probe = [], ffmpeg.probe
    monkeypatch.setattr(ffmpeg, "probe", lambda name: asked.append(name) or probe(name))
    entries = open_database(tmp_path, "train")
    assert not asked
    for entry in (*entries, *open_database(tmp_path, "train")):
        assert entry.rate == 44100 and entry.samples > 6 * 44100
    assert len(asked) == 2
