"""Published weights, fetched from where their authors put them, and only when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from torch.hub import download_url_to_file

from common.official import load_official
from common.official.weights import check_hash
from common.separation.separators import Separator
from common.support.errors import UsageError
from common.support.files import data_home, write_whole


@dataclass(frozen=True)
class Published:
    """Weights that somebody has published.

    model: a name that `load_official` knows; address: the folder on the network that has the files,
    whose names end in the beginning of their SHA-256.
    """

    model: str
    address: str
    files: tuple[str, ...]
    licence: str
    trained_on: str


PUBLISHED = {
    "umxhq": Published(
        "open-unmix",
        "https://zenodo.org/records/3370489/files",
        ("bass-8d85a5bd.pth", "drums-9619578f.pth", "other-b52fbbf7.pth", "vocals-b62c91ce.pth"),
        "MIT",
        "MUSDB18-HQ",
    ),
}
"""What `load_published` can fetch, under the name that its authors gave it."""


def load_published(name: str) -> Separator:
    """A separator with weights from the network, which are kept in the book's data folder.

    The licence is printed before anything is asked for. A file is kept only when it is whole and
    has the hash that its name promises. Raises UsageError for an unknown name, where the network or
    the file is not there, and for a file with another hash.
    """
    if name not in PUBLISHED:
        raise UsageError(f"no weights called {name!r} are known: there are {', '.join(PUBLISHED)}")
    about = PUBLISHED[name]
    print(f"{name}: trained on {about.trained_on}; licence of the weights: {about.licence}")
    folder = data_home() / "published" / name
    for file in about.files:
        if not (folder / file).exists():
            write_whole(folder / file, lambda part, file=file: _fetch(about.address, file, part))
        check_hash(folder / file)
    return load_official(about.model, folder)


def _fetch(address: str, file: str, path: Path) -> None:
    """Download a file, with a progress bar, and compare it with the hash in its name."""
    promised = Path(file).stem.rsplit("-", 1)[1]
    try:
        download_url_to_file(f"{address}/{file}", str(path), promised)
    except URLError as error:
        raise UsageError(f"{address}/{file} cannot be fetched: {error.reason}") from error
    except RuntimeError as error:  # what PyTorch raises for another hash
        raise UsageError(f"{address}/{file} is not what its name says: {error}") from error
