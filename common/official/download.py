"""Download published weights from their authors' pages, only on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

from torch.hub import download_url_to_file

from common.official import load_official, spleeter
from common.official.weights import check_hash
from common.separation.separators import Separator
from common.support.errors import UsageError
from common.support.files import data_home, write_whole


@dataclass(frozen=True)
class Published:
    """Published weights of a model.

    model: a name that `load_official` knows; address: the URL of the folder with the files; files:
    name of each → first digits of its SHA-256; convert: writes a file that `load_official` reads
    (second argument) from the only downloaded file, None if no conversion is needed; needs: the
    package that the conversion requires.
    """

    model: str
    address: str
    files: dict[str, str]
    licence: str
    trained_on: str
    convert: Callable[[Path, Path], None] | None = None
    needs: str = ""


PUBLISHED = {
    "umxhq": Published(
        "open-unmix",
        "https://zenodo.org/records/3370489/files",
        {
            "bass-8d85a5bd.pth": "8d85a5bd",
            "drums-9619578f.pth": "9619578f",
            "other-b52fbbf7.pth": "b52fbbf7",
            "vocals-b62c91ce.pth": "b62c91ce",
        },
        licence="MIT",
        trained_on="MUSDB18-HQ",
    ),
    "spleeter-4stems": Published(
        "spleeter",
        "https://github.com/deezer/spleeter/releases/download/v1.4.0",
        {"4stems.tar.gz": "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8"},
        licence="MIT",
        trained_on="recordings of Deezer's catalogue",
        convert=spleeter.convert_archive,
        needs="tensorflow",
    ),
}
"""The weights that `load_published` can download, by their authors' names."""


def load_published(name: str) -> Separator:
    """A separator with downloaded weights, which are kept in the book's data folder.

    Prints the licence before the download. A file is kept only if it is complete and has the
    published hash. Raises UsageError for an unknown name, for a failed download, for a missing
    package that the conversion requires, and for a file with another hash.
    """
    if name not in PUBLISHED:
        raise UsageError(f"no weights {name!r} are known; choose from {', '.join(PUBLISHED)}")
    about = PUBLISHED[name]
    print(f"{name}: trained on {about.trained_on}; licence of the weights: {about.licence}")
    folder = data_home() / "published" / name
    if about.convert is None:
        _fetch_all(about, folder)
        return load_official(about.model, folder)
    converted = folder / "converted.safetensors"
    if not converted.exists():
        if find_spec(about.needs) is None:
            raise UsageError(f"reading {name} takes {about.needs}: pip install {about.needs}")
        _fetch_all(about, folder)
        about.convert(folder / next(iter(about.files)), converted)
    return load_official(about.model, converted)


def _fetch_all(about: Published, folder: Path) -> None:
    """Download missing files, and check that all files have the published hash."""
    for file, digits in about.files.items():
        if not (folder / file).exists():
            address = f"{about.address}/{file}"
            write_whole(folder / file, partial(_fetch, address, digits))
        check_hash(folder / file, digits)


def _fetch(address: str, digits: str, path: Path) -> None:
    """Download a file, with a progress bar, and compare it with the beginning of its SHA-256."""
    try:
        download_url_to_file(address, str(path), digits)
    except URLError as error:
        raise UsageError(f"{address} cannot be downloaded: {error.reason}") from error
    except RuntimeError as error:  # what PyTorch raises for another hash
        raise UsageError(f"{address} is not the published file: {error}") from error
