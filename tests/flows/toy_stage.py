"""A stage of integers and real files: each commit is a file created exclusively, its crashes are real kills."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from flows.build.fan_out import Pool, StageJob, UnitDone, start_units
from flows.build.unit_queue import Limits
from tasks.records.errors import AnswerMissing, DataFault, EnvironmentFault, MissingAnswer
from tasks.worker.engine import Engine
from tasks.worker.flight import noted
from tasks.worker.role_asks import RouterClient


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyUnit:
    """Members are words: a number succeeds; ``kill``, ``hang``, ``away``, ``missing``, ``fault``, ``bug`` do that."""

    id: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToySummary:
    """Counts of one unit."""

    unit_id: str
    inputs: int
    kept: int
    failures: Mapping[str, int] = field(default_factory=dict)


class ToyWorker:
    """Writes an attempt file before a unit and a commit file after it, like the real one."""

    def __init__(self, folder: Path, trouble_ends_after: int, engine: Engine) -> None:
        self._folder = folder
        self._engine = engine
        self._patience = trouble_ends_after
        (folder / "loads").mkdir(exist_ok=True)
        (folder / "loads" / f"{os.getpid()}-{time.monotonic_ns()}").touch()

    def run(self, unit: ToyUnit, *, suspects: Collection[str] = ()) -> ToySummary:
        """One unit; after ``trouble_ends_after`` attempts its bad members end as failures."""
        attempts = len(list(self._folder.glob(f"attempt-{unit.id}-*")))
        for member in suspects:
            (self._folder / f"suspect-{unit.id}-{member}").touch()
        (self._folder / f"attempt-{unit.id}-{attempts}").write_text(f"{os.getpid()} {sorted(suspects)}")
        failures: dict[str, int] = {}
        for member in unit.members:
            if not member.isdigit() and attempts >= self._patience:
                failures["crashed"] = failures.get("crashed", 0) + 1
            else:
                with noted(self._engine.flight, member, "act"):
                    _act(member)
        with (self._folder / f"commit-{unit.id}").open("x") as file:
            file.write(str(os.getpid()))
        return ToySummary(
            unit_id=unit.id,
            inputs=len(unit.members),
            kept=len(unit.members) - sum(failures.values()),
            failures=failures,
        )


def make_toy(folder: Path, trouble_ends_after: int, engine: Engine, client: RouterClient | None) -> ToyWorker:
    """Built inside the worker process."""
    if (folder / "no-model").exists():
        msg = "the toy's endpoint does not answer"
        raise EnvironmentFault(msg)
    return ToyWorker(folder, trouble_ends_after, engine)


def toy_job(
    folder: Path,
    *,
    trouble_ends_after: int = 3,
    key: str = "",
    following: StageJob | None = None,
    waits: bool = True,
) -> StageJob:
    """A job over a folder; the key differs from folder to folder."""
    return StageJob(
        stage="toy",
        key=key or str(folder),
        make_worker=partial(make_toy, folder, trouble_ends_after),
        is_committed=lambda unit_id: (folder / f"commit-{unit_id}").exists(),
        following=following,
        waits=waits,
    )


def numbered_units(count: int, special: Mapping[int, tuple[str, ...]] | None = None) -> list[ToyUnit]:
    """``count`` units of two numbers each, some with the given members."""
    special = special or {}
    return [ToyUnit(id=f"u{n:02d}", members=special.get(n, (str(n), str(n + 100)))) for n in range(count)]


def overlaps(folder: Path) -> int:
    """How often a worker began a unit before it had committed the one it began before."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for attempt in folder.glob("attempt-*"):
        unit, process = attempt.name.split("-")[1], attempt.read_text().split()[0]
        ended = (folder / f"commit-{unit}").stat().st_mtime_ns
        spans.setdefault(process, []).append((attempt.stat().st_mtime_ns, ended))
    ordered = [sorted(times) for times in spans.values()]
    return sum(later[0] < earlier[1] for times in ordered for earlier, later in pairwise(times))


def _act(member: str) -> None:
    if member == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif member == "hang":
        time.sleep(600)
    elif member == "away":
        msg = "the endpoint is away"
        raise EnvironmentFault(msg)
    elif member == "missing":
        raise AnswerMissing([MissingAnswer("editor", "toy", "0" * 64)])
    elif member == "fault":
        msg = "commit 12 contradicts row 3"
        raise DataFault(msg)
    elif member == "bug":
        msg = "a bug"
        raise TypeError(msg)
    elif member == "slow":
        time.sleep(0.3)
    else:
        time.sleep(0.01)


def run_units(
    job: StageJob,
    units: Sequence[ToyUnit],
    pool: Pool,
    *,
    limits: Limits | None = None,
    on_done: Callable[[UnitDone], None] = lambda done: None,
) -> None:
    """Runs all units, in one partition."""
    run = start_units(job, units, pool, limits=limits or Limits(), partitions=1, on_done=on_done)
    for number in range(len(run.partitions)):
        run.run_partition(number)
