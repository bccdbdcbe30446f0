"""Optional recorded sounds on a system: soundfonts, drum kits and speakers of syllables.

They come from Debian packages. Without them, songs use the soundfont that every installation has,
and synthesised drums and voices.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.songs.sound.drumkits import EXCLUDED
from common.support.pyworld_compat import has_world

KINDS = ("soundfonts", "kits", "voices")

# kind → package → its sounds, below the root. csound-soundfont is not used: it has the recordings
# of the default soundfont for 50 of the 65 programs of training songs.
PACKAGES: dict[str, dict[str, str]] = {
    "soundfonts": {
        "fluid-soundfont-gm": "usr/share/sounds/sf2/FluidR3_GM.sf2",
        "musescore-general-soundfont": "usr/share/sounds/sf3/MuseScore_General*.sf3",
    },
    "kits": {
        "avldrums.lv2-soundfont": "usr/share/sounds/sf2/*_4_LV2.sf2",
        "hydrogen-drumkits": "usr/share/hydrogen/data/drumkits/*/drumkit.xml",
    },
    "voices": {
        "klettres-data": "usr/share/klettres/*/alpha/",
        "ktuberling-data": "usr/share/ktuberling/sounds/*/",
    },
}


def sounds_root() -> Path:
    """The folder below which to look for packages: `COMMON_SOUNDS`, or the system's root."""
    return Path(os.environ.get("COMMON_SOUNDS", "/"))


@dataclass(frozen=True)
class Library:
    """Recorded sounds: soundfonts, drum kits (a folder or a soundfont each), speakers' folders."""

    soundfonts: tuple[Path, ...] = ()
    kits: tuple[Path, ...] = ()
    voices: tuple[Path, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of these sounds in set.json and model cards."""
        return tuple(map(sound_name, (*self.soundfonts, *self.kits, *self.voices)))


def sound_name(path: Path) -> str:
    """The name of a sound: its file or folder, for a speaker after that of the collection."""
    if path.is_file() or (path / "drumkit.xml").exists():
        return path.name
    collection = path.parent.parent if path.parent.name == "sounds" else path.parent
    return f"{collection.name}/{path.name}"


def installed(kinds: Iterable[str] = KINDS) -> Library:
    """Find the installed sounds of these kinds; voices only if pyworld is installed.

    ValueError for a kind that is not one of KINDS.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for kind in _checked(kinds):
        paths = [path for package in PACKAGES[kind] for path in _files(kind, package)]
        found[kind] = tuple(_sound(kind, path) for path in paths)
    found["kits"] = tuple(kit for kit in found.get("kits", ()) if kit.name not in EXCLUDED)
    # A folder LANGUAGE@DIALECT holds the same speaker and words as LANGUAGE.
    voices = found.get("voices", ()) if has_world() else ()
    found["voices"] = tuple(voice for voice in voices if "@" not in voice.name)
    return Library(**found)


def missing(kinds: Iterable[str] = KINDS) -> list[str]:
    """The Debian packages of these kinds that are not installed, and pyworld, which voices need."""
    kinds = _checked(kinds)
    packages = [
        package for kind in kinds for package in PACKAGES[kind] if not _files(kind, package)
    ]
    return packages + (["pyworld"] if "voices" in kinds and not has_world() else [])


def how_to_install(packages: list[str]) -> str:
    """Return the command that installs what `missing` returns."""
    debian = [package for package in packages if package != "pyworld"]
    steps = [f"apt install {' '.join(debian)}"] if debian else []
    steps += ["pip install pyworld"] if "pyworld" in packages else []
    return " && ".join(steps)


def _files(kind: str, package: str) -> list[Path]:
    return sorted(sounds_root().glob(PACKAGES[kind][package]))


def _sound(kind: str, path: Path) -> Path:
    """The path of a sound; that of a kit or a speaker is its folder."""
    return path.parent if path.name in ("drumkit.xml", "alpha") else path


def _checked(kinds: Iterable[str]) -> tuple[str, ...]:
    kinds = tuple(kinds)
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of sounds {kind!r}; there are {', '.join(KINDS)}")
    return kinds
