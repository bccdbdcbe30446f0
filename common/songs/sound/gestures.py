"""Control signals of the singer: pitch, loudness and formants over a phrase of syllables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d

from common.songs.sound.formants import BANDWIDTHS, FORMANTS, GLIDES, NASAL_POLE, UPPER
from common.songs.sound.syllables import Sung
from common.songs.sound.voices import Voice
from common.songs.writing.score import VOWELS


@dataclass(frozen=True)
class Motion:
    """Control signals of a phrase, one value per frame (n,); formants and bandwidths (n, 5).

    f0, formants, bandwidths and zeros in Hz; level and aspiration relative to a loud note's RMS;
    rd: shape of the glottal pulse.
    """

    f0: np.ndarray
    level: np.ndarray
    rd: np.ndarray
    aspiration: np.ndarray
    formants: np.ndarray
    bandwidths: np.ndarray
    zeros: np.ndarray


def smooth(track: np.ndarray, frames: float) -> np.ndarray:
    """Smooth along the first axis with a Hann window of about `frames` frames."""
    kernel = np.hanning(2 * max(round(frames / 2), 1) + 1 + 2)
    return convolve1d(track, kernel / kernel.sum(), axis=0, mode="nearest")


def smooth_noise(n_frames: int, frames: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (n,) of standard deviation 1, smoothed over about `frames` frames."""
    kernel = np.hanning(2 * round(frames) + 3)
    kernel /= np.sqrt(np.square(kernel).sum())
    return convolve1d(rng.standard_normal(n_frames), kernel, mode="wrap")


def smooth_step(times: np.ndarray, start: float, duration: float) -> np.ndarray:
    """A smooth step from 0 before `start` to 1 after `start + duration`."""
    x = np.clip((times - start) / max(duration, 1e-4), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def sing_pitch(
    phrase: list[Sung], voice: Voice, times: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Pitch (n,) as a MIDI number, with smooth transitions, scoops, drift and vibrato."""
    rate = 1.0 / (times[1] - times[0])
    pitch = np.full(len(times), float(phrase[0].note.pitch))
    depth = np.zeros(len(times))
    for i, sung in enumerate(phrase):
        note = sung.note
        length = sung.end - note.start
        step = note.pitch - phrase[i - 1].note.pitch if i else 0.0
        if i and note.glide:
            duration = min(voice.glide * (1.0 + abs(step) / 12.0), 0.4 * length)
            pitch += step * smooth_step(times, note.start - 0.3 * duration, duration)
        elif i:
            duration = min(voice.transition * (1.0 + abs(step) / 24.0), 0.4 * length)
            pitch += step * smooth_step(times, note.start - 0.7 * duration, duration)
        elif note.glide or rng.random() < voice.scoop:
            below = 2.0 if note.glide else rng.uniform(0.5, 1.8)
            duration = min(voice.glide * 0.8, 0.4 * length)
            pitch -= below * (1.0 - smooth_step(times, sung.voice - 0.02, duration))
        delay = min(voice.vibrato_delay, 0.5 * length)
        grown = smooth_step(times, note.start + delay, 0.35)
        grown *= 1.0 - smooth_step(times, sung.end - 0.08, 0.1)
        depth += grown * min(1.0, max(length - 0.3, 0.0) / 0.5) * rng.uniform(0.7, 1.2)
    # The pitch falls as the airflow stops.
    pitch -= 0.5 * smooth_step(times, phrase[-1].end - 0.02, 0.12)
    uneven = smooth_noise(len(times), 0.4 * rate, rng)
    cycles = np.cumsum(voice.vibrato_rate * (1.0 + 0.05 * uneven))
    vibrato = np.sin(2.0 * np.pi * (cycles / rate + rng.random()))
    slow = np.clip(smooth_noise(len(times), 0.3 * rate, rng), -2.0, 2.0)
    quick = np.clip(smooth_noise(len(times), 0.03 * rate, rng), -2.0, 2.0)
    pitch += voice.vibrato_depth * depth * vibrato + voice.drift * (slow + 0.3 * quick)
    return pitch


def voicing(phrase: list[Sung], times: np.ndarray) -> np.ndarray:
    """Level of the voicing (n,): 1 in vowels, `Consonant.voicing` in consonants."""
    gate = np.zeros(len(times))
    for sung in phrase:
        if sung.consonant is not None:
            closed = sung.burst if sung.consonant.closure else sung.voice
            gate[(times >= sung.onset) & (times < closed)] = sung.consonant.voicing
        gate[(times >= sung.voice) & (times < sung.end)] = 1.0
    return gate


def loudness(
    phrase: list[Sung], voice: Voice, times: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Level of the vowels (n,) in dB, from velocity, accents, and a swell on long notes."""
    level = np.zeros(len(times))
    accents = np.zeros(len(times))
    for i, sung in enumerate(phrase):
        decibels = voice.dynamics * (np.clip(sung.note.velocity, 1, 127) - 110) / 90.0
        level[times >= sung.onset if i else slice(None)] = decibels
        length = max(sung.end - sung.voice, 0.05)
        inside = np.clip((times - sung.voice) / length, 0.0, 1.0)
        swell = min(length / 1.5, 1.0) * rng.uniform(-1.0, 4.0)
        accents += swell * np.sin(np.pi * inside)
        started = (times >= sung.voice) & (times < sung.end)
        accents += (
            started * rng.uniform(0.0, 2.5) * np.exp(-np.maximum(times - sung.voice, 0) / 0.1)
        )
    rate = 1.0 / (times[1] - times[0])
    return smooth(level, 0.1 * rate) + smooth(accents, 0.05 * rate)


def formant_tracks(
    phrase: list[Sung], voice: Voice, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Formants (n, 5), their bandwidths (n, 5) and the nasal zero (n,), all in Hz."""
    rate = 1.0 / (times[1] - times[0])
    fourth, fifth = (frequency * voice.tract for frequency in UPPER[voice.kind])
    formants = np.empty((len(times), 5))
    formants[:, 3], formants[:, 4] = fourth, fifth
    open_zero = NASAL_POLE + 130.0 * voice.nasality
    zeros = np.full(len(times), open_zero)
    damping = np.ones(len(times))

    def vowel(name: str) -> np.ndarray:
        accent = np.array(voice.accent[VOWELS.index(name)])
        return np.array(FORMANTS[voice.kind][name]) * accent * voice.tract

    for i, sung in enumerate(phrase):
        target = vowel(sung.note.vowel)
        formants[times >= sung.onset if i else slice(None), :3] = target
        length = sung.end - sung.voice
        if length > 0.25 and sung.note.vowel in GLIDES:
            name, part = GLIDES[sung.note.vowel]
            # Singers hold the first vowel of a diphthong and move to the second only at the end.
            drift = smooth_step(times, sung.end - min(0.35 * length, 0.3), 0.25)
            movement = part * voice.diphthong * (vowel(name) - target)
            late = times >= sung.end - 0.5 * length
            formants[late, :3] += drift[late, None] * movement
        spoken = (times >= sung.onset) & (times < sung.voice - 0.01)
        if sung.consonant is not None and sung.consonant.locus is not None:
            locus = np.array(sung.consonant.locus) * voice.scale
            formants[spoken, :3] = locus + np.array([0.1, 0.25, 0.2]) * (target - locus)
        if sung.consonant is not None and sung.consonant.zero is not None:
            zeros[spoken] = sung.consonant.zero * voice.scale
            damping[spoken] = 1.8
    # Coarticulation: the tongue is slower than lips and velum.
    formants = smooth(formants, voice.coarticulation * rate)
    zeros = np.maximum(smooth(zeros, 0.035 * rate), open_zero)
    damping = smooth(damping, 0.035 * rate) * voice.damping
    return formants, BANDWIDTHS * voice.scale**0.5 * damping[:, None], zeros


def tune_formants(formants: np.ndarray, f0: np.ndarray, voice: Voice) -> np.ndarray:
    """Tune formants (n, 5) to the pitch f0 (n,), both in Hz, as trained singers do.

    On high notes the mouth opens until F1 is no lower than f0 (Sundberg 1975, Acustica 32); F3 to
    F5 move closer together and form the singer's formant near 2.8 kHz (Sundberg 1974, JASA 55).
    """
    tuned = formants.copy()
    cluster = 2850.0 * voice.scale**0.5 * np.array([0.93, 1.03, 1.2])
    tuned[:, 2:] += voice.ring * np.array([0.35, 0.8, 0.6]) * (cluster - tuned[:, 2:])
    tuned[:, 0] = np.logaddexp(tuned[:, 0] / 40.0, 1.04 * f0 / 40.0) * 40.0
    for k in range(1, 5):
        tuned[:, k] = np.maximum(tuned[:, k], tuned[:, k - 1] + 180.0 * voice.scale)
    return tuned


def control_signals(
    phrase: list[Sung], voice: Voice, times: np.ndarray, rng: np.random.Generator
) -> Motion:
    """The control signals of one phrase at evenly spaced times (n,) in seconds."""
    rate = 1.0 / (times[1] - times[0])
    pitch = sing_pitch(phrase, voice, times, rng)
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    formants, bandwidths, zeros = formant_tracks(phrase, voice, times)
    formants = tune_formants(formants, f0, voice)

    first, last = phrase[0], phrase[-1]
    gate = smooth(voicing(phrase, times), 0.03 * rate)
    gate *= 1.0 - np.exp(-np.maximum(times - first.onset + 0.01, 0.0) / voice.attack)
    release = min(voice.release, 0.3 * (last.end - last.voice) + 0.02)
    gate *= 1.0 - smooth_step(times, last.end - release, release + 0.015)
    decibels = loudness(phrase, voice, times, rng)
    decibels += 0.4 * voice.tremolo * smooth_noise(len(times), 0.1 * rate, rng)
    # Loud and high notes are pressed (low rd); the folds are apart at onsets and ends (high rd).
    effort = decibels / voice.dynamics + 0.015 * np.clip(pitch - voice.centre, -12.0, 12.0)
    rd = voice.rd * 2.0 ** (-1.5 * effort - 0.25) + 0.9 * (1.0 - gate)
    # Open vowels are louder than closed ones at the same effort.
    openness = (formants[:, 0] / 500.0) ** 0.3
    level = gate * 10.0 ** (decibels / 20.0) * openness

    aspiration = voice.breath * 10.0 ** (0.6 * decibels / 20.0) * smooth(gate**2, 0.06 * rate)
    for sung in phrase:
        if sung.consonant is not None and sung.consonant.aspiration:
            blown = (times >= sung.burst) & (times < sung.voice + 0.01)
            loud = 10.0 ** (np.interp(sung.voice, times, decibels) / 30.0)
            puff = sung.consonant.aspiration * voice.consonants * loud
            aspiration += smooth(blown * puff, 0.015 * rate)
    return Motion(f0, level, np.clip(rd, 0.4, 2.7), aspiration, formants, bandwidths, zeros)
