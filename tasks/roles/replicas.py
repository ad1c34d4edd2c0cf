"""A replica: one process or thread that holds the backends of a pool, and how it can fail."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from tasks.records.errors import EnvironmentFault, OutOfMemory
from tasks.roles.calls import Route

CV2_NO_MEMORY = -4
"""``cv2.Error.StsNoMem``."""


class Cause(StrEnum):
    """Why a replica ended. Only a crash can be the fault of a question."""

    CRASHED = "crashed"
    NODE_LOST = "node_lost"
    """Its machine went away: failure, preemption, scale-down."""
    OUT_OF_MEMORY_KILLED = "out_of_memory_killed"
    """The kernel or the scheduler ended it for its main memory."""
    LOADING = "loading"
    """It ended before it was ready, so before it saw any question."""


class ReplicaDied(EnvironmentFault):
    """A replica ended, or is in a state in which it can answer nothing more.

    Args:
        cause: what is known about it.
        detail: for logs.
    """

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(f"{cause.value}: {detail}" if detail else cause.value)
        self.cause = cause
        self.detail = detail

    def __reduce__(self) -> tuple[type[ReplicaDied], tuple[Cause, str]]:
        return type(self), (self.cause, self.detail)


class OwnerDied(EnvironmentFault):
    """The process that held a question's pictures is gone, so nobody waits for this answer any more."""


class Replica(Protocol):
    """Answers batches of one route at a time; two calls may wait in it at once."""

    async def answer(self, route: str, payloads: Sequence[Any]) -> Sequence[Any]:
        """One entry per payload, in order: its answer, a `SampleError`, or `OwnerDied`.

        Raises:
            OutOfMemory: the batch did not fit the device; the replica can go on.
            ReplicaDied: the replica cannot go on.
            EnvironmentFault: nobody can answer now.
            Exception: the backend failed on the batch; some question in it may be to blame.
        """
        ...

    async def close(self) -> None:
        """Ends it and gives its memory back."""
        ...


MakeReplica: TypeAlias = Callable[[str], Awaitable[Replica]]
"""Makes a loaded replica of the named pool.

It raises `ReplicaDied` (``LOADING``) when the new process ends, and another `EnvironmentFault` when there can be no
replica; cancelled, it leaves nothing behind.
"""


def answer_batch(backend: Any, questions: Sequence[Any]) -> list[Any]:
    """Calls a local backend and sorts what it raises; for the process or thread in which the backend lives.

    Raises:
        OutOfMemory: the device's memory was too small; unused memory has been given back.
        ReplicaDied: an error of the device after which no call in this process can succeed.
        Exception: whatever else the backend raised, as it was.
    """
    try:
        answers = list(backend.answer(questions))
    except Exception as error:
        trouble = trouble_of(error)
        if trouble is None:
            raise
    else:
        if len(answers) != len(questions):
            msg = f"{type(backend).__name__}: {len(answers)} answers for {len(questions)} questions"
            raise ValueError(msg)
        return answers
    # Only here, since the traceback of the caught error keeps the tensors of its frames alive.
    if isinstance(trouble, OutOfMemory):
        _free_cached_memory()
    raise trouble


def trouble_of(error: Exception) -> EnvironmentFault | None:
    """What an exception of a library means for the process that met it; None: it is about the call alone.

    Recognized by name, since few processes have all libraries.
    """
    kind, words = type(error), str(error)
    library = kind.__module__.partition(".")[0]
    if isinstance(error, MemoryError) or (library == "torch" and kind.__name__ == "OutOfMemoryError"):
        return OutOfMemory(kind.__name__)
    if library == "cv2" and getattr(error, "code", None) == CV2_NO_MEMORY:
        return OutOfMemory("OpenCV")
    if isinstance(error, RuntimeError):
        if "out of memory" in words or "ALLOC_FAILED" in words:
            return OutOfMemory(kind.__name__)
        if kind.__name__ == "AcceleratorError" or words.startswith(("CUDA error", "cuDNN error")):
            # A failed kernel leaves the CUDA context broken for good: every later call would fail, whoever asks.
            return ReplicaDied(Cause.CRASHED, words.partition("\n")[0])
    return None


def _free_cached_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


class ThreadReplica:
    """A replica in this process: its backends are loaded and called in one thread, and the event loop goes on.

    A crash of a backend is a crash of this process, so that nothing of the kind is caught here. An error of the
    device ends the replica; another one in the same process will fail the same way, and the pool stops.

    Args:
        backends: a loaded `LocalBackend` by route.
        thread: the executor, with one thread, in which they were loaded.
    """

    def __init__(self, backends: Mapping[str, Any], thread: ThreadPoolExecutor) -> None:
        self._backends = dict(backends)
        self._thread = thread

    @classmethod
    async def start(cls, loads: Mapping[str, Callable[[], Any]]) -> ThreadReplica:
        """Loads a backend for each route.

        Args:
            loads: route to ``BackendChoice.load``.

        Raises:
            OutOfMemory: they do not fit.
            Exception: whatever loading raised.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="replica")
        loop = asyncio.get_running_loop()
        try:
            backends = {route: await loop.run_in_executor(thread, load) for route, load in loads.items()}
        except BaseException as error:
            thread.shutdown(wait=False, cancel_futures=True)
            trouble = trouble_of(error) if isinstance(error, Exception) else None
            if trouble is not None:
                raise trouble from error
            raise
        return cls(backends, thread)

    async def answer(self, route: str, payloads: Sequence[Any]) -> Sequence[Any]:
        """See `Replica`; payloads are the questions themselves."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, answer_batch, self._backends[route], payloads)

    async def close(self) -> None:
        """Waiting batches are dropped; the one at work ends in its own time."""
        self._backends.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)


def threads_for(routes: Sequence[Route]) -> MakeReplica:
    """Replicas in this process: each is a thread that loads the backends of the pool's routes."""

    async def make(pool: str) -> ThreadReplica:
        return await ThreadReplica.start(
            {route.name: route.choice.load for route in routes if route.run == pool}
        )

    return make
