"""Attempts: records that a worker started a unit, from which the next one learns that the unit kills workers."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.records.canonical import digest_of, seal, unseal
from tasks.storage.objects.store import Store
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.written import written

LEASE_S = 900.0
"""Seconds since its start or last renewal after which an attempt on another machine counts as dead.

On the same machine its process is checked instead. Attempts are renewed three times per lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A worker started (part of) a unit.

    Attributes:
        members: digest of the ids that ran together, ``"all"`` for the whole unit.
        place: host and process namespace; ``pid`` and ``process_start`` identify the process in it.
        started: seconds since 1970 of the start or last renewal.
        left: it ended in order, without a commit (an environment fault).
    """

    number: int
    members: str
    place: str
    pid: int
    process_start: int
    started: float
    left: bool


def begin_attempt(store: Store, key: StageKey, unit: str, members: str = "all") -> int:
    """Records that this process starts; returns the attempt's number."""
    number = len(_numbers(store, key, unit))
    while True:
        note = seal(
            {
                "unit": unit,
                "members": members,
                "place": _place(),
                "pid": os.getpid(),
                "process_start": _process_start(os.getpid()),
                "started": time.time(),
                "number": number,
            }
        )
        if store.put_if_absent(f"{key.attempts(unit)}/{number}.json", note):
            return number
        number += 1


def leave_attempt(store: Store, key: StageKey, unit: str, number: int, why: str) -> None:
    """Records that the attempt ended in order, so that no sample is blamed for it."""
    store.put_if_absent(
        f"{key.attempts(unit)}/{number}.left.json", seal({"unit": unit, "number": number, "why": why})
    )


def renew_attempt(store: Store, key: StageKey, unit: str, number: int) -> None:
    """Records that the attempt is still alive; a unit may wait for a slow server longer than a lease."""
    path = f"{key.attempts(unit)}/{number}.renewed.json"
    store.put(path, seal({"unit": unit, "number": number, "renewed": time.time()}))


def read_attempts(store: Store, key: StageKey, unit: str) -> list[Attempt]:
    """All attempts of a unit, in order."""
    attempts = []
    numbers = _numbers(store, key, unit)
    for number, left in sorted(numbers.items()):
        path = f"{key.attempts(unit)}/{number}.json"
        body = unseal(store.get(path), path)
        renewal_path = f"{key.attempts(unit)}/{number}.renewed.json"
        renewal = store.find(renewal_path)
        started = unseal(renewal, renewal_path)["renewed"] if renewal is not None else body["started"]
        attempts.append(
            Attempt(
                number=number,
                members=body["members"],
                place=body["place"],
                pid=body["pid"],
                process_start=body["process_start"],
                started=started,
                left=left,
            )
        )
    return attempts


def deaths(attempts: Sequence[Attempt], members: str = "all") -> int:
    """Number of attempts with these members that ended by the death of their process."""
    return sum(1 for a in attempts if a.members == members and not a.left and not is_alive(a))


def is_alive(attempt: Attempt) -> bool:
    """Whether the attempt may still be running; on another machine only its age is known."""
    if attempt.place != _place():
        return time.time() - attempt.started < LEASE_S
    return _process_start(attempt.pid) == attempt.process_start


def subset_name(members: Sequence[str]) -> str:
    """Name of a part of a unit in attempts."""
    return digest_of(sorted(members))[:16]


def _numbers(store: Store, key: StageKey, unit: str) -> dict[int, bool]:
    names = {o.path.rpartition("/")[2] for o in written(store, key.attempts(unit))}
    return {
        int(name.removesuffix(".json")): f"{name.removesuffix('.json')}.left.json" in names
        for name in names
        if not name.endswith((".left.json", ".renewed.json"))
    }


def _place() -> str:
    # Two containers may have the same host name but different process numbers.
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{space.stat().st_ino if space.exists() else 0}"


def _process_start(pid: int) -> int:
    """Clock ticks since boot at which a process started; -1 if there is no such process."""
    try:
        stat: Any = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return -1
    state, *fields = stat.rpartition(")")[2].split()
    return -1 if state in "ZX" else int(fields[18])
