"""Pools and servers of a build on Ray: one router actor, replicas on reserved GPUs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from flows.build.service_spec import ServiceSpec
from flows.ray.cluster import RayCluster
from flows.ray.placement import Placed, fits, place, shares_of
from flows.ray.reservation import Reservation
from flows.ray.router_actor import start_router
from tasks.records.errors import ConfigurationError, EnvironmentFault, ModelUnavailable
from tasks.records.outcomes import STAGES
from tasks.roles.placement import OnCards
from tasks.stages.config import ExecutionSettings

log = logging.getLogger(__name__)

STATUS_S = 5.0
"""Timeout for reading the router's counters."""

POLL_S = 0.5
"""How often a wait for resources looks whether it is still wanted."""


class RayServices:
    """Reserves GPUs stage by stage, before workers take the CPUs. A pool or server stays up for a later stage while the
    cards have room for it.

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
        self._closing = threading.Event()
        self._reserved = False
        self._router: Any = None
        self._groups: dict[str, PlacementGroup | None] = {}
        self._placed: dict[str, Placed] = {}
        self._status: dict[str, Any] = {}

    def router(self) -> Any:
        """The router actor; the first stage with pools or servers has its cards reserved before this returns.

        Raises:
            ConfigurationError: pools and servers that can never fit.
            ModelUnavailable: they could fit, but resources did not become free in time.
        """
        with self._lock:
            if self._router is None:
                self._check_all()
                self._router = start_router(self._spec)
            first = next((stage for stage in STAGES if self._spec.placed_in(stage)), "")
            if first and not self._reserved:
                self._reserve(first)
        return self._router

    def begin_stage(self, stage: str) -> None:
        """Reserves what the stage's pools and servers need; closes those that neither this stage nor, for lack of room,
        a later one keeps.

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

    def stop_waiting(self) -> None:
        """Ends a wait for resources in another thread, which `close` would wait for."""
        self._closing.set()

    def close(self) -> None:
        """Stops the router and its replicas and returns all cards."""
        with self._lock:
            if self._router is not None:
                ray.get(self._router.close.remote())
                ray.kill(self._router)
                self._router = None
            for group in filter(None, self._groups.values()):
                remove_placement_group(group)
            self._groups.clear()
            self._placed.clear()

    def _check_all(self) -> None:
        """Checks that pools and servers of each stage fit by themselves, and that interpreters of pools are there."""
        for stage in STAGES:
            self._sized(self._spec.placed_in(stage))
        if not self._is_local:
            return  # the path is one of other machines
        for name, pool in self._spec.pools.items():
            if pool.python and not Path(pool.python).is_file():
                msg = f"pools.{name}.python={pool.python!r}: no such file; expected an interpreter (…/bin/python)"
                raise ConfigurationError(msg)

    def _sized(self, services: Mapping[str, OnCards], beside: Sequence[float] = ()) -> tuple[Placed, ...]:
        return place(
            services,
            card_gb=self._execution.card_gb,
            cards=_cards(),
            final=self._is_local,
            beside=beside,
        )

    @property
    def _is_local(self) -> bool:
        return self._cluster.settings.address == "local"

    def _reserve(self, stage: str) -> None:
        needed = self._spec.placed_in(stage)
        new = self._new_beside_kept(stage, needed)
        for placed in new:
            self._placed[placed.name] = placed
            self._groups[placed.name] = self._group(placed)
        if new:
            try:
                self._wait([group for placed in new if (group := self._groups[placed.name]) is not None])
            except EnvironmentFault:
                self._give_up(new)  # else the next try would take them for reserved
                raise
            ray.get(self._router.reserve.remote({placed.name: self._reservation(placed) for placed in new}))
        self._reserved = True
        if needed:
            ray.get(self._router.expect.remote(sorted(needed)))

    def _new_beside_kept(self, stage: str, needed: Mapping[str, OnCards]) -> tuple[Placed, ...]:
        """What has to be placed for a stage, after closing what is in its way: first what no later stage asks, then
        what this one does not, and at last all, since an earlier stage may have had room for more replicas.
        """
        later = {name for after in STAGES[STAGES.index(stage) :] for name in self._spec.placed_in(after)}
        for kept in (later, set(needed), set[str]()):
            self._release([name for name in self._groups if name not in kept])
            missing = {name: settings for name, settings in needed.items() if name not in self._groups}
            beside = shares_of([*self._placed.values()])
            new = self._sized(missing, beside)
            if not new or fits([*beside, *shares_of(new)], _cards()):
                break
        return new

    def _reservation(self, placed: Placed) -> Reservation:
        return Reservation(
            group=self._groups[placed.name],
            placed=placed,
            card_gb=self._execution.card_gb,
            loopback=self._is_local,
        )

    def _release(self, names: Sequence[str]) -> None:
        if not names:
            return
        ray.get(self._router.release.remote(list(names)))
        self._give_up([self._placed[name] for name in names])

    def _give_up(self, those: Sequence[Placed]) -> None:
        for placed in those:
            if (group := self._groups.pop(placed.name)) is not None:
                remove_placement_group(group)
            del self._placed[placed.name]

    def _group(self, placed: Placed) -> PlacementGroup | None:
        if not placed.bundle:
            return None
        bundles = [placed.bundle for _ in range(placed.replicas)]
        make: Any = placement_group
        group: PlacementGroup = make(
            bundles, strategy="PACK", name=f"groundedit-{placed.name}-{time.time_ns()}"
        )
        return group

    def _wait(self, groups: Sequence[PlacementGroup]) -> None:
        """Waits until all groups are placed, or raises after the configured time."""
        if not groups:
            return
        refs = [group.ready() for group in groups]
        until = time.monotonic() + self._execution.wait_for_resources_s
        waiting = refs
        while waiting and not self._closing.is_set() and (left := until - time.monotonic()) > 0:
            waiting = ray.wait(refs, num_returns=len(refs), timeout=min(POLL_S, left))[1]
        if waiting and self._closing.is_set():
            msg = "stopped waiting for resources: the build is closing"
            raise EnvironmentFault(msg)
        if waiting:
            state: Any = ray
            have, free = state.cluster_resources(), state.available_resources()
            requested = ", ".join(f"{p.name} {p.replicas} x {p.bundle}" for p in self._placed.values())
            msg = (
                f"pools and servers wait for resources for {self._execution.wait_for_resources_s:g} s "
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
