"""Starts a dataset from another one's finished first stage: copies its plan, commits, rows and pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tasks.records.canonical import sha256_hex
from tasks.records.errors import DataFault
from tasks.storage.objects.read_many import find_many
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import Commit, StoredObject, commit_from
from tasks.storage.protocol.stage_end import find_stage_end
from tasks.storage.protocol.units import Plan, plan_bytes

BATCH = 64
"""Commits read at once."""


def take_over(origin: Store, store: Store, plan: Plan) -> int:
    """Copies a closed plan and everything it depends on; each object is checked against its digest.

    Existing objects are kept, so an interrupted copy can be continued. The stage's end comes last.

    Returns:
        Number of units copied.

    Raises:
        DataFault: the plan is not closed, or an object is missing or damaged.
    """
    end = find_stage_end(origin, plan)
    if end is None:
        msg = f"{plan.key.stage}: plan {plan.reference} in {origin.uri} is not finished, so it cannot be taken over"
        raise DataFault(msg)
    store.put_if_absent(plan.key.config_path, origin.get(plan.key.config_path))
    store.put_if_absent(plan.path, plan_bytes(plan))
    copied = 0
    for commit in commits_of(origin, plan):
        if store.exists(commit.path):
            continue
        for named in (commit.tar, commit.rows):
            if named is not None:
                store.put(named.path, _checked(origin, named, commit.path))
        store.put_if_absent(commit.path, origin.get(commit.path))
        copied += 1
    path = plan.key.stage_end_path(plan.plan12, plan.generation)
    if end.decisions is not None:
        store.put(end.decisions.path, _checked(origin, end.decisions, path))
    store.put_if_absent(path, origin.get(path))
    return copied


def take_over_plans(origin: Store, store: Store, plans: Iterable[Plan]) -> None:
    """Copies plans without their commits, so that units are cut the same way; stops at the first plan of a retry.

    A retry's plan names rows of units with failures; with all answers known those rows come out differently.
    """
    for plan in plans:
        if plan.generation:
            return
        config = origin.find(plan.key.config_path)
        if config is not None:
            store.put_if_absent(plan.key.config_path, config)
        store.put_if_absent(plan.path, plan_bytes(plan))


def commits_of(store: Store, plan: Plan, *, all_needed: bool = True) -> Iterator[Commit]:
    """Commits of a plan's units, in its order, a few in memory at a time.

    Raises:
        DataFault: one is damaged, or missing while all are needed.
    """
    for start in range(0, len(plan.units), BATCH):
        paths = [plan.key.commit_path(unit.id) for unit in plan.units[start : start + BATCH]]
        for path, data in zip(paths, find_many(store, paths), strict=True):
            if data is not None:
                yield commit_from(data, path)
            elif all_needed:
                msg = f"{path}: missing from {store.uri}"
                raise DataFault(msg)


def recorded_libraries(store: Store, plans: Sequence[Plan]) -> dict[str, set[str]]:
    """Library -> versions with which the units of these plans were made, from the commits that exist.

    Raises:
        DataFault: a commit is damaged.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for plan in plans:
        for commit in commits_of(store, plan, all_needed=False):
            libraries: Mapping[str, str] = commit.run.get("libraries", {})
            for name, version in libraries.items():
                found[name].add(version)
    return dict(found)


def _checked(store: Store, named: StoredObject, by: str) -> bytes:
    data = store.get(named.path)
    if sha256_hex(data) != named.sha256:
        msg = f"{named.path}: bytes do not match the digest in {by}"
        raise DataFault(msg)
    return data
