"""Resources that are held for a pool or server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from flows.ray.placement import Placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Cards for the replicas of a pool or server: one bundle each.

    Attributes:
        group: None where a replica needs nothing that is counted.
        card_gb: memory of a card, GB.
        loopback: all processes run on this machine, so that a server listens on 127.0.0.1; else at its node's address.
    """

    group: PlacementGroup | None
    placed: Placed
    card_gb: float
    loopback: bool

    def options(self) -> dict[str, Any]:
        """Options of an actor that is one of the replicas; it is made again by nobody but the router."""
        placed = self.placed
        options: dict[str, Any] = {
            "num_cpus": placed.settings.cpus,
            "num_gpus": placed.share,
            "resources": placed.settings.resources,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if self.group is None:
            return options
        # Any bundle of the group, since that of a replica that just died is freed a moment later.
        return {
            **options,
            "scheduling_strategy": PlacementGroupSchedulingStrategy(placement_group=self.group),
        }
