"""The command in surroundings that refuse: one line that says what to set, the right exit code, and soon."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def build(tmp_path: Path, *sets: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``build`` of one file that only looks like a photograph."""
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    words = [part for text in sets for part in ("--set", text)]
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT_", "RAY_"))}
    arguments = ["build", "--source", str(folder), "--out", str(tmp_path / "out"), *words]
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.main", *arguments],
        cwd=tmp_path, env={**kept, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(tmp_path / "prefect"), **variables},
        capture_output=True, text=True, timeout=3600, check=False,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The last line of what it says, which is the error."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


def test_a_folder_of_prefect_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused(build(tmp_path, PREFECT_HOME=str(tmp_path / "file" / "below")), 2)
    assert "set PREFECT_HOME to a folder that can be written" in line
    assert "execution.prefect=false" in line


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused(build(tmp_path, HOME=str(tmp_path / "file"), PREFECT_HOME=""), 2)
    assert "PREFECT_HOME is not set, so" in line


def test_a_proxy_of_an_unknown_kind(tmp_path: Path) -> None:
    line = refused(build(tmp_path, all_proxy="socks4://127.0.0.1:9"), 2)
    assert "all_proxy='socks4://127.0.0.1:9': not a proxy that can be used" in line


def test_a_prefect_server_that_is_gone_is_said_at_once(tmp_path: Path) -> None:
    line = refused(build(tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api"), 3)
    assert "Prefect's server at http://127.0.0.1:9/api (PREFECT_API_URL) does not answer" in line
    assert "unset PREFECT_API_URL" in line
    assert not list((tmp_path / "out").glob("stages/*"))


def test_a_prefect_server_of_a_profile_is_tried_and_named(tmp_path: Path) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    (home / "profiles.toml").write_text(
        'active = "office"\n[profiles.office]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    line = refused(build(tmp_path), 3)
    assert "http://127.0.0.1:9/api (Prefect's settings (profile 'office')) does not answer" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("closed", "address"),
        ("silent", "variable"),
        pytest.param("silent", "address", marks=pytest.mark.long),
        pytest.param("closed", "variable", marks=pytest.mark.long),
    ],
)
def test_a_ray_head_that_does_not_answer(kind: str, by: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if kind == "closed":
            server.close()
        sets = ["execution.prefect=false"]
        sets.append(f"execution.ray_address={f'127.0.0.1:{port}' if by == 'address' else 'auto'}")
        variables = {"RAY_ADDRESS": f"127.0.0.1:{port}"} if by == "variable" else {}
        began = time.monotonic()
        line = refused(build(tmp_path, *sets, **variables), 3)
        assert f":{port} within 30 s" in line
        assert "execution.ray_address=local" in line
        assert time.monotonic() - began < 300  # Ray alone takes 13 minutes on an idle machine


def test_what_nothing_nearer_has_words_for_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stages").write_text("in the way")
    done = build(tmp_path, "execution.prefect=false", "execution.pool=in-process")
    line = refused(done, done.returncode)
    assert done.returncode in (2, 3)
    assert str(tmp_path / "out") in line
