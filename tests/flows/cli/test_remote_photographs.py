"""Photographs elsewhere that cannot be had now: what the same command, and ``--retry-failed``, do about them later."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.main import main
from tasks.sources import reading, web
from tasks.storage.objects import s3_client
from tests.serving.tiny_s3 import tiny_s3
from tests.tasks.sources.source_pictures import draw, save


class Web:
    """A web server whose answers a test changes; ``asked`` counts requests by path."""

    def __init__(self) -> None:
        self.status: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
        self.address = ""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    state = Web()
    monkeypatch.setattr(web, "PAUSE_S", 0.0)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked[self.path] += 1
            self.send_response(state.status.get(self.path, 200))
            self.end_headers()
            self.wfile.write(save(draw(300 + len(self.path), 290)))

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        state.address = f"127.0.0.1:{listening.server_port}"
        yield state
        listening.shutdown()


def ingest(tmp_path: Path, source: Path | str, *more: str) -> int:
    sets = ("execution.pool=in-process", "execution.prefect=false")
    return main(
        ["build", "--quiet", "--source", str(source), "--out", str(tmp_path / "out"), "--stages", "..ingest"]
        + [part for text in sets for part in ("--set", text)]
        + list(more)
    )


def listed(tmp_path: Path, *uris: str) -> Path:
    (tmp_path / "all.csv").write_text("\n".join(["uri", *uris]), encoding="utf-8")
    return tmp_path / "all.csv"


def ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """Kept inputs and reasons of the others, by count."""
    capsys.readouterr()
    assert main(["status", str(tmp_path / "out"), "--json"]) == 0
    line = json.loads(capsys.readouterr().out)["funnel"][0]
    return {"kept": line["kept"], **dict(line["input_reasons"])}


def test_what_a_server_did_not_give_is_asked_for_again_on_request_only(
    tmp_path: Path, server: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = {"/busy.jpg": 503, "/denied1.jpg": 403, "/gone12.jpg": 404}
    names = ("a.jpg", "busy.jpg", "denied1.jpg", "gone12.jpg")
    source = listed(tmp_path, *(f"http://{server.address}/{name}" for name in names))
    assert ingest(tmp_path, source) == 0
    found = {"kept": 1, "server_error": 1, "access_denied": 1, "source_missing": 1}
    assert ended(tmp_path, capsys) == found
    assert server.asked == {"/a.jpg": 1, "/busy.jpg": 3, "/denied1.jpg": 1, "/gone12.jpg": 1}
    server.status = {"/gone12.jpg": 404}
    assert ingest(tmp_path, source) == 0
    assert ended(tmp_path, capsys) == found
    assert ingest(tmp_path, source, "--retry-failed") == 0
    assert ended(tmp_path, capsys) == {"kept": 3, "source_missing": 1}
    assert server.asked == {"/a.jpg": 1, "/busy.jpg": 4, "/denied1.jpg": 2, "/gone12.jpg": 2}


def test_a_network_that_is_away_stops_the_build_instead_of_losing_its_photographs(
    tmp_path: Path, server: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = {f"/{n}.jpg": 503 for n in range(40)}
    source = listed(tmp_path, *(f"http://{server.address}/{n}.jpg" for n in range(40)))
    assert ingest(tmp_path, source) == 3
    assert "run again with --retry-failed" in capsys.readouterr().err
    assert 0 < len(server.asked) < 40
    server.status = {}
    assert ingest(tmp_path, source, "--retry-failed") == 0
    assert ended(tmp_path, capsys)["kept"] > 0
    assert ingest(tmp_path, source, "--retry-failed") == 0
    assert "server_error" not in ended(tmp_path, capsys)


def test_a_store_that_is_away_commits_nothing_and_the_same_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with tiny_s3() as store:
        for name, value in {"ENDPOINT_URL": store.endpoint, "SKIP_SIGNATURE": "true"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        opened = s3_client.s3_access
        monkeypatch.setattr(
            "tasks.storage.objects.bucket.s3_access", lambda timeout_s, retries: opened(5.0, 0)
        )
        reading._bucket.cache_clear()
        store.readers = {""}
        store.objects = {f"p/{n}.jpg": save(draw(300 + n, 290)) for n in range(3)}
        store.refused = {"p/1.jpg": (503, "SlowDown")}
        assert ingest(tmp_path, "s3://bucket/p") == 3
        assert "s3://bucket/p/1.jpg: SlowDown" in capsys.readouterr().err
        store.refused = {"p/1.jpg": (403, "AccessDenied")}
        assert ingest(tmp_path, "s3://bucket/p") == 0
        assert ended(tmp_path, capsys) == {"kept": 2, "access_denied": 1}
        store.refused = {}
        assert ingest(tmp_path, "s3://bucket/p", "--retry-failed") == 0
        assert ended(tmp_path, capsys) == {"kept": 3}
    reading._bucket.cache_clear()
