"""State of a running build, written to the dataset every few seconds for ``groundedit status`` in another terminal.

The file belongs to one run of one driver and is overwritten in place. It is not part of the dataset; ``status`` reads
it, and ``plan``, which takes the seconds per question of each role from it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from flows.build.drain import Drained
from flows.build.fan_out import Pool
from flows.build.plans import Build
from flows.build.progress import Progress
from tasks.records.errors import GroundEditError, StorageFault
from tasks.storage.objects.store import Store
from tasks.storage.protocol.layout import RUNS, run_path
from tasks.storage.protocol.written import written

EVERY_S = 5.0

RATE_OVER_S = 30.0
"""Window over which questions per second are averaged."""

log = logging.getLogger(__name__)


class RunReport:
    """Writes a build's state while the context is open, and once more at its end.

    Args:
        build: its record is known once the first stage is planned; nothing is written before.
        pool: has the counters of roles answered outside the workers.
        progress: has the state of the stages, and shows the rates in the terminal.
    """

    def __init__(self, build: Build, pool: Pool, progress: Progress, *, every_s: float = EVERY_S) -> None:
        self._build = build
        self._pool = pool
        self._progress = progress
        self._every_s = every_s
        self._began = _now()
        self._over = threading.Event()
        self._rates = Rates()
        self._thread = threading.Thread(target=self._repeat, name="run-report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.write(
            "ended" if error is None else "drained" if isinstance(error, Drained) else "stopped", error
        )

    def write(self, state: str = "running", error: BaseException | None = None) -> None:
        """Writes the file now; a store that rejects it is logged and has no other effect."""
        services = self._pool.status()
        rates = self._rates.at(time.monotonic(), services)
        self._progress.services(brief(services, rates))
        if self._build.record is None:
            return
        state_of_run = {
            "build": self._build.record.build,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "state": state,
            "reason": str(error) if isinstance(error, GroundEditError) else "",
            "began": self._began,
            "written": _now(),
            "stages": {name: stage.counters() for name, stage in list(self._progress.stages.items())},
            "services": services,
            "per_s": rates,
        }
        path = run_path(self._build.record.build, f"{socket.gethostname()}-{os.getpid()}")
        try:
            self._build.store.put(path, json.dumps(state_of_run, indent=1).encode())
        except StorageFault as fault:
            log.warning("the state of this run could not be written: %s", fault)

    def _repeat(self) -> None:
        while not self._over.wait(self._every_s):
            self.write()


class Rates:
    """Questions per second of each route, over the last `RATE_OVER_S` seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def at(self, now: float, services: Mapping[str, Any]) -> dict[str, float]:
        """Rates by route at ``now`` (seconds on any clock), without kept answers."""
        counts = {
            name: sum(int(route.get(kind, 0)) for kind in ("answered", "refused", "failed"))
            for name, route in services.get("routes", {}).items()
        }
        self._seen.append((now, counts))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_OVER_S:
            self._seen.popleft()
        then, before = self._seen[0]
        if now <= then:
            return dict.fromkeys(counts, 0.0)
        return {
            name: round((count - before.get(name, 0)) / (now - then), 2) for name, count in counts.items()
        }


def brief(services: Mapping[str, Any], rates: Mapping[str, float]) -> str:
    """Active roles for a progress line: ``vlm is starting; editor 0.4/s, 12 in flight, 30 queued``."""
    servers = services.get("servers", {})
    parts = [f"{name} is starting" for name, server in servers.items() if server.get("state") == "starting"]
    for name, route in services.get("routes", {}).items():
        if not (route["in_flight"] or route["queued"]):
            continue
        queued = f", {route['queued']} queued" if route["queued"] else ""
        parts.append(f"{route['role']} {rates.get(name, 0.0):.1f}/s, {route['in_flight']} in flight{queued}")
    return "; ".join(parts)


def newest_run(store: Store, build: str) -> dict[str, Any] | None:
    """What the last run of a build wrote, with its age in seconds as ``age_s``; None if there is none."""
    found = [info for info in written(store, RUNS) if info.path.startswith(f"{RUNS}/{build}-")]
    if not found:
        return None
    newest = max(found, key=lambda info: (info.modified, info.path))
    data = store.find(newest.path)
    if data is None:
        return None
    state: dict[str, Any] = json.loads(data)
    return {**state, "age_s": round((datetime.now(UTC) - newest.modified).total_seconds(), 1)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
