"""The engine: concurrent samples, limit by megapixels, threads, cancellation."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tasks.records.errors import EnvironmentFault, OutOfMemory, Reason, SampleError
from tasks.records.outcomes import Outcome, StageInput
from tasks.stages.sample_stage import Workbench
from tasks.worker.engine import AT_WORK, Engine, EngineSettings
from tasks.worker.flight import MemoryLog
from tests.tasks.stages.grounding.toy_scene import source


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(EngineSettings(threads=2, megapixels=10.0, samples=4))
    yield made
    made.close()


def photograph(name: str, megapixels: float) -> StageInput:
    record = replace(source(sid=name), width=1000, height=round(1000 * megapixels))
    return StageInput(id=name, record=record, blobs={})


class Counting:
    """Records how many samples and megapixels are inside at once; each waits until it is released."""

    def __init__(self) -> None:
        self.inside: list[float] = []
        self.most: list[tuple[int, float]] = []

    async def __call__(self, item: StageInput, bench: Workbench) -> Outcome:
        size = item.record.height / 1000  # type: ignore[union-attr]
        self.inside.append(size)
        self.most.append((len(self.inside), sum(self.inside)))
        await asyncio.sleep(0.01)
        self.inside.remove(size)
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)


def test_samples_at_work_are_bounded_by_megapixels_first_and_number_second(engine: Engine) -> None:
    stage = Counting()
    engine.answer(stage, [photograph(f"s{n}", 4.0) for n in range(9)], None)  # type: ignore[arg-type]
    assert max(megapixels for _, megapixels in stage.most) == 8.0
    small = Counting()
    engine.answer(small, [photograph(f"s{n}", 0.1) for n in range(9)], None)  # type: ignore[arg-type]
    assert max(count for count, _ in small.most) == 4


def test_a_sample_larger_than_the_room_is_at_work_alone(engine: Engine) -> None:
    stage = Counting()
    sizes = [1.0, 50.0, 1.0]
    engine.answer(stage, [photograph(f"s{n}", size) for n, size in enumerate(sizes)], None)  # type: ignore[arg-type]
    assert (1, 50.0) in stage.most
    assert all(count == 1 for count, megapixels in stage.most if megapixels >= 50.0)


def test_units_of_several_threads_share_the_room(engine: Engine) -> None:
    stage = Counting()
    units = [[photograph(f"u{u}s{n}", 4.0) for n in range(3)] for u in range(3)]
    threads = [threading.Thread(target=engine.answer, args=(stage, unit, None)) for unit in units]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stage.most) == 9
    assert max(megapixels for _, megapixels in stage.most) == 8.0


def test_computing_continues_while_another_sample_waits(engine: Engine) -> None:
    waiting = threading.Event()

    async def stage(item: StageInput, bench: Workbench) -> Outcome:
        if item.id == "waits":
            while not waiting.is_set():
                await asyncio.sleep(0.001)
        else:
            await bench.cpu(waiting.set)
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    engine.answer(stage, [photograph("waits", 1.0), photograph("computes", 1.0)], None)  # type: ignore[arg-type]


def test_models_of_this_process_are_asked_one_at_a_time_by_one_thread(engine: Engine) -> None:
    threads: set[str] = set()
    inside: list[int] = [0, 0]

    def model() -> None:
        threads.add(threading.current_thread().name)
        inside[0] += 1
        inside[1] = max(inside)
        time.sleep(0.002)
        inside[0] -= 1

    async def stage(item: StageInput, bench: Workbench) -> Outcome:
        await engine.here("tagger", model)
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    engine.answer(stage, [photograph(f"s{n}", 1.0) for n in range(8)], None)  # type: ignore[arg-type]
    assert len(threads) == 1
    assert inside[1] == 1


def test_steps_are_recorded_with_their_sample_and_waiting_is_not_a_step() -> None:
    log = MemoryLog()
    engine = Engine(flight=log)
    seen: list[list[tuple[str, str]]] = []

    def step() -> None:
        seen.append([(s.sample, s.name) for s in log.running()])

    async def stage(item: StageInput, bench: Workbench) -> Outcome:
        await bench.cpu(step)
        seen.append([(s.sample, s.name) for s in log.running()])
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    engine.answer(stage, [photograph("one", 1.0)], None)  # type: ignore[arg-type]
    engine.close()
    assert seen == [[("one", "step")], []]


def test_an_environment_fault_cancels_the_other_samples_and_leaves(engine: Engine) -> None:
    canceled: list[str] = []

    async def stage(item: StageInput, bench: Workbench) -> Outcome:
        if item.id == "away":
            raise EnvironmentFault("the endpoint is away")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            canceled.append(item.id)
            raise
        raise AssertionError

    with pytest.raises(EnvironmentFault, match="away"):
        engine.answer(stage, [photograph("other", 1.0), photograph("away", 1.0)], None)  # type: ignore[arg-type]
    assert canceled == ["other"]
    after = Counting()
    engine.answer(after, [photograph(f"s{n}", 4.0) for n in range(4)], None)  # type: ignore[arg-type]
    assert len(after.most) == 4, "the canceled samples gave their room back"


def test_what_is_tied_to_a_sample_is_its_outcome_and_memory_is_not(engine: Engine) -> None:
    async def stage(item: StageInput, bench: Workbench) -> Outcome:
        if item.id == "declined":
            raise SampleError(Reason.EASY_TARGET, "x")
        if item.id == "bug":
            raise KeyError("/home/somebody")
        if item.id == "memory":
            raise MemoryError
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    outcomes = engine.answer(
        stage,
        [photograph(name, 1.0) for name in ("declined", "bug", "fine")],
        None,  # type: ignore[arg-type]
    )
    assert [(o.reason, o.detail) for o in outcomes] == [
        (Reason.EASY_TARGET, "x"),
        (Reason.CRASHED, "KeyError"),
        (Reason.NO_TARGET, ""),
    ]
    with pytest.raises(OutOfMemory):
        engine.answer(stage, [photograph("memory", 1.0)], None)  # type: ignore[arg-type]


def test_keys_of_answers_are_attached_to_the_rows_of_their_sample_alone(engine: Engine) -> None:
    async def child(key: str) -> None:
        AT_WORK.get().answers.add(key)

    async def stage(item: StageInput, bench: Workbench) -> Outcome:
        await asyncio.gather(child(f"{item.id}-b"), child(f"{item.id}-a"))
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    outcomes = engine.answer(stage, [photograph("x", 1.0), photograph("y", 1.0)], None)  # type: ignore[arg-type]
    assert [o.answers for o in outcomes] == [("x-a", "x-b"), ("y-a", "y-b")]
