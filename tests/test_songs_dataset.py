"""Sets of songs on disk: layout, exact sums, resuming, refusing, interruption."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import musdb
import numpy as np
import pytest
import soundfile

from common.songs import track
from common.songs.dataset import set_hash, song_seed, write_set
from common.songs.writing.compose import compose
from common.songs.writing.score import Variety
from common.support.files import locked

SMALL = {"n_train": 2, "n_test": 1, "seconds": 5.0, "sample_rate": 22050, "progress": False}
NAMES = {
    "mixture.wav",
    "drums.wav",
    "bass.wav",
    "other.wav",
    "vocals.wav",
    "notes.mid",
    "song.json",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp("songs") / "set", **SMALL, processes=2)


def tracks(root: Path) -> list[Path]:
    return sorted(folder for split in ("train", "test") for folder in (root / split).iterdir())


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != "set.json")
    return {str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_layout(root):
    assert sorted(p.name for p in root.iterdir()) == ["set.json", "test", "train"]
    assert len(list((root / "train").iterdir())) == 2
    assert len(list((root / "test").iterdir())) == 1
    for folder in tracks(root):
        assert {p.name for p in folder.iterdir()} == NAMES
        assert json.loads((folder / "song.json").read_text(encoding="utf-8"))


def test_wav_files_are_16_bit_stereo_of_the_exact_length(root):
    for path in root.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.subtype, info.channels, info.samplerate) == ("PCM_16", 2, 22050)
        assert info.frames == 5 * 22050


def test_mixture_is_the_exact_sum_and_does_not_clip(root):
    for folder in tracks(root):
        audio = {
            p.stem: soundfile.read(p, dtype="int16")[0].astype(int) for p in folder.glob("*.wav")
        }
        mixture = audio.pop("mixture")
        assert np.array_equal(mixture, sum(audio.values()))
        assert np.abs(mixture).max() < 32767


def test_musdb_reads_it(root):
    database = musdb.DB(root=str(root), is_wav=True)
    assert sorted(t.name for t in database) == sorted(folder.name for folder in tracks(root))
    first = database[0]
    stems = sum(first.targets[name].audio for name in ("drums", "bass", "other", "vocals"))
    assert np.allclose(first.audio, stems, atol=1e-9)


def test_splits_draw_from_seeds_that_never_meet():
    train = {song_seed(s, "train", i) for s in range(3) for i in (0, 1, 999_999)}
    test = {song_seed(s, "test", i) for s in range(3) for i in (0, 1, 499_999)}
    valid = {song_seed(s, "valid", i) for s in range(3) for i in (0, 1, 499_999)}
    assert len(train | test | valid) == 9 + 9 + 9


def test_same_seed_same_bytes_in_any_number_of_processes(root, tmp_path):
    alone = write_set(tmp_path / "alone", **SMALL, processes=1)
    first, second = snapshot(root), snapshot(alone)
    assert {name: data for name, (data, _) in first.items()} == {
        name: data for name, (data, _) in second.items()
    }
    assert set_hash(root) == set_hash(alone)
    assert set_hash(root, "train") != set_hash(root, "test")


def test_songs_do_not_depend_on_the_order_of_sets_in_a_process():
    """The order of a set of strings differs between processes; 30 songs must not depend on it."""
    code = (
        "import zlib; from common.songs.writing.compose import compose;"
        "print([zlib.crc32(repr(compose(seed)).encode()) for seed in range(30)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[1],
            env={**os.environ, "PYTHONHASHSEED": order},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for order in ("0", "1", "2")
    }
    assert len(outputs) == 1


def test_another_seed_gives_other_songs(root, tmp_path):
    other = write_set(tmp_path / "other", **{**SMALL, "n_train": 0}, seed=1)
    assert set_hash(root) != set_hash(other)


def test_a_rerun_leaves_whole_tracks_alone_and_renders_the_missing_one(tmp_path):
    root = write_set(tmp_path, **SMALL, processes=1)
    before = snapshot(root)
    gone = tracks(root)[0]
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    (root / (track.UNFINISHED + "left")).mkdir()
    write_set(root, **SMALL, processes=1)
    after = snapshot(root)
    assert not list(root.glob(track.UNFINISHED + "*"))
    for name, (data, written) in before.items():
        assert after[name][0] == data
        if not name.startswith(str(gone.relative_to(root))):
            assert after[name][1] == written


def test_a_larger_number_extends_the_set(tmp_path):
    root = write_set(tmp_path, **{**SMALL, "n_train": 1, "n_test": 0}, processes=1)
    before = snapshot(root)
    write_set(root, **SMALL, processes=1)
    assert len(tracks(root)) == 3
    assert before.items() <= snapshot(root).items()
    assert json.loads((root / "set.json").read_text())["n_train"] == 2


def test_songs_that_are_there_do_not_wait_for_those_under_way(root):
    with locked(root):  # as while another process renders the rest
        waiting = threading.Thread(target=write_set, args=(root,), kwargs=SMALL, daemon=True)
        waiting.start()
        waiting.join(timeout=60)
        assert not waiting.is_alive()


def test_songs_that_are_missing_wait_for_the_process_that_renders(tmp_path):
    with locked(tmp_path):
        waiting = threading.Thread(
            target=write_set, args=(tmp_path,), kwargs={**SMALL, "processes": 1}, daemon=True
        )
        waiting.start()
        waiting.join(timeout=1)
        assert waiting.is_alive() and not (tmp_path / "set.json").exists()
    waiting.join(timeout=120)
    assert len(tracks(tmp_path)) == 3


def test_a_smaller_number_removes_nothing(root):
    before = snapshot(root)
    write_set(root, **{**SMALL, "n_train": 1, "n_test": 0})
    assert snapshot(root) == before
    card = json.loads((root / "set.json").read_text())
    assert (card["n_train"], card["n_test"]) == (2, 1)


@pytest.mark.parametrize(
    "change",
    [{"seed": 3}, {"seconds": 6.0}, {"sample_rate": 44100}, {"variety": Variety(effects=False)}],
)
def test_a_set_made_otherwise_is_refused_and_left_alone(root, change):
    before = snapshot(root)
    with pytest.raises(ValueError, match=f"another {next(iter(change))}"):
        write_set(root, **{**SMALL, **change})
    assert snapshot(root) == before


def test_another_release_of_the_package_goes_on_with_a_set(root, monkeypatch):
    """GENERATOR_VERSION, not the package's version, says whether the songs are the same."""
    before = snapshot(root)
    monkeypatch.setattr("common.songs.dataset.__version__", "99.0")
    write_set(root, **SMALL)
    assert snapshot(root) == before


def test_set_json_says_what_the_set_was_made_from(root):
    card = json.loads((root / "set.json").read_text(encoding="utf-8"))
    assert card["seed"] == 0
    assert (card["n_train"], card["n_test"], card["seconds"]) == (2, 1, 5.0)
    assert card["soundfont"] == "TimGM6mb.sf2"
    assert card["variety"] == asdict(Variety())
    assert card["version"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_train": -1}, "number of training songs"),
        ({"n_test": -5}, "number of test songs"),
        ({"n_test": 500_001}, "number of test songs"),
        ({"n_valid": 500_001}, "number of validation songs"),
        ({"n_train": 0, "n_test": 0}, "at least one song"),
        ({"seconds": 4.9}, "5 to 3600 seconds"),
        ({"seconds": float("nan")}, "5 to 3600 seconds"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"sample_rate": 0}, "sample rate must be"),
        ({"sample_rate": 10**9}, "sample rate must be"),
        ({"processes": 0}, "at least one process"),
        ({"soundfont": "/no/such.sf2"}, "no soundfont at"),
    ],
)
def test_bad_numbers_are_named_in_one_line_and_nothing_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as error:
        write_set(tmp_path / "set", **{**SMALL, **change})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "set").exists()


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="already holds other files"):
        write_set(tmp_path, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_foreign_set_json_is_refused(tmp_path):
    (tmp_path / "set.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="not the description of a set"):
        write_set(tmp_path, **SMALL)


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file, not a folder"):
        write_set(tmp_path / "file" / "set", **SMALL)


def test_a_track_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(track, "song_json", fail)
    with pytest.raises(OSError, match="no space"):
        track.write_track(tmp_path / "song", compose(1, "train", 5.0), 22050)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("processes", [1, 2])
def test_interruption_leaves_no_broken_track_and_a_rerun_finishes(root, tmp_path, processes):
    """Ctrl-C reaches the whole process group, as in a terminal, once the first song is there."""
    arguments = {**SMALL, "n_train": 7, "processes": processes}
    target = tmp_path / "set"
    # A background job inherits an ignored SIGINT; use Python's own handler, as in a terminal.
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += f"from common.songs.dataset import write_set\nwrite_set({str(target)!r}, **{arguments})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(target.glob("train/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert not list(target.glob(track.UNFINISHED + "*"))
    finished = tracks(target)
    assert 0 < len(finished) < 8
    assert all(track.is_complete(folder) for folder in finished)
    write_set(target, **{**SMALL, "n_train": 7}, processes=1)
    assert len(tracks(target)) == 8
    assert set_hash(target) == set_hash(root)
