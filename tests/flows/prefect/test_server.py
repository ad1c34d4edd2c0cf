"""Prefect's server of a build: reached without any proxy, and a folder that cannot be used is named with what to do."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.prefect import server
from flows.prefect.server import EmbeddedServer, default_home
from tasks.records.errors import ConfigurationError

PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "https_proxy")


class Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Well) as answering:
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        yield answering.server_address[1]
        answering.shutdown()


@pytest.mark.parametrize("name", PROXIES)
def test_its_health_is_asked_without_the_proxy(name: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert server._answers(port)
    assert not server._answers(9)


def test_a_home_below_a_file_is_a_wrong_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nobody")):
        monkeypatch.setenv("PREFECT_HOME", str(home))
        with pytest.raises(
            ConfigurationError, match="set PREFECT_HOME to a folder that can be written"
        ) as caught:
            EmbeddedServer(default_home())
        assert str(caught.value).startswith(f"PREFECT_HOME {str(home)!r}: ")
        assert "execution.prefect=false" in str(caught.value)


def test_a_home_folder_that_nobody_set_is_said_to_be_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=r"PREFECT_HOME is not set, so '.*/file/\.prefect'"):
        EmbeddedServer(default_home())


def test_a_user_without_a_home_is_told_which_variable_to_set() -> None:
    with pytest.raises(ConfigurationError, match=r"^PREFECT_HOME: '~nobody-of-this-name/p'"):
        default_home({"PREFECT_HOME": "~nobody-of-this-name/p"})


STARTING = """
import sys
from pathlib import Path
from tasks.records.process_environment import set_up
set_up()
from flows.prefect.server import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.wait()
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    print("version", client.api_version())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "proxy", [pytest.param("http://127.0.0.1:9", marks=pytest.mark.long), "socks5://127.0.0.1:9"]
)
def test_it_starts_and_is_used_whatever_proxy_the_user_has(proxy: str, tmp_path: Path) -> None:
    environment = {**os.environ, **dict.fromkeys(PROXIES, proxy)}
    for name in ("NO_PROXY", "no_proxy", "PREFECT_API_URL"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", STARTING, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("version 3."), done.stdout + done.stderr


@pytest.mark.slow
def test_one_that_ends_while_it_starts_is_told_with_its_last_lines(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////proc/nobody/p.db",
    }
    environment.pop("PREFECT_API_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", STARTING, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ended while it started" in done.stderr
    assert "unable to open database file" in done.stderr
    assert f"groundedit-server.log) are in {tmp_path}" in done.stderr
