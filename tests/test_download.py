"""Published weights from a local server: complete, verified, after the licence, and only once."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_official import published, weights

from common.official import download
from common.official.download import PUBLISHED, load_published
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
            files=tuple(path.name for path in files),
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
    def told(address: str, file: str, path: Path) -> None:
        raise UsageError(capsys.readouterr().out)

    monkeypatch.setattr(download, "_fetch", told)
    with pytest.raises(UsageError, match="MUSDB18-HQ; licence of the weights: MIT"):
        load_published("umxhq")
    assert server.asked == []


def test_a_file_with_another_hash_is_refused_and_not_kept(server, tmp_path) -> None:
    first = sorted((tmp_path / "there").iterdir())[0]
    first.write_bytes(first.read_bytes()[:-1] + b"?")
    with pytest.raises(UsageError, match=f"{first.name} is not what its name says"):
        load_published("umxhq")
    assert not [path for path in (tmp_path / "here").rglob("*") if path.is_file()]


@pytest.mark.parametrize("address", ["there/is/none", ""])
def test_what_is_not_there_is_one_line(server, monkeypatch, address) -> None:
    about = download.PUBLISHED["umxhq"]
    nowhere = f"{about.address}/{address}" if address else "http://127.0.0.1:9"
    monkeypatch.setitem(download.PUBLISHED, "umxhq", replace(about, address=nowhere))
    with pytest.raises(UsageError, match=f"{nowhere}/bass-.* cannot be fetched: "):
        load_published("umxhq")


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(UsageError, match="there are umxhq"):
        load_published("umxxl")


def test_every_published_file_promises_its_hash() -> None:
    for about in PUBLISHED.values():
        assert about.address.startswith("https://") and about.licence
        for file in about.files:
            digits = Path(file).stem.rsplit("-", 1)[1]
            assert len(digits) >= 8 and set(digits) <= set("0123456789abcdef")
