"""Package managers of other projects: bounded waits for a registry, and their reason in one line."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.backends import package_download
from tasks.backends.package_download import DownloadFailed, download_members

NPM = pytest.param("npm", marks=pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here"))


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], str]:
    """Asks a registry on a port of this machine for a package; the reason why there is none."""
    monkeypatch.setattr(package_download, "SILENCE_S", 1)
    monkeypatch.setattr(package_download, "RETRIES", 0)
    for name in (
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_NO_INDEX",
        "HTTP_PROXY",
        "http_proxy",
    ):
        monkeypatch.delenv(name, raising=False)

    def asked(registry: str, port: int) -> str:
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple/")
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{port}/")
        with pytest.raises(DownloadFailed) as caught:
            download_members(
                registry=registry, package="nothing-of-this-name", version="1.0.0", members=("a",), into=tmp_path,
                tools=tmp_path,
            )  # fmt: skip
        return str(caught.value)

    return asked


@pytest.mark.parametrize("registry", ["pypi", NPM])
def test_a_registry_that_is_silent_is_given_up(registry: str, ask: Callable[[str, int], str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        said = ask(registry, silent.getsockname()[1])
    assert time.monotonic() - began < 60
    assert said
    assert "complete log" not in said


@pytest.mark.parametrize("registry", ["pypi", NPM])
def test_a_registry_that_is_gone_is_said_in_its_words(registry: str, ask: Callable[[str, int], str]) -> None:
    said = ask(registry, 9)
    assert "complete log" not in said
    if registry == "npm":
        assert "127.0.0.1:9" in said


def test_the_reason_is_found_among_what_a_tool_says() -> None:
    npm = (
        "npm error code ECONNREFUSED\nnpm error FetchError: request to http://h/x failed, reason: refused\n"
        "npm error If you are behind a proxy\nnpm error A complete log of this run can be found in: /root/x.log\n"
    )
    assert package_download._complaint(npm) == (
        "npm error FetchError: request to http://h/x failed, reason: refused"
    )
    pip = "WARNING: Retrying\nERROR: No matching distribution found for x==1\n"
    assert package_download._complaint(pip) == "ERROR: No matching distribution found for x==1"
    assert package_download._complaint("") == "no message"
