"""Started with vLLM's command line; answers by a script, and has processes below it that are hard to get rid of.

``FAKE_VLLM_FOLDER`` is where it writes what it was started with, and where tests leave files that change it:

    broken    it ends at once, as with a model that is not there
    sick      /health answers 500
    silent    it never listens
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from aiohttp import web

from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Script, fixed_answers

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1] == "engine":
    worker = subprocess.Popen([sys.executable, "-c", sys.argv[2], "worker", ""], start_new_session=True)
    print(worker.pid, flush=True)
time.sleep(3600)
"""
"""An engine with a worker, each leader of its own session."""


class FakeVllm(ChatServer):
    """A chat server with vLLM's health check."""

    folder: Path

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=500 if (self.folder / "sick").exists() else 200)


def main() -> None:
    folder = Path(os.environ["FAKE_VLLM_FOLDER"])
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--model", required=True)
    given, _ = parser.parse_known_args()
    engine = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, "engine", STUBBORN],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert engine.stdout is not None
    pids = [os.getpid(), engine.pid, int(engine.stdout.readline())]
    started = {"arguments": sys.argv[1:], "environment": dict(os.environ), "pids": pids}
    path = folder / f"server-{os.getpid()}.json"
    path.with_suffix(".part").write_text(json.dumps(started))
    path.with_suffix(".part").rename(path)
    print("loading", given.model, flush=True)
    if (folder / "broken").exists():
        print(f"OSError: {given.model} is no folder", flush=True)
        sys.exit(1)
    if not (folder / "silent").exists():
        server = FakeVllm(
            script(), model=given.served_model_name, root=given.model, port=given.port,
            api_key=os.environ.get("VLLM_API_KEY", ""),
        )  # fmt: skip
        server.folder = folder
        server.start()
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    while not over.wait(0.1):
        pass
    sys.exit(0)


def script() -> Script:
    if os.environ.get("FAKE_VLLM_SCRIPT") != "drawn":
        return fixed_answers
    from tests.flows.drawn.script import DrawnScript  # noqa: PLC0415  (draws all scenes first)

    return DrawnScript()


if __name__ == "__main__":
    main()
