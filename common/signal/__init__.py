"""Signals: the STFT, masks, Wiener filtering, resampling, and audio files."""

from common.signal.masks import (
    EPSILON,
    apply_mask,
    complex_mask,
    ideal_binary_mask,
    ideal_ratio_mask,
    phase_sensitive_mask,
    wiener_mask,
)
from common.signal.resampling import match_channels, resample
from common.signal.stft import STFT, decibels, griffin_lim
from common.signal.wiener import wiener_filter

__all__ = [
    "EPSILON",
    "STFT",
    "apply_mask",
    "complex_mask",
    "decibels",
    "griffin_lim",
    "ideal_binary_mask",
    "ideal_ratio_mask",
    "match_channels",
    "phase_sensitive_mask",
    "resample",
    "wiener_filter",
    "wiener_mask",
]
