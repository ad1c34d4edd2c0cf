"""Tiny real stages over drawn pictures: one reads files, one measures them; some photographs fail on request."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tasks.records.errors import EnvironmentFault, Reason, SampleError
from tasks.records.outcomes import Blob, Child, Outcome, SourceEntry, StageInput
from tasks.records.records import GroundedTarget, Rle, Scene, SourceImage
from tasks.stages.sample_stage import SampleStage, Workbench
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import (
    draft_plan,
    draft_retry,
    entry_inputs,
    pending_units,
    store_plan,
    write_stage_config,
)
from tasks.storage.protocol.stage_end import close_stage, decide_duplicates, kept_children
from tasks.storage.protocol.units import Plan, PlanInput
from tasks.worker.engine import Engine
from tasks.worker.run_unit import WorkContext, Worker

INGEST = StageKey(stage="ingest", config8="00000001")
GROUNDING = StageKey(stage="grounding", config8="00000002")
TROUBLE = "TROUBLE"
"""Environment variable: ``word:what`` makes a photograph whose name contains the word do ``what``."""


def draw_photographs(folder: Path, count: int, first: int = 0) -> None:
    """``count`` different JPEGs of 24 x 16 pixels, ``p000.jpg`` and up."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(first, first + count):
        picture = np.full((16, 24, 3), n % 200, np.uint8)
        picture[4:12, 4 : 5 + n % 16] = (n * 7 % 256, 200, 40)
        picture[0, 0] = (n // 256, n % 256, 9)
        (folder / f"p{n:03d}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def entries_of(folder: Path) -> list[SourceEntry]:
    """The folder's files as source entries; the version is the size."""
    return [
        SourceEntry(
            location=f"drawn/{path.name}",
            source="drawn",
            path=path.name,
            member="",
            offset=0,
            length=path.stat().st_size,
            version=str(path.stat().st_size),
            problem="",
        )
        for path in sorted(folder.iterdir())
    ]


@dataclass(frozen=True)
class ReadStage:
    """A small ingest: file to SourceImage; empty files are rejected, missing ones are failures."""

    folder: str

    async def __call__(self, item: StageInput, bench: Workbench) -> Outcome:
        return await bench.cpu(self.read, item)

    def read(self, item: StageInput) -> Outcome:
        _misbehave(item.id)
        entry = item.record
        assert isinstance(entry, SourceEntry)
        path = Path(self.folder) / entry.path
        if not path.exists():
            raise SampleError(Reason.SOURCE_MISSING)
        data = path.read_bytes()
        if not data:
            return Outcome(input_id=item.id, reason=Reason.EMPTY_FILE)
        sha = hashlib.sha256(data).hexdigest()
        record = SourceImage(
            sid=sha[:26],
            location=entry.location,
            sha256=sha,
            working_sha256=sha,
            width=24,
            height=16,
            original_format="PNG",
            actions=(),
            license="drawn here",
            hints=(),
            fingerprint=sha[:16],
        )
        child = Child(id=sha[:26], record=record, blobs=(Blob(name="source.jpg", data=data),))
        return Outcome(input_id=item.id, children=(child,))


@dataclass(frozen=True)
class MeasureStage:
    """A small grounding: the bright pixels are the target; every third photograph also has a rejected one."""

    async def __call__(self, item: StageInput, bench: Workbench) -> Outcome:
        return await bench.cpu(self.measure, item, await bench.rgb(item.blobs["source.jpg"]))

    def measure(self, item: StageInput, picture: np.ndarray) -> Outcome:
        assert isinstance(item.record, SourceImage)
        _misbehave(item.record.location)
        mask = picture[..., 1] == 200
        if mask.sum() < 16:
            return Outcome(input_id=item.id, reason=Reason.NO_TARGET, detail=f"{mask.sum()} px")
        scene = Scene(source=item.record, tags=(), objects=(), distractors=(), models=())
        target = GroundedTarget(
            target_id=f"{item.id}-t0",
            scene=scene,
            indices=(),
            mask=Rle(height=16, width=24, counts=str(int(mask.sum()))),
            judgement=(),
            models=(),
        )
        png = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
        children = [Child(id=target.target_id, record=target, blobs=(Blob(name="mask.png", data=png),))]
        if int(item.id[:4], 16) % 3 == 0:
            children.append(Child(id=f"{item.id}-t1", record=None, reason=Reason.EASY_TARGET, detail="x"))
        return Outcome(input_id=item.id, children=tuple(children))


def run_pipeline(
    store: Store, folder: Path, unit_size: int = 4, witness: bool = True, offset: int = 0
) -> list[Plan]:
    """Runs both stages to their ends, in this process; returns their plans."""
    for key in (INGEST, GROUNDING):
        write_stage_config(store, key, {"stage": key.stage})
    plan = stored_plan(store, INGEST, entry_inputs(entries_of(folder)), unit_size=unit_size)
    run_plan(store, plan, INGEST, ReadStage(str(folder)), witness, offset)
    close_stage(store, plan, decide_duplicates)
    following = stored_plan(
        store, GROUNDING, kept_children(store, plan), unit_size=unit_size, upstream=plan.reference
    )
    run_plan(store, following, GROUNDING, MeasureStage(), witness, offset)
    close_stage(store, following)
    return [plan, following]


def given(stage: SampleStage, engine: Engine, client: object) -> SampleStage:
    """A builder of an existing stage; as a `functools.partial` it can be pickled."""
    return stage


def stored_plan(store: Store, key: StageKey, inputs: Iterable[PlanInput], **options: Any) -> Plan:
    """The plan that a driver would use."""
    return store_plan(store, draft_plan(store, key, inputs, **options))


def stored_retry(store: Store, plan: Plan, failed: Iterable[str], unit_size: int) -> Plan:
    """The plan's next generation as a driver would store it."""
    return store_plan(store, draft_retry(store, plan, failed, unit_size))


@contextmanager
def worker(store: Store, key: StageKey, stage: SampleStage, *, witness: bool = False) -> Iterator[Worker]:
    """A worker on its own engine."""
    context = WorkContext(
        config8=key.config8, build_stage=partial(given, stage), trials=witness, trial_timeout_s=30.0
    )
    engine = Engine()
    try:
        yield Worker(key.stage, store, context, engine=engine)
    finally:
        engine.close()


def run_plan(
    store: Store, plan: Plan, key: StageKey, stage: SampleStage, witness: bool = False, offset: int = 0
) -> list[str]:
    """Runs units that are still open, one after the other."""
    units = pending_units(store, plan)
    start = offset % max(1, len(units))
    units = units[start:] + units[:start]
    with worker(store, key, stage, witness=witness) as at_work:
        for unit in units:
            at_work.run(unit)
    return [unit.id for unit in units]


def main(uri: str, folder: str, witness: str) -> None:
    """A driver in its own process, so that it can be killed."""
    store = open_store(uri, StoreOptions())
    store.probe()
    print("ready", flush=True)
    run_pipeline(store, Path(folder), witness=witness == "witness", offset=secrets.randbelow(1000))


def _misbehave(name: str) -> None:
    word, _, what = os.environ.get(TROUBLE, "").partition(":")
    if not word or word not in name:
        return
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "raise":
        raise RuntimeError("a bug at 0x7f00")
    if what == "away":
        raise EnvironmentFault("the endpoint is away")
    if what == "sleep":
        time.sleep(60)
    if what == "nap":
        time.sleep(0.02)
    if what == "memory":
        raise MemoryError


if __name__ == "__main__":
    import sys

    from tests.tasks.storage.drawn_stages import main as drive

    drive(*sys.argv[1:])
