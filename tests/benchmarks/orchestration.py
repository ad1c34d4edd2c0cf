"""What Prefect and Ray cost over a bare loop: the same units, models, processes and bytes, timed in one run.

    python -m tests.benchmarks.orchestration            the demo, then about ten times as many units
    python -m tests.benchmarks.orchestration --photos 8 the first few photographs only, for a look

The bare loop plans, works and closes with the same functions as the flow; only who hands out the units differs: a
plain pool of processes here, Ray actors under a Prefect flow there. Both start with as many processes as cores, the
same thread limits and the same settings of the allocator, take large units first, write to fresh folders, and must
end with equal shard digests.
Start-up (interpreter, Prefect's server, Ray, processes) is told apart from the work; CPU seconds are those of the
whole process tree.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2

from flows.build.fan_out import in_order
from flows.build.plans import open_build, plan
from flows.build.session import finish
from flows.build.stage_runner import close, stage_job
from flows.ray.cluster import ALLOCATOR
from tasks.records.outcomes import STAGES
from tasks.stages.config import load_config
from tasks.storage.protocol.planning import committed_units
from tasks.worker.engine import Engine
from tests.benchmarks.process_cpu import watch
from tests.benchmarks.where_time_goes import PARTS, StageSeconds, stage_seconds
from tests.photographs import lay_out_photographs

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SMALL_UNITS = [
    *(f"{stage}.unit_size=1" for stage in ("ingest", "grounding", "instruction", "editing")),
    "publish.samples_per_shard=1",
]
WINDOWS = {"a": (0.75, 0, 0), "b": (0.4, 1, 1), "c": (0.4, 0, 1), "d": (0.4, 1, 0)}
"""Name -> share of either side, place from top to bottom and from left to right, 0 to 1."""

Row: TypeAlias = tuple[str, float, float]
"""What is measured, in the bare loop, through the flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One build: seconds to start, seconds of work, CPU seconds by kind of process, seconds by stage, shard digests."""

    start_s: float
    work_s: float
    cpu: dict[str, float]
    stages: dict[str, StageSeconds]
    shards: dict[str, str]
    units: int


def main() -> int:
    """Both sizes, both ways; exit 1 when digests differ."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=0, help="first so many only; 0: all")
    parser.add_argument("--bare", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare is not None:
        source, out, *assignments = arguments.bare
        return bare_loop(source, out, assignments)
    with tempfile.TemporaryDirectory(prefix="orchestration-") as scratch:
        folder = Path(scratch)
        photographs = lay_out_photographs("demo", folder / "photographs")
        chosen = photographs[: arguments.photos] if arguments.photos else photographs
        for extra in set(photographs) - set(chosen):
            extra.unlink()
        windows = cut_windows(chosen, folder / "windows")
        ratios = [
            compare("demo", folder / "photographs", folder, []),
            compare("ten times as many units", windows, folder, SMALL_UNITS),
        ]
    if None in ratios:
        return 1
    print("ratio of work, flow over bare loop:", *(f"{ratio:.3f}" for ratio in ratios if ratio))
    return 0


def compare(title: str, source: Path, folder: Path, assignments: Sequence[str]) -> float | None:
    """Runs both, prints where the time goes, and gives the ratio of work seconds; None when digests differ."""
    name = title.replace(" ", "-")
    bare = timed(
        [sys.executable, "-m", "tests.benchmarks.orchestration", "--bare", str(source), str(folder / f"{name}-bare"),
         *assignments],
        folder / f"{name}-bare",
    )  # fmt: skip
    # The bare loop shows no samples early.
    whole = ("execution.first_look=0", "execution.preview=false", *assignments)
    sets = [part for text in whole for part in ("--set", text)]
    flow = timed(
        [sys.executable, "-m", "flows.cli.main", "build", "--source", str(source),
         "--out", str(folder / f"{name}-flow"), *sets],
        folder / f"{name}-flow",
    )  # fmt: skip
    print(f"\n{title}: {flow.units} units")
    for label, a, b in (*seconds_rows(bare, flow), *cpu_rows(bare, flow)):
        print(f"{label:<26}{a:>10.1f}{b:>10.1f}{b - a:>8.1f}")
    same = bare.shards == flow.shards
    print(f"shards equal: {'yes' if same else 'NO'} ({len(flow.shards)})")
    return flow.work_s / bare.work_s if same else None


def seconds_rows(bare: Run, flow: Run) -> Iterator[Row]:
    """Wall seconds: stage by stage, and what they were spent on; what no stage took is the frame around them."""
    yield "start-up s", bare.start_s, flow.start_s
    yield "work s", bare.work_s, flow.work_s
    for stage in STAGES:
        yield f"  {stage}", bare.stages[stage].total, flow.stages[stage].total
    for part in PARTS:
        a, b = (sum(getattr(stage, part) for stage in run.stages.values()) for run in (bare, flow))
        yield f"  all stages: {part}", a, b
    a, b = (run.work_s - sum(stage.total for stage in run.stages.values()) for run in (bare, flow))
    yield "  before, after, release", a, b


def cpu_rows(bare: Run, flow: Run) -> Iterator[Row]:
    """CPU seconds, all processes and kind by kind."""
    yield "CPU s", sum(bare.cpu.values()), sum(flow.cpu.values())
    for kind in sorted({*bare.cpu, *flow.cpu}):
        yield f"  {kind}", bare.cpu.get(kind, 0.0), flow.cpu.get(kind, 0.0)


def timed(command: Sequence[str], out: Path) -> Run:
    """Runs a build, and reads afterwards what it left."""
    environment = {**os.environ, **THREADS, **ALLOCATOR, "PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    cpu = watch(process)
    assert process.stdout is not None
    text = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
    total, start = re.search(r"^seconds\s+([\d.]+), ([\d.]+) of them to start", text, re.M).groups()  # type: ignore[union-attr]
    (manifest,) = out.glob("releases/*/MANIFEST.json")
    files = json.loads(manifest.read_text())["files"]
    shards = {entry["name"]: entry["sha256"] for entry in files if entry["name"].endswith(".tar")}
    units = sum(1 for _ in out.glob("stages/*/commits/*/*.json"))
    return Run(
        start_s=float(start),
        work_s=float(total) - float(start),
        cpu=cpu,
        stages=stage_seconds(out, os.cpu_count() or 1),
        shards=shards,
        units=units,
    )


def bare_loop(source: str, out: str, assignments: Sequence[str]) -> int:
    """Plan, work, close, stage by stage, over a plain pool of processes."""
    began = time.monotonic()
    config = load_config("embedded", assignments, {"sources": [{"uri": source}], "out": out})
    build = open_build(config)
    build.store.probe()
    context = multiprocessing.get_context("spawn")
    processes = os.cpu_count() or 1
    with context.Pool(processes) as pool:
        pool.map(_import_worker, range(processes), chunksize=1)
        start = time.monotonic() - began
        for stage in STAGES:
            planned = plan(build, stage)
            job = stage_job(build, stage)
            done = committed_units(build.store, planned.key)
            units = in_order([unit for unit in planned.units if unit.id not in done], offset=0)
            work = [(job.key, job.make_worker, unit) for unit in units]
            for _ in pool.imap_unordered(_run_unit, work, chunksize=1):
                pass
            close(build, stage)
        finish(build)
    print(f"seconds {time.monotonic() - began:.1f}, {start:.1f} of them to start")
    return 0


_WORKER: dict[str, object] = {}
_ENGINE: list[Engine] = []


def _import_worker(_: int) -> None:
    """So that both ways have their processes up and Python's modules read before the work begins."""
    import tasks.worker.run_unit  # noqa: F401, PLC0415

    cv2.setNumThreads(1)
    time.sleep(0.2)  # long enough that every process gets one


def _run_unit(task: tuple[str, object, object]) -> str:
    key, make_worker, unit = task
    if key not in _WORKER:
        _WORKER.clear()
        if not _ENGINE:
            _ENGINE.append(Engine())
        _WORKER[key] = make_worker(_ENGINE[0], None)  # type: ignore[operator]
    return str(_WORKER[key].run(unit).unit_id)  # type: ignore[attr-defined]


def cut_windows(photographs: Sequence[Path], folder: Path) -> Path:
    """Four windows of each photograph: one that still shows a scene, three that show a part of it.

    No two hold the same picture; the large one keeps all stages at work, the small ones mostly end in grounding.
    """
    folder.mkdir()
    for path in photographs:
        picture = cv2.imread(str(path))
        height, width = picture.shape[:2]
        for name, (share, down, right) in WINDOWS.items():
            h, w = round(height * share), round(width * share)
            y, x = round((height - h) * down), round((width - w) * right)
            target = str(folder / f"{path.stem}-{name}.jpg")
            cv2.imwrite(target, picture[y : y + h, x : x + w], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return folder


if __name__ == "__main__":
    sys.exit(main())
