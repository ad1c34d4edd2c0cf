"""The loop of a worker: samples of several units run at once; threads compute, and none is blocked by waiting.

    loop thread     stage functions; they only await
    cpu threads     decoding, geometry, gates, compositing, encoding (`Workbench.cpu`)
    here thread     models of this process, one question at a time, so that answers are reproducible
    io threads      reading blobs

Samples in flight are limited by their total megapixels, since most memory is spent on their pictures.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from tasks.imaging.arrays import Image
from tasks.records.errors import AnswerMissing
from tasks.records.outcomes import BlobRef, Outcome, PixelReader, StageInput
from tasks.records.records import EditedSample, EditPlan, GroundedTarget, SourceImage
from tasks.roles.picture import Picture
from tasks.stages.sample_stage import SampleStage
from tasks.worker.flight import FlightLog, MemoryLog, noted
from tasks.worker.isolate_failures import outcome_of

P = ParamSpec("P")
T = TypeVar("T")

UNKNOWN_MEGAPIXELS = 12.0
"""Assumed size of a photograph that was not opened yet."""

IO_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Limits on what runs at once; they do not change results.

    Attributes:
        threads: computing threads.
        megapixels: total size of samples in flight; a larger sample runs alone.
        samples: maximum number of samples in flight.
    """

    threads: int = 1
    megapixels: float = 48.0
    samples: int = 16


@dataclass(slots=True)
class SampleAtWork:
    """The sample of a task, and the keys of the kept answers that it depends on."""

    id: str
    answers: set[str] = field(default_factory=set)


AT_WORK: ContextVar[SampleAtWork] = ContextVar("sample at work")
"""Set in the task of each sample; read by asks and computing steps."""


class Engine:
    """Runs stage functions over samples; `answer` may be called from many threads at once."""

    def __init__(self, settings: EngineSettings | None = None, flight: FlightLog | None = None) -> None:
        settings = settings or EngineSettings()
        self.flight = flight or MemoryLog()
        self._room = _Room(settings.megapixels, settings.samples)
        self._cpu = ThreadPoolExecutor(settings.threads, thread_name_prefix="cpu")
        self._here = ThreadPoolExecutor(1, thread_name_prefix="here")
        self._io = ThreadPoolExecutor(IO_THREADS, thread_name_prefix="io")
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="engine", daemon=True)
        self._thread.start()

    def answer(
        self,
        stage: SampleStage,
        inputs: Sequence[StageInput],
        pixels: PixelReader,
        extra: Mapping[str, str] | None = None,
    ) -> list[Outcome]:
        """One outcome per input, in order; blocks the calling thread.

        Raises:
            EnvironmentFault, DataFault, ConfigurationError, StageStopped: as raised by a sample; the other samples are
                canceled.
            AnswerMissing: kept answers are missing; raised after all samples have looked for theirs.
        """
        bench = Bench(engine=self, pixels=pixels, extra=extra or {})
        return asyncio.run_coroutine_threadsafe(self._unit(stage, inputs, bench), self.loop).result()

    async def cpu(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a computing step of the current sample on a computing thread."""
        return await self._on(self._cpu, getattr(work, "__name__", "step"), work, *args, **kwargs)

    async def here(self, role: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a model of this process on the single thread for models."""
        return await self._on(self._here, f"here:{role}", work, *args, **kwargs)

    async def io(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a step that waits for a store."""
        return await self.loop.run_in_executor(self._io, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Stops loop and threads; running samples are canceled."""

        async def cancel_all() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        if self.loop.is_running():
            asyncio.run_coroutine_threadsafe(cancel_all(), self.loop).result()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()
        for pool in (self._cpu, self._here, self._io):
            pool.shutdown(wait=True, cancel_futures=True)

    async def _on(
        self, pool: ThreadPoolExecutor, step: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        sample = AT_WORK.get().id

        def run() -> T:
            # Recorded by the computing thread: a step still waiting for a thread cannot have caused a crash.
            with noted(self.flight, sample, step):
                return work(*args, **kwargs)

        return await self.loop.run_in_executor(pool, run)

    async def _unit(self, stage: SampleStage, inputs: Sequence[StageInput], bench: Bench) -> list[Outcome]:
        tasks = [asyncio.create_task(_or_missing(self._sample(stage, item, bench))) for item in inputs]
        try:
            found = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        missing = [answer for item in found if isinstance(item, AnswerMissing) for answer in item.missing]
        if missing:
            raise AnswerMissing(missing)
        return [item for item in found if isinstance(item, Outcome)]

    async def _sample(self, stage: SampleStage, item: StageInput, bench: Bench) -> Outcome:
        megapixels = megapixels_of(item)
        await self._room.enter(megapixels)
        try:
            sample = SampleAtWork(id=item.id)
            AT_WORK.set(sample)
            return await outcome_of(stage, item, bench, sample.answers)
        finally:
            self._room.leave(megapixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The workbench (`tasks.stages.sample_stage.Workbench`) of a unit's samples."""

    engine: Engine
    pixels: PixelReader
    extra: Mapping[str, str]

    async def cpu(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `Workbench`."""
        return await self.engine.cpu(work, *args, **kwargs)

    async def data(self, ref: BlobRef) -> bytes:
        """See `Workbench`."""
        return await self.engine.io(self.pixels.data, ref)

    async def rgb(self, ref: BlobRef) -> Image:
        """See `Workbench`."""
        await self.engine.io(self.pixels.data, ref)
        return await self.engine.cpu(self.pixels.rgb, ref)

    def picture(self, ref: BlobRef) -> Picture:
        """See `Workbench`."""
        return Picture.of_blob(ref.sha256, lambda: self.pixels.rgb(ref))


async def _or_missing(sample: Awaitable[Outcome]) -> Outcome | AnswerMissing:
    """An outcome, or its missing answers, which must not stop the other samples."""
    try:
        return await sample
    except AnswerMissing as missing:
        return missing


def megapixels_of(item: StageInput) -> float:
    """Size of the photograph that an input is about."""
    source = _source_of(item.record)
    return source.width * source.height / 1e6 if source else UNKNOWN_MEGAPIXELS


def _source_of(record: object) -> SourceImage | None:
    match record:
        case SourceImage():
            return record
        case GroundedTarget():
            return record.scene.source
        case EditPlan():
            return record.target.scene.source
        case EditedSample():
            return record.plan.target.scene.source
    return None


class _Room:
    """Admission in order of arrival; only used on the loop's thread."""

    def __init__(self, megapixels: float, samples: int) -> None:
        self._megapixels = megapixels
        self._samples = samples
        self._used = 0.0
        self._inside = 0
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()

    async def enter(self, megapixels: float) -> None:
        if not self._waiting and self._fits(megapixels):
            self._take(megapixels)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((megapixels, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(megapixels)  # it was admitted and canceled at the same moment
            raise

    def leave(self, megapixels: float) -> None:
        self._used -= megapixels
        self._inside -= 1
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(size):
                    return
                self._take(size)
                turn.set_result(None)
            self._waiting.popleft()

    def _fits(self, megapixels: float) -> bool:
        return not self._inside or (
            self._inside < self._samples and self._used + megapixels <= self._megapixels
        )

    def _take(self, megapixels: float) -> None:
        self._used += megapixels
        self._inside += 1
