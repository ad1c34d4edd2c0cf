"""What became of the questions of a route, in numbers, and when its failures are too many to go on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tasks.records.errors import FAILURES, Reason, SampleError, StageStopped

WINDOW = 200
"""Questions over which failures of the model or server are counted."""

COUNTED = frozenset({Reason.BAD_REPLY, Reason.REFUSED_BY_MODEL, Reason.ENDPOINT_REFUSED})
"""Failures that in number mean a wrong or sick server rather than difficult photographs."""

OUT_OF_MEMORY_SHARE = 0.02


@dataclass(slots=True, kw_only=True)
class RouteCounts:
    """Counters of one route since its router was made.

    Attributes:
        asked: calls of `Router.ask`; each of them ends as kept, joined, answered, refused or failed, or is cancelled.
        kept_used: answered by a kept answer.
        joined: waited for an equal question that was in flight already.
        refused: the model or server replied, but not with an answer.
        failed: nobody could answer this question.
        in_flight: put to a pool or server; ``queued`` of them wait for a place on a server (a pool knows its own).
        batches, batched: calls of replicas, and questions in them.
        asked_again: put once more, because of a death, a lack of memory or a reply that could not be read.
        deaths: ends of replicas while they held questions of this route.
        seconds: spent in calls of replicas and requests to servers, summed over all at work at the same time.
    """

    asked: int = 0
    kept_used: int = 0
    joined: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    in_flight: int = 0
    queued: int = 0
    batches: int = 0
    batched: int = 0
    deaths: int = 0
    asked_again: int = 0
    seconds: float = 0.0
    out_of_memory: int = 0
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def ended(self, error: SampleError | None) -> None:
        """Counts the end of a question that was put to somebody: an answer, or why there is none."""
        counted = error is not None and error.reason in COUNTED
        self.recent.append(counted)
        if error is None or error.reason not in FAILURES:
            self.answered += 1  # a rejection in the agreed form is an answer, too
        elif counted:
            self.refused += 1
        else:
            self.failed += 1
            self.out_of_memory += error.reason is Reason.OUT_OF_MEMORY

    def stop(self, route: str) -> StageStopped | None:
        """Why no further question should be put, if so."""
        if sum(self.recent) > WINDOW // 2:
            return StageStopped(
                f"{route}: {sum(self.recent)} of the last {len(self.recent)} questions got no usable reply; "
                "look at the model, its chat template and the server's limits, then run the same command"
            )
        ends = self.answered + self.refused + self.failed
        # Of a few questions one is 2 percent already, so that the share is taken of a full window at least.
        if self.out_of_memory > OUT_OF_MEMORY_SHARE * max(ends, WINDOW):
            return StageStopped(
                f"{route}: {self.out_of_memory} of {ends} questions did not fit the device's memory; "
                "give the pool more (gpu_gb) or send smaller pictures, then run the same command"
            )
        return None

    def status(self, max_batch: int = 0) -> dict[str, Any]:
        """The counters by name, and how full batches were (0..1, of ``max_batch``)."""
        names = ("asked", "kept_used", "joined", "answered", "refused", "failed", "in_flight", "deaths")
        fill = self.batched / (self.batches * max_batch) if self.batches and max_batch else None
        return {
            **{name: getattr(self, name) for name in names},
            "asked_again": self.asked_again,
            "batches": self.batches,
            "batch_fill": fill,
            "seconds": round(self.seconds, 3),
        }
