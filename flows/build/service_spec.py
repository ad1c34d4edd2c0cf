"""Which pools and servers a build needs, and in which stages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.build.plans import Build
from tasks.records.outcomes import STAGES
from tasks.roles.calls import Route
from tasks.roles.placement import OnCards, PoolSettings, ServerSettings
from tasks.stages.registry import routes_of
from tasks.storage.objects.infos import StoreOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """All models outside the workers; picklable.

    Attributes:
        routes: all routes, each once.
        stages: stage -> names of the routes it asks.
        pools, servers: those named by a route.
        uri, options: store of the dataset, where answers are kept.
        replay: use kept answers only; ``origin``: a second dataset whose answers count.
    """

    routes: tuple[Route, ...] = ()
    stages: Mapping[str, frozenset[str]] = field(default_factory=dict)
    pools: Mapping[str, PoolSettings] = field(default_factory=dict)
    servers: Mapping[str, ServerSettings] = field(default_factory=dict)
    uri: str = ""
    options: StoreOptions = field(default_factory=StoreOptions)
    replay: bool = False
    origin: str = ""

    def routes_in(self, pool: str) -> tuple[Route, ...]:
        """Routes answered by a pool."""
        return tuple(route for route in self.routes if route.run == pool)

    def placed_in(self, stage: str) -> dict[str, OnCards]:
        """Pools, and servers that the build starts, that a stage asks; by name."""
        names = self.stages.get(stage, frozenset())
        runs = {route.run for route in self.routes if route.name in names}
        return {name: settings for name, settings in self.placed().items() if name in runs}

    def placed(self) -> dict[str, OnCards]:
        """All pools, and all servers that the build starts; servers first, as they are started."""
        own = {name: server.serve for name, server in self.servers.items() if server.serve is not None}
        return {**own, **self.pools}

    def placed_cpus(self) -> int:
        """CPUs that pools and servers reserve, with one replica each unless a number is configured."""
        count = sum(
            each.cpus * (1 if each.replicas == "auto" else each.replicas) for each in self.placed().values()
        )
        return math.ceil(count)


def service_spec(build: Build) -> ServiceSpec:
    """The plan of a build; a replay starts no models."""
    config = build.config
    by_stage = {stage: tuple(routes_of(config, stage).values()) for stage in STAGES}
    routes = tuple({route.name: route for found in by_stage.values() for route in found}.values())
    runs = {route.run for route in routes}
    asked = not build.replay
    return ServiceSpec(
        routes=routes,
        stages={stage: frozenset(route.name for route in found) for stage, found in by_stage.items()},
        pools={name: pool for name, pool in config.pools.items() if name in runs and asked},
        servers={name: server for name, server in config.servers.items() if name in runs and asked},
        uri=build.store.uri,
        options=build.store.options,
        replay=build.replay,
        origin=build.origin,
    )
