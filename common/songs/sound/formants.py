"""The vocal tract: tables of vowels and consonants, and the frequency response of the filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("male", "female", "child")

FORMANTS = {
    "male": {
        "a": (730, 1090, 2440),
        "ae": (660, 1720, 2410),
        "e": (530, 1840, 2480),
        "i": (270, 2290, 3010),
        "o": (497, 910, 2459),
        "u": (300, 870, 2240),
        "y": (265, 1750, 2160),
        "uh": (640, 1190, 2390),
        "er": (490, 1350, 1690),
        "aw": (570, 840, 2410),
    },
    "female": {
        "a": (850, 1220, 2810),
        "ae": (860, 2050, 2850),
        "e": (610, 2330, 2990),
        "i": (310, 2790, 3310),
        "o": (555, 1035, 2828),
        "u": (370, 950, 2670),
        "y": (305, 2060, 2560),
        "uh": (760, 1400, 2780),
        "er": (500, 1640, 1960),
        "aw": (590, 920, 2710),
    },
    "child": {
        "a": (1030, 1370, 3170),
        "ae": (1010, 2320, 3320),
        "e": (690, 2610, 3570),
        "i": (370, 3200, 3730),
        "o": (597, 1137, 2987),
        "u": (430, 1170, 3260),
        "y": (365, 2390, 2950),
        "uh": (850, 1590, 3360),
        "er": (560, 1820, 2160),
        "aw": (680, 1060, 3180),
    },
}
"""F1, F2 and F3 in Hz: the averages of Peterson & Barney (1952, J. Acoust. Soc. Am. 24, 175-184).

"o" as in go is from Hillenbrand et al. (1995, J. Acoust. Soc. Am. 97, 3099-3111). The French "y"
is near the averages of Calliope (1989) for men, scaled for women and children as their "i" is.
"""

UPPER = {"male": (3400, 4400), "female": (3950, 5000), "child": (4500, 5700)}
"""F4 and F5 in Hz, near those of the tenor and soprano in Csound's table of sung vowels."""

BANDWIDTHS = np.array([70.0, 85.0, 120.0, 175.0, 250.0])
"""Bandwidths of F1 to F5 in Hz, similar to those of Klatt (1980, table II) for vowels."""

TRACT_SCALE = {"male": 1.0, "female": 1.16, "child": 1.33}
"""Formants of the average woman and child relative to the average man."""

ROUNDED = frozenset({"o", "u", "y", "aw"})
"""Vowels with rounded lips, which lower the spectrum of a fricative before them."""

GLIDES = {"o": ("u", 0.55), "e": ("i", 0.45), "ae": ("e", 0.4), "aw": ("o", 0.35), "a": ("uh", 0.3)}
"""Vowel → (target, how far it moves there when long): sung English vowels are diphthongs."""


@dataclass(frozen=True)
class Noise:
    """Noise of a fricative or a burst: a band with slopes on both sides.

    low and high: edges in Hz; rise and fall: slopes in dB per octave; level: relative to the
    vowel's RMS.
    """

    low: float
    high: float
    rise: float
    fall: float
    level: float

    def spectrum(self, frequencies: np.ndarray, scale: float) -> np.ndarray:
        """Magnitudes (f,) of the band, for a tract whose formants are `scale` times a man's."""
        octaves = np.log2(np.maximum(frequencies, 30.0) / scale)
        below = np.maximum(np.log2(self.low) - octaves, 0.0) * self.rise
        above = np.maximum(octaves - np.log2(self.high), 0.0) * self.fall
        # A high-pass, like that of lips and microphone, prevents a DC drift.
        pass_high = frequencies**2 / (frequencies**2 + 150.0**2)
        return 10.0 ** (-(below + above) / 20.0) * pass_high


@dataclass(frozen=True)
class Consonant:
    """The onset of a syllable. Times in seconds, levels relative to the vowel's RMS.

    It lasts `length` and starts `lead` before the note. A stop is closed for `closure`, then comes
    its burst, then aspiration. `locus`: F1 to F3 of a man in Hz from which the formants move to the
    vowel (None: those of the vowel). `zero`: antiformant in Hz of the closed mouth cavity (None:
    mouth open).
    """

    lead: float
    length: float
    voicing: float = 0.0
    locus: tuple[float, float, float] | None = None
    noise: Noise | None = None
    closure: float = 0.0
    aspiration: float = 0.0
    zero: float | None = None


LABIAL, ALVEOLAR, PALATAL, VELAR = (
    (280, 900, 2250),
    (280, 1750, 2650),
    (290, 1950, 2550),
    (280, 2000, 2250),
)

CONSONANTS = {
    "h": Consonant(0.06, 0.09, aspiration=0.3),
    "s": Consonant(0.11, 0.125, locus=ALVEOLAR, noise=Noise(5200, 8800, 34, 14, 0.36)),
    "sh": Consonant(0.11, 0.125, locus=PALATAL, noise=Noise(2700, 5200, 36, 12, 0.36)),
    "f": Consonant(0.09, 0.105, locus=LABIAL, noise=Noise(3000, 10500, 5, 9, 0.11)),
    "v": Consonant(0.06, 0.07, 0.32, LABIAL, Noise(3000, 9500, 5, 9, 0.05)),
    "z": Consonant(0.08, 0.09, 0.26, ALVEOLAR, Noise(5200, 8800, 30, 14, 0.2)),
    "p": Consonant(0.085, 0.115, 0.0, LABIAL, Noise(500, 1500, 6, 7, 0.3), 0.075, 0.17),
    "t": Consonant(0.085, 0.12, 0.0, ALVEOLAR, Noise(3300, 6500, 9, 8, 0.5), 0.07, 0.17),
    "k": Consonant(0.085, 0.125, 0.0, VELAR, Noise(1500, 2700, 14, 9, 0.42), 0.07, 0.2),
    "b": Consonant(0.065, 0.075, 0.1, LABIAL, Noise(400, 1400, 6, 8, 0.2), 0.06),
    "d": Consonant(0.065, 0.08, 0.1, ALVEOLAR, Noise(3000, 6000, 9, 9, 0.3), 0.06),
    "g": Consonant(0.065, 0.085, 0.1, VELAR, Noise(1400, 2600, 14, 9, 0.28), 0.06),
    "m": Consonant(0.07, 0.085, 0.45, LABIAL, zero=1000.0),
    "n": Consonant(0.065, 0.08, 0.45, ALVEOLAR, zero=1550.0),
    "l": Consonant(0.06, 0.075, 0.6, (340, 1200, 2750)),
    "r": Consonant(0.06, 0.085, 0.6, (330, 1100, 1550)),
}
"""Loci after Delattre, Liberman & Cooper (1955) and Klatt (1980, table III); noise bands after
Jongman, Wayland & Wong (2000): s above 5 kHz, sh above 2.7 kHz, f and v weak and flat."""

INHALE = Noise(900, 3800, 10, 7, 0.06)
"""Noise of the inhalation before a phrase: open tract, no voice, between 1 and 4 kHz."""

NASAL_POLE, NASAL_BANDWIDTH = 270.0, 100.0


def resonance(frequencies: np.ndarray, centre: np.ndarray, bandwidth: np.ndarray) -> np.ndarray:
    """Denominators (n, f), complex64, of resonators at `centre` (n,) Hz with unit gain at 0 Hz."""
    scale = (1.0 / np.square(centre)).astype(np.float32)[:, None]
    denominator = np.empty((len(centre), len(frequencies)), np.complex64)
    denominator.real = 1.0 - scale * np.square(frequencies)
    denominator.imag = scale * bandwidth.astype(np.float32)[:, None] * frequencies
    return denominator


def tract_response(
    frequencies: np.ndarray, formants: np.ndarray, bandwidths: np.ndarray, zeros: np.ndarray
) -> np.ndarray:
    """Complex response (n, f) of a tract with moving formants, at frequencies (f,) in float32.

    formants, bandwidths: (n, 5) in Hz; zeros: (n,) in Hz, the nasal antiformant, which cancels
    the nasal pole where it equals NASAL_POLE. Cascade of Klatt (1980), as analogue resonators.
    """
    denominator = resonance(frequencies, formants[:, 0], bandwidths[:, 0])
    for k in range(1, formants.shape[1]):
        denominator *= resonance(frequencies, formants[:, k], bandwidths[:, k])
    response = np.reciprocal(denominator)
    nasal = np.flatnonzero(zeros > NASAL_POLE + 1.0)
    if len(nasal):
        width = np.full(len(nasal), NASAL_BANDWIDTH)
        pole = resonance(frequencies, np.full(len(nasal), NASAL_POLE), width)
        response[nasal] *= resonance(frequencies, zeros[nasal], width) / pole
    return response
