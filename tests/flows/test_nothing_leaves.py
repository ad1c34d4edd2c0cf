"""Nothing of ours looks anything up outside: commands run in a network without a way out, and every packet is read."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from cut_off import attempts, unavailable

from tasks.backends.assets import AssetCache, asset_table, default_cache_folder
from tests.photographs import lay_out_photographs

WHY_NOT = unavailable()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

ROOT = str(Path(__file__).resolve().parents[2])
COMMAND = [sys.executable, "-m", "flows.cli.main"]

TALKATIVE = """
import socket
for ask in (lambda: socket.getaddrinfo("example.org", 80), lambda: socket.create_connection(("198.51.100.7", 80), 0.2)):
    try:
        ask()
    except OSError:
        pass
"""


def surroundings(tmp_path: Path) -> dict[str, str]:
    """A home of its own, in which a library that keeps an id would leave it, and the real cache of models."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PREFECT_HOME": str(home / "prefect"),
        "GROUNDEDIT_CACHE": str(default_cache_folder()),
        "PYTHONPATH": ROOT,
        "RES_OPTIONS": "timeout:1 attempts:1",  # nobody answers a look-up here
    }


def test_what_is_looked_up_would_be_seen() -> None:
    seen = attempts([sys.executable, "-c", TALKATIVE], {"RES_OPTIONS": "timeout:1 attempts:1"}).attempts
    assert "name example.org" in seen
    assert "tcp 198.51.100.7:80" in seen


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("config", "show"),
        ("models", "check", "--profile", "single-gpu"),
        ("plan", "--source", "IN", "--out", "OUT"),
        ("status", "OUT"),
    ],
)
def test_a_command_looks_nothing_up(arguments: tuple[str, ...], tmp_path: Path) -> None:
    photographs = tmp_path / "in"
    photographs.mkdir()
    (photographs / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    places = {"IN": str(photographs), "OUT": str(tmp_path / "out")}
    environment = surroundings(tmp_path)
    ended = attempts([*COMMAND, *(places.get(word, word) for word in arguments)], environment)
    assert ended.attempts == ()
    assert "Traceback" not in ended.output


NETWORK = """
import sys, time
from pathlib import Path
from tasks.backends.embedded.runtimes.onnx_session import open_session
open_session(Path(sys.argv[1]), threads=1)
time.sleep(1)
"""


@pytest.mark.assets
def test_a_network_is_loaded_without_a_device_id_and_a_report(tmp_path: Path) -> None:
    networks = [
        (a.name, Path(m).name) for a in asset_table().values() for m in a.members if m.endswith(".onnx")
    ]
    path = AssetCache(default_cache_folder()).path(*networks[0])
    environment = surroundings(tmp_path)
    ended = attempts([sys.executable, "-c", NETWORK, str(path)], environment)
    assert (ended.code, ended.attempts) == (0, ())
    assert not [p for p in (tmp_path / "home").rglob("*") if p.is_file()]


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize(
    "more", [pytest.param((), marks=pytest.mark.long), ("--set", "execution.dashboard=true")]
)
def test_a_build_with_prefect_and_ray_looks_nothing_up(more: tuple[str, ...], tmp_path: Path) -> None:
    """The proxy that the environment names is a closed port: nothing of the build's own may go there."""
    photographs = tmp_path / "in"
    photographs.mkdir()
    for path in lay_out_photographs("demo", tmp_path / "all")[:1]:
        shutil.copy2(path, photographs)
    environment = surroundings(tmp_path)
    environment |= dict.fromkeys(
        ("HTTP_PROXY", "https_proxy", "ALL_PROXY", "grpc_proxy"), "http://198.51.100.7:9"
    )
    ended = attempts(
        [*COMMAND, "build", "--source", str(photographs), "--out", str(tmp_path / "out"), *more], environment
    )
    assert ended.code == 0, ended.output
    assert ended.attempts == ()
    left = {path.name for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert not left & {"deviceid", "device_id", "onnxruntime.db"}
