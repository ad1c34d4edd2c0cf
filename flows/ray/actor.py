"""The actor in a Ray worker process: runs any stage, with one set of models loaded and several units at a time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import ray

from flows.build.fan_out import UnitWorker, WorkerMaker
from flows.build.unit_queue import QueuedUnit
from flows.ray.router_client import RayRouterClient
from tasks.records.errors import EnvironmentFault
from tasks.records.process_environment import set_up
from tasks.worker.engine import Engine, EngineSettings
from tasks.worker.flight import FileLog
from tasks.worker.run_unit import UnitSummary


class UnitActor:
    """Holds one stage's worker; `run` may be called concurrently."""

    def __init__(self, threads: int, settings: EngineSettings, log: str, router: Any) -> None:
        set_up(offline=True)  # a machine of a cluster has an environment of its own
        if not ray.get_gpu_ids():
            # Ray lets an actor without GPUs see all of them; some libraries would then take memory on the first.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        import cv2  # noqa: PLC0415  (only in the worker)

        cv2.setNumThreads(threads)
        self._engine = Engine(settings, FileLog(Path(log)))
        self._client = RayRouterClient(router) if router is not None else None
        self._worker: UnitWorker | None = None
        self._turns = threading.Semaphore()

    def prepare(self, make_worker: WorkerMaker, at_once: int) -> str:
        """Drops the worker of the previous stage and makes this stage's; returns the id of the actor's node.

        Further units than ``at_once`` wait here for their turn, so that the next one is there when one ends.
        """
        self._worker = None
        self._turns = threading.Semaphore(at_once)
        self._worker = make_worker(self._engine, self._client)
        return str(ray.get_runtime_context().get_node_id())

    def run(self, unit: QueuedUnit, suspects: Collection[str]) -> tuple[UnitSummary, float]:
        """Runs one unit; returns its summary and the seconds it took."""
        if self._worker is None:
            msg = "the worker has no stage"
            raise EnvironmentFault(msg)
        with self._turns:
            begun = time.monotonic()
            summary = self._worker.run(unit, suspects=suspects)
            return summary, time.monotonic() - begun

    def sees_gpus(self) -> str:
        """The devices that CUDA would show this process."""
        return os.environ.get("CUDA_VISIBLE_DEVICES", "all")


def start_actor(threads: int, settings: EngineSettings, log: str, router: Any, units_in_flight: int) -> Any:
    """Starts a new actor; Ray's own restarts are off, since they would not know which unit to blame."""
    as_actor: Any = ray.remote
    options = {
        "num_cpus": threads,
        "max_restarts": 0,
        "max_task_retries": 0,
        "max_concurrency": units_in_flight + 1,
    }
    return as_actor(UnitActor).options(**options).remote(threads, settings, log, router)
