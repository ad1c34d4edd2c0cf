"""Records what a worker is computing, before each step begins, so that a death can be attributed to a sample."""

from __future__ import annotations

import json
import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class FlightLog(Protocol):
    """Records computing steps. Waiting for a model elsewhere is not a step: it cannot kill this process."""

    def begin(self, sample: str, step: str) -> int:
        """Records that a step begins in the calling thread; returns its ticket once the record is safe."""
        ...

    def end(self, ticket: int) -> None:
        """Records that the step has ended, whether it succeeded or not."""
        ...


@contextmanager
def noted(log: FlightLog, sample: str, step: str) -> Iterator[None]:
    """Keeps a step in the log while the context is open."""
    ticket = log.begin(sample, step)
    try:
        yield
    finally:
        log.end(ticket)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A running step: its sample, its name, and its start (seconds since 1970)."""

    sample: str
    name: str
    since: float


class MemoryLog:
    """Keeps running steps in memory: for workers inside the driver's process, and for tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[int, Step] = {}
        self._next = 0

    def begin(self, sample: str, step: str) -> int:
        """See `FlightLog`."""
        with self._lock:
            self._next += 1
            self._steps[self._next] = Step(sample=sample, name=step, since=time.time())
            return self._next

    def end(self, ticket: int) -> None:
        """See `FlightLog`."""
        with self._lock:
            self._steps.pop(ticket, None)

    def running(self) -> tuple[Step, ...]:
        """All running steps, oldest first."""
        with self._lock:
            return tuple(self._steps.values())


SLOT_BYTES = 4096
SLOTS = 128
"""Maximum steps in the log; more than a worker has threads."""


class FileLog:
    """Keeps running steps in a small memory-mapped file, which survives the process; a record takes a microsecond.

    After the process has died, the file can be read on the same machine to see what it was computing.

    Args:
        path: a new file of this process.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(SLOT_BYTES * SLOTS)
        descriptor = os.open(path, os.O_RDWR)
        self._map = mmap.mmap(descriptor, SLOT_BYTES * SLOTS)
        os.close(descriptor)
        self._lock = threading.Lock()
        self._free = list(range(SLOTS))

    def begin(self, sample: str, step: str) -> int:
        """See `FlightLog`."""
        note = json.dumps([name_in_log(sample), step, time.time()]).encode("ascii")
        with self._lock:
            slot = self._free.pop()
            start = slot * SLOT_BYTES
            # Write the length last, so that a record is complete or absent.
            self._map[start + 4 : start + 4 + len(note)] = note
            self._map[start : start + 4] = len(note).to_bytes(4, "little")
        return slot

    def end(self, ticket: int) -> None:
        """See `FlightLog`."""
        with self._lock:
            self._map[ticket * SLOT_BYTES : ticket * SLOT_BYTES + 4] = bytes(4)
            self._free.append(ticket)


def read_flight(path: Path) -> tuple[Step, ...]:
    """The steps in a process's log, oldest first; empty if the file does not exist."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    steps = []
    for start in range(0, len(data), SLOT_BYTES):
        length = int.from_bytes(data[start : start + 4], "little")
        if length:
            sample, name, since = json.loads(data[start + 4 : start + 4 + length])
            steps.append(Step(sample=sample, name=name, since=since))
    return tuple(sorted(steps, key=lambda step: step.since))


def name_in_log(sample: str) -> str:
    """The id as stored in a log: very long locations are cut."""
    return sample[:500]
