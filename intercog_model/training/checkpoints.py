"""Checkpoints of a run: saved while it trains on, resumed with any number of processes.

All that is trained is saved, with its moments and its average; what is frozen comes from where the run began.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from intercog_model.errors import ConfigurationError
from intercog_model.training.checkpoint_folder import CheckpointFolder, DamagedCheckpointError, Index
from intercog_model.training.checkpoint_storage import CheckpointReader, CheckpointWriter
from intercog_model.training.sharding import MovingAverage, world

SLOWEST_SAVE = timedelta(hours=2)
"""How long processes wait for the last of them to have written its part."""


class SaveError(OSError):
    """A checkpoint could not be written."""


def saving_group() -> distributed.ProcessGroup | None:
    """A group of its own for saving: its thread's collectives would meet those of training in any other."""
    if not distributed.is_initialized():
        return None
    group: distributed.ProcessGroup = distributed.new_group(backend="gloo", timeout=SLOWEST_SAVE)
    return group


class Checkpoints:
    """The checkpoints of one run.

    Args:
        uri: local folder or address in an object store.
        keep: how many whole ones stay.
    """

    def __init__(self, uri: str, *, keep: int) -> None:
        self.folder, self.keep = CheckpointFolder(uri), keep
        self.group = saving_group()
        self.damaged: list[str] = []
        self.running: Future[Any] | None = None
        self.running_step = 0

    def save(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Copy the state to host memory and write it in a thread; a save still running is waited for and told.

        Raises:
            SaveError: the save before this one failed.
        """
        if self.running is not None and not self.running.done():
            began = time.monotonic()
            self.wait()
            waited = time.monotonic() - began
            _tell(f"step {step}: waited {waited:.1f} s for the checkpoint of step {self.running_step}")
        self.wait()
        writer = CheckpointWriter(self.folder, step, state | {"step": step}, self._remove_old)
        planner = DefaultSavePlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
        found = async_save(
            tensors,
            storage_writer=writer,
            planner=planner,
            process_group=self.group,
        )
        assert isinstance(found, Future)
        self.running, self.running_step = found, step

    def wait(self) -> None:
        """Wait until nothing is being written; SaveError where it failed."""
        running, self.running = self.running, None
        if running is None:
            return
        try:
            running.result()
        except CheckpointException as error:
            raise SaveError(f"the checkpoint of step {self.running_step}: {_first(error)}") from error

    def restore(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: MovingAverage,
        accept: Callable[[str, dict[str, Any]], None],
        only: str = "",
    ) -> dict[str, Any] | None:
        """Load the newest whole checkpoint in place; what was saved beside the tensors, or None if there is none.

        A damaged one is told with its fault, and the one before is taken. `accept` is called with name and state of
        one that is whole, before anything is loaded, and raises if it is of another run. `only` names the one to take.

        Raises:
            ConfigurationError: it is of another model, or all are damaged.
        """
        faults = list[str]()
        names = [only] if only else self._names()
        while names:
            name = names.pop()
            index, fault = self._read(name)
            if index is not None:
                accept(name, index.state)
                tensors = tensors_to_fill(index, name, model, optimizer, average)
                fault = load_tensors(self.folder, name, index, tensors, self.group)
                if not fault:
                    _tell(f"{'begun' if only else 'resumed'} after step {index.state['step']} from {name}")
                    return index.state
            faults.append(f"{name} is damaged: {fault}")
            _tell(faults[-1] + ("; the one before is taken" if names else ""))
            self.damaged.append(name)
        if faults:
            raise ConfigurationError(f"{self.folder.uri}: no checkpoint can be used; " + "; ".join(faults))
        return None

    def _names(self) -> list[str]:
        """The list of the first process: one that sees a folder later must not choose another."""
        told: list[Any] = [[], ""]
        if world()[0] == 0:
            try:
                told[0] = self.folder.names()
            except OSError as error:  # raised in all processes: the others would wait for this one
                told[1] = str(error)
        if self.group is not None:
            distributed.broadcast_object_list(told, src=0, group=self.group)
        names, problem = told
        if problem:
            raise ConfigurationError(f"checkpoints cannot be looked for: {problem}")
        found: list[str] = names
        return found

    def _read(self, name: str) -> tuple[Index | None, str]:
        index, fault, problem = None, "", ""
        try:
            index = self.folder.read(name)
        except DamagedCheckpointError as error:
            fault = str(error)
        except OSError as error:  # no damage: nothing is said against this checkpoint
            problem = str(error)
        told = [(fault, problem)] * world()[1]
        if self.group is not None:
            distributed.all_gather_object(told, (fault, problem), group=self.group)
        if problem := next((one[1] for one in told if one[1]), ""):
            raise OSError(problem)
        fault = next((one[0] for one in told if one[0]), "")
        return (None if fault else index), fault

    def _remove_old(self, newest: str) -> None:
        """Called in the first process, whose save has just become whole."""
        whole = [name for name in self.folder.names() if name not in self.damaged]
        stay = {newest, *whole[-self.keep :]}
        for name in self.folder.attempts():
            if name not in stay:
                self.folder.remove(name)
        self.damaged = []


def load_tensors(
    folder: CheckpointFolder,
    name: str,
    index: Index,
    tensors: dict[str, Tensor],
    group: distributed.ProcessGroup | None,
) -> str:
    """Fill the tensors; what is wrong with the checkpoint, the same on every process, or nothing."""
    planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    reader = CheckpointReader(folder, name, index)
    try:
        load(tensors, storage_reader=reader, planner=planner, process_group=group)
    except CheckpointException as error:
        reasons = [failure[0] for failure in error.failures.values()]
        if not all(isinstance(reason, DamagedCheckpointError) for reason in reasons):
            raise OSError(f"{name}: {_first(error)}") from error
        return str(reasons[0])
    return ""


def load_averages(folder: CheckpointFolder, name: str, index: Index, model: nn.Module) -> None:
    """Give a network's trained parameters the averages of a checkpoint.

    Raises:
        ConfigurationError: the checkpoint is of another model, or damaged.
    """
    ours = {f"average.{n}": p.detach() for n, p in model.named_parameters() if p.requires_grad}
    _require_same(
        name,
        {n: t.shape for n, t in index.tensors.items() if n.startswith("average.")},
        {n: tuple(value.shape) for n, value in ours.items()},
    )
    if fault := load_tensors(folder, name, index, ours, saving_group()):
        raise ConfigurationError(f"{name} is damaged: {fault}; --step takes another")


def trained_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: MovingAverage
) -> dict[str, Tensor]:
    """Parameters that are trained, their averages and their optimizer state, by name."""
    found = dict[str, Tensor]()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[f"model.{name}"] = parameter.detach()
            found[f"average.{name}"] = average.values[name]
            for key, value in optimizer.state.get(parameter, {}).items():
                found[f"optimizer.{key}.{name}"] = value
    return found


def tensors_to_fill(
    index: Index,
    checkpoint: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
) -> dict[str, Tensor]:
    """The tensors that a checkpoint is loaded into; the optimizer gets the state that the checkpoint has.

    Raises:
        ConfigurationError: the checkpoint is of another model.
    """
    optimizer.state.clear()
    on_device = any(group.get("fused") or group.get("capturable") for group in optimizer.param_groups)
    for name, parameter in model.named_parameters():
        keys = [
            key for key in ("step", "exp_avg", "exp_avg_sq") if f"optimizer.{key}.{name}" in index.tensors
        ]
        state = {key: torch.zeros_like(parameter) for key in keys if key != "step"}
        if "step" in keys:
            place = parameter.device if on_device else "cpu"
            state["step"] = torch.zeros((), dtype=torch.float32, device=place)
        if state:
            optimizer.state[parameter] = state
    tensors = trained_tensors(model, optimizer, average)
    _require_same(
        checkpoint,
        {name: stored.shape for name, stored in index.tensors.items()},
        {name: tuple(value.shape) for name, value in tensors.items()},
    )
    return tensors


def _require_same(
    checkpoint: str, theirs: dict[str, tuple[int, ...]], ours: dict[str, tuple[int, ...]]
) -> None:
    if different := theirs.items() ^ ours.items():
        raise ConfigurationError(
            f"{checkpoint} is of another model: {sorted({name for name, _ in different})[:5]}"
        )


def _first(error: CheckpointException) -> str:
    reasons: Sequence[BaseException] = [failure[0] for failure in error.failures.values()]
    return f"{type(reasons[0]).__name__}: {reasons[0]}".partition("\n")[0]


def _tell(line: str) -> None:
    if world()[0] == 0:
        print(line, flush=True)
