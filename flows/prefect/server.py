"""Runs Prefect's server as a child process: started before Prefect is imported, and always stopped.

Prefect could start one itself (`SubprocessASGIServer`, or ``prefect server start --background``), but then the whole
server is imported into the flow's process first, starts with the first flow, and outlives a flow that is killed.
"""

from __future__ import annotations

import atexit
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.records.errors import ConfigurationError, EnvironmentFault

START_TIMEOUT_S = 180.0
"""The first start creates the database, which takes half a minute on a loaded machine."""

POLL_S = 0.1

RESTARTS = 3
"""A server that dies more often than this has a persistent problem."""

LOG = "groundedit-server.log"

LAST_BYTES, LAST_LINES = 8192, 5

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

WITHOUT = "without Prefect: --set execution.prefect=false"


class EmbeddedServer:
    """A server on loopback that starts in the background; call `wait` before the first flow.

    Args:
        home: Prefect's home folder, with the database; several builds may share it.

    Raises:
        ConfigurationError: the folder cannot be made or written.
    """

    def __init__(self, home: Path) -> None:
        _check_home(home)
        self._home = home
        # Bound here and handed on, so that no other process can take the port before the server is up or between two
        # starts of it.
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        self._error: EnvironmentFault | None = EnvironmentFault("Prefect's server was not started")
        os.environ["PREFECT_API_URL"] = self.url
        os.environ["PREFECT_HOME"] = str(home)
        if "prefect" in sys.modules:  # it has read its settings already
            from prefect.context import refresh_global_settings_context  # noqa: PLC0415

            refresh_global_settings_context()
        self._answered = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._keep, name="prefect-server", daemon=True).start()
        # Registered before Prefect's own exit handler, so it runs after that has sent its last events.
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        """Of its API."""
        return f"http://127.0.0.1:{self.port}/api"

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
        self._door.close()

    def _keep(self) -> None:
        """Starts the server, and restarts it when it dies; the flow repeats its requests until it is back."""
        for _ in range(1 + RESTARTS):
            if self._stopped.is_set():
                return
            try:
                self._error = self._start()
            except (OSError, Timeout) as error:  # a disk that is full, no more processes, the lock
                self._error = EnvironmentFault(
                    f"Prefect's server could not be started: {error}; {self._ways_out()}"
                )
            finally:
                self._answered.set()
            if self._error is not None or self._process is None:
                break
            self._process.wait()
        self._door.close()  # requests are refused from now on instead of waiting

    def _start(self) -> EnvironmentFault | None:
        # Two builds that start together must not create the database at the same time.
        with FileLock(self._home / "groundedit-start.lock", timeout=2 * START_TIMEOUT_S):
            self._process = _spawn(self._home, self._door)
            deadline = time.monotonic() + START_TIMEOUT_S
            while time.monotonic() < deadline and self._process.poll() is None:
                if _answers(self.port):
                    return None
                self._stopped.wait(POLL_S)
        ended = self._process.poll()
        how = f"did not start within {START_TIMEOUT_S:g} s" if ended is None else "ended while it started"
        said = _last_lines(self._home / LOG)
        return EnvironmentFault(f"Prefect's embedded server {how}; {self._ways_out()}{said}")

    def _ways_out(self) -> str:
        return f"its database and its log ({LOG}) are in {self._home}. Another place: PREFECT_HOME; {WITHOUT}"


def default_home(environment: Mapping[str, str] | None = None) -> Path:
    """``PREFECT_HOME`` where set, else Prefect's folder for this user.

    Raises:
        ConfigurationError: this user has no home folder.
    """
    given = (os.environ if environment is None else environment).get("PREFECT_HOME") or "~/.prefect"
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:
        msg = f"PREFECT_HOME: {given!r}: {error}; set PREFECT_HOME to a folder that can be written, or {WITHOUT}"
        raise ConfigurationError(msg) from error


def _check_home(home: Path) -> None:
    """Tries, since permission bits tell nothing to root, on a read-only file system, or about a quota."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".groundedit-{os.getpid()}"
        probe.write_bytes(b"-")
        probe.unlink()
    except OSError as error:
        where = "PREFECT_HOME" if os.environ.get("PREFECT_HOME") else "PREFECT_HOME is not set, so"
        msg = (
            f"{where} {str(home)!r}: {error.strerror or error}; Prefect keeps its database there: set PREFECT_HOME to "
            f"a folder that can be written, or {WITHOUT}"
        )
        raise ConfigurationError(msg) from error


def _spawn(home: Path, door: socket.socket) -> subprocess.Popen[bytes]:
    services = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in IDLE_SERVICES}
    environment = {
        **os.environ,
        **services,
        "PREFECT_HOME": str(home),
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",  # into its log, whose end is told when it does not start
    }
    # The pipe closes when this process ends, in whatever way.
    with (home / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.prefect.server", str(door.fileno())],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[door.fileno()],
            start_new_session=True,  # Ctrl-C must not reach the server: the flow still reports its states to it
        )


def _serve(door: int) -> None:
    import uvicorn  # noqa: PLC0415  (only in the server's process)

    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on"
    )
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=door)])
    if not server.started:
        sys.exit(1)


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin: Python aborts at exit while a thread holds that object's lock
        pass
    os._exit(0)


def _answers(port: int) -> bool:
    """Whether the server says that it is well; asked without any proxy that the environment may name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_lines(log: Path) -> str:
    """What a server wrote last, indented; its log goes with the folder of a build that is tried elsewhere."""
    try:
        lines = log.read_bytes()[-LAST_BYTES:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in lines[-LAST_LINES:])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
