"""Pools and servers of a build on Ray: one router actor, replicas on reserved GPUs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from flows.build.service_spec import ServiceSpec
from flows.ray.cluster import RayCluster
from flows.ray.placement import PlacedPool, fits, place
from flows.ray.router_actor import Reservation, start_router
from tasks.records.errors import ModelUnavailable
from tasks.records.outcomes import STAGES
from tasks.stages.config import ExecutionSettings

log = logging.getLogger(__name__)

STATUS_S = 5.0
"""Timeout for reading the router's counters."""


class RayServices:
    """Reserves GPUs stage by stage, before workers take the CPUs. A pool stays up for a later stage while the cards
    have room for it.

    Args:
        cluster: the Ray of the build.
        spec: pools and servers of the build.
        execution: size of a card, and the time to wait for resources.
    """

    def __init__(self, cluster: RayCluster, spec: ServiceSpec, execution: ExecutionSettings) -> None:
        self._cluster = cluster
        self._spec = spec
        self._execution = execution
        self._lock = threading.Lock()
        self._router: Any = None
        self._groups: dict[str, PlacementGroup] = {}
        self._placed: dict[str, PlacedPool] = {}
        self._status: dict[str, Any] = {}

    def router(self) -> Any:
        """The router actor; the first stage with pools has its cards reserved before this returns.

        Raises:
            ConfigurationError: pools that can never fit.
            ModelUnavailable: they could fit, but resources did not become free in time.
        """
        with self._lock:
            if self._router is None:
                self._check_all()
                self._router = start_router(self._spec)
                first = next((stage for stage in STAGES if self._spec.pools_in(stage)), "")
                if first:
                    self._reserve(first)
        return self._router

    def begin_stage(self, stage: str) -> None:
        """Reserves the stage's pools; closes those that neither this stage nor, for lack of room, a later one keeps.

        Raises:
            ConfigurationError, ModelUnavailable: see `router`.
        """
        router = self.router()
        with self._lock:
            self._reserve(stage)
        del router

    def status(self) -> Mapping[str, Any]:
        """Counters of the router, as `Router.status`; the last known ones while it is busy."""
        router = self._router
        if router is None:
            return {}
        try:
            self._status = ray.get(router.status.remote(), timeout=STATUS_S)
        except RayError:  # busy or gone: keep the older counters
            log.debug("the router did not return its counters", exc_info=True)
        return self._status

    def close(self) -> None:
        """Stops the router and its replicas and returns all cards."""
        with self._lock:
            if self._router is not None:
                ray.get(self._router.close.remote())
                ray.kill(self._router)
                self._router = None
            for group in self._groups.values():
                remove_placement_group(group)
            self._groups.clear()
            self._placed.clear()

    def _check_all(self) -> None:
        """Checks that the pools of each stage fit by themselves."""
        for stage in STAGES:
            self._sized(self._spec.pools_in(stage))

    def _sized(self, names: Sequence[str] | frozenset[str]) -> tuple[PlacedPool, ...]:
        pools = {name: self._spec.pools[name] for name in sorted(names)}
        return place(
            pools,
            card_gb=self._execution.card_gb,
            cards=_cards(),
            final=self._cluster.settings.address == "local",
        )

    def _reserve(self, stage: str) -> None:
        needed = self._spec.pools_in(stage)
        missing = sorted(needed - set(self._groups))
        if not missing:
            return
        later = {name for after in STAGES[STAGES.index(stage) :] for name in self._spec.pools_in(after)}
        self._release([name for name in self._groups if name not in later])
        new = self._sized(frozenset(missing))
        if not self._fit_beside(new):
            self._release([name for name in self._groups if name not in needed])
            new = self._sized(frozenset(missing))
        for placed in new:
            self._placed[placed.name] = placed
            self._groups[placed.name] = self._group(placed)
        self._wait([self._groups[placed.name] for placed in new])
        reservations = {
            placed.name: Reservation(group=self._groups[placed.name], placed=placed) for placed in new
        }
        ray.get(self._router.reserve.remote(reservations))

    def _fit_beside(self, new: Sequence[PlacedPool]) -> bool:
        placed = [*self._placed.values(), *new]
        shares = [each.fraction for each in placed for _ in range(each.replicas) if each.fraction]
        return fits(shares, sum(_cards()))

    def _release(self, names: Sequence[str]) -> None:
        if not names:
            return
        ray.get(self._router.release.remote(list(names)))
        for name in names:
            remove_placement_group(self._groups.pop(name))
            del self._placed[name]

    def _group(self, placed: PlacedPool) -> PlacementGroup:
        bundles = [placed.bundle for _ in range(placed.replicas)]
        make: Any = placement_group
        group: PlacementGroup = make(
            bundles, strategy="PACK", name=f"groundedit-{placed.name}-{time.time_ns()}"
        )
        return group

    def _wait(self, groups: Sequence[PlacementGroup]) -> None:
        """Waits until all groups are placed, or raises after the configured time."""
        refs = [group.ready() for group in groups]
        ready, waiting = ray.wait(refs, num_returns=len(refs), timeout=self._execution.wait_for_resources_s)
        del ready
        if waiting:
            state: Any = ray
            have, free = state.cluster_resources(), state.available_resources()
            requested = ", ".join(f"{p.name} {p.replicas} x {p.bundle}" for p in self._placed.values())
            msg = (
                f"pools wait for resources for {self._execution.wait_for_resources_s:g} s "
                f"(execution.wait_for_resources_s): asked {requested}; the cluster has {_few(have)}, free {_few(free)}"
            )
            raise ModelUnavailable(msg)


def _cards() -> list[int]:
    """GPUs of each node that is alive."""
    state: Any = ray
    nodes: list[dict[str, Any]] = state.nodes()
    return [int(node["Resources"].get("GPU", 0)) for node in nodes if node["Alive"]]


def _few(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {resources.get(name, 0):g}" for name in ("CPU", "GPU"))
