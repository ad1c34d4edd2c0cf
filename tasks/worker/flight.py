"""What a worker computes right now, noted before it begins: the witness that knows whom a death may be blamed on."""

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
    """Is told of each computing step. Waiting for a model elsewhere is no step: it can kill nobody here."""

    def begin(self, sample: str, step: str) -> int:
        """A step begins, in the calling thread; returns once this is safely noted. Gives the step's ticket."""
        ...

    def end(self, ticket: int) -> None:
        """The step is over, however it went."""
        ...


@contextmanager
def noted(log: FlightLog, sample: str, step: str) -> Iterator[None]:
    """A step that is in the log while it runs."""
    ticket = log.begin(sample, step)
    try:
        yield
    finally:
        log.end(ticket)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A running step: whose it is, what it is, since when (seconds since 1970)."""

    sample: str
    name: str
    since: float


class MemoryLog:
    """Keeps running steps in this process's memory: for a worker whose driver is the same process, and for tests."""

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
"""More than a worker has threads."""


class FileLog:
    """Keeps running steps in a small file mapped into memory: it survives the process, and costs a microsecond.

    Whoever reads the file on the same machine after the process has died sees what it was computing.

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
            # The length goes last: a note is there whole or not at all.
            self._map[start + 4 : start + 4 + len(note)] = note
            self._map[start : start + 4] = len(note).to_bytes(4, "little")
        return slot

    def end(self, ticket: int) -> None:
        """See `FlightLog`."""
        with self._lock:
            self._map[ticket * SLOT_BYTES : ticket * SLOT_BYTES + 4] = bytes(4)
            self._free.append(ticket)


def read_flight(path: Path) -> tuple[Step, ...]:
    """The steps that a process's log holds, oldest first; none when there is no such file (any more)."""
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
    """The id as a log holds it: very long locations are cut."""
    return sample[:500]
