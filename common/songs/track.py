"""One song on disk: the four stems, their exact sum, the notes and the score."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from common.songs.render import STEMS, render
from common.songs.sound.casting import cast, sound_names
from common.songs.sound.library import Library
from common.songs.writing.compose import song_json, to_midi
from common.songs.writing.score import Song

FILES = (*(f"{stem}.wav" for stem in ("mixture", *STEMS)), "notes.mid", "song.json")
UNFINISHED = ".unfinished-"
FULL_SCALE = 32767


def quantise(stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Round stems (c, t) to 16 bit and add "mixture", their exact integer sum.

    → {name: (t, c) int16}. ValueError if the sum does not fit.
    """
    steps = {stem: np.rint(audio.T * FULL_SCALE).astype(np.int32) for stem, audio in stems.items()}
    steps = {"mixture": sum(steps.values()), **steps}
    if max(int(np.abs(audio).max()) for audio in steps.values()) > FULL_SCALE:
        raise ValueError("the stems are too loud: their sum would clip")
    return {name: audio.astype(np.int16) for name, audio in steps.items()}


def write_track(
    folder: str | Path,
    song: Song,
    sample_rate: int = 44100,
    soundfont: str | None = None,
    scratch: str | Path | None = None,
    library: Library | None = None,
) -> Path:
    """Render a song into `folder`: five wav files, notes.mid and song.json, or no file at all.

    The files are written to a temporary folder below `scratch` (default: beside `folder`), which
    is then renamed. A folder that already holds the complete track is kept. The mixture is the
    exact sum of the stems, sample by sample. song.json lists the sounds taken from the library.
    """
    folder = Path(folder)
    if is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=scratch or folder.parent))
    try:
        for name, audio in quantise(render(song, sample_rate, soundfont, library)).items():
            soundfile.write(unfinished / f"{name}.wav", audio, sample_rate, subtype="PCM_16")
        to_midi(song).write(str(unfinished / "notes.mid"))
        about = song_json(song)
        if sounds := cast(song, library):
            about["sounds"] = sound_names(sounds)
        text = json.dumps(about, indent=1, ensure_ascii=False)
        (unfinished / "song.json").write_text(text, encoding="utf-8")
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def is_complete(folder: str | Path) -> bool:
    """Whether a folder holds every file of a track."""
    return all((Path(folder) / name).is_file() for name in FILES)
