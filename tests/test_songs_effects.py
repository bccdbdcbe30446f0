"""Studio effects, measured on tones, clicks and noise."""

import numpy as np
import pytest
from scipy import signal

from common.songs.mixing import effects, rooms

RATE = 44100


def tone(frequency: float, seconds: float = 1.0, level: float = 0.3) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * frequency * t)).astype(np.float32)[None]


def gain_at(section: np.ndarray, frequency: float) -> float:
    _, response = signal.sosfreqz(section, [frequency], fs=RATE)
    return 20 * np.log10(abs(response[0]))


@pytest.mark.parametrize(
    ("kind", "gain", "at", "expected"),
    [
        ("low", 0.0, 1000, -3.0),
        ("low", 0.0, 50, 0.0),
        ("high", 0.0, 1000, -3.0),
        ("high", 0.0, 15000, 0.0),
        ("peak", 6.0, 1000, 6.0),
        ("peak", 6.0, 20, 0.0),
        ("lowshelf", -5.0, 20, -5.0),
        ("lowshelf", -5.0, 18000, 0.0),
        ("highshelf", 4.0, 18000, 4.0),
        ("highshelf", 4.0, 20, 0.0),
    ],
)
def test_biquad_gain(kind, gain, at, expected):
    assert gain_at(effects.biquad(kind, 1000, RATE, gain), at) == pytest.approx(expected, abs=0.1)


def test_distortion_keeps_the_level_and_adds_harmonics_without_aliases():
    clean = tone(3000)
    dirty = effects.distort(clean, drive=20)
    assert np.sqrt(np.mean(dirty**2)) == pytest.approx(np.sqrt(np.mean(clean**2)), rel=0.01)
    spectrum = np.abs(np.fft.rfft(dirty[0] * np.hanning(dirty.shape[1])))
    assert spectrum[9000] > 0.05 * spectrum[3000]
    # 15 × 3 kHz = 45 kHz would fold to 900 Hz without oversampling.
    assert spectrum[900] < 0.003 * spectrum[3000]


def test_exciter_adds_the_octave_above_the_band_and_leaves_the_bass():
    low, high = tone(200), tone(5000, level=0.05)
    out = effects.excite(low + high, RATE, 3000, -6.0)
    spectrum = np.abs(np.fft.rfft(out[0] * np.hanning(RATE)))
    assert spectrum[10000] == pytest.approx(0.5 * spectrum[5000], rel=0.1)
    assert spectrum[400] < 0.01 * spectrum[200]


def test_compressor_turns_loud_down_more_than_quiet():
    loud, quiet = tone(200, level=0.5), tone(200, level=0.01)
    squeezed = effects.compress(np.concatenate([loud, quiet], axis=1), RATE, -30, 4.0)
    end_of_loud = np.abs(squeezed[0, RATE - 4410 : RATE]).max()
    # 24 dB above the threshold come out 6 dB above it.
    assert 20 * np.log10(end_of_loud) == pytest.approx(-24, abs=0.5)
    assert np.abs(squeezed[0, -4410:]).max() == pytest.approx(0.01, rel=0.05)


def test_limiter_holds_its_ceiling_and_leaves_the_rest():
    rng = np.random.default_rng(0)
    audio = 0.1 * rng.standard_normal((2, RATE)).astype(np.float32)
    audio[:, 20000:20010] = 2.0
    limited = effects.limit(audio, 0.8)
    assert np.abs(limited).max() <= 0.8 + 1e-6
    assert np.array_equal(limited[:, :15000], audio[:, :15000])


def test_reverb_is_the_convolution_with_the_room():
    room = rooms.build(RATE, 0.4, 0.6, 0.01, np.random.default_rng(0))
    audio = signal.sosfilt(
        signal.butter(6, 5000, fs=RATE, output="sos"),
        np.random.default_rng(1).standard_normal(8000),
    ).astype(np.float32)
    wet = rooms.reverb(audio, room)
    assert wet.shape == (2, 8000)
    for channel, response in zip(wet, room.response, strict=True):
        expected = np.convolve(audio[::2], response)[:4000]
        error = np.sum((channel[::2] - expected)[:3900] ** 2) / np.sum(expected[:3900] ** 2)
        assert 10 * np.log10(error) < -40


def test_room_decays_at_the_asked_rate_and_loses_treble_first():
    response = rooms.build(RATE, 1.0, 0.3, 0.0, np.random.default_rng(1)).response
    rate = RATE // 2
    assert (response**2).sum(axis=1) == pytest.approx([1.0, 1.0], rel=1e-4)
    early, late = (slice(int(a * rate), int((a + 0.1) * rate)) for a in (0.1, 0.6))
    bass = signal.sosfilt(signal.butter(4, 600, fs=rate, output="sos"), response) ** 2
    treble = signal.sosfilt(signal.butter(4, 6000, "high", fs=rate, output="sos"), response) ** 2
    fall = 10 * np.log10(bass[:, early].mean() / bass[:, late].mean())
    assert fall == pytest.approx(30, abs=5)
    assert 10 * np.log10(treble[:, early].mean() / treble[:, late].mean()) > fall + 10


def test_echoes_alternate_sides_at_the_asked_time():
    click = np.zeros((1, RATE), np.float32)
    click[0, 0] = 1
    out = effects.echo(click, RATE, 0.25, 0.5)
    assert out[0, round(0.25 * RATE)] == pytest.approx(0.5)
    assert out[1, round(0.5 * RATE)] == pytest.approx(0.25)
    assert out[0, round(0.75 * RATE)] == pytest.approx(0.125)
    assert np.count_nonzero(out) == 3


def test_modulated_copy_without_depth_is_a_delay():
    audio = tone(440)[0]
    copy = effects.modulated_copy(audio, RATE, 100 / RATE, 0.0, 1.0, 0.0)
    assert np.allclose(copy[200:], audio[100:-100], atol=1e-4)


def test_chorus_makes_mono_wide():
    out = effects.chorus(tone(440), RATE, 0.003, 0.7, 0.8)
    assert out.shape == (2, RATE)
    assert np.corrcoef(out)[0, 1] < 0.98


def test_sweep_moves_the_treble():
    noise = np.random.default_rng(0).standard_normal((1, 2 * RATE)).astype(np.float32)
    out = effects.sweep(noise, RATE, 0.5, 500)
    treble = signal.sosfilt(signal.butter(4, 4000, "high", fs=RATE, output="sos"), out)[0]
    assert np.std(treble[RATE - 4410 : RATE + 4410]) > 10 * np.std(treble[1000:4410])


def test_tremolo_swings_between_full_and_reduced_level():
    out = effects.tremolo(np.ones((1, RATE), np.float32), RATE, 4.0, 0.6)
    assert out.max() == pytest.approx(1.0, abs=1e-3)
    assert out.min() == pytest.approx(0.4, abs=1e-3)


def test_duck_dips_at_each_beat_without_a_click():
    out = effects.duck(np.ones((1, 2 * RATE), np.float32), RATE, (0.5, 1.0), 0.8)[0]
    assert out[int(0.502 * RATE)] == pytest.approx(0.2, abs=0.02)
    assert out[int(0.45 * RATE)] == pytest.approx(1.0)
    assert out[int(1.5 * RATE)] == pytest.approx(1.0)
    assert np.abs(np.diff(out)).max() < 0.01


def test_pan_keeps_the_power_and_width_scales_the_sides():
    audio = np.concatenate([tone(300), tone(700)])
    centre = effects.pan(audio[:1], 0.0, 1.0)
    assert np.array_equal(centre[0], centre[1])
    left = effects.pan(audio[:1], -0.9, 1.0)
    assert (left**2).sum() == pytest.approx((centre**2).sum(), rel=1e-3)
    assert (left[0] ** 2).sum() > 20 * (left[1] ** 2).sum()
    assert np.allclose(effects.pan(audio, 0.0, 1.0), audio, atol=1e-6)
    narrow = effects.pan(audio, 0.0, 0.0)
    assert np.array_equal(narrow[0], narrow[1])
