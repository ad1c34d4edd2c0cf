"""Reads many objects in order, several at a time where each costs a round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from tasks.storage.objects.store import Store

AT_ONCE = 32
"""Requests in flight to a remote store; also the number of objects held in memory."""


def find_many(store: Store, paths: Iterable[str]) -> Iterator[bytes | None]:
    """The bytes of each object in the order of the paths; None for a missing one."""
    if store.folder is not None:
        yield from map(store.find, paths)
        return
    remaining = iter(paths)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="read-many") as pool:
        while batch := list(islice(remaining, AT_ONCE)):
            yield from pool.map(store.find, batch)
