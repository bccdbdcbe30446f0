"""The inverse transform returns the input, and the transform agrees with other libraries."""

import librosa
import numpy as np
import pytest
import scipy.signal
import torch

from common.signal.stft import STFT, decibels, griffin_lim


@pytest.mark.parametrize("length", [1, 5, 777, 4096, 10001])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(2048, 512), (1024, 512), (256, 64), (512, 200)])
def test_perfect_reconstruction(n_fft, hop_length, length):
    audio = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(length))
    stft = STFT(n_fft, hop_length)
    back = stft.inverse(stft(audio), length)
    assert back.shape == audio.shape
    torch.testing.assert_close(back, audio, atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", [1, 777, 2047, 2048, 2049, 5000])
@pytest.mark.parametrize("hop_length", [1024, 700])
def test_audio_of_any_length_is_reflected(hop_length, length):
    audio = torch.randn(2, length, generator=torch.Generator().manual_seed(length))
    stft = STFT(4096, hop_length, "reflect")
    back = stft.inverse(stft(audio), length)
    torch.testing.assert_close(back, audio, atol=1e-5, rtol=0)


def test_shape_and_frames():
    spectrum = STFT(1024, 256)(torch.zeros(2, 1000))
    assert spectrum.shape == (2, 513, 1 + 4)  # frames centred on 0, 256, …, 1024
    assert STFT(1024, 256).n_bins == 513


def test_agrees_with_librosa_and_scipy():
    audio = torch.randn(8 * 512, generator=torch.Generator().manual_seed(0))
    ours = STFT(2048, 512)(audio).numpy()
    theirs = librosa.stft(audio.numpy(), n_fft=2048, hop_length=512, pad_mode="constant")
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    window = scipy.signal.windows.hann(2048, sym=False)
    transform = scipy.signal.ShortTimeFFT(window, hop=512, fs=1, mfft=2048)
    frames = transform.stft(audio.numpy(), p0=0, p1=ours.shape[1])
    # scipy measures phase from the window's middle, torch from its first sample.
    np.testing.assert_allclose(np.abs(ours), np.abs(frames), atol=1e-3)


def test_a_sine_lands_in_its_bin():
    time = torch.arange(22050) / 22050
    level = STFT(2048, 512)(torch.sin(2 * torch.pi * 1000 * time)).abs().mean(dim=-1)
    assert level.argmax() == round(1000 * 2048 / 22050)


def test_decibels():
    magnitude = torch.tensor([1.0, 0.1, 1e-9, 0.0])
    torch.testing.assert_close(decibels(magnitude), torch.tensor([0.0, -20.0, -80.0, -80.0]))
    torch.testing.assert_close(decibels(magnitude, reference=10.0)[0], torch.tensor(-20.0))
    assert decibels(torch.zeros(3)).isfinite().all()


def test_griffin_lim_approaches_the_magnitude():
    stft = STFT(512, 128)
    time = torch.arange(4000) / 8000
    audio = torch.sin(2 * torch.pi * 440 * time) + 0.5 * torch.sin(2 * torch.pi * 700 * time)
    magnitude = stft(audio).abs()

    def distance(n_iter):
        again = stft(griffin_lim(magnitude, stft, 4000, n_iter)).abs()
        return ((again - magnitude).norm() / magnitude.norm()).item()

    start, end = distance(0), distance(50)
    assert end < 0.15 < 0.3 < start
    first, second = griffin_lim(magnitude, stft, 4000, 3), griffin_lim(magnitude, stft, 4000, 3)
    assert torch.equal(first, second)
