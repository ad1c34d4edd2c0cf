"""How long pools and servers were busy, shared among the routes that had questions there: what a question costs.

Neither the latency of a question nor the sum of latencies says that: a server has dozens of requests in flight, and a
replica holds a second batch while it works on the first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from time import monotonic


class Occupancy:
    """Busy time of the instances (replicas of a pool, URLs of a server) by route. Used from one event loop.

    Args:
        clock: seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._in_flight: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._since: dict[str, float] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def changed(self, run: str, route: str, by: int, instances: int) -> None:
        """A question of ``route`` was put to ``run`` (``by`` = 1) or has ended (-1).

        Args:
            run: name of the pool or server.
            route: name of the route.
            by: change of its number of questions in flight.
            instances: of ``run`` that can work now; while a pool loads or a server is down nobody is busy.
        """
        now, at_work = self._clock(), self._in_flight[run]
        total = at_work.total()
        if total:
            # With fewer questions than instances the others are idle.
            busy = (now - self._since[run]) * min(total, instances)
            for name, number in at_work.items():
                self._seconds[name] += busy * number / total
        self._since[run] = now
        at_work[route] += by

    def seconds(self, route: str) -> float:
        """Instance-seconds that went into the questions of a route so far."""
        return self._seconds.get(route, 0.0)
