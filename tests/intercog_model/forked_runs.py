"""Training runs of several processes that start in a moment, and die where they are told to.

They are forked from a server that has imported PyTorch and the package once; a process of torchrun needs five seconds
for that. Nothing else differs from torchrun: the same command, the same variables of the environment.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["intercog_model.train", "tests.intercog_model.forked_runs"])


@dataclass(frozen=True)
class Death:
    """Where a rank kills itself: at the `count`-th `what` ("write", "put" or "remove") that its saves do."""

    rank: int
    what: str
    count: int


class Run:
    """Processes of one run; `log` has what they printed."""

    def __init__(self, arguments, ranks, log, *, death=None, dump=None, environment=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {
            "WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
            "PWD": str(Path.cwd()),
            **(environment or {}),
        }
        self.log = Path(log)
        self.log.touch()
        self.processes = [
            FORKS.Process(
                target=_rank,
                args=(
                    arguments,
                    str(log),
                    shared | {"RANK": str(r), "LOCAL_RANK": str(r)},
                    death,
                    dump,
                ),
            )
            for r in range(ranks)
        ]
        for process in self.processes:
            process.start()

    def alive(self):
        return all(process.is_alive() for process in self.processes)

    def kill(self):
        """kill -9 for all that is left."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()

    def signal(self, number, rank):
        os.kill(self.processes[rank].pid, number)

    def wait(self, seconds=600):
        """Until one has ended, with the rest killed where it ended badly; the exit codes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(process.is_alive() for process in self.processes):
            if any(process.exitcode not in (None, 0, 75) for process in self.processes):
                break
            time.sleep(0.02)
        self.kill()
        return [process.exitcode for process in self.processes]

    def finish(self, code=0):
        codes = self.wait()
        assert codes == [code] * len(self.processes), (codes, self.log.read_text()[-3000:])
        return self.log.read_text()


def _rank(arguments, log, environment, death, dump):
    os.environ.update(environment)
    os.chdir(environment["PWD"])  # a fork begins where the server does
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    from intercog_model import train  # noqa: PLC0415

    if death is not None and death.rank == int(environment["RANK"]):
        _die_at(death)
    if dump is not None:
        _dump_before_training(dump)
    sys.argv = ["train", *arguments]
    train.leave(train.main(arguments))


def _dump_before_training(path):
    """Write the sha256 of every whole tensor as it stands before the first step."""
    from torch.distributed.tensor import DTensor  # noqa: PLC0415

    from intercog_model.training.checkpoints import trained_tensors  # noqa: PLC0415
    from intercog_model.training.loop import Trainer  # noqa: PLC0415

    plain = Trainer.run

    def run(self):
        found = {}
        for name, value in trained_tensors(self.parts.model, self.optimizer, self.average).items():
            whole = value.full_tensor() if isinstance(value, DTensor) else value
            found[name] = hashlib.sha256(whole.numpy().tobytes()).hexdigest()
        if self.rank == 0:
            Path(path).write_text(json.dumps(found))
        plain(self)

    Trainer.run = run


def _die_at(death):
    """Count what saves write and remove, and die there; what is read is let pass."""
    from intercog_model.training import checkpoint_folder  # noqa: PLC0415

    left = {death.what: death.count}

    def meet(what):
        left[what] = left.get(what, 0) - 1
        if left[what] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class Counting:
        def __getattr__(self, name):
            return getattr(plain, name)

        def put(self, *args, **options):
            meet("put")
            return plain.put(*args, **options)

        def delete(self, *args):
            meet("remove")
            return plain.delete(*args)

        @contextmanager
        def open_writer(self, *args, **options):
            with plain.open_writer(*args, **options) as file:
                yield _CountingFile(file, meet)

    plain = checkpoint_folder.obstore
    checkpoint_folder.obstore = Counting()

    def rmtree(path):
        meet("remove")
        shutil.rmtree(path)

    class Shutil:
        def __getattr__(self, name):
            return rmtree if name == "rmtree" else getattr(shutil, name)

    checkpoint_folder.shutil = Shutil()


class _CountingFile:
    def __init__(self, file, meet):
        self.file, self.meet = file, meet

    def write(self, data):
        self.meet("write")
        return self.file.write(data)
