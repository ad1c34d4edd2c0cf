"""Seconds per question of each role: measured by earlier runs on the dataset, else as the profile states them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tasks.records.errors import DataFault
from tasks.roles.rates import RateSettings
from tasks.storage.objects.store import Store
from tasks.storage.protocol.layout import RUNS
from tasks.storage.protocol.written import written

Basis = Literal["measured", "stated", "unknown"]

ENOUGH = 5
"""Questions below which a measured rate says little: most of its time may be a single slow one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Seconds of one instance (a replica, a URL) per question; None where nobody says.

    Attributes:
        questions: that were measured.
    """

    seconds: float | None
    basis: Basis
    questions: int = 0


def measured_rates(store: Store) -> dict[str, Rate]:
    """Rate by route, over all runs that left their counters with the dataset; reads the store only.

    Raises:
        DataFault: a run's file is damaged.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    questions: defaultdict[str, int] = defaultdict(int)
    for info in written(store, RUNS):
        data = store.find(info.path)
        try:
            routes = json.loads(data)["services"].get("routes", {}) if data else {}
            for name, route in routes.items():
                # Runs of earlier versions counted no busy time.
                if "busy_s" in route:
                    seconds[name] += float(route["busy_s"])
                    questions[name] += sum(int(route[kind]) for kind in ("answered", "refused", "failed"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataFault(f"{info.path}: not the state of a run: {error}") from error
    return {
        name: Rate(seconds=seconds[name] / asked, basis="measured", questions=asked)
        for name, asked in questions.items()
        if asked >= ENOUGH and seconds[name]
    }


def rate_of(role: str, route: str, measured: Mapping[str, Rate], stated: RateSettings) -> Rate:
    """The measured rate of a route, else the stated one of its role."""
    if route in measured:
        return measured[route]
    if role in stated.seconds:
        return Rate(seconds=stated.seconds[role], basis="stated")
    return Rate(seconds=None, basis="unknown")
