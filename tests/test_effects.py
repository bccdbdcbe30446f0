"""The effects on stems of excerpts: what each one does, and that it keeps the level."""

import hashlib
import math

import numpy as np
import pytest
import torch
from scipy import signal

from common.data import NO_AUGMENT, Augment, Excerpts
from common.data import effects as fx
from common.data.tracks import Track
from common.songs.mixing.effects import biquad

RATE = 22050
CHANCES = ("speed", "width", "saturation", "equaliser", "room")
PLAIN = {"remix": 0.0, "gain": (0.0, 0.0), "swap_channels": False, "flip_polarity": False}
BEFORE = "b0b116a520fac1899177023e251d0bb9f010ac6102845583513c448fe0f4a9ef"
"""Hash of the stems that were drawn before effects were added."""


def decibels(ratio):
    return 20 * math.log10(ratio)


def level(audio):
    return fx.rms(audio).item()


def tone(frequency, seconds=1.0, amplitude=0.1):
    time = torch.arange(round(seconds * RATE)) / RATE
    return amplitude * torch.sin(2 * torch.pi * frequency * time)[None]


def peak(audio):
    """The strongest frequency in Hz."""
    windowed = audio[0] * torch.hann_window(audio.shape[-1])
    spectrum = torch.fft.rfft(windowed, 8 * audio.shape[-1]).abs()
    return spectrum.argmax().item() * RATE / (8 * audio.shape[-1])


def level_at(audio, frequency):
    """Amplitude of one frequency in Hz, in the middle of the audio."""
    inner = audio[0, 2000:-2000].double()
    window = torch.hann_window(len(inner), dtype=torch.float64)
    turns = torch.exp(-2j * torch.pi * frequency / RATE * torch.arange(len(inner)))
    return 2 * (inner * window * turns).sum().abs().item() / window.sum().item()


def noise_tracks(n_tracks=3, n_samples=9000):
    rng = np.random.default_rng(0)
    shape = 4, 2, n_samples
    return [
        Track(str(k), torch.from_numpy(0.1 * rng.standard_normal(shape).astype(np.float32)), RATE)
        for k in range(n_tracks)
    ]


def test_without_effects_every_excerpt_is_what_it_was():
    found = hashlib.sha256()
    for augment in (Augment(), NO_AUGMENT, Augment(remix=1.0)):
        for n_channels in (1, 2):
            excerpts = Excerpts(noise_tracks(), 0.2, 7, augment, n_channels)
            for i in range(5):
                found.update(excerpts[i][1].numpy().tobytes())
    assert found.hexdigest() == BEFORE


def test_a_card_names_only_effects_that_are_on():
    assert set(Augment().facts()) == {"remix", "gain", "swap_channels", "flip_polarity"}
    assert set(Augment(room=0.2).facts()) == {*Augment().facts(), "room"}


def played(audio, *responses, speed=1.0):
    """Play a stem at another speed or through filters; the number of samples stays the same."""
    n_samples = audio.shape[-1]
    needed = fx.samples_needed(speed, n_samples, RATE)
    longer = torch.cat([audio, audio], dim=-1)[:, :needed] if speed > 1 else audio[:, :needed]
    return fx.play([longer], [speed], [responses], n_samples, RATE)[0]


@pytest.mark.parametrize("speed", [0.84, 0.95, 1.1, 1.19])
def test_speed_moves_a_tone_by_its_factor(speed):
    found = played(tone(1000), speed=speed)  # whole periods: `played` repeats it
    assert found.shape == (1, RATE) and found.dtype == torch.float32
    period = fx.period(RATE, RATE)
    factor = fx.samples_used(speed, period) / period
    assert factor == pytest.approx(speed, rel=0.02)
    assert peak(found) == pytest.approx(1000 * factor, rel=1e-3)
    expected = tone(1000 * factor)
    torch.testing.assert_close(found[:, 300:-300], expected[:, 300:-300], atol=5e-4, rtol=0)


def test_speed_folds_nothing_back_and_does_not_click():
    both = played(tone(300) + tone(10000), speed=1.19)
    assert level(both) == pytest.approx(level(tone(300) + tone(10000)), rel=1e-3)
    assert peak(both) == pytest.approx(300 * 1.19, rel=0.02)
    assert level_at(both, 22050 - 11900) < 1e-3
    slow = played(tone(300).roll(25), speed=0.9)
    assert slow.diff().abs().max() < 1.1 * 0.1 * 2 * math.pi * 300 / RATE


def test_what_is_neither_faster_nor_filtered_comes_back():
    stereo = noise_tracks()[0].sources[0]
    torch.testing.assert_close(played(stereo), stereo, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["low", "peak", "high"])
def test_a_band_is_the_studios_biquad(kind):
    name = {"low": "lowshelf", "peak": "peak", "high": "highshelf"}[kind]
    for frequency, gain, q in ((150.0, 6.0, 0.7071), (2000.0, -8.0, 1.5)):
        section = biquad(name, frequency, RATE, gain, q)
        _, expected = signal.sosfreqz(section, worN=np.linspace(0, np.pi, 513))
        found = fx.equaliser([fx.Band(kind, frequency, gain, q)], 513, RATE)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


def test_an_equaliser_has_its_gains_at_its_frequencies():
    bands = (fx.Band("low", 100, 6.0), fx.Band("peak", 1000, -7.0, 2.0), fx.Band("high", 5000, 3.0))
    tones, wanted = [20.0, 350.0, 1000.0, 10500.0], [6.0, -0.4, -7.0, 3.0]
    before = sum(tone(f) for f in tones)
    n_bins = fx.period(RATE, RATE) // 2 + 1
    after = played(before, fx.equaliser(bands, n_bins, RATE))
    gains = [decibels(level_at(after, f) / level_at(before, f)) for f in tones]
    found = [gain - gains[1] + wanted[1] for gain in gains]  # the level is kept over all tones
    assert found == pytest.approx(wanted, abs=0.4)
    assert level(after) == pytest.approx(level(before), rel=1e-3)


def test_width_scales_the_side_and_not_the_middle():
    stereo = 0.1 * torch.randn(2, 20000, generator=torch.Generator().manual_seed(0))

    def side_to_middle(audio):
        return level(audio[:1] - audio[1:]) / level(audio[:1] + audio[1:])

    for width in (0.0, 0.5, 1.5):
        changed = fx.change_width(stereo, width)
        assert side_to_middle(changed) == pytest.approx(width * side_to_middle(stereo), abs=1e-5)
        assert level(changed) == pytest.approx(level(stereo), rel=1e-3)
    torch.testing.assert_close(fx.change_width(stereo, 1.0), stereo)
    torch.testing.assert_close(fx.change_width(stereo[:1], 0.0), stereo[:1])
    against = torch.stack([stereo[0], -stereo[0]])
    assert fx.change_width(against, 0.0).abs().max() < 1e-6


def test_saturation_adds_odd_harmonics_and_keeps_the_level():
    thirds = []
    for drive in (-18.0, -9.0, 0.0):
        for amplitude in (0.001, 0.5):
            clean = tone(500, amplitude=amplitude)
            bent = fx.saturate(clean, drive)
            assert level(bent) == pytest.approx(level(clean), rel=1e-3)
            thirds.append(decibels(level_at(bent, 1500) / level_at(bent, 500)))
            assert level_at(bent, 1000) < 1e-4 * level_at(bent, 500)
    assert thirds[::2] == pytest.approx(thirds[1::2], abs=0.1)  # at any input level
    assert thirds[0] < -45 and -35 < thirds[2] < -25 and thirds[4] > -25


def test_a_room_rings_on_after_the_sound_and_dies_away():
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.standard_normal((2, 4410), dtype=np.float32))
    n_bins = fx.period(RATE, RATE) // 2 + 1
    click = torch.zeros(2, RATE)
    click[:, 1000] = 0.5
    heard = played(click, fx.room(noise, 0.25, 0.01, 4000.0, -10.0, n_bins, RATE))
    assert level(heard) == pytest.approx(level(click), rel=1e-3)
    direct, late = heard[:, 1000].square().sum(), heard[:, 1002:].square().sum()
    assert 10 * math.log10(late / direct) == pytest.approx(-10.0, abs=0.3)
    assert heard[:, :1000].square().sum() < 1e-3 * late  # the zero-phase low-pass reaches 10 ms
    assert heard[:, 1002:1200].square().sum() < 0.02 * late  # 10 ms of silence first
    first, then = (heard[:, 1000 + a : 1000 + a + 800].square().sum() for a in (300, 2505))
    assert 10 * math.log10(first / then) == pytest.approx(24.0, abs=4.0)  # in 0.1 s of 0.25
    assert torch.corrcoef(heard[:, 1002:])[0, 1].abs() < 0.2
    spectrum = torch.fft.rfft(heard[0, 1002:]).abs()
    assert spectrum[500:2000].square().mean() > 4 * spectrum[9000:].square().mean()


@pytest.mark.parametrize("name", CHANCES)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_each_effect_alone(name, n_channels):
    augment = Augment(**PLAIN, **{name: 1.0})
    tracks = noise_tracks(3, 30000)
    changed = Excerpts(tracks, 0.5, 3, augment, n_channels)
    again = Excerpts(tracks, 0.5, 3, augment, n_channels)
    plain = Excerpts(tracks, 0.5, 3, NO_AUGMENT, n_channels)
    for i in (4, 0, 2):
        mixture, sources = changed[i]
        assert sources.shape == plain[i][1].shape and sources.dtype == torch.float32
        assert sources.isfinite().all() and not torch.equal(sources, plain[i][1])
        torch.testing.assert_close(mixture, sources.sum(dim=0))
        torch.testing.assert_close(sources, again[i][1], rtol=0, atol=0)
        for found, expected in zip(sources, plain[i][1], strict=True):
            assert abs(decibels(level(found) / level(expected))) < 3


@pytest.mark.parametrize("n_channels", [1, 2])
def test_silence_stays_silence_and_whispers_stay_finite(n_channels):
    augment = Augment(**dict.fromkeys(CHANCES, 1.0))
    for scale in (0.0, 1e-30, 1e-8):
        tracks = [Track("t", scale * noise_tracks(1)[0].sources, RATE)]
        for i in range(5):
            sources = Excerpts(tracks, 0.3, 0, augment, n_channels)[i][1]
            assert sources.isfinite().all() and sources.abs().max() <= 30 * scale


def test_an_effect_moves_no_other_draw():
    """Width does not change equal channels, so the excerpts must be the same as without it."""
    tracks = [Track(t.name, t.sources[:, :1].expand(-1, 2, -1), RATE) for t in noise_tracks()]
    wide, plain = (Excerpts(tracks, 0.2, 7, Augment(width=chance)) for chance in (1.0, 0.0))
    for i in range(8):
        torch.testing.assert_close(wide[i][1], plain[i][1])


def test_chances_are_kept():
    tracks = noise_tracks(1, 30000)
    some, none = (Excerpts(tracks, 0.1, 0, Augment(**PLAIN, room=p)) for p in (0.3, 0.0))
    moved = [(some[i][1] != none[i][1]).flatten(1).any(dim=1) for i in range(60)]
    assert 0.2 < torch.stack(moved).float().mean() < 0.4


def pitches(augment, i):
    """The strongest frequency of each stem of an excerpt of tones of 440 Hz."""
    track = Track("t", tone(440, 3.0).expand(4, 2, -1), RATE)
    return [round(peak(stem)) for stem in Excerpts([track], 1.0, 1, augment)[i][1]]


def test_speed_keeps_the_stems_of_one_song_in_tune():
    together = [pitches(Augment(**PLAIN, speed=1.0), i) for i in range(6)]
    assert all(len(set(stems)) == 1 for stems in together)
    found = [stems[0] / 440 for stems in together]
    assert len(set(found)) > 3 and min(found) > 0.82 and max(found) < 1.21
    apart = [pitches(Augment(**PLAIN | {"remix": 1.0}, speed=1.0), i) for i in range(3)]
    assert all(len(set(stems)) > 2 for stems in apart)


def test_stems_of_one_song_stay_in_step_at_any_speed():
    sources = noise_tracks(1, 40000)[0].sources[:1].expand(4, -1, -1)
    for i in range(5):
        stems = Excerpts([Track("t", sources, RATE)], 0.5, 1, Augment(**PLAIN, speed=1.0))[i][1]
        torch.testing.assert_close(stems, stems[:1].expand_as(stems))


def test_speed_reads_as_much_as_it_plays_and_tracks_end():
    """An excerpt of a long enough track must not end in silence or beyond the end of the track."""
    steady = torch.ones(4, 2, round(0.25 * RATE))
    long, short = Track("t", steady, RATE), Track("t", steady[..., :2000], RATE)
    augment = Augment(**PLAIN, speed=1.0)
    for i in range(40):
        whole = Excerpts([long], 0.2, 5, augment)[i][1]
        assert whole.shape[-1] == 4410
        torch.testing.assert_close(whole, torch.ones_like(whole), atol=0.01, rtol=0)
        padded = Excerpts([short], 0.2, 5, augment)[i][1]
        assert padded[..., :1500].min() > 0.8
        assert padded[..., 2600:].abs().max() < 0.05
