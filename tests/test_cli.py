"""The command line with good and bad input: a right result, or one plain line and exit code 2."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import museval
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from common import DEFAULT_MODEL, SAMPLE_RATE, SOURCES, WHY_DEFAULT
from common.__main__ import main, parser
from common.classical.hpss import HPSS
from common.classical.table import METHODS
from common.data.embedded import SONG_SETS, songs_here
from common.data.musdb_folder import load_tracks
from common.models.open_unmix import OpenUnmix
from common.recipes import recipe, save_checkpoint
from common.separation import separate as separate_audio
from common.support.scale import SCALES


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny untrained net: these tests are about files, not about quality."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, recipe("mask-inference", "smoke").net(), "mask-inference", "smoke")
    return path


@pytest.fixture
def separate(weights, tmp_path, capsys):
    """Run `separate` on files; returns exit code, messages on stderr, and the files in out."""

    def run(*files, out=tmp_path / "out", more=()):
        arguments = ["separate", *map(str, files), "--model", str(weights), "--out", str(out)]
        code = main([*arguments, "--device", "cpu", *more])
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        left = sorted(str(p.relative_to(out)) for p in out.rglob("*")) if out.is_dir() else []
        return code, errors, left

    return run


def noise(n_samples, n_channels=2, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal((n_samples, n_channels))


def wav(path, audio, rate=22050, **options):
    soundfile.write(path, audio, rate, **options)
    return path


FOUR = [f"{source}.wav" for source in ("bass", "drums", "other", "vocals")]


@pytest.mark.parametrize(
    ("rate", "n_channels", "n_samples"),
    [(44100, 1, 30000), (8000, 2, 9000), (96000, 2, 50000), (48000, 6, 20000), (44100, 2, 1)],
)
def test_odd_but_good_input(separate, tmp_path, rate, n_channels, n_samples):
    path = wav(tmp_path / "song.wav", noise(n_samples, n_channels), rate)
    code, errors, left = separate(path)
    assert (code, errors) == (0, [])
    assert left == ["song", *(f"song/{name}" for name in FOUR)]
    for name in FOUR:
        info = soundfile.info(tmp_path / "out" / "song" / name)
        assert (info.samplerate, info.channels, info.frames) == (rate, n_channels, n_samples)


def test_clipped_and_silent_input(separate, tmp_path):
    loud = wav(tmp_path / "loud.wav", np.clip(20 * noise(20000), -1, 1))
    still = wav(tmp_path / "still.wav", np.zeros((20000, 2)))
    assert separate(loud, still)[0] == 0
    for name in FOUR:
        assert np.isfinite(soundfile.read(tmp_path / "out" / "loud" / name)[0]).all()
        assert not soundfile.read(tmp_path / "out" / "still" / name)[0].any()


def test_compressed_and_video_formats(separate, tmp_path):
    path = wav(tmp_path / "ogg.ogg", noise(22050))
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-c:a", "aac", str(tmp_path / "film.mp4")]
    subprocess.run(command, check=True)
    assert separate(path, tmp_path / "film.mp4")[0] == 0
    for song in ("ogg", "film"):
        for name in FOUR:
            info = soundfile.info(tmp_path / "out" / song / name)
            assert (info.samplerate, info.channels) == (22050, 2)
            assert 22050 <= info.frames <= 22050 + 2048  # aac fills up its last frame


def test_two_stems(separate, tmp_path):
    path = wav(tmp_path / "song.wav", noise(22050))
    code, _, left = separate(path, more=["--two-stems", "vocals"])
    assert code == 0
    assert left == ["song", "song/accompaniment.wav", "song/vocals.wav"]
    total = sum(soundfile.read(tmp_path / "out" / name)[0] for name in left[1:])
    np.testing.assert_allclose(total, soundfile.read(path)[0], atol=1e-3)


def missing_from_the_sum(folder, path):
    """The file minus the sum of a folder's stems, in dB relative to the file."""
    audio = soundfile.read(path)[0]
    lacking = audio - sum(soundfile.read(stem)[0] for stem in folder.iterdir())
    return 10 * np.log10(np.square(lacking).sum() / np.square(audio).sum() + 1e-20)


def test_stems_of_the_books_nets_add_up_unless_told_otherwise(separate, tmp_path):
    path = wav(tmp_path / "song.wav", noise(22050), subtype="FLOAT")
    assert separate(path)[0] == 0
    assert separate(path, out=tmp_path / "raw", more=["--no-mixture-consistency"])[0] == 0
    assert missing_from_the_sum(tmp_path / "out" / "song", path) < -100
    assert missing_from_the_sum(tmp_path / "raw" / "song", path) > -40


def test_the_default_model_is_named_with_its_reason(capsys):
    assert main(["models"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"{DEFAULT_MODEL} by default: {WHY_DEFAULT}" in last
    with pytest.raises(SystemExit):
        main(["separate", "--help"])
    assert f"{DEFAULT_MODEL}: {WHY_DEFAULT}" in " ".join(capsys.readouterr().out.split())
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"`{DEFAULT_MODEL}`" in readme
    assert parser().parse_args(["separate", "x", "--out", "o"]).model == DEFAULT_MODEL


def bad_files(folder):
    """Files that cannot be separated, and what the line about each must say."""
    (folder / "empty.wav").touch()
    wav(folder / "header_only.wav", noise(0))
    (folder / "text.mp3").write_text("this is a letter to my aunt\n" * 50)
    spoilt = noise(30 * 22050)
    spoilt[-3000, 1] = np.nan  # long after the first segment of 20 s has been written
    wav(folder / "nan.wav", spoilt, subtype="FLOAT")
    spoilt[-3000, 1] = np.inf
    wav(folder / "inf.wav", spoilt, subtype="FLOAT")
    (folder / "album").mkdir()
    return {
        "empty.wav": "is empty",
        "header_only.wav": "no samples",
        "text.mp3": "cannot decode",
        "nan.wav": "nan.wav holds NaN",
        "inf.wav": "inf.wav holds NaN or infinite",
        "album": "is a folder",
        "nowhere.wav": "does not exist",
    }


def test_bad_files_give_one_line_and_leave_nothing(separate, tmp_path):
    for name, expected in bad_files(tmp_path).items():
        code, errors, left = separate(tmp_path / name)
        assert code == 2, name
        assert len(errors) == 1, (name, errors)
        assert expected in errors[0], (name, errors)
        assert left == [], name
        assert not (tmp_path / "out").exists(), name


def test_a_failed_file_leaves_older_results_alone(separate, tmp_path):
    path = wav(tmp_path / "song.wav", noise(22050))
    assert separate(path)[0] == 0
    before = (tmp_path / "out" / "song" / "bass.wav").read_bytes()
    spoilt = noise(30 * 22050)
    spoilt[-3000] = np.nan
    wav(path, spoilt, subtype="FLOAT")
    code, _, left = separate(path)
    assert code == 2
    assert left == ["song", *(f"song/{name}" for name in FOUR)]
    assert (tmp_path / "out" / "song" / "bass.wav").read_bytes() == before


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg"])
def test_a_file_that_breaks_off_is_separated_up_to_there(weights, tmp_path, capsys, kind):
    whole = wav(tmp_path / f"whole.{kind}", noise(80_000))
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out = tmp_path / "out"
    assert main(["separate", str(path), "--model", str(weights), "--out", str(out)]) == 0
    said = capsys.readouterr()
    lengths = {soundfile.info(out / "cut" / name).frames for name in FOUR}
    assert len(lengths) == 1
    length = lengths.pop()
    assert 20_000 < length < 60_000
    warnings = [line for line in said.err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"warning: {path} breaks off at {length / 22050:.2f} s")
    assert sorted(said.out.splitlines()) == [str(out / "cut" / name) for name in FOUR]


@pytest.mark.parametrize("name", ["...wav", "..wav", ".wav", "a..wav"])
def test_stems_never_leave_the_folder(separate, tmp_path, name):
    wav(tmp_path / "x.wav", noise(3000)).rename(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    code, _, left = separate(tmp_path / name)
    assert code == 0
    assert len(left) == 5 and all(path.count("/") == 1 for path in left[1:])
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "out"])


@pytest.mark.parametrize("link", ["none", "symbolic", "hard", "folder"])
def test_a_stem_never_overwrites_what_is_separated(separate, tmp_path, link):
    folder = tmp_path / "out" / "vocals"
    folder.mkdir(parents=True)
    target = wav(folder / "vocals.wav", noise(3000))
    path = target
    if link == "symbolic":
        path = tmp_path / "vocals.wav"
        path.symlink_to(target)
    if link == "hard":
        path = tmp_path / "vocals.wav"
        path.hardlink_to(target)
    if link == "folder":
        (tmp_path / "way").symlink_to(tmp_path / "out")
        path = tmp_path / "way" / "vocals" / "vocals.wav"
    before = target.read_bytes()
    code, errors, left = separate(path)
    assert code == 2 and len(errors) == 1 and "would be overwritten" in errors[0]
    assert target.read_bytes() == before and left == ["vocals", "vocals/vocals.wav"]


def test_a_stem_never_overwrites_a_file_that_is_separated_later(separate, tmp_path):
    (tmp_path / "out" / "song").mkdir(parents=True)
    later = wav(tmp_path / "out" / "song" / "drums.wav", noise(3000))
    before = later.read_bytes()
    code, errors, left = separate(wav(tmp_path / "song.wav", noise(3000)), later)
    assert code == 2 and "would be overwritten" in errors[0]
    assert later.read_bytes() == before and left == ["song", "song/drums.wav"]


def test_a_folder_where_a_stem_belongs(separate, tmp_path):
    (tmp_path / "out" / "song" / "drums.wav").mkdir(parents=True)
    code, errors, left = separate(wav(tmp_path / "song.wav", noise(3000)))
    assert code == 2 and len(errors) == 1 and "drums.wav is a folder" in errors[0]
    assert left == ["song", "song/drums.wav"]


@pytest.mark.parametrize("fault", ["missing", "folder in the way"])
def test_all_files_and_places_are_looked_at_before_the_first_is_separated(
    separate, tmp_path, fault
):
    one = wav(tmp_path / "one.wav", noise(3000))
    two = tmp_path / "two.wav"
    if fault == "folder in the way":
        wav(two, noise(3000))
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "two").write_text("a letter")
    code, errors, left = separate(one, two)
    assert code == 2 and len(errors) == 1 and "two" in errors[0]
    assert not any(name.startswith("one") for name in left)


def test_two_files_of_one_name_are_told_by_where_their_stems_really_go(separate, tmp_path):
    (tmp_path / "out" / "b").mkdir(parents=True)
    (tmp_path / "out" / "a").symlink_to(tmp_path / "out" / "b")
    one, two = wav(tmp_path / "a.wav", noise(3000)), wav(tmp_path / "b.wav", noise(3000))
    code, errors, left = separate(one, two)
    assert code == 2 and "rename one" in errors[0] and left == ["a", "b"]


@pytest.mark.parametrize("name", [b"f\xfcr.wav", b"song.raw", b"f\xfcr.txt"])
def test_names_that_are_no_utf8_in_a_process(weights, tmp_path, name):
    path = wav(tmp_path / "x.wav", noise(3000)).rename(os.fsdecode(bytes(tmp_path) + b"/" + name))
    if path.suffix == ".txt":
        path.write_text("this is a letter to my aunt")
    run = [sys.executable, "-m", "common", "separate", os.fsencode(path)]
    run += ["--model", str(weights), "--out", str(tmp_path / "out")]
    done = subprocess.run(run, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
    if path.suffix == ".txt":
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    else:
        assert done.returncode == 0
        assert sorted(p.name for p in (tmp_path / "out" / path.stem).iterdir()) == FOUR


def test_output_below_a_regular_file(separate, tmp_path):
    path = wav(tmp_path / "song.wav", noise(2000))
    code, errors, _ = separate(path, out=path / "out")
    assert code == 2 and len(errors) == 1 and "cannot write" in errors[0]


def test_results_and_runs_below_a_regular_file_are_refused_before_the_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for command in (["evaluate", "mixture"], ["train", "mask-inference"]):
        place = str(tmp_path / "file" / "deep" / "x")
        assert main([*command, "--data", str(tmp_path / "no data"), "--out", place]) == 2
        assert "file is a file, not a folder" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_a_device_that_is_not_there(separate, tmp_path, monkeypatch, wanted):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    path = wav(tmp_path / "song.wav", noise(2000))
    code, errors, left = separate(path, more=("--device", wanted))
    assert (code, left) == (2, [])
    assert errors == [f"error: PyTorch finds no {wanted} here; it finds cpu"]


def test_same_name_twice(separate, tmp_path):
    one, two = wav(tmp_path / "song.wav", noise(2000)), wav(tmp_path / "song.flac", noise(2000))
    code, errors, left = separate(one, two)
    assert code == 2 and "rename one" in errors[0] and left == []


def test_unknown_model_names_the_nearest(tmp_path, capsys):
    path = wav(tmp_path / "song.wav", noise(2000))
    assert main(["train", "mask-inferense"]) == 2
    assert "did you mean mask-inference?" in capsys.readouterr().err
    assert main(["separate", str(path), "--model", "zzz", "--out", str(tmp_path / "o")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_unknown_stem(separate, tmp_path):
    path = wav(tmp_path / "song.wav", noise(2000))
    code, errors, _ = separate(path, more=["--two-stems", "kazoo"])
    assert code == 2 and "drums, bass, other, vocals" in errors[0]


def test_a_file_that_is_no_checkpoint(tmp_path, capsys):
    path = wav(tmp_path / "song.wav", noise(2000))
    fake = tmp_path / "fake.safetensors"
    for content in (b"", b"nonsense" * 100):
        fake.write_bytes(content)
        assert (
            main(["separate", str(path), "--model", str(fake), "--out", str(tmp_path / "o")]) == 2
        )
        assert "no checkpoint of this book" in capsys.readouterr().err


def test_published_weights(tmp_path, capsys):
    """A file per target in Open-Unmix's layout; one source alone, and with all the rest."""
    path = wav(tmp_path / "song.wav", noise(30000), 44100)
    torch.manual_seed(0)
    net = OpenUnmix(n_bins=257, max_bin=200, hidden_size=8, n_layers=1)
    folder = tmp_path / "umx"
    folder.mkdir()
    torch.save(net.state_dict(), folder / "vocals.pth")
    given = ["separate", str(path), "--model", "open-unmix", "--weights", str(folder)]
    out = tmp_path / "out" / "song"
    assert main([*given, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert [p.name for p in out.iterdir()] == ["vocals.wav"]
    info = soundfile.info(out / "vocals.wav")
    assert (info.samplerate, info.channels, info.frames) == (44100, 2, 30000)
    both = [*given, "--out", str(tmp_path / "two"), "--two-stems", "vocals"]
    assert main(both) == 0
    stems = [soundfile.read(p)[0] for p in (tmp_path / "two" / "song").iterdir()]
    np.testing.assert_allclose(sum(stems), soundfile.read(path)[0], atol=1e-3)


@pytest.mark.parametrize(
    ("model", "name", "expected"),
    [
        ("open-unmix", "vocals-b62c91ce.pth", "SHA-256 begins with"),
        ("open-unmix", "vocals.pth", "truncated"),
        ("open-unmix", "readme.txt", "for no target"),
        ("mask-inference", "vocals.pth", "published files of open-unmix"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, capsys, model, name, expected):
    path = wav(tmp_path / "song.wav", noise(2000))
    (tmp_path / name).write_text("this is a letter to my aunt")
    out = tmp_path / "out"
    given = ["--model", model, "--weights", str(tmp_path / name), "--out", str(out)]
    assert main(["separate", str(path), *given]) == 2
    errors = capsys.readouterr().err
    assert expected in errors and errors.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [["--train", "-1"], ["--seconds", "1"], ["--seconds", "nan"], ["--rate", "3"]],
)
def test_songs_with_bad_numbers(tmp_path, capsys, arguments):
    assert main(["songs", str(tmp_path / "set"), *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_songs_into_a_foreign_folder(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("an old letter")
    assert main(["songs", str(tmp_path)]) == 2
    assert "already holds" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("kind", ["missing", "empty", "half copied", "wrong length", "wrong rate"])
def test_train_on_bad_data(tmp_path, capsys, kind):
    root = tmp_path / "data"
    if kind != "missing":
        (root / "train").mkdir(parents=True)
    if kind not in ("missing", "empty"):
        song = root / "train" / "Band - Song"
        song.mkdir()
        for name in ("mixture", "drums", "bass", "other", "vocals"):
            wav(song / f"{name}.wav", noise(4000))
        if kind == "half copied":
            (song / "vocals.wav").unlink()
        if kind == "wrong length":
            wav(song / "bass.wav", noise(3000))
        if kind == "wrong rate":
            wav(song / "bass.wav", noise(4000), 16000)
    out = tmp_path / "run"
    arguments = ["--scale", "smoke", "--data", str(root), "--out", str(out)]
    assert main(["train", "mask-inference", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()


def test_train_then_separate_then_go_on(tmp_path, capsys):
    root = tmp_path / "data"
    for k in range(2):
        for name in ("mixture", "drums", "bass", "other", "vocals"):
            folder = root / "train" / f"Band - Song {k}"
            folder.mkdir(parents=True, exist_ok=True)
            wav(folder / f"{name}.wav", noise(30000, seed=k))
    out = tmp_path / "run"
    arguments = [
        "train",
        "mask-inference",
        "--scale",
        "smoke",
        "--data",
        str(root),
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    song = wav(tmp_path / "song.wav", noise(22050))
    weights = out / "mask-inference.safetensors"
    assert main(["separate", str(song), "--model", str(weights), "--out", str(tmp_path / "o")]) == 0
    assert main(arguments) == 2
    assert "--resume" in capsys.readouterr().err
    before = load_file(weights)
    assert main([*arguments, "--resume"]) == 0
    after = load_file(weights)  # nothing was left to do
    assert all(torch.equal(after[name], before[name]) for name in before)


def musdb_folder(root: Path, songs: int = 1, seconds: float = 0.75, rate: int = 22050) -> Path:
    """Songs of noise in MUSDB18-HQ layout."""
    for song in range(songs):
        folder = root / "test" / f"Band - Song {song}"
        folder.mkdir(parents=True)
        stems = {
            name: noise(round(seconds * rate), seed=10 * song + i) for i, name in enumerate(SOURCES)
        }
        for name, audio in {"mixture": sum(stems.values()), **stems}.items():
            wav(folder / f"{name}.wav", audio, rate)
    return root


def evaluated(*arguments: object, out: Path) -> dict:
    assert main(["evaluate", *map(str, arguments), "--out", str(out)]) == 0
    return json.loads(out.read_text())


def test_evaluate_a_bound_on_a_folder(tmp_path, capsys):
    root = musdb_folder(tmp_path)
    results = evaluated("silence", "--data", root, out=tmp_path / "results.json")
    assert results["median"]["sdr"] == dict.fromkeys(("drums", "bass", "other", "vocals"), 0.0)
    assert results["sample_rate"] == SAMPLE_RATE
    assert "1 tracks at 22050 Hz" in capsys.readouterr().out
    assert main(["evaluate", "silense", "--data", str(tmp_path)]) == 2
    assert "did you mean silence?" in capsys.readouterr().err


def test_evaluate_works_at_the_models_rate_on_as_many_tracks_as_wanted(tmp_path, monkeypatch):
    model = replace(HPSS(), sample_rate=32000)
    monkeypatch.setitem(METHODS, "hpss", lambda: model)
    root = musdb_folder(tmp_path, songs=3)
    results = evaluated(
        "hpss", "--data", root, "--max-tracks", 2, "--device", "cpu", out=tmp_path / "r.json"
    )
    assert results["sample_rate"] == 32000
    assert [track["name"] for track in results["tracks"]] == ["Band - Song 0", "Band - Song 1"]
    embedded = evaluated("hpss", "--max-tracks", 1, out=tmp_path / "e.json")
    assert embedded["sample_rate"] == 32000 and len(embedded["tracks"]) == 1


@pytest.mark.parametrize("scale", SCALES)
def test_what_is_evaluated_on_is_the_live_test_split_at_every_scale_but_smoke(scale, monkeypatch):
    monkeypatch.setenv("BOOK_SCALE", scale)
    wanted = SONG_SETS["smoke" if scale == "smoke" else "live"]
    assert songs_here() == wanted and wanted.n_test > 0


def test_training_that_fails_is_one_line(tmp_path, monkeypatch, capsys):
    def breaks(*_):
        raise FloatingPointError("the loss became nan at step 3: lower the learning rate")

    monkeypatch.setattr("common.recipes.training.train", breaks)
    assert main(["train", "unet", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "error: the loss became nan at step 3: lower the learning rate\n"
    )


def test_an_error_of_the_system_without_a_file_has_no_empty_name(tmp_path, monkeypatch, capsys):
    def breaks(*_):
        raise OSError("2000 requested and 1000 written")

    monkeypatch.setattr("common.recipes.training.train", breaks)
    assert main(["train", "unet", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: 2000 requested and 1000 written\n"


def test_evaluate_refuses_a_number_of_tracks_or_a_device_that_is_none(tmp_path, capsys):
    root = musdb_folder(tmp_path)
    command = ["evaluate", "hpss", "--data", str(root)]
    assert main([*command, "--max-tracks", "0"]) == 2
    assert "at least one track" in capsys.readouterr().err
    assert main([*command, "--device", "mps"]) == 2
    assert "PyTorch finds no mps here" in capsys.readouterr().err


def test_evaluate_with_bss_follows_musevals_protocol(tmp_path, capsys):
    """Windows of 1 s, one after the other; the median over them, then that over tracks."""
    root = musdb_folder(tmp_path, songs=3, seconds=3.2, rate=SAMPLE_RATE)
    results = evaluated("hpss", "--data", root, "--bss", out=tmp_path / "r.json")
    tracks = []
    for track in load_tracks(root, "test"):
        references = torch.stack([track["drums"], track["no_drums"]])
        pair = (references, separate_audio(HPSS(), track.mixture, SAMPLE_RATE))
        audio = (x.transpose(1, 2).double().numpy() for x in pair)
        ratios = museval.evaluate(*audio, win=SAMPLE_RATE, hop=SAMPLE_RATE)
        tracks.append([np.nanmedian(ratio, axis=1) for ratio in ratios])
    for i, name in enumerate(("bss_sdr", "bss_isr", "bss_sir", "bss_sar")):
        theirs = np.median([track[i] for track in tracks], axis=0)
        assert list(results["median"][name].values()) == pytest.approx(theirs, abs=1e-3)
    assert "BSS Eval v4 SDR" in capsys.readouterr().out


def test_help_and_usage_in_a_process():
    """Argparse's own errors, exit code and all, as a shell sees them."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-m", "common"]
    good = subprocess.run(
        [*run, "--help"], capture_output=True, text=True, env=environment, check=True
    )
    for command in ("songs", "separate", "train", "evaluate", "models"):
        assert command in good.stdout
    bad = subprocess.run(
        [*run, "separate"], capture_output=True, text=True, env=environment, check=False
    )
    assert bad.returncode == 2 and "FILE" in bad.stderr and "Traceback" not in bad.stderr
