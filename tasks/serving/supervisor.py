"""A process that runs one server and lets nothing of it survive; started by its path, so standard library only.

It belongs to nobody: forked twice and leader of its own session, it is out of reach of whatever ends the process that
wanted the server (its *owner*) together with that one's children. It holds on to the owner by its standard input. When
that ends, however the owner did, or when the server ends, it kills every descendant and waits for them. Orphans of the
server become children of this process (``PR_SET_CHILD_SUBREAPER``), so none is out of sight.

    standard input    one line of JSON, `tasks.serving.supervised.ServerCommand`; then ``stop``, or its end
    standard output   lines of JSON: ``{"supervisor": pid, "server": pid}`` or ``{"failed": why}``; ``{"ended": how}``
    standard error    the log, where the server's own output goes as well
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

GRACE_S = 10.0
"""How long a server that is told to stop may take to do so by itself."""

POLL_S = 0.05

ORDERS, REPORTS, LOG = 0, 1, 2


def main() -> None:
    """Detaches from the owner, then supervises."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    supervise(ctypes.CDLL(None, use_errno=True).prctl)


def supervise(prctl: Any) -> None:
    """Runs the server of the first line of input until it ends or is to end."""
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken = _wake_on_signals()
    command = json.loads(_first_line())
    try:
        server = _start(command, prctl)
    except OSError as error:
        _report({"failed": f"{command['arguments'][0]}: {error.strerror or error}"})
        return
    _report({"supervisor": os.getpid(), "server": server})
    ended, how = False, "was stopped"
    while not ended:
        ready, _, _ = select.select([ORDERS, woken], [], [])
        if woken in ready:
            signals = os.read(woken, 4096)
            status = _reap(server)
            ended = status is not None
            how = _words(status) if status is not None else how
            if not ended and signal.SIGTERM in signals:
                ended = _let_end(server)
        if not ended and ORDERS in ready:
            order = os.read(ORDERS, 4096)
            if order:
                _let_end(server)
            ended = True
    _kill_all()
    _report({"ended": how})


def _wake_on_signals() -> int:
    """A file descriptor that is readable after a signal; handlers, not ``SIG_IGN``, which children would inherit."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return readable


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(ORDERS, 1)
        if not part:  # the owner is gone already
            os._exit(0)
        line += part
    return line


def _start(command: dict[str, Any], prctl: Any) -> int:
    """Starts the server in a process group of its own; its pid. It also dies with this process, if that is killed."""
    me = os.getpid()

    def bound() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != me:
            os._exit(1)

    process = subprocess.Popen(
        command["arguments"],
        env=command["environment"],
        stdin=subprocess.DEVNULL,
        stdout=LOG,
        stderr=LOG,
        process_group=0,
        preexec_fn=bound,  # noqa: PLW1509  (this process has one thread)
    )
    return process.pid


def _let_end(server: int) -> bool:
    """Asks the server to end and waits for it, not longer than `GRACE_S` and not without an owner; always true."""
    with suppress(ProcessLookupError):
        os.kill(server, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while _reap(server) is None and time.monotonic() < deadline:
        if select.select([ORDERS], [], [], POLL_S)[0] and not os.read(ORDERS, 4096):
            break
    return True


def _kill_all() -> None:
    """Kills descendants until there are none."""
    while True:
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap(0)
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        time.sleep(POLL_S)


def _reap(server: int) -> int | None:
    """Takes note of all children that ended; the exit status of the server if it is among them, or is gone already."""
    status = None
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == server:
            status = ended


def descendants(pid: int) -> list[int]:
    """Children of a process, their children and so on, from ``/proc``; parents first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _words(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def _report(what: dict[str, Any]) -> None:
    with suppress(OSError):  # the owner may be gone
        os.write(REPORTS, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
