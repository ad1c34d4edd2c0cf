"""Runs Prefect's server as a child process: started before Prefect is imported, and always stopped.

Prefect could start one itself (`SubprocessASGIServer`, or ``prefect server start --background``), but then the whole
server is imported into the flow's process first, starts with the first flow, and outlives a flow that is killed.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from filelock import FileLock

from tasks.records.errors import EnvironmentFault

START_TIMEOUT_S = 180.0
"""The first start creates the database, which takes half a minute on a loaded machine."""

POLL_S = 0.1

RESTARTS = 3
"""A server that dies more often than this has a persistent problem."""

IDLE_SERVICES = (
    "SCHEDULER",
    "LATE_RUNS",
    "FOREMAN",
    "TRIGGERS",
    "CANCELLATION_CLEANUP",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "DB_VACUUM",
)
"""Server services for schedules, workers or automations; a single flow needs none of them."""


class EmbeddedServer:
    """A server on loopback that starts in the background; call `wait` before the first flow.

    Args:
        home: Prefect's home folder, with the database; several builds may share it.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._error: EnvironmentFault | None = EnvironmentFault("Prefect's server was not started")
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{self._port}/api"
        os.environ["PREFECT_HOME"] = str(home)
        self._answered = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._keep, name="prefect-server", daemon=True).start()
        # Registered before Prefect's own exit handler, so it runs after that has sent its last events.
        atexit.register(self.stop)

    def wait(self) -> None:
        """Returns when the server answers.

        Raises:
            EnvironmentFault: it did not start in time.
        """
        self._answered.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stops the server."""
        self._stopped.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _keep(self) -> None:
        """Starts the server, and restarts it when it dies; the flow repeats its requests until it is back."""
        for _ in range(1 + RESTARTS):
            if self._stopped.is_set():
                return
            self._error = self._start()
            self._answered.set()
            if self._error is not None or self._process is None:
                return
            self._process.wait()

    def _start(self) -> EnvironmentFault | None:
        # Two builds that start together must not create the database at the same time.
        with FileLock(self._home / "groundedit-start.lock"):
            self._process = _spawn(self._port)
            deadline = time.monotonic() + START_TIMEOUT_S
            while time.monotonic() < deadline and self._process.poll() is None:
                if _answers(self._port):
                    return None
                self._stopped.wait(POLL_S)
        return EnvironmentFault(
            f"Prefect's embedded server did not start within {START_TIMEOUT_S:g} s; its database and its log "
            f"(groundedit-server.log) are in {self._home}. Another place: PREFECT_HOME; without Prefect: "
            "--set execution.prefect=false"
        )


def default_home() -> Path:
    """``PREFECT_HOME`` where set, else Prefect's folder for this user."""
    given = os.environ.get("PREFECT_HOME")
    return Path(given).expanduser() if given else Path("~/.prefect").expanduser()


def _spawn(port: int) -> subprocess.Popen[bytes]:
    services = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in IDLE_SERVICES}
    environment = {
        **os.environ,
        **services,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    }
    # The pipe closes when this process ends, in whatever way.
    with (Path(environment["PREFECT_HOME"]) / "groundedit-server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.prefect.server", str(port)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must not reach the server: the flow still reports its states to it
        )


def _serve(port: int) -> None:
    import uvicorn  # noqa: PLC0415  (only in the server's process)

    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
        lifespan="on",
    )


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin: Python aborts at exit while a thread holds that object's lock
        pass
    os._exit(0)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
