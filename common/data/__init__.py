"""Data: tracks, folders in MUSDB18 layout, the embedded songs, and random excerpts."""

from common.data.embedded import (
    SONG_SETS,
    SongSet,
    embedded_songs,
    embedded_tracks,
    render_rest,
    songs_folder,
    test_tracks,
)
from common.data.excerpts import NO_AUGMENT, Augment, Excerpts
from common.data.musdb_folder import VALID_EVERY, TrackOnDisk, load_tracks
from common.data.real_music import real_excerpt
from common.data.tracks import Track
from common.support.files import data_home

__all__ = [
    "Augment",
    "Excerpts",
    "NO_AUGMENT",
    "SONG_SETS",
    "SongSet",
    "Track",
    "TrackOnDisk",
    "VALID_EVERY",
    "data_home",
    "embedded_songs",
    "embedded_tracks",
    "load_tracks",
    "real_excerpt",
    "render_rest",
    "songs_folder",
    "test_tracks",
]
