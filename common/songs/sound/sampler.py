"""Sampled instruments: notes → stereo audio through FluidSynth and a soundfont."""

from __future__ import annotations

from ctypes import c_int, c_void_p
from functools import lru_cache
from pathlib import Path
from struct import iter_unpack

import fluidsynth
import numpy as np
import pretty_midi

from common.songs.writing.score import Note
from common.support.errors import UsageError

RATE = 44100
"""Sample rate of all rendering, in Hz."""

BLOCK = 64
"""FluidSynth computes blocks of 64 samples, so notes start on that grid (1.5 ms)."""

DRUM_BANK = 128

# pyfluidsynth wraps only the 16-bit reader, whose dither carries over from one render to the
# next: the same part would not give the same samples twice.
_write_float = fluidsynth.cfunc(
    "fluid_synth_write_float",
    c_int,
    ("synth", c_void_p, 1),
    ("len", c_int, 1),
    ("left", c_void_p, 1),
    ("left_offset", c_int, 1),
    ("left_step", c_int, 1),
    ("right", c_void_p, 1),
    ("right_offset", c_int, 1),
    ("right_step", c_int, 1),
)


def default_soundfont() -> str:
    """Path of the General MIDI soundfont that ships with pretty_midi (TimGM6mb, GPL-2)."""
    return str(Path(pretty_midi.__file__).with_name("TimGM6mb.sf2"))


def check_soundfont(soundfont: str | None) -> str:
    """The path of a soundfont (default: the one of pretty_midi); UsageError if it is not one."""
    path = Path(soundfont or default_soundfont())
    if not path.is_file():
        raise UsageError(f"there is no soundfont at {path}")
    with path.open("rb") as file:
        header = file.read(12)
    if header[:4] != b"RIFF" or header[8:] != b"sfbk":
        raise UsageError(f"{path} is not a soundfont (.sf2)")
    return str(path)


def _open(soundfont: str) -> tuple[fluidsynth.Synth, int]:
    settings = {"synth.reverb.active": 0, "synth.chorus.active": 0, "synth.polyphony": 96}
    if soundfont != default_soundfont():
        # Others have hundreds of megabytes: read only the samples of the selected program.
        settings["synth.dynamic-sample-loading"] = 1
    synth = fluidsynth.Synth(gain=0.5, samplerate=float(RATE), channels=16, **settings)
    font = synth.sfload(soundfont)
    if font < 0:
        synth.delete()
        raise UsageError(f"{soundfont} is not a soundfont (.sf2) that FluidSynth can read")
    return synth, font


@lru_cache(maxsize=64)
def programs(soundfont: str) -> frozenset[int]:
    """The General MIDI programs that a soundfont holds in its first bank."""
    with open(soundfont, "rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            size = int.from_bytes(header[4:], "little")
            if header[:4] == b"phdr":
                *presets, _ = iter_unpack("<20s2H14x", file.read(size))
                return frozenset(program for _, program, bank in presets if bank == 0)
            inside = header[:4] == b"LIST" and file.read(4) == b"pdta"
            if not inside:
                file.seek(size + size % 2 - 4 * (header[:4] == b"LIST"), 1)
    return frozenset()


@lru_cache(maxsize=1)
def _keep(soundfont: str) -> tuple[fluidsynth.Synth, int]:
    """Hold a soundfont open, so that FluidSynth shares its samples with every later synth."""
    return _open(soundfont)


def play(
    notes: tuple[Note, ...],
    program: int,
    n_samples: int,
    soundfont: str | None = None,
    drums: bool = False,
) -> np.ndarray:
    """Play notes on one General MIDI program, or on a drum kit, without reverb or chorus.

    → (2, t) float32 at 44.1 kHz. A program that the soundfont lacks falls back to program 0.
    """
    path = str(soundfont or default_soundfont())
    if path == default_soundfont():
        _keep(path)
    # A new synth per part: a used one keeps state (voice order, filters) even after a reset,
    # and the same part would not give the same samples twice.
    synth, font = _open(path)
    channel, bank = (9, DRUM_BANK) if drums else (0, 0)
    if synth.program_select(channel, font, bank, program) != 0:
        synth.program_select(channel, font, bank, 0)
    # Ends sort before starts, so that a repeated key sounds again.
    events = []
    for note in notes:
        key = int(np.clip(round(note.pitch), 0, 127))
        start, end = int(note.start * RATE / BLOCK), int(note.end * RATE / BLOCK)
        events.append((start, 1, key, int(np.clip(note.velocity, 1, 127))))
        events.append((max(end, start + 2), 0, key, 0))
    n_blocks = -(-n_samples // BLOCK)
    audio = np.zeros((2, n_blocks * BLOCK), np.float32)
    position = 0
    for block, is_start, key, velocity in [*sorted(events), (n_blocks, 0, 0, 0)]:
        block = min(block, n_blocks)
        if block > position:
            _read(synth, audio, position * BLOCK, (block - position) * BLOCK)
            position = block
        if is_start:
            synth.noteon(channel, key, velocity)
        else:
            synth.noteoff(channel, key)
    synth.delete()
    return audio[:, :n_samples]


def _read(synth: fluidsynth.Synth, audio: np.ndarray, start: int, length: int) -> None:
    left = audio[0, start:].ctypes.data_as(c_void_p)
    right = audio[1, start:].ctypes.data_as(c_void_p)
    _write_float(synth.synth, length, left, 0, 1, right, 0, 1)
