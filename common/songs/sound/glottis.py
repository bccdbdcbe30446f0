"""The voice source: the spectrum of a glottal pulse, and the times of the pulses."""

from __future__ import annotations

import numpy as np


def source_response(frequencies: np.ndarray, f0: np.ndarray, rd: np.ndarray) -> np.ndarray:
    """Spectrum (n, f) of one pulse of the derivative of the glottal flow, its peak near 1.

    frequencies: (f,) in Hz, float32; f0: (n,) in Hz; rd: (n,), Fant's shape parameter, from
    0.4 (pressed, bright) to 2.7 (breathy, dark). Open quotient, asymmetry and return phase follow
    from rd by Fant (1995, STL-QPSR 36, "The LF-model revisited"). The pulse is an anticausal
    resonance before the glottis closes and a causal low-pass after it: Doval, d'Alessandro &
    Henrich (2003, "The voice source as a causal/anticausal linear filter"). Time 0 is the closure.
    """
    ra = (4.8 * rd - 1.0) / 100.0
    rk = (22.4 + 11.8 * rd) / 100.0
    rg = rk / (4.0 * (0.11 * rd / (0.5 + 1.2 * rk) - ra))
    open_quotient = (1.0 + rk) / (2.0 * rg)
    peak = np.pi * f0 / open_quotient
    growth = -peak / np.tan(np.pi / (1.0 + rk))
    stiffness = np.square(peak) + np.square(growth)
    corner = f0 / (2.0 * np.pi * ra)

    f = frequencies * np.float32(2.0 * np.pi)
    width = (2.0 * growth).astype(np.float32)[:, None] * f
    denominator = np.empty(width.shape, np.complex64)
    denominator.real = width
    # The sign is opposite to that of a causal resonator, so that the pulse ends at time 0.
    denominator.imag = stiffness.astype(np.float32)[:, None] - np.square(f)
    lowpass = np.empty_like(denominator)
    lowpass.real = 1.0
    lowpass.imag = frequencies / corner.astype(np.float32)[:, None]
    denominator *= lowpass
    return -width / denominator


def pulse_times(
    f0: np.ndarray, sample_rate: int, jitter: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The times at which the glottis closes, and the phase of the voice.

    f0: (t,) in Hz → times (k,) in samples (fractional), phase (t,) in cycles. `jitter` is the
    standard deviation of each time, as a fraction of the period.
    """
    phase = np.cumsum(f0 / sample_rate)
    cycles = np.arange(1, int(phase[-1]) + 1)
    times = np.interp(cycles, phase, np.arange(len(phase)))
    periods = sample_rate / f0[np.minimum(times.astype(int), len(f0) - 1)]
    times = times + np.clip(rng.standard_normal(len(times)), -2.5, 2.5) * jitter * periods
    return np.maximum(times, 0.0), phase
