"""Which Prefect server a build uses, as Prefect itself would say, and what is wrong with one that cannot be used."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.prefect import settings
from flows.prefect.settings import GivenServer, check_given, given_server
from tasks.records.errors import ConfigurationError, EnvironmentFault

URL = "http://127.0.0.1:4711/api"
ASKING = "from flows.prefect.settings import given_server; print(given_server())"


def asked(folder: Path, home: Path, **variables: str) -> str:
    """`given_server` in a process of its own, since Prefect reads its settings when it is imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    root = str(Path(__file__).resolve().parents[3])
    environment |= {"PREFECT_HOME": str(home), "PYTHONPATH": root, **variables}
    done = subprocess.run(
        [sys.executable, "-c", ASKING],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_without_any_setting_there_is_none_and_prefect_is_not_imported(tmp_path: Path) -> None:
    code = f"{ASKING}; import sys; print('prefect' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["None", "False"]


def test_the_variable_names_it() -> None:
    assert given_server({"PREFECT_API_URL": URL}) == GivenServer(url=URL, origin="PREFECT_API_URL")


def test_the_active_profile_names_it(tmp_path: Path, home: Path) -> None:
    (home / "profiles.toml").write_text(
        f'active = "office"\n[profiles.office]\nPREFECT_API_URL = "{URL}"\n[profiles.none]\n'
    )
    assert asked(tmp_path, home) == (
        f"GivenServer(url='{URL}', origin=\"Prefect's settings (profile 'office')\")"
    )
    assert asked(tmp_path, home, PREFECT_PROFILE="none") == "None"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prefect.toml", f'[api]\nurl = "{URL}"\n'),
        (".env", f"PREFECT_API_URL={URL}\n"),
        ("pyproject.toml", f'[tool.prefect.api]\nurl = "{URL}"\n'),
    ],
)
def test_a_file_in_the_current_folder_names_it(name: str, text: str, tmp_path: Path, home: Path) -> None:
    (tmp_path / name).write_text(text)
    assert URL in asked(tmp_path, home)


def test_settings_that_prefect_cannot_read_are_a_wrong_setting(tmp_path: Path, home: Path) -> None:
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "x"\nrequest_timeout = "soon"\n')
    assert "ConfigurationError: Prefect's settings cannot be read" in asked(tmp_path, home)


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers as the test says: a status and a body for each path."""

    reply: Callable[[str], tuple[int, object]]

    def answer(self) -> None:
        status, body = type(self).reply(self.path)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815  (the names that the library calls)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Callable[[Callable[[str], tuple[int, object]]], GivenServer]]:
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(reply: Callable[[str], tuple[int, object]]) -> GivenServer:
        handler = type("Handler", (Answering,), {"reply": staticmethod(reply)})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return GivenServer(url=f"http://127.0.0.1:{server.server_address[1]}/api", origin="PREFECT_API_URL")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def of_prefect(path: str) -> tuple[int, object]:
    from prefect import __version__  # noqa: PLC0415

    if path.partition("?")[0].endswith("/csrf-token"):
        return 422, {"detail": "CSRF protection is disabled."}
    return (200, __version__) if path.endswith("/admin/version") else (200, [])


def test_a_server_of_this_version_is_accepted(answering: Callable) -> None:
    check_given(answering(of_prefect))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
def test_one_on_this_machine_is_reached_without_the_proxy(
    name: str, answering: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.records.process_environment import direct  # noqa: PLC0415

    monkeypatch.setenv(name, "http://127.0.0.1:9")
    for variable, value in direct(os.environ).items():
        monkeypatch.setenv(variable, value)
    check_given(answering(of_prefect))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((401, {"detail": "Unauthorized"}), "status 401: check PREFECT_API_KEY or PREFECT_API_AUTH_STRING"),
        ((403, {}), "status 403: check PREFECT_API_KEY"),
        ((404, {"detail": "Not Found"}), "status 404: the URL of a Prefect API ends in /api"),
        ((200, b"<html>a page of something else</html>"), "cannot be used"),
        ((200, "2.19.0"), "incompatible versions"),
        ((200, {"version": 3}), "cannot be used"),
    ],
)
def test_a_server_that_cannot_be_used_is_a_wrong_setting(
    reply: tuple[int, object], words: str, answering: Callable
) -> None:
    server = answering(lambda path: reply)
    with pytest.raises(ConfigurationError, match=words) as caught:
        check_given(server)
    assert server.url in str(caught.value)
    assert "unset PREFECT_API_URL" in str(caught.value)


def test_a_refusal_that_comes_with_the_first_flow_is_found_before_it(answering: Callable) -> None:
    """The version is public on some servers, flows are not."""
    server = answering(lambda path: of_prefect(path) if path.endswith("version") else (401, {}))
    with pytest.raises(ConfigurationError, match="status 401"):
        check_given(server)


def test_a_server_that_is_gone_or_silent_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CHECK_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        given = GivenServer(url=url, origin="Prefect's settings (profile 'office')")
        with pytest.raises(EnvironmentFault, match="does not answer") as caught:
            check_given(given)
        assert "prefect profile use ephemeral" in str(caught.value)
    with pytest.raises(EnvironmentFault, match="does not answer"):  # now the port is closed
        check_given(given)


def test_a_server_in_trouble_is_no_wrong_setting(answering: Callable) -> None:
    with pytest.raises(EnvironmentFault, match="status 500"):
        check_given(answering(lambda path: (500, {})))


@pytest.mark.parametrize("url", ["127.0.0.1:4200/api", "http://[::1/api", "nonsense"])
def test_what_is_no_url_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        check_given(GivenServer(url=url, origin="PREFECT_API_URL"))
