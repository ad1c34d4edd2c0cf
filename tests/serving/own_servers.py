"""Settings by which a build starts the fake vLLM, and what is to be known of those that it started."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.flows.processes import is_gone

ROOT = Path(__file__).resolve().parents[2]


def serve(folder: Path, **changes: Any) -> dict[str, Any]:
    """Section ``serve`` of a server that writes into ``folder``."""
    folder.mkdir(exist_ok=True)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests/serving/fake_vllm")])
    env = {"PYTHONPATH": path, "FAKE_VLLM_FOLDER": str(folder), **changes.pop("env", {})}
    return {"python": sys.executable, "env": env, "ready_s": 60, **changes}


def started(folder: Path) -> list[dict[str, Any]]:
    """What each server was started with, in order of their start."""
    paths = sorted(folder.glob("server-*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text()) for path in paths]


def alive(folder: Path) -> list[int]:
    """Processes of servers that are still there."""
    return [pid for one in started(folder) for pid in one["pids"] if not is_gone(pid)]


def argument(one: Mapping[str, Any], name: str) -> str:
    """The value after an option."""
    words = one["arguments"]
    return str(words[words.index(name) + 1])
