"""A run's folder: held by one run at a time, and refused to any but the run that it belongs to."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from filelock import FileLock, Timeout
from torch import distributed

from intercog_model.errors import ConfigurationError
from intercog_model.training.checkpoint_folder import (
    CheckpointFolder,
    DamagedCheckpointError,
    require_location,
    step_of,
)
from intercog_model.training.config import TrainConfig, to_json
from intercog_model.training.inputs import KnownDigests, digests
from intercog_model.training.run_record import Parent, RunRecord, Values
from intercog_model.training.sharding import world

RUN_FILE, LOCK_FILE = "run.json", "run.lock"
Answer = TypeVar("Answer")


class RunFolder:
    """The folder of a run with its `run.json`; only the first process reads and writes in it.

    `run.json` has the run's record, its configuration, when it was started with what, and digests of files it has read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, FileLock(path / LOCK_FILE)
        self.tree: dict[str, Any] = {"starts": [], "files": {}}

    def __enter__(self) -> Self:
        """Hold the folder; ConfigurationError, in all processes, where another run holds it."""
        from_first(self._hold)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()  # does nothing in a process that holds none

    def _hold(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire(blocking=False)
        except FileExistsError as error:
            raise ConfigurationError(f"run.out: {str(self.path)!r}, should be a folder, is a file") from error
        except Timeout as error:
            raise ConfigurationError(f"run.out: {str(self.path)!r}, another process trains there") from error
        except OSError as error:
            raise ConfigurationError(f"run.out: {str(self.path)!r}: {error.strerror}") from error

    def claim(self, config: TrainConfig, facts: Values, fork: str = "") -> RunRecord:
        """The record of the run that a configuration makes; what changed since its last start is told.

        Args:
            config: of the run.
            facts: of the processes that compute, such as how many there are.
            fork: the checkpoint that it begins from, ``RUN/step-N``.

        Raises:
            ConfigurationError: the folder belongs to another run, by the keys that differ; or an input cannot be read.
        """
        return from_first(lambda: self._claim(config, facts, fork))

    def _claim(self, config: TrainConfig, facts: Values, fork: str) -> RunRecord:
        last = self._read()
        record = RunRecord.of(config, digests(config, KnownDigests(self.tree["files"])), facts)
        if fork:
            # a run that was forked is resumed by the same command, whatever has become of its parent
            known = last and last.parent and last.parent.asked == fork
            record = replace(record, parent=last.parent if last and known else _parent(record, fork))
        if last:
            require_same_run(record, last, f"run.out: {str(self.path)!r}")
            for mark in ("numerics", "operation"):
                if changed := record.differences(last, mark):
                    print(f"since the last start, {mark}: {'; '.join(changed)}", flush=True)
        return record

    def _read(self) -> RunRecord | None:
        """The record of the last start, if there was one."""
        path = self.path / RUN_FILE
        if not path.is_file():
            return None
        try:
            tree = json.loads(path.read_text())
            self.tree = {name: tree[name] for name in ("files", "starts")}
            return RunRecord.from_json(tree["run"])
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(f"{path} is damaged: {error!r}") from error

    def begin(self, record: RunRecord, config: TrainConfig, step: int) -> None:
        """Write down that the run goes on after `step` steps."""
        if world()[0] != 0:
            return
        start = {"after_step": step, "numerics": record.numerics, "operation": record.operation}
        self.tree |= {
            "run": record.to_json(),
            "config": to_json(config),
            "starts": [*self.tree["starts"], start],
        }
        temporary = self.path / f"{RUN_FILE}.part"
        temporary.write_text(json.dumps(self.tree, indent=1))
        temporary.replace(self.path / RUN_FILE)


def place_of_checkpoints(run: str) -> str:
    """Where a run keeps its checkpoints: as its `run.json` has it, else at that folder or address itself."""
    require_location(run, "run")
    if "://" in run:
        return run
    if not Path(run).is_dir():
        raise ConfigurationError(f"{run}: should be a run's folder")
    file = Path(run) / RUN_FILE
    stated = json.loads(file.read_text(encoding="utf-8"))["config"] if file.is_file() else {}
    place: str = stated.get("run", {}).get("checkpoints") or run
    return place


def find_checkpoint(address: str) -> tuple[CheckpointFolder, str]:
    """The newest whole checkpoint of ``RUN/step-N``; its folder and its name there.

    Raises:
        ConfigurationError: there is none.
    """
    run, _, last = address.rstrip("/").rpartition("/")
    asked = re.fullmatch(r"step-(\d+)(\..+)?", last)
    if not run or not asked:
        raise ConfigurationError(f"--fork {address}: should be RUN/step-N, such as runs/base/step-2000")
    folder = CheckpointFolder(place_of_checkpoints(run))
    names = folder.names()
    found = [name for name in names if (name == last if asked[2] else step_of(name) == int(asked[1]))]
    if not found:
        there = ", ".join(str(step_of(name)) for name in names)
        raise ConfigurationError(
            f"--fork {address}: no such checkpoint, there are those of steps: {there or 'none'}"
        )
    return folder, found[-1]


def require_same_run(record: RunRecord, other: RunRecord, where: str) -> None:
    """Raise ConfigurationError, with the keys that differ, unless a run may go on from what `other` has left."""
    if different := record.other_run(other):
        raise ConfigurationError(
            f"{where} belongs to another run: {'; '.join(different)}. Choose another run.out, or go on from a "
            "checkpoint of that run in a new folder with --fork"
        )


def _parent(record: RunRecord, fork: str) -> Parent:
    folder, name = find_checkpoint(fork)
    try:
        state = folder.read(name).state
        other = RunRecord.from_json(state["run"])
    except (DamagedCheckpointError, KeyError, TypeError) as error:
        raise ConfigurationError(f"--fork {fork}: {name} is damaged: {error}") from error
    changed = record.differences(other, "identity")
    print(f"forked from {folder.uri}/{name}: {'; '.join(changed) or 'nothing is changed'}", flush=True)
    return Parent(
        asked=fork, place=folder.uri, name=name, run=other.fingerprint, step=state["step"], changed=changed
    )


def from_first(make: Callable[[], Answer]) -> Answer:
    """What `make` gives in the first process, in all of them; its ConfigurationError is raised in all of them."""
    told: list[Any] = [None, ""]
    if world()[0] == 0:
        try:
            told[0] = make()
        except ConfigurationError as error:
            told[1] = str(error)
    if distributed.is_initialized():
        distributed.broadcast_object_list(told, src=0)
    if told[1]:
        raise ConfigurationError(told[1])
    answer: Answer = told[0]
    return answer
