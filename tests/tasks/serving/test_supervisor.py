"""Whoever is killed, and however: no process of a server is left, seen from /proc."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.records.errors import ModelUnavailable
from tasks.serving.supervised import ServerCommand, Supervised
from tests.flows.processes import is_gone, kill, wait_until

ROOT = Path(__file__).resolve().parents[3]

SERVER = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else signal.SIG_DFL)
SLEEP = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(999)"
child = subprocess.Popen([sys.executable, "-c", SLEEP])
leader = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
# A child of a process that ends at once, so that nobody below the supervisor is its parent any more.
LEAVE = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=2, start_new_session=True).pid)"
orphan = subprocess.run([sys.executable, "-c", LEAVE, sys.executable, "-c", SLEEP], stdout=subprocess.PIPE, text=True)
print(os.getpid(), child.pid, leader.pid, orphan.stdout.strip(), flush=True)
print("says something", flush=True)
time.sleep(999)
"""

OWNER = """
import asyncio, sys, time
from pathlib import Path
from tasks.serving.supervised import ServerCommand, Supervised

async def main():
    command = ServerCommand(arguments=(sys.executable, "-c", sys.argv[1]), environment={})
    started = await Supervised.start(command, Path(sys.argv[2]))
    print(started.supervisor, flush=True)
    await asyncio.sleep(999)

asyncio.run(main())
"""

GONE_S = 600.0


def processes_of(log: Path) -> list[int]:
    """Server, two children, an orphan: as the server wrote them."""
    assert wait_until(lambda: log.exists() and "says something" in log.read_text(), GONE_S), (
        "it did not start"
    )
    return [int(pid) for pid in log.read_text().splitlines()[0].split()]


def all_gone(pids: list[int]) -> bool:
    return wait_until(lambda: all(is_gone(pid) for pid in pids), GONE_S)


async def start(log: Path, *words: str) -> Supervised:
    command = ServerCommand(arguments=(sys.executable, "-c", SERVER, *words), environment={"A": "b"})
    return await Supervised.start(command, log)


def owner_of(log: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that started the server, and the supervisor's pid."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, SERVER, str(log)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_owner_is_killed(tmp_path: Path, number: int) -> None:
    owner, supervisor = owner_of(tmp_path / "log")
    pids = processes_of(tmp_path / "log")
    assert len(pids) == 4
    owner.send_signal(number)
    owner.wait()
    assert all_gone([supervisor, *pids])


def test_the_owner_is_killed_with_its_whole_process_group(tmp_path: Path) -> None:
    log = tmp_path / "log"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, SERVER, str(log)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    assert owner.stdout is not None
    supervisor = int(owner.stdout.readline())
    pids = processes_of(log)
    assert Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1] != str(owner.pid)
    os.killpg(owner.pid, signal.SIGKILL)
    owner.wait()
    assert all_gone([supervisor, *pids])


def test_the_server_is_killed(tmp_path: Path) -> None:
    async def run() -> None:
        started = await start(tmp_path / "log")
        pids = await asyncio.to_thread(processes_of, tmp_path / "log")
        assert pids[0] == started.server
        kill(started.server)
        assert await asyncio.wait_for(started.ended(), GONE_S) == "was ended by SIGKILL"
        assert [pid for pid in pids if not is_gone(pid)] == [], "told only when nothing is left"
        assert await asyncio.to_thread(all_gone, [started.supervisor])

    asyncio.run(run())


@pytest.mark.parametrize("words", [(), ("deaf",)])
def test_an_order_ends_it_even_if_the_server_is_deaf_to_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    async def run() -> None:
        started = await start(tmp_path / "log", *words)
        pids = await asyncio.to_thread(processes_of, tmp_path / "log")
        started.stop()
        if words:  # it would be given some seconds
            started._orders.close()
        await asyncio.wait_for(started.ended(), GONE_S)
        assert [pid for pid in pids if not is_gone(pid)] == []

    asyncio.run(run())


def test_the_supervisor_itself_is_killed(tmp_path: Path) -> None:
    """Not the deed of anybody who ends a build; the server goes with it, and the owner looks after the rest."""

    async def run() -> None:
        started = await start(tmp_path / "log")
        server, child, *others = await asyncio.to_thread(processes_of, tmp_path / "log")
        kill(started.supervisor)
        assert await asyncio.wait_for(started.ended(), GONE_S) == "lost its supervisor"
        assert await asyncio.to_thread(all_gone, [server, child])
        for pid in others:  # those that left its session are out of reach then
            kill(pid)

    asyncio.run(run())


def test_how_it_ended_by_itself_is_told(tmp_path: Path) -> None:
    async def run() -> str:
        command = ServerCommand(arguments=(sys.executable, "-c", "raise SystemExit(3)"), environment={})
        return await (await Supervised.start(command, tmp_path / "log")).ended()

    assert asyncio.run(run()) == "ended with exit code 3"


def test_a_command_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    async def run() -> None:
        command = ServerCommand(arguments=("/nowhere/bin/python", "-m", "vllm"), environment={})
        await Supervised.start(command, tmp_path / "log")

    with pytest.raises(ModelUnavailable, match="/nowhere/bin/python: No such file or directory"):
        asyncio.run(run())


def test_it_has_the_given_environment_and_nothing_of_it_is_on_a_command_line(tmp_path: Path) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)), flush=True); import time; time.sleep(999)"

    async def run() -> None:
        command = ServerCommand(
            arguments=(sys.executable, "-c", code), environment={"VLLM_API_KEY": "very-secret"}
        )
        started = await Supervised.start(command, tmp_path / "log")
        assert await asyncio.to_thread(wait_until, lambda: "}" in (tmp_path / "log").read_text(), GONE_S)
        for pid in (started.supervisor, started.server):
            assert b"very-secret" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"very-secret" not in Path(f"/proc/{started.supervisor}/environ").read_bytes()
        started.stop()
        await started.ended()

    asyncio.run(run())
    found = json.loads((tmp_path / "log").read_text().splitlines()[0])
    assert {name for name in found if not name.startswith(("LC_", "PWD"))} == {"VLLM_API_KEY"}
