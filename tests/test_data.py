"""Folders in every MUSDB18 layout, complete and damaged, and the excerpts drawn from them."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import stempeg
import torch

from common import SOURCES
from common.data import (
    NO_AUGMENT,
    SONG_SETS,
    Augment,
    Excerpts,
    embedded_tracks,
    real_excerpt,
    render_rest,
    songs_folder,
)
from common.data.musdb_folder import (
    TrackOnDisk,
    iterate_tracks,
    load_tracks,
    open_database,
)
from common.data.tracks import Track
from common.signal.resampling import match_channels, resample
from common.support.errors import UsageError

NAMED_FOR_VALIDATION = "Actions - One Minute Smile"
"""One of the validation tracks that musdb names."""


def stems(n_samples=44100, seed=0):
    """Mixture and four sources `(5, t, 2)`; the mixture is their sum."""
    sources = 0.05 * np.random.default_rng(seed).standard_normal((4, n_samples, 2))
    return np.concatenate([sources.sum(axis=0, keepdims=True), sources])


def write_wavs(folder, audio, rate=44100):
    folder.mkdir(parents=True)
    for name, stem in zip(("mixture", *SOURCES), audio, strict=True):
        soundfile.write(folder / f"{name}.wav", stem, rate, subtype="FLOAT")


@pytest.fixture
def wav_root(tmp_path):
    """MUSDB18-HQ: seven training tracks and one test track."""
    for k in range(7):
        write_wavs(tmp_path / "train" / f"Band - Song {k}", stems(seed=k))
    write_wavs(tmp_path / "test" / "Band - Last", stems(seed=9))
    return tmp_path


@pytest.fixture(scope="module")
def stem_root(tmp_path_factory):
    """MUSDB18 and its 7-second previews: one .stem.mp4 per track."""
    root = tmp_path_factory.mktemp("stems")
    for subset, name in (
        ("train", "Band - One"),
        ("train", NAMED_FOR_VALIDATION),
        ("test", "Band - Two"),
    ):
        (root / subset).mkdir(exist_ok=True)
        path = str(root / subset / f"{name}.stem.mp4")
        stempeg.write_stems(
            path, stems(7 * 44100), 44100, writer=stempeg.StreamsWriter(codec="aac")
        )
    return root


def test_wav_layout(wav_root):
    track = load_tracks(wav_root, "test", sample_rate=44100)[0]
    assert track.name == "Band - Last"
    assert track.sources.shape == (4, 2, 44100) and track.sources.dtype == torch.float32
    np.testing.assert_array_equal(track["bass"].T.numpy(), stems(seed=9)[2].astype(np.float32))
    torch.testing.assert_close(track.mixture, track.sources.sum(dim=0), atol=1e-6, rtol=0)
    torch.testing.assert_close(track["accompaniment"], track.mixture - track["vocals"])
    torch.testing.assert_close(track["no_drums"], track.sources[1:].sum(dim=0))
    two = Track("two", track.sources[:2], 44100, ("vocals", "accompaniment"))
    assert torch.equal(two["accompaniment"], two.sources[1])
    assert track.duration == 1.0


def test_tracks_are_read_when_they_are_wanted(wav_root, monkeypatch):
    read = []
    monkeypatch.setattr(
        "common.data.musdb_folder.read_track", lambda entry, *_: read.append(entry.name)
    )
    tracks = iterate_tracks(wav_root, "train", limit=3)
    assert read == []
    next(tracks)
    assert len(read) == 1
    assert len(list(tracks)) == 2
    with pytest.raises(UsageError, match="no split"):
        iterate_tracks(wav_root, "trian")


def test_bench_rate_and_mono(wav_root):
    track = load_tracks(wav_root, "test", n_channels=1)[0]
    assert track.sources.shape == (4, 1, 22050)
    with pytest.raises(UsageError, match="no source 'piano'"):
        track["piano"]


def test_splits_do_not_overlap(wav_root):
    names = {
        split: {t.name for t in open_database(wav_root, split)}
        for split in ("train", "valid", "test")
    }
    assert len(names["train"]) == 6 and names["valid"] == {"Band - Song 5"}
    assert not names["train"] & names["valid"]


def test_stems_layout_and_named_validation(stem_root):
    assert [t.name for t in open_database(stem_root, "valid")] == [NAMED_FOR_VALIDATION]
    assert [t.name for t in open_database(stem_root, "train")] == ["Band - One"]
    track = load_tracks(stem_root, "test")[0]
    assert track.sources.shape[:2] == (4, 2) and 6.9 < track.duration < 7.2
    # AAC is lossy and white noise is its hardest case, but stem and order must be right.
    reference = resample(
        torch.from_numpy(stems(7 * 44100).transpose(0, 2, 1)).float(), 44100, 22050
    )
    for k, source in enumerate(SOURCES, start=1):
        n = min(track.sources.shape[-1], reference.shape[-1])
        match = [
            torch.corrcoef(torch.stack([track[source][0, :n], reference[j, 0, :n]]))[0, 1]
            for j in range(1, 5)
        ]
        assert int(torch.stack(match).argmax()) + 1 == k, source


@pytest.mark.parametrize("layout", ["wav", "stems"])
def test_tracks_on_disk_read_what_tracks_in_memory_hold(wav_root, stem_root, layout):
    root = wav_root if layout == "wav" else stem_root
    entry = open_database(root, "test")[0]
    disk, memory = TrackOnDisk(entry, sample_rate=44100), load_tracks(root, "test", 44100)[0]
    # AAC fills its last frames up with silence, which the header does not count.
    assert 0 <= memory.n_samples - disk.n_samples < (1 if layout == "wav" else 2048)
    piece = disk.read(2, 5000, 8000)
    torch.testing.assert_close(piece, memory.read(2, 5000, 8000), atol=2e-4, rtol=0)
    assert Excerpts([disk], 0.5)[3][1].shape == (4, 2, 22050)


def broken(root, kind):
    """Break one track of a good folder; returns what the message must say."""
    song = root / "train" / "Band - Song 3"
    if kind == "missing stem":
        (song / "bass.wav").unlink()
        return "bass.wav is missing"
    if kind == "half a file":
        (song / "drums.wav").write_bytes(b"RIFF")
        return "cannot be read"
    if kind == "shorter stem":
        soundfile.write(song / "other.wav", stems(20000)[0], 44100)
        return "20000 samples at 44100 Hz"
    if kind == "no number":
        audio = stems()[0]
        audio[700, 1] = np.nan
        soundfile.write(song / "drums.wav", audio, 44100, subtype="FLOAT")
        return "Band - Song 3 holds NaN"
    if kind == "other rate":
        soundfile.write(song / "vocals.wav", stems()[0], 48000)
        return "at 48000 Hz"
    raise AssertionError(kind)


BROKEN = ["missing stem", "half a file", "shorter stem", "other rate", "no number"]


@pytest.mark.parametrize("kind", BROKEN)
def test_half_copied_folders_are_refused(wav_root, kind):
    expected = broken(wav_root, kind)
    with pytest.raises(UsageError, match=expected):
        load_tracks(wav_root, "train")


def foreign_things(folder):
    """What macOS, Windows and network storage leave behind in a folder."""
    for name in ("@eaDir", "__MACOSX", ".Spotlight-V100", "#recycle"):
        (folder / name).mkdir()
        (folder / name / "mixture.wav").write_bytes(b"nothing")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._Band - One.stem.mp4", "notes.txt"):
        (folder / name).write_bytes(b"nothing")


@pytest.mark.parametrize("layout", ["wav", "stems"])
def test_foreign_things_are_passed_over(wav_root, stem_root, layout, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(wav_root if layout == "wav" else stem_root, root)
    names = [track.name for track in open_database(root, "train")]
    foreign_things(root / "train")
    if layout == "wav":
        foreign_things(root / "train" / "Band - Song 0")
    assert [track.name for track in open_database(root, "train")] == names
    assert load_tracks(root, "train", limit=1)[0].name == names[0]


def test_a_folder_of_two_kinds_is_refused(wav_root, stem_root):
    shutil.copy(next((stem_root / "test").iterdir()), wav_root / "train" / "X.stem.mp4")
    with pytest.raises(UsageError, match=r"1 \*.stem.mp4 file.* 7 folder.*; keep one kind"):
        open_database(wav_root, "train")


@pytest.mark.parametrize("damage", ["no audio", "cut short", "one stream"])
def test_a_track_that_fails_is_named(stem_root, tmp_path, damage):
    (tmp_path / "train").mkdir()
    path = tmp_path / "train" / "Band - Bad.stem.mp4"
    whole = next((stem_root / "test").iterdir())
    if damage == "no audio":
        path.write_bytes(b"nothing")
    elif damage == "cut short":
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    else:
        command = ["ffmpeg", "-i", whole, "-map", "0:a:0", "-c", "copy", path]
        subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(UsageError, match="Band - Bad.stem.mp4"):
        load_tracks(tmp_path, "train")


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no folder train"):
        open_database(tmp_path / "nowhere", "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(UsageError, match="holds no tracks"):
        open_database(tmp_path, "train")
    with pytest.raises(UsageError, match="no split"):
        open_database(tmp_path, "dev")


def ramps(n_tracks=3, n_samples=22050):
    """Tracks whose samples tell track, source and position."""
    position = torch.arange(n_samples) / n_samples
    sources = [
        [(10 * k + s + 1 + position).expand(2, -1) for s in range(4)] for k in range(n_tracks)
    ]
    return [Track(f"t{k}", torch.stack(x), 22050) for k, x in enumerate(sources)]


def test_an_excerpt_depends_on_seed_and_index_alone():
    first, second = Excerpts(ramps(), 0.2, seed=5), Excerpts(ramps(), 0.2, seed=5)
    for i in (7, 0, 7):
        torch.testing.assert_close(first[i][1], second[i][1], rtol=0, atol=0)
    assert not torch.equal(first[0][1], first[1][1])
    assert not torch.equal(first[0][1], Excerpts(ramps(), 0.2, seed=6)[0][1])


def test_the_mixture_is_the_sum():
    mixture, sources = Excerpts(ramps(), 0.2)[11]
    torch.testing.assert_close(mixture, sources.sum(dim=0))
    assert mixture.shape == (2, 4410)


def song_and_source(sources):
    """The tracks from which the stems of an excerpt come; the order of the stems is checked."""
    whole = sources[:, 0, 0].floor().long() - 1
    assert (whole % 10).tolist() == [0, 1, 2, 3]
    return set((whole // 10).tolist())


def test_remixing_mixes_songs_and_never_stems():
    together = Excerpts(ramps(9), 0.2, augment=NO_AUGMENT)
    assert all(len(song_and_source(together[i][1])) == 1 for i in range(20))
    remixed = Excerpts(ramps(9), 0.2, augment=Augment(1.0, (0, 0), False, False))
    assert max(len(song_and_source(remixed[i][1])) for i in range(20)) > 2


def test_gain_swap_and_polarity():
    stereo = [Track("t", torch.stack([torch.tensor([[1.0], [0.5]]).expand(2, 22050)] * 4), 22050)]
    draw = Excerpts(stereo, 0.1, augment=Augment(0.0, (-6.0, 3.0), True, True))
    loudest = torch.stack([draw[i][1][:, :, 0] for i in range(50)]).reshape(-1, 2)
    left = loudest.abs()[:, 0] > loudest.abs()[:, 1]
    assert 0.3 < left.float().mean() < 0.7
    assert 0.3 < (loudest[:, 0] > 0).float().mean() < 0.7
    level = 20 * loudest.abs().max(dim=1).values.log10()
    assert -6 <= level.min() < -4 and 1 < level.max() <= 3


def test_short_tracks_are_padded():
    assert Excerpts(ramps(1, 1000), 0.2)[0][0].shape == (2, 4410)
    with pytest.raises(UsageError, match="no tracks"):
        Excerpts([], 1.0)


def test_resample_lengths_and_tone():
    time = torch.arange(44100) / 44100
    tone = torch.sin(2 * torch.pi * 440 * time)
    down = resample(tone[None], 44100, 22050)
    assert down.shape == (1, 22050)
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(22050) / 22050)
    torch.testing.assert_close(down[0, 200:-200], expected[200:-200], atol=1e-3, rtol=0)
    assert resample(torch.randn(2, 3, 1), 8000, 22050).shape == (2, 3, 3)


def test_channels():
    mono, stereo = torch.randn(1, 5), torch.randn(2, 5)
    assert match_channels(mono, 2).shape == (2, 5)
    torch.testing.assert_close(match_channels(stereo, 1)[0], stereo.mean(dim=0))
    with pytest.raises(UsageError, match="3 channels"):
        match_channels(torch.randn(3, 5), 2)


def test_the_rest_is_rendered_in_the_background(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_DATA", str(tmp_path))
    monkeypatch.setenv("BOOK_SCALE", "smoke")
    first = embedded_tracks("test", limit=1)[0]
    process = render_rest()
    assert torch.equal(embedded_tracks("test", limit=1)[0].mixture, first.mixture)
    assert process.wait(timeout=300) == 0
    counts = (SONG_SETS["smoke"].n_train, SONG_SETS["smoke"].n_test)
    folders = [
        len(list(songs_folder(SONG_SETS["smoke"]).glob(f"{s}/*"))) for s in ("train", "test")
    ]
    assert tuple(folders) == counts
    assert render_rest() is None


def test_the_real_excerpt():
    track = real_excerpt()
    assert track.sources.shape[:2] == (4, 2) and 6 < track.duration < 6.2
    assert track.mixture.abs().max() > 3  # not mastered: the sum of the stems, kept in float
