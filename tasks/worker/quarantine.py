"""A process of its own for samples under suspicion: it may die, and its parent lives to tell.

Run as ``python -m tasks.worker.quarantine REQUEST REPLY``: two files of pickles, made and read on this machine alone.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.records.errors import GroundEditError, ModelUnavailable, OutOfMemory, StorageFault
from tasks.records.outcomes import Outcome, Stage, StageInput
from tasks.storage.objects.pixel_reader import StorePixels
from tasks.storage.objects.store import Store, StoreOptions, open_store
from tasks.storage.protocol.attempts import begin_attempt, leave_attempt
from tasks.storage.protocol.fault_points import VARIABLE as FAULT_VARIABLE
from tasks.storage.protocol.layout import StageKey
from tasks.worker.isolate_failures import answer, stage_for

EXPENDABLE = "1000"
"""Out-of-memory score: when memory runs out the kernel takes this process, not its parent."""

READY = ".ready"
"""Suffix of the file that says that the stage was built: from there on a death is the samples'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a process of its own is to do; everything in it can be pickled.

    Attributes:
        part: how attempts name these inputs (`tasks.storage.protocol.attempts.subset_name`).
    """

    build_stage: Callable[[], Stage]
    uri: str
    options: StoreOptions
    key: StageKey
    unit: str
    part: str
    inputs: tuple[StageInput, ...]
    extra: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """How it went: outcomes, or an error of this project, or neither when the process died or ran out of time."""

    outcomes: tuple[Outcome, ...] | None = None
    error: GroundEditError | None = None
    timed_out: bool = False

    @property
    def died(self) -> bool:
        """Whether the process ended without an answer, not by our hand."""
        return self.outcomes is None and self.error is None and not self.timed_out


def run_trial(trial: Trial, timeout_s: float) -> TrialEnd:
    """Run the trial in a new process and session, and wait for it.

    The process notes its attempt itself once its stage is built. When it dies we note that we saw it; when we die
    it notes that it was well and ends. Only an attempt whose both ends died together is left without a word.

    Raises:
        pickle.PicklingError: ``build_stage`` can't travel to another process.
    """
    with tempfile.TemporaryDirectory(prefix="groundedit-") as folder:
        request, reply = Path(folder) / "request", Path(folder) / "reply"
        request.write_bytes(pickle.dumps(trial))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)}
        environment.pop(FAULT_VARIABLE, None)
        command = [sys.executable, "-m", "tasks.worker.quarantine", str(request), str(reply)]
        # A session of its own: a sample that kills its process group doesn't reach us. The pipe ends with us.
        process = subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.PIPE)
        try:
            process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return _unanswered(trial, reply, TrialEnd(timed_out=True))
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
        if not reply.exists():
            return _unanswered(trial, reply, TrialEnd())
        end: TrialEnd = pickle.loads(reply.read_bytes())
        return end


def main(request: str, reply: str) -> None:
    """Answer one request; the reply appears whole or not at all."""
    trial: Trial = pickle.loads(Path(request).read_bytes())
    store = open_store(trial.uri, trial.options)
    begun: list[int] = []
    threading.Thread(target=_end_with_parent, args=(store, trial, begun), daemon=True).start()
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text(EXPENDABLE)
    try:
        stage = stage_for(trial.build_stage(), trial.extra)
        begun.append(begin_attempt(store, trial.key, trial.unit, trial.part))
        Path(reply + READY).write_text(str(begun[0]))
        end = TrialEnd(outcomes=tuple(answer(stage, trial.inputs, StorePixels(store))))
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


def _unanswered(trial: Trial, reply: Path, end: TrialEnd) -> TrialEnd:
    ready = Path(str(reply) + READY)
    if not ready.exists():
        # A stage that can't even be built says nothing about the samples.
        return TrialEnd(error=ModelUnavailable("a stage died or hung while it was being built"))
    with suppress(StorageFault):
        store = open_store(trial.uri, trial.options)
        leave_attempt(store, trial.key, trial.unit, int(ready.read_text()), "died before a witness")
    return end


def _end_with_parent(store: Store, trial: Trial, begun: list[int]) -> None:
    # Not through `sys.stdin`, whose lock this thread would still hold when the process ends well: Python aborts on it.
    while os.read(0, 1):
        pass
    if begun:
        with suppress(StorageFault):
            leave_attempt(store, trial.key, trial.unit, begun[0], "the witness died")
    os._exit(1)


if __name__ == "__main__":
    # By its full name, since what is pickled here must bear the name that the parent knows.
    from tasks.worker.quarantine import main as answer_request

    answer_request(sys.argv[1], sys.argv[2])
