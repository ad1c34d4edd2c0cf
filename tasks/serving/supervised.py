"""A server below its supervisor, as the process sees it that wanted it: the *owner*, with which the server ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

from tasks.records.errors import ModelUnavailable
from tasks.serving import supervisor

STOP = b"stop\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCommand:
    """A command line and the whole of its environment. It reaches the supervisor by a pipe, since it holds a key."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


class Supervised:
    """A started server. Ends with this object's process, whatever happens to it; used from one event loop.

    Attributes:
        supervisor: pid of the supervisor, which is also the session of all processes of the server.
        server: pid of the server.
    """

    def __init__(self, process: subprocess.Popen[bytes], reports: asyncio.StreamReader) -> None:
        self._orders = cast("IO[bytes]", process.stdin)
        self._reports = reports
        self.supervisor = 0
        self.server = 0

    @classmethod
    async def start(cls, command: ServerCommand, log: Path) -> Self:
        """Starts a server whose output is appended to ``log``; returns when its process exists.

        Raises:
            ModelUnavailable: the command cannot be executed.
        """
        process = await asyncio.to_thread(_spawn, command, log)
        reports = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reports), process.stdout
        )
        started = cls(process, reports)
        first = await started._report()
        if "server" not in first:
            started._orders.close()
            raise ModelUnavailable(first.get("failed", "the supervisor ended at once"))
        started.supervisor, started.server = first["supervisor"], first["server"]
        return started

    async def ended(self) -> str:
        """Waits until no process of the server is left; how the server ended."""
        how = str((await self._report()).get("ended", ""))
        if not how:
            # Nobody else may have been left to clean up. The supervisor's own death took the server with it, but not
            # what that had started.
            kill_session(self.supervisor)
            how = "lost its supervisor"
        self._orders.close()
        return how

    def stop(self) -> None:
        """Orders the end; `ended` tells when it has come."""
        if not self._orders.closed:
            with suppress(OSError):
                self._orders.write(STOP)

    async def _report(self) -> dict[str, Any]:
        """The supervisor's next report; empty when it is gone."""
        line = await self._reports.readline()
        report: dict[str, Any] = json.loads(line) if line else {}
        return report


def _spawn(command: ServerCommand, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            # Without the search path and site packages of this process, which it does not need.
            [sys.executable, "-I", "-S", supervisor.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            bufsize=0,
            start_new_session=True,
        )
    assert process.stdin is not None, "a pipe"
    process.stdin.write(json.dumps(asdict(command)).encode() + b"\n")
    process.wait()  # it has forked; its child is the supervisor
    return process


def kill_session(session: int) -> None:
    """Kills all processes of a session."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                os.kill(int(stat.parent.name), signal.SIGKILL)
