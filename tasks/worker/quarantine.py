"""Runs suspected samples in a separate process: if it dies, its parent survives to report it.

Run as ``python -m tasks.worker.quarantine REQUEST REPLY FD``: two files of pickles, written and read on this machine
only, and a pipe to the parent, through which the trial asks models outside its own process.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.records.errors import GroundEditError, ModelUnavailable, OutOfMemory, StorageFault
from tasks.records.outcomes import Outcome, StageInput
from tasks.roles.calls import Answered, RoleCall
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.attempts import begin_attempt, leave_attempt
from tasks.storage.protocol.fault_points import VARIABLE as FAULT_VARIABLE
from tasks.storage.protocol.layout import StageKey
from tasks.worker.engine import Engine

if TYPE_CHECKING:
    from tasks.worker.role_asks import RouterClient
    from tasks.worker.run_unit import StageBuilder

EXPENDABLE = "1000"
"""Out-of-memory score: when memory runs out the kernel kills this process instead of its parent."""

READY = ".ready"
"""Suffix of the file that says that the stage was built; a later death is attributed to the samples."""

POLL_S = 0.05
"""How often the parent checks whether the trial has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a trial process runs; everything in it can be pickled.

    Attributes:
        part: name of these inputs in attempts (`tasks.storage.protocol.attempts.subset_name`).
    """

    build_stage: StageBuilder
    uri: str
    options: StoreOptions
    key: StageKey
    unit: str
    part: str
    inputs: tuple[StageInput, ...]
    extra: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """Result of a trial: outcomes, or an error of this project, or neither if the process died or timed out."""

    outcomes: tuple[Outcome, ...] | None = None
    error: GroundEditError | None = None
    timed_out: bool = False

    @property
    def died(self) -> bool:
        """Whether the process ended without a reply and was not killed by us."""
        return self.outcomes is None and self.error is None and not self.timed_out


def run_trial(trial: Trial, timeout_s: float, engine: Engine, client: RouterClient | None) -> TrialEnd:
    """Runs the trial in a new process and session, and waits for it.

    The process records its attempt once its stage is built. If it dies, the parent records that it saw this; if the
    parent dies, the process records that it was healthy and ends. Only if both die is the attempt left as it is.

    Args:
        trial: what to run.
        timeout_s: limit for the trial's own time; time spent waiting for answers is not counted.
        engine: on whose loop its questions are forwarded.
        client: the router they go to.

    Raises:
        pickle.PicklingError: ``build_stage`` cannot be sent to another process.
    """
    with tempfile.TemporaryDirectory(prefix="groundedit-") as folder:
        request, reply = Path(folder) / "request", Path(folder) / "reply"
        request.write_bytes(pickle.dumps(trial))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)}
        environment.pop(FAULT_VARIABLE, None)
        ours, theirs = Pipe()
        command = [
            sys.executable,
            "-m",
            "tasks.worker.quarantine",
            str(request),
            str(reply),
            str(theirs.fileno()),
        ]
        # A separate session: a sample that kills its process group does not reach us. The stdin pipe closes with us.
        process = subprocess.Popen(
            command,
            env=environment,
            start_new_session=True,
            stdin=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        desk = _Desk(ours, engine, client)
        try:
            if not _ended(process, desk, timeout_s):
                return _unanswered(trial, reply, TrialEnd(timed_out=True))
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
            ours.close()
        if not reply.exists():
            return _unanswered(trial, reply, TrialEnd())
        end: TrialEnd = pickle.loads(reply.read_bytes())
        return end


def main(request: str, reply: str, fd: str) -> None:
    """Runs one trial; the reply file is written atomically."""
    trial: Trial = pickle.loads(Path(request).read_bytes())
    store = open_store(trial.uri, trial.options)
    begun: list[int] = []
    threading.Thread(target=_end_with_parent, args=(store, trial, begun), daemon=True).start()
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text(EXPENDABLE)
    engine = Engine()
    try:
        stage = trial.build_stage(engine, PipeClient(Connection(int(fd))))
        begun.append(begin_attempt(store, trial.key, trial.unit, trial.part))
        Path(reply + READY).write_text(str(begun[0]))
        end = TrialEnd(outcomes=tuple(engine.answer(stage, trial.inputs, StorePixels(store), trial.extra)))
    except GroundEditError as error:
        end = TrialEnd(error=error)
    except MemoryError:
        end = TrialEnd(error=OutOfMemory("while building a stage in a process of its own"))
    if begun:
        leave_attempt(store, trial.key, trial.unit, begun[0], "ended")
    temporary = Path(reply + ".part")
    temporary.write_bytes(pickle.dumps(end))
    temporary.replace(reply)


def as_tuple(inputs: Sequence[StageInput]) -> tuple[StageInput, ...]:
    """Inputs with plain mappings, which can be pickled."""
    return tuple(StageInput(id=i.id, record=i.record, blobs=dict(i.blobs)) for i in inputs)


class PipeClient:
    """The router's client in a trial: each question is sent to the parent, which asks in its place."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._writing = threading.Lock()
        self._open: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]] = {}
        self._next = 0
        threading.Thread(target=self._read, name="answers", daemon=True).start()

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        """See `tasks.worker.role_asks.RouterClient`."""
        found: Answered | None = await self._send("kept", route, key, sid)
        return found

    async def ask(self, call: RoleCall) -> Answered:
        """See `tasks.worker.role_asks.RouterClient`."""
        answered: Answered = await self._send("ask", call)
        return answered

    async def _send(self, method: str, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._writing:
            self._next += 1
            self._open[self._next] = (loop, future)
            self._pipe.send((self._next, method, arguments))
        return await future

    def _read(self) -> None:
        while True:
            try:
                number, value, error = self._pipe.recv()
            except (EOFError, OSError):
                return  # the parent is gone, and this process will follow
            loop, future = self._open.pop(number)
            loop.call_soon_threadsafe(_settle, future, value, error)


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


class _Desk:
    """The parent's end of the pipe: forwards questions and answers, and counts open questions."""

    def __init__(self, pipe: Connection, engine: Engine, client: RouterClient | None) -> None:
        self._pipe = pipe
        self._engine = engine
        self._client = client
        self._writing = threading.Lock()
        self.open = 0
        threading.Thread(target=self._serve, name="trial-desk", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                number, method, arguments = self._pipe.recv()
            except (EOFError, OSError):
                return  # the trial has ended
            self.open += 1
            asyncio.run_coroutine_threadsafe(self._answer(number, method, arguments), self._engine.loop)

    async def _answer(self, number: int, method: str, arguments: Sequence[Any]) -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            assert self._client is not None, "only a stage with routed roles asks"
            value = await getattr(self._client, method)(*arguments)
        except Exception as caught:  # raised again in the trial, as it would be in the worker
            error = caught
        self.open -= 1
        await asyncio.to_thread(self._send, (number, value, error))

    def _send(self, message: tuple[int, Any, BaseException | None]) -> None:
        with suppress(OSError), self._writing:  # the trial may have died meanwhile
            self._pipe.send(message)


def _ended(process: subprocess.Popen[bytes], desk: _Desk, timeout_s: float) -> bool:
    """Waits for the process to end, within ``timeout_s`` of its own time."""
    spent, looked = 0.0, time.monotonic()
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_S)
        now = time.monotonic()
        if not desk.open:
            spent += now - looked
        looked = now
        if spent > timeout_s:
            return False
    return True


def _unanswered(trial: Trial, reply: Path, end: TrialEnd) -> TrialEnd:
    ready = Path(str(reply) + READY)
    if not ready.exists():
        # A stage that cannot be built says nothing about the samples.
        return TrialEnd(error=ModelUnavailable("a stage died or hung while it was being built"))
    with suppress(StorageFault):
        store = open_store(trial.uri, trial.options)
        leave_attempt(store, trial.key, trial.unit, int(ready.read_text()), "died before a witness")
    return end


def _end_with_parent(store: Store, trial: Trial, begun: list[int]) -> None:
    # Not sys.stdin, whose lock this thread would still hold when the process exits: Python aborts on it.
    while os.read(0, 1):
        pass
    if begun:
        with suppress(StorageFault):
            leave_attempt(store, trial.key, trial.unit, begun[0], "the witness died")
    os._exit(1)


if __name__ == "__main__":
    # By its full name, so that pickled objects have the module name that the parent knows.
    from tasks.worker.quarantine import main as run_request

    run_request(*sys.argv[1:4])
