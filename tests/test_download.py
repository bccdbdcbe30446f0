"""Published weights from a local server: complete, verified, after the licence, and only once."""

from __future__ import annotations

import hashlib
import http.server
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_official import published, weights
from test_spleeter import Reader, tensorflow
from test_spleeter import published as spleeter_weights

from common.official import download
from common.official.download import PUBLISHED, load_published
from common.official.spleeter import nets
from common.support.errors import UsageError


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder and records the requests."""

    def __init__(self, folder: Path) -> None:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *arguments: object) -> None:
                self.server.asked.append(self.path)

        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with small weights for two targets, registered as `umxhq`."""
    folder = tmp_path / "there"
    files = [published(folder, target, weights(k)) for k, target in enumerate(("bass", "vocals"))]
    monkeypatch.setenv("COMMON_DATA", str(tmp_path / "here"))
    with Server(folder) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        about = replace(
            PUBLISHED["umxhq"],
            address=f"http://127.0.0.1:{running.server_port}",
            files={path.name: path.stem.rsplit("-", 1)[1] for path in files},
        )
        monkeypatch.setitem(download.PUBLISHED, "umxhq", about)
        yield running
        running.shutdown()


def test_weights_are_fetched_once_and_are_the_published_ones(server, capsys) -> None:
    separator = load_published("umxhq")
    assert "licence of the weights: MIT" in capsys.readouterr().out
    assert separator.sources == ("bass", "vocals")
    for k, target in enumerate(separator.sources):
        found = separator.net.nets[target].state_dict()
        assert all(torch.equal(found[name], x) for name, x in weights(k).items())
    assert len(server.asked) == 2
    load_published("umxhq")
    assert len(server.asked) == 2


def test_the_licence_is_printed_before_anything_is_asked_for(server, monkeypatch, capsys) -> None:
    def told(address: str, digits: str, path: Path) -> None:
        raise UsageError(capsys.readouterr().out)

    monkeypatch.setattr(download, "_fetch", told)
    with pytest.raises(UsageError, match="MUSDB18-HQ; licence of the weights: MIT"):
        load_published("umxhq")
    assert server.asked == []


def test_a_file_with_another_hash_is_refused_and_not_kept(server, tmp_path) -> None:
    first = sorted((tmp_path / "there").iterdir())[0]
    first.write_bytes(first.read_bytes()[:-1] + b"?")
    with pytest.raises(UsageError, match=f"{first.name} is not the published file"):
        load_published("umxhq")
    assert not [path for path in (tmp_path / "here").rglob("*") if path.is_file()]


@pytest.mark.parametrize("address", ["there/is/none", ""])
def test_what_is_not_there_is_one_line(server, monkeypatch, address) -> None:
    about = download.PUBLISHED["umxhq"]
    nowhere = f"{about.address}/{address}" if address else "http://127.0.0.1:9"
    monkeypatch.setitem(download.PUBLISHED, "umxhq", replace(about, address=nowhere))
    with pytest.raises(UsageError, match=f"{nowhere}/bass-.* cannot be downloaded: "):
        load_published("umxhq")


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(UsageError, match="choose from umxhq, spleeter-4stems"):
        load_published("umxxl")


def test_every_published_file_promises_its_hash() -> None:
    for about in PUBLISHED.values():
        assert about.address.startswith("https://") and about.licence
        for digits in about.files.values():
            assert len(digits) >= 8 and set(digits) <= set("0123456789abcdef")


@pytest.fixture
def archive(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint's archive on the server, registered as `spleeter-4stems`."""
    (tmp_path / "checkpoint").write_text("model")
    path = tmp_path / "there" / "4stems.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(tmp_path / "checkpoint", "./checkpoint")
    about = replace(
        PUBLISHED["spleeter-4stems"],
        address=f"http://127.0.0.1:{server.server_port}",
        files={path.name: hashlib.sha256(path.read_bytes()).hexdigest()},
    )
    monkeypatch.setitem(download.PUBLISHED, "spleeter-4stems", about)
    return path


def test_a_checkpoint_is_fetched_and_converted_once(server, archive, monkeypatch) -> None:
    reference = load_file(Path(__file__).parent.parent / "book/reference/spleeter.safetensors")
    found = spleeter_weights(reference, "4stems")

    def load_checkpoint(folder: str) -> Reader:
        assert (Path(folder) / "checkpoint").read_text() == "model"
        return Reader({name: x.numpy() for name, x in found.items()})

    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow(load_checkpoint))
    separator = load_published("spleeter-4stems")
    assert separator.sources == ("vocals", "drums", "bass", "other")
    for (name, ours), theirs in zip(
        nets(found).state_dict().items(), separator.net.net.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    load_published("spleeter-4stems")
    assert server.asked == ["/4stems.tar.gz"]


def test_a_missing_package_is_named_before_anything_is_fetched(
    server, archive, monkeypatch
) -> None:
    about = replace(download.PUBLISHED["spleeter-4stems"], needs="no_such_package")
    monkeypatch.setitem(download.PUBLISHED, "spleeter-4stems", about)
    with pytest.raises(UsageError, match="takes no_such_package: pip install no_such_package"):
        load_published("spleeter-4stems")
    assert server.asked == []
