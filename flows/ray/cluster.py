"""A local Ray (loopback only, with a token, fast to start) or a cluster's; it starts in the background."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.ray.head_check import ANSWER_S, check_head
from flows.ray.overrides import ask_no_cloud, stay_on_loopback
from tasks.records.errors import EnvironmentFault, GroundEditError
from tasks.records.process_environment import set_up

OBJECT_STORE_BYTES = 80 * 1024 * 1024
"""Without pools only ids and counts pass through it; Ray's minimum is 75 MiB."""

BYTES_PER_MEGAPIXEL = 3_000_000
"""Size of an RGB picture sent from a worker to a pool."""

STARTS = 4
"""Tries to start a local Ray, which allows its node only 30 s, too little on a busy machine."""

JOINED_S = 120.0
"""Longest time to join a Ray whose head answered; how long a local one takes depends on how busy this machine is."""

SHORT = 24
"""Longest path of a folder for temporary files that leaves room for the names of Ray's sockets below it."""

SHORT_FOLDER = (
    f"; its sockets need a folder that can be written and has a short path: set TMPDIR to one of at most {SHORT} "
    "characters"
)

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
"""Makes glibc return what networks free after each picture; it would keep half a gigabyte of it per worker.

A worker pays with some 4 percent of its CPU time; a threshold of 1 MiB costs a fifth, since pictures are mapped again
each time. Two workers and everything else stay below 4 GB.
"""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
"""Variables that numeric libraries read when they are loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Which Ray to use, and its size.

    Attributes:
        address: ``local`` starts one; ``auto`` or ``host:port`` joins one.
        workers: actors; 0 means one per `threads` cores of the cluster.
        threads: a worker's numeric threads, and the cores it requests from Ray.
        dashboard: start the dashboard of a local Ray.
        gpus: GPUs of a local Ray; None: those that Ray detects.
        megapixels: of all photographs in one worker whose pictures may be sent to pools; 0 without pools.
        more_cpus: CPUs that a local Ray has beyond those of the workers, for pools.
        verbose: print the workers' output.
    """

    address: str = "local"
    workers: int = 0
    threads: int = 1
    dashboard: bool = False
    gpus: int | None = None
    megapixels: float = 0.0
    more_cpus: int = 0
    verbose: bool = False


class RayCluster:
    """Starts Ray in a thread, so that planning and Prefect's server start at the same time."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        self.dashboard_url = ""
        self._folder = ""
        self._error: GroundEditError | None = EnvironmentFault(
            "Ray's starting thread ended before Ray was up"
        )
        self._answered = threading.Event()
        self._ended = threading.Event()
        prepare_environment(settings)
        threading.Thread(target=self._live, name="ray", daemon=True).start()

    def wait(self) -> None:
        """Returns when Ray is up.

        Raises:
            EnvironmentFault: it did not start, or the cluster cannot be reached.
            ConfigurationError: the address is none.
        """
        if not self._answered.wait(self._patience_s):
            msg = (
                f"Ray at {self.settings.address!r} answers, but could not be joined within {JOINED_S:g} s; are there "
                "the same versions of Python and Ray, and the head's RAY_AUTH_TOKEN?"
            )
            raise EnvironmentFault(msg)
        if self._error is not None:
            raise self._error

    @property
    def _patience_s(self) -> float | None:
        return None if self.settings.address == "local" else ANSWER_S + JOINED_S

    @property
    def workers(self) -> int:
        """Number of actors to run."""
        if self.settings.workers:
            return self.settings.workers
        if self.settings.address == "local":
            return max(1, cores() // self.settings.threads)
        import ray  # noqa: PLC0415

        self.wait()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return max(1, int(resources.get("CPU", 1)) // self.settings.threads)

    def stop(self) -> None:
        """Stops a local Ray, or disconnects from the cluster."""
        if self._answered.wait(self._patience_s):
            import ray  # noqa: PLC0415

            ray.shutdown()
        self._ended.set()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _live(self) -> None:
        # On Linux Ray's processes end with the *thread* that started them, so this one stays alive.
        try:
            self._start()
        finally:
            self._answered.set()
        self._ended.wait()

    def _start(self) -> None:
        import ray  # noqa: PLC0415  (takes a second, and reads the environment set in `prepare_environment`)

        try:
            if self.settings.address == "local":
                stay_on_loopback()
                ask_no_cloud()
            else:
                check_head(self.settings.address)
        except GroundEditError as error:
            self._error = error
            return
        logging.getLogger("ray").setLevel(logging.WARNING if self.settings.verbose else logging.ERROR)
        context: Any = None
        for attempt in range(STARTS):
            try:
                context = ray.init(**self._arguments())
                break
            except Exception as error:
                # A failed start raises any class, even a bare `Exception`, depending on where the launcher stopped.
                ray.shutdown()
                hint = SHORT_FOLDER if isinstance(error, OSError) and self.settings.address == "local" else ""
                msg = f"Ray at {self.settings.address!r} could not be started or reached: {error}{hint}"
                self._error = EnvironmentFault(msg)
                if "timed out during startup" not in str(error) or attempt + 1 == STARTS:
                    return
        self._error = None
        self.dashboard_url = f"http://{context.dashboard_url}" if context.dashboard_url else ""

    def _object_store_bytes(self) -> int:
        """Twice the size of the pictures of all samples in flight, limited by the machine's shared memory."""
        room = 2 * BYTES_PER_MEGAPIXEL * self.settings.megapixels * self.workers
        return max(OBJECT_STORE_BYTES, min(int(room), shared_memory_bytes() * 8 // 10))

    def _arguments(self) -> dict[str, Any]:
        settings = self.settings
        common: dict[str, Any] = {
            "address": settings.address,
            "log_to_driver": settings.verbose,
            "logging_level": logging.WARNING if settings.verbose else logging.ERROR,
            "namespace": "groundedit",
        }
        if settings.address != "local":
            return {**common, "runtime_env": {"env_vars": thread_limits(settings.threads)}}
        # Unix socket paths are limited to about 100 characters, and two builds must not share a session folder.
        _sweep(_short_folder())
        self._folder = tempfile.mkdtemp(prefix=f"ge-{os.getpid()}-", dir=_short_folder())
        return {
            **common,
            "num_cpus": max(cores(), self.workers * settings.threads) + settings.more_cpus,
            **({} if settings.gpus is None else {"num_gpus": settings.gpus}),
            "include_dashboard": settings.dashboard,
            "dashboard_host": "127.0.0.1",
            "object_store_memory": self._object_store_bytes(),
            "_temp_dir": self._folder,
        }


def shared_memory_bytes() -> int:
    """Free shared memory of this machine; containers often have 64 MiB."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def prepare_environment(settings: ClusterSettings) -> None:
    """Sets the variables that Ray reads; those set by the user are kept.

    Ray's processes inherit the thread limits from here: a runtime environment would start each of them a second time.
    """
    set_up()
    if settings.address == "local":
        # The switch meant to keep Ray on loopback on a Mac works on Linux, too (for the processes Ray starts).
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Ray's workers run at nice 15 otherwise, so any other process on the machine would take precedence.
        os.environ.setdefault("RAY_worker_niceness", "0")
        # Otherwise an actor without GPUs sees all of them; our workers hide them from themselves as well.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
        for name, value in ALLOCATOR.items():
            os.environ.setdefault(name, value)
        os.environ.update(thread_limits(settings.threads))
        _let_workers_import_us()


def thread_limits(threads: int) -> Mapping[str, str]:
    """Environment variables that limit a worker to so many numeric threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def cores() -> int:
    """Cores this process may use (the share of its container or `taskset`, not the machine's)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _let_workers_import_us() -> None:
    # In a checkout that is not installed, the driver's search path does not reach the workers by itself.
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, known), root])


def _short_folder() -> str:
    folder = tempfile.gettempdir()
    return folder if len(folder) <= SHORT else "/tmp"


def _sweep(folder: str) -> None:
    """Removes session folders of this user's killed drivers; each is named after its process."""
    for path in Path(folder).glob("ge-*-*"):
        pid = path.name.split("-")[1]
        if pid.isdigit() and path.stat().st_uid == os.getuid() and not _runs(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
