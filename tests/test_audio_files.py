"""Audio files in many formats: all samples of a file are read, and nothing else."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from common.signal.audio_files import open_recording
from common.support.errors import UsageError

RATE = 44100
LENGTH = 3 * RATE + 17


def signal(n_samples=LENGTH, n_channels=2, seed=0):
    """Tones that change all the time, `(t, c)`, so that no two parts are alike."""
    time = np.arange(n_samples)[:, None] / RATE
    tones = np.sin(2 * np.pi * (200 + 90 * np.arange(n_channels) + 150 * time) * time)
    return 0.3 * tones + 0.02 * np.random.default_rng(seed).standard_normal(tones.shape)


@pytest.fixture
def song(tmp_path):
    """A wav file of 16 bits and its samples `(t, c)`."""
    soundfile.write(tmp_path / "song.wav", signal(), RATE)
    return tmp_path / "song.wav", soundfile.read(tmp_path / "song.wav", dtype="float32")[0]


def ffmpeg(source, target, *options):
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True)
    return target


def piped(source, target, *options):
    """A file that ffmpeg writes to a pipe, so that it cannot fill in the length afterwards."""
    command = ["ffmpeg", "-v", "error", "-i", str(source), *options, "-"]
    target.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return target


def cut(source, target, n_bytes):
    target.write_bytes(source.read_bytes()[:n_bytes])
    return target


def read(path):
    """Samples `(t, c)` and the messages about the file."""
    said = []
    with open_recording(path, said.append) as recording:
        blocks = [block.numpy().T for block in recording.blocks()]
        audio = np.concatenate(blocks)
        assert len(audio) == recording.n_samples
        assert audio.shape[1] == recording.n_channels
        assert all(len(block) <= 2**18 for block in blocks)
    return audio, said


def without_ffmpeg(monkeypatch):
    which = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, *more: None if name == "ffmpeg" else which(name, *more)
    )


def alike(audio, expected):
    """Correlation of two signals `(t, c)`, sample for sample."""
    n = min(len(audio), len(expected))
    return np.corrcoef(audio[:n].ravel(), expected[:n].ravel())[0, 1]


MP3 = {
    "vbr": ("-q:a", "5", "-write_xing", "0"),
    "cbr": ("-b:a", "128k", "-write_xing", "0"),
    "xing": ("-q:a", "5"),
}


@pytest.mark.parametrize("kind", MP3)
def test_the_length_of_an_mp3_is_what_it_holds(song, tmp_path, kind):
    path, samples = song
    audio, said = read(ffmpeg(path, tmp_path / "x.mp3", *MP3[kind]))
    assert said == []
    if kind == "xing":  # its header says how much the coder put before and after
        assert len(audio) == len(samples)
        assert alike(audio, samples) > 0.99
    else:
        late = 1105  # samples by which the coder and the decoder delay
        assert 0 <= len(audio) - late - len(samples) < 2 * 1152
        assert alike(audio[late:], samples) > 0.99


@pytest.mark.parametrize("kind", MP3)
@pytest.mark.parametrize("n_bytes", [30000, 30050, 30100, 30150, 30200, 30300])
def test_an_mp3_that_breaks_off_gives_what_is_there_and_says_so(song, tmp_path, kind, n_bytes):
    whole = ffmpeg(song[0], tmp_path / "x.mp3", *MP3[kind])
    expected, _ = read(whole)
    audio, said = read(cut(whole, tmp_path / "cut.mp3", n_bytes))
    assert RATE < len(audio) < len(expected) - RATE // 2
    np.testing.assert_allclose(audio, expected[: len(audio)], atol=1e-4)
    assert len(said) == 1
    assert f"cut.mp3 breaks off at {len(audio) / RATE:.2f} s" in said[0]


@pytest.mark.parametrize("kind", MP3)
def test_an_mp3_without_ffmpeg_is_whole_or_refused(song, tmp_path, monkeypatch, kind):
    whole = ffmpeg(song[0], tmp_path / "x.mp3", *MP3[kind])
    expected, _ = read(whole)
    without_ffmpeg(monkeypatch)
    if kind == "vbr":
        with pytest.raises(UsageError, match="install ffmpeg"):
            read(whole)
        return
    audio, said = read(whole)
    assert said == []
    assert abs(len(audio) - len(expected)) <= 1152
    assert alike(audio, expected) > 0.9999
    cut(whole, tmp_path / "cut.mp3", 30100)
    audio, said = read(tmp_path / "cut.mp3")
    assert len(said) == 1 and "breaks off" in said[0]
    np.testing.assert_allclose(audio, expected[: len(audio)], atol=1e-4)
    assert len(audio) > RATE
    (tmp_path / "two.mp3").write_bytes(2 * whole.read_bytes())
    if kind == "xing":
        with pytest.raises(UsageError, match="install ffmpeg"):
            read(tmp_path / "two.mp3")
        return
    assert len(read(tmp_path / "two.mp3")[0]) > 2 * len(expected) - 3 * 1152


def test_an_mp3_with_tags_and_a_picture(song, tmp_path):
    path, samples = song
    tagged = tmp_path / "x.mp3"
    ffmpeg(path, tagged, "-q:a", "5", "-metadata", "title=[error] Duration: 01:00:00.00")
    picture = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
    frame = b"APIC" + (len(picture) + 14).to_bytes(4, "big") + b"\0\0\0image/jpeg\0\x03\0" + picture
    size = len(frame)
    header = b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    tagged.write_bytes(header + frame + tagged.read_bytes() + b"TAG" + b"a title".ljust(125, b"\0"))
    audio, said = read(tagged)
    assert said == []
    assert len(audio) == len(samples)
    assert alike(audio, samples) > 0.99


@pytest.mark.parametrize(
    ("name", "codec", "rate"), [("x.ogg", "libvorbis", 44100), ("x.opus", "libopus", 48000)]
)
@pytest.mark.parametrize("has_ffmpeg", [True, False])
def test_joined_ogg_files_are_read_to_the_last(
    song, tmp_path, monkeypatch, name, codec, rate, has_ffmpeg
):
    one = ffmpeg(song[0], tmp_path / name, "-c:a", codec)
    (tmp_path / f"two{name}").write_bytes(2 * one.read_bytes())
    if not has_ffmpeg:
        without_ffmpeg(monkeypatch)
    expected, said = read(one)
    assert said == []
    assert len(expected) == -(-LENGTH * rate // RATE)
    audio, said = read(tmp_path / f"two{name}")
    assert said == []
    np.testing.assert_array_equal(audio, np.concatenate([expected, expected]))


def test_an_ogg_file_that_breaks_off_says_so(song, tmp_path):
    whole = ffmpeg(song[0], tmp_path / "x.ogg", "-c:a", "libvorbis")
    expected, _ = read(whole)
    audio, said = read(cut(whole, tmp_path / "cut.ogg", whole.stat().st_size // 2))
    assert RATE // 2 < len(audio) < len(expected)
    np.testing.assert_allclose(audio, expected[: len(audio)], atol=1e-4)
    assert len(said) == 1 and f"breaks off at {len(audio) / RATE:.2f} s" in said[0]


OGG = {"x.ogg": "libvorbis", "x.oga": "flac", "x.opus": "libopus"}


@pytest.mark.parametrize("name", OGG)
@pytest.mark.parametrize("place", ["last byte", "last page"])
def test_an_ogg_file_that_is_cut_inside_its_last_page_says_so(song, tmp_path, name, place):
    whole = ffmpeg(song[0], tmp_path / name, "-c:a", OGG[name])
    content = whole.read_bytes()
    n_bytes = len(content) - 1 if place == "last byte" else content.rindex(b"OggS") + 60
    assert n_bytes < len(content)
    expected, _ = read(whole)
    audio, said = read(cut(whole, tmp_path / f"cut_{name}", n_bytes))
    assert RATE // 2 < len(audio) < len(expected)
    np.testing.assert_allclose(audio, expected[: len(audio)], atol=1e-4)
    assert len(said) == 1 and "breaks off" in said[0]


def test_joined_ogg_files_of_two_rates_are_refused(song, tmp_path):
    one = ffmpeg(song[0], tmp_path / "a.ogg", "-c:a", "libvorbis")
    two = ffmpeg(song[0], tmp_path / "b.ogg", "-c:a", "libvorbis", "-ar", "22050")
    (tmp_path / "c.ogg").write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(UsageError, match=r"44100 Hz.* to 22050 Hz.* at 3\.00 s"):
        read(tmp_path / "c.ogg")


@pytest.mark.parametrize("kind", ["flac", "wav", "caf", "aiff", "au", "w64"])
def test_files_that_were_written_to_a_pipe(song, tmp_path, kind):
    path, samples = song
    audio, said = read(piped(path, tmp_path / f"x.{kind}", "-f", kind))
    assert said == []
    np.testing.assert_array_equal(audio, samples)


@pytest.mark.parametrize(
    ("at", "value"),
    [(4, 0), (40, 0), (40, 0xFFFFFFFF), (40, 0x7FFFF000), (4, 10), (4, -10), (4, 0x7FFFF024)],
)
def test_wav_files_with_a_wrong_size(song, tmp_path, at, value):
    """Byte 4 has the size of the file, byte 40 that of the samples; ±10 is off by so much."""
    path, samples = song
    content = bytearray(path.read_bytes())
    right = int.from_bytes(content[at : at + 4], "little")
    wrong = right + value if abs(value) == 10 else value
    content[at : at + 4] = wrong.to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(content)
    audio, said = read(tmp_path / "x.wav")
    assert said == []
    np.testing.assert_array_equal(audio, samples)


@pytest.mark.parametrize("kind", ["wav", "rf64", "aiff", "au", "w64", "caf", "flac"])
def test_files_that_break_off(song, tmp_path, kind):
    path, samples = song
    rf64 = ("-f", "wav", "-rf64", "always") if kind == "rf64" else ()
    whole = ffmpeg(path, tmp_path / f"x.{kind}", *rf64)
    audio, said = read(cut(whole, tmp_path / f"cut.{kind}", whole.stat().st_size // 2 + 1))
    assert 0.4 * LENGTH < len(audio) < 0.55 * LENGTH
    np.testing.assert_array_equal(audio, samples[: len(audio)])
    assert len(said) == 1
    assert f"breaks off at {len(audio) / RATE:.2f} s of 3.0" in said[0]


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_files_that_break_off_without_ffmpeg(song, tmp_path, monkeypatch, kind):
    path, samples = song
    whole = ffmpeg(path, tmp_path / f"x.{kind}")
    without_ffmpeg(monkeypatch)
    audio, said = read(whole)
    assert said == []
    np.testing.assert_array_equal(audio, samples)
    audio, said = read(cut(whole, tmp_path / f"cut.{kind}", whole.stat().st_size // 2))
    assert 0.4 * LENGTH < len(audio) < 0.55 * LENGTH
    np.testing.assert_array_equal(audio, samples[: len(audio)])
    assert len(said) == 1 and "breaks off" in said[0]


def test_a_piped_flac_without_ffmpeg(song, tmp_path, monkeypatch):
    path, samples = song
    piped(path, tmp_path / "x.flac", "-f", "flac")
    without_ffmpeg(monkeypatch)
    audio, _ = read(tmp_path / "x.flac")
    np.testing.assert_array_equal(audio, samples)


def test_a_damaged_packet_is_read_past_and_said(song, tmp_path):
    whole = ffmpeg(song[0], tmp_path / "x.m4a", "-c:a", "aac", "-movflags", "+faststart")
    expected, said = read(whole)
    assert said == []
    assert abs(len(expected) - LENGTH) < 1024
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = bytes(60)
    (tmp_path / "bad.m4a").write_bytes(content)
    audio, said = read(tmp_path / "bad.m4a")
    assert 0 < len(expected) - len(audio) <= 3 * 1024
    assert len(said) == 1 and "bad.m4a is damaged" in said[0]


@pytest.mark.parametrize(
    ("name", "codec", "lost"), [("x.flac", "flac", 2 * 4608), ("x.ogg", "libvorbis", 2 * RATE)]
)
@pytest.mark.parametrize("has_ffmpeg", [True, False])
def test_damage_in_the_middle_is_said(song, tmp_path, monkeypatch, name, codec, lost, has_ffmpeg):
    whole = ffmpeg(song[0], tmp_path / name, "-c:a", codec)
    expected, _ = read(whole)
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    (tmp_path / f"bad_{name}").write_bytes(content)
    if not has_ffmpeg:
        without_ffmpeg(monkeypatch)
    audio, said = read(tmp_path / f"bad_{name}")
    assert len(said) == 1 and ("is damaged" in said[0] or "breaks off" in said[0])
    if has_ffmpeg:
        assert 0 < len(expected) - len(audio) <= lost
    assert len(audio) > RATE // 2
    begin = len(audio) // 3
    np.testing.assert_allclose(audio[:begin], expected[:begin], atol=1e-4)
    assert np.abs(audio).max() < 1.2 * np.abs(expected).max()


@pytest.mark.parametrize("has_ffmpeg", [True, False])
def test_a_piped_flac_that_breaks_off(song, tmp_path, monkeypatch, has_ffmpeg):
    whole = piped(song[0], tmp_path / "x.flac", "-f", "flac")
    cut(whole, tmp_path / "cut.flac", whole.stat().st_size // 2)
    if not has_ffmpeg:
        without_ffmpeg(monkeypatch)
    audio, said = read(tmp_path / "cut.flac")
    assert len(audio) > RATE // 2
    np.testing.assert_array_equal(audio, song[1][: len(audio)])
    assert len(said) == 1 and ("is damaged" in said[0] or "breaks off" in said[0])


def test_flac_in_ogg(song, tmp_path):
    whole = ffmpeg(song[0], tmp_path / "x.oga", "-c:a", "flac")
    audio, said = read(whole)
    assert said == []
    np.testing.assert_array_equal(audio, song[1])
    audio, said = read(cut(whole, tmp_path / "cut.oga", whole.stat().st_size // 2))
    assert len(audio) > RATE // 2
    np.testing.assert_array_equal(audio, song[1][: len(audio)])
    assert len(said) == 1 and "breaks off" in said[0]


@pytest.mark.parametrize("has_ffmpeg", [True, False])
def test_what_follows_a_flac_file_is_no_fault(song, tmp_path, monkeypatch, has_ffmpeg):
    whole = ffmpeg(song[0], tmp_path / "x.flac")
    whole.write_bytes(whole.read_bytes() + b"TAG" + b"a title".ljust(125, b"\0"))
    if not has_ffmpeg:
        without_ffmpeg(monkeypatch)
    audio, said = read(whole)
    assert said == []
    np.testing.assert_array_equal(audio, song[1])


@pytest.mark.parametrize("kind", MP3)
def test_what_follows_or_precedes_an_mp3_is_no_fault(song, tmp_path, kind):
    content = ffmpeg(song[0], tmp_path / "x.mp3", *MP3[kind]).read_bytes()
    expected, _ = read(tmp_path / "x.mp3")
    ape = b"APETAGEX" + np.random.default_rng(0).bytes(3000) + b"APETAGEX".ljust(32, b"\0")
    id3v1 = b"TAG" + b"a title".ljust(125, b"\0")
    for tail in (id3v1, ape, ape + id3v1, bytes(5000)):
        (tmp_path / "y.mp3").write_bytes(content + tail)
        audio, said = read(tmp_path / "y.mp3")
        assert said == []
        np.testing.assert_array_equal(audio, expected)
    (tmp_path / "y.mp3").write_bytes(bytes(700) + content[:30244])
    audio, said = read(tmp_path / "y.mp3")
    assert len(said) == 1 and "breaks off" in said[0]


def test_a_film_that_breaks_off(song, tmp_path):
    whole = ffmpeg(song[0], tmp_path / "x.mp4", "-c:a", "aac", "-movflags", "+faststart")
    audio, said = read(cut(whole, tmp_path / "cut.mp4", whole.stat().st_size // 2))
    assert RATE < len(audio) < 2 * RATE
    assert len(said) == 1 and "breaks off" in said[0] and "of 3.0" in said[0]


def test_a_picture_longer_than_its_sound_is_no_fault(song, tmp_path):
    options = ["-f", "lavfi", "-t", "5", "-i", "color=s=32x32:r=5", "-c:a", "aac"]
    for name in ("film.mkv", "film.mp4"):
        audio, said = read(ffmpeg(song[0], tmp_path / name, *options))
        assert said == []
        assert abs(len(audio) - LENGTH) < 2048


LIBSNDFILE_KNOWS = {
    "x.ogg": ("-c:a", "libvorbis"),
    "x.opus": ("-b:a", "400k"),
    "x.flac": (),
    "x.aiff": (),
    "x.caf": (),
    "x.w64": (),
}
SIX_CHANNELS = LIBSNDFILE_KNOWS | {
    "x.m4a": ("-b:a", "400k"),
    "x.ac3": ("-b:a", "640k"),
    "x.mka": ("-c:a", "flac"),
}


@pytest.mark.parametrize(
    ("name", "has_ffmpeg"),
    [*((name, True) for name in SIX_CHANNELS), *((name, False) for name in LIBSNDFILE_KNOWS)],
)
def test_channels_come_in_one_order(tmp_path, monkeypatch, name, has_ffmpeg):
    """Six channels, each with a different tone."""
    time = np.arange(RATE)[:, None] / RATE
    frequencies = np.array([400.0, 500, 600, 80, 700, 800])
    soundfile.write(tmp_path / "six.wav", 0.2 * np.sin(2 * np.pi * frequencies * time), RATE)
    ffmpeg(tmp_path / "six.wav", tmp_path / name, *SIX_CHANNELS[name])
    if not has_ffmpeg:
        without_ffmpeg(monkeypatch)
    with open_recording(tmp_path / name) as recording:
        rate = recording.sample_rate
        audio = next(recording.blocks()).numpy()[:, rate // 4 : rate // 4 + rate // 2]
    spectrum = np.abs(np.fft.rfft(audio))
    loudest = spectrum.argmax(axis=1) * rate / audio.shape[1]
    np.testing.assert_allclose(loudest, frequencies, atol=4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("u8.wav", ("-c:a", "pcm_u8")),
        ("ulaw.wav", ("-c:a", "pcm_mulaw")),
        ("adpcm.wav", ("-c:a", "adpcm_ima_wav")),
        ("x.wma", ()),
        ("x.aac", ()),
        ("x.mkv", ("-c:a", "libvorbis")),
        ("x.mp2", ()),
        ("x.wv", ()),
        ("alac.m4a", ("-c:a", "alac")),
        ("x.tta", ()),
        ("odd.flac", ("-ar", "37123")),
    ],
)
def test_other_kinds_of_file(song, tmp_path, name, options):
    audio, said = read(ffmpeg(song[0], tmp_path / name, *options))
    assert said == []
    rate = 37123 if name == "odd.flac" else RATE
    assert abs(len(audio) / rate - LENGTH / RATE) < 0.08
    assert abs(audio.std() / song[1].std() - 1) < 0.1
    assert np.abs(audio).max() < 1


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "aiff"])
def test_a_single_sample(tmp_path, kind):
    soundfile.write(tmp_path / f"x.{kind}", np.full((1, 2), 0.5), RATE)
    audio, said = read(tmp_path / f"x.{kind}")
    assert audio.shape == (1, 2) and said == []


@pytest.mark.parametrize("kind", ["wav", "flac", "aiff"])
@pytest.mark.parametrize("has_ffmpeg", [True, False])
def test_no_sample_at_all(tmp_path, monkeypatch, kind, has_ffmpeg):
    soundfile.write(tmp_path / "x.wav", np.zeros((0, 2)), RATE)
    if kind != "wav":
        ffmpeg(tmp_path / "x.wav", tmp_path / f"x.{kind}")
    if not has_ffmpeg:
        without_ffmpeg(monkeypatch)
    with pytest.raises(UsageError, match="no samples"):
        read(tmp_path / f"x.{kind}")


@pytest.mark.parametrize("name", ["x.raw", b"f\xfcr.wav", b"f\xfcr.mp3", "a,b:c,,:d%03d.mp3"])
def test_names_that_say_nothing_or_are_no_utf8(song, tmp_path, name):
    path = tmp_path / (name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name)
    if path.suffix == ".mp3":
        ffmpeg(song[0], path)
        shutil.copy(path, tmp_path / "same.mp3")
        cut(tmp_path / "same.mp3", path, 30100)
        audio, said = read(path)
        assert len(audio) > RATE and len(said) == 1
        return
    shutil.copy(song[0], path)
    np.testing.assert_array_equal(read(path)[0], song[1])


def test_a_disk_that_is_full_is_no_fault_of_the_file(song, tmp_path, monkeypatch):
    """A decoder that stops because it cannot write must not count as one that has finished."""
    whole = ffmpeg(song[0], tmp_path / "x.m4a", "-c:a", "aac")
    real = subprocess.run

    def run(command, **options):
        return real(
            ["sh", "-c", 'ulimit -f 400; trap "" XFSZ; exec "$@"', "-", *command], **options
        )

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UsageError, match=r"^cannot decode .*x\.m4a; ffmpeg .*File too large"):
        read(whole)
