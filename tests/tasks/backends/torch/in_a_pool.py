"""A loaded backend asked through the batching of pools, as a build asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tasks.records.errors import SampleError
from tasks.roles.batching import Pool
from tasks.roles.placement import PoolSettings
from tasks.roles.replicas import ThreadReplica
from tasks.roles.route_counts import RouteCounts


class NotedBackend:
    """Notes the size of each batch that reaches a backend."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.sizes: list[int] = []

    def answer(self, questions: Sequence[Any]) -> Any:
        self.sizes.append(len(questions))
        return self.backend.answer(questions)


def ask_in_a_pool(backend: Any, questions: Sequence[Any], max_batch: int) -> list[Any]:
    """Answers or `SampleError`s of questions that are asked at the same time."""

    async def run() -> list[Any]:
        replica = ThreadReplica({"r": backend}, ThreadPoolExecutor(max_workers=1))

        async def make(pool: str) -> ThreadReplica:
            return replica

        settings = PoolSettings(holds=("detector",), max_batch=max_batch, max_wait_ms=50)
        pool = Pool("perception", settings, make, {"r": RouteCounts()})
        found = await asyncio.gather(*(pool.ask("r", q) for q in questions), return_exceptions=True)
        await pool.close()
        return list(found)

    answers = asyncio.run(run())
    assert all(isinstance(a, SampleError) or not isinstance(a, BaseException) for a in answers), answers
    return answers
