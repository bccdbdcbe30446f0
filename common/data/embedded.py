"""The songs that the book composes, rendered on first use."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from common import SAMPLE_RATE
from common.data.musdb_folder import VALID_EVERY, load_tracks
from common.data.tracks import Track
from common.support.files import data_home
from common.support.scale import scale


@dataclass(frozen=True)
class SongSet:
    """A set of embedded songs: how many, how long, from which seed, at which rate.

    n_valid: validation songs, whose sounds no training song uses; sounds: the recorded sounds that
    training songs also use, of "soundfonts", "kits" and "voices".
    """

    n_train: int
    n_test: int
    seconds: float
    seed: int = 0
    sample_rate: int = SAMPLE_RATE
    n_valid: int = 0
    sounds: tuple[str, ...] = ()


SONG_SETS = {
    "smoke": SongSet(n_train=6, n_test=2, seconds=8.0),
    "live": SongSet(n_train=24, n_test=8, seconds=24.0),
    "zoo": SongSet(n_train=360, n_test=0, seconds=24.0, seed=1),
    "wide": SongSet(
        n_train=2000,
        n_test=0,
        seconds=24.0,
        seed=4,
        n_valid=40,
        sounds=("soundfonts", "kits", "voices"),
    ),
    "more-test": SongSet(n_train=0, n_test=32, seconds=24.0, seed=3),
}
"""The sets by scale, and two more. The songs of "zoo" and "wide" are not those of "live".

The book's test songs are the test splits of "live" and "more-test" together: see `test_tracks`.
"""


def songs_here() -> SongSet:
    """The songs that are read and measured at this scale: a few short ones, or the live set."""
    return SONG_SETS["smoke" if scale() == "smoke" else "live"]


def songs_folder(songs: SongSet) -> Path:
    """The folder of a set of embedded songs, whether or not it has been rendered."""
    from common.songs.dataset import GENERATOR_VERSION
    from common.songs.sound.library import installed

    name = f"songs-v{GENERATOR_VERSION}-{songs.seconds:g}s-seed{songs.seed}-{songs.sample_rate}hz"
    name += f"-{songs.n_valid}valid" if songs.n_valid else ""
    name = "-".join((name, *songs.sounds))
    if songs.sounds:  # the songs depend on which recorded sounds are installed
        names = " ".join(installed(songs.sounds).names)
        name += f"-{crc32(names.encode()):08x}"
    return data_home() / name


def embedded_songs(
    songs: SongSet | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    n_valid: int | None = None,
) -> Path:
    """Folder of the embedded songs, rendered on first use; by default the set of this scale.

    `n_train`, `n_test` and `n_valid` limit how many songs are rendered. The folder's name contains
    the version of the generator, so songs of different versions are never mixed.
    """
    from common.songs.dataset import write_set

    songs = songs or songs_here()
    counts = {
        "n_train": songs.n_train if n_train is None else n_train,
        "n_test": songs.n_test if n_test is None else n_test,
        "n_valid": songs.n_valid if n_valid is None else n_valid,
    }
    return write_set(
        songs_folder(songs),
        **counts,
        seconds=songs.seconds,
        seed=songs.seed,
        sample_rate=songs.sample_rate,
        held_out=songs.n_valid > 0,
        sounds=songs.sounds,
    )


def render_rest() -> subprocess.Popen | None:
    """Render this scale's songs in a separate process, so that the reader need not wait.

    Songs that exist can be read at once; reading others waits until they are rendered. Returns the
    process, or None if no song is missing.
    """
    from common.songs.dataset import missing_tracks

    songs = songs_here()
    counts = {"train": songs.n_train, "test": songs.n_test, "valid": songs.n_valid}
    root, held_out = songs_folder(songs), songs.n_valid > 0
    if not missing_tracks(root, counts, songs.seconds, songs.seed, held_out=held_out):
        return None
    code = "from common.data import embedded_songs; embedded_songs()"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code], **quiet)


def embedded_tracks(
    split: str, limit: int | None = None, songs: SongSet | None = None
) -> list[Track]:
    """Tracks of the embedded songs in memory: "train", "valid" or "test" of this scale's set.

    Asking for test tracks, or for the first few training tracks, renders no more than those.
    """
    songs = songs or songs_here()
    if split == "test":
        root = embedded_songs(songs, n_train=0, n_test=limit, n_valid=0)
    elif split == "valid" and songs.n_valid:
        root = embedded_songs(songs, n_train=0, n_test=0, n_valid=limit)
    else:
        root = embedded_songs(songs, _training_songs(songs, split, limit), n_test=0, n_valid=0)
    return load_tracks(root, split, songs.sample_rate, limit=limit)


def _training_songs(songs: SongSet, split: str, limit: int | None) -> int:
    """How many training songs `limit` tracks of the split take."""
    if split != "train" or limit is None:
        return songs.n_train
    # Every sixth training track is a validation track, so `limit` others take a few more.
    among = 0 if songs.n_valid else (limit - 1) // (VALID_EVERY - 1)
    return min(limit + among, songs.n_train)


def test_tracks(sample_rate: int = SAMPLE_RATE) -> list[Track]:
    """The book's test songs, in memory: the 8 of "live" and the 32 of "more-test"."""
    sets = (replace(SONG_SETS[name], sample_rate=sample_rate) for name in ("live", "more-test"))
    return [track for songs in sets for track in embedded_tracks("test", songs=songs)]
