"""`repair`: moves damaged objects aside, so that the next build makes them again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.records.canonical import digest_of, unseal
from tasks.records.errors import DataFault
from tasks.storage.objects.local_listing import STAGING
from tasks.storage.objects.store import Store
from tasks.storage.protocol.commits import commit_from
from tasks.storage.protocol.layout import (
    ANSWERS,
    ASIDE,
    BUILDS,
    MANIFEST,
    PARTS,
    PROBE,
    RELEASES,
    RUN,
    RUNS,
    STAGES,
    StageKey,
    finished_path,
    is_plain,
    is_written,
    stage_key_of,
    unit_of,
)
from tasks.storage.protocol.stage_end import stage_end_from
from tasks.storage.protocol.written import written
from tasks.storage.reports.auditing import verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What the next build will make again, by path, sorted.

    Attributes:
        moved: now below ``aside/<digest>/`` under their old paths.
        missing: referred to by another object but not in the store.
    """

    moved: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def repair(store: Store) -> Repair:
    """Moves damaged objects aside, with what depends on them or on missing ones; the next build makes them again.

    Raises:
        ConfigurationError: the store holds no dataset.
    """
    audit = verify(store, deep=True)
    faults = {fault.path for fault in audit.faults}
    if not faults:
        return Repair()
    units = {place for path in faults if "/attempts/" not in path and (place := _unit_at(path))}
    units.update(*audit.resting.values())
    moved = set_aside(store, faults, units)
    return Repair(moved=moved, missing=tuple(sorted(path for path in faults if path not in moved)))


def set_aside(store: Store, paths: Iterable[str], units: set[tuple[StageKey, str]]) -> tuple[str, ...]:
    """Moves objects, whole units, and what depends on either to ``aside/<digest>/``; nothing is deleted.

    Stage ends that count one of the units, and releases made from these, move too. The next build makes again what it
    needs.

    Args:
        store: of the dataset.
        paths: objects, existing or not.
        units: with their commits, rows, pixels and attempts.

    Returns:
        The moved paths, sorted.
    """
    named = set(paths)
    answers = {path for path in named if path.startswith(f"{ANSWERS}/") and store.exists(path)}
    present = {o.path for part in PARTS if part != ANSWERS for o in store.list(part) if is_plain(o.path)}
    present |= answers
    moved = named | {path for path in present if _unit_at(path) in units}
    ends = {path for path in present if _is_stage_end(path)}
    moved |= {path for path in ends if path not in moved and _names_any(store, path, units, moved)}
    moved |= {path for path in _manifests(present) if path not in moved and _rests_on(store, path, moved)}
    # Move the completion marker, too: with it, the missing manifest would be a fault that no repair ends.
    releases = [path.removesuffix(f"/{MANIFEST}") for path in _manifests(moved)]
    moved |= {path for release in releases for path in (finished_path(release), f"{release}/{RUN}")}
    moved &= present
    folder = f"{ASIDE}/{digest_of(sorted(moved))[:12]}"
    for path in sorted(moved):
        store.copy(path, f"{folder}/{path}")
    # Releases first, then commits, answers last: after a kill halfway the same command finds the rest again.
    for path in sorted(moved, key=_last_to_go):
        store.delete(path)
    return tuple(sorted(moved))


def _last_to_go(path: str) -> tuple[bool, bool, bool, str]:
    return not path.startswith(RELEASES), path.startswith(ANSWERS), "/commits/" in path, path


def collect_garbage(store: Store, older_than: timedelta) -> list[str]:
    """Remove tars, rows and decisions that no commit or stage's end names, once they are old enough.

    Args:
        store: of the dataset.
        older_than: longer than any unit takes, since a worker stores its objects before its commit.

    Foreign files stay, wherever they lie.

    Raises:
        DataFault: a commit is damaged; what it names cannot be known, so nothing is removed.
    """
    before = datetime.now(UTC) - older_than
    objects = {o.path: o for o in written(store, STAGES)}
    named: set[str] = set()
    for path in objects:
        if "/commits/" in path:
            commit = commit_from(store.get(path), path)
            named |= {commit.rows.path} | ({commit.tar.path} if commit.tar else set())
        elif _is_stage_end(path):
            end = stage_end_from(store.get(path), path)
            named |= {end.decisions.path} if end.decisions else set()
    removable = [
        path
        for path, info in objects.items()
        if re.search(r"/(data|rows|decisions)/", path) and path not in named and info.modified < before
    ]
    for path in removable:
        store.delete(path)
    return sorted(removable + _remove_staging(store, before))


def _remove_staging(store: Store, before: datetime) -> list[str]:
    if store.folder is None:
        return []
    removed = []
    for part in (*PARTS, PROBE):
        for folder, _, names in os.walk(store.folder / part):
            for file in (Path(folder) / name for name in names if STAGING.search(name)):
                path = file.relative_to(store.folder).as_posix()
                whole = STAGING.sub("", path)
                ours = is_written(whole) or part not in (BUILDS, RUNS, STAGES)
                if ours and file.lstat().st_mtime < before.timestamp():
                    file.unlink(missing_ok=True)
                    removed.append(path)
    return removed


def _unit_at(path: str) -> tuple[StageKey, str] | None:
    """The unit that a path belongs to, or None."""
    key = stage_key_of(path)
    if key is None or not re.search(r"/(data|rows|commits|attempts)/", path):
        return None
    return key, path.split("/")[-2] if "/attempts/" in path else unit_of(path)


def _is_stage_end(path: str) -> bool:
    return (
        path.startswith(f"{STAGES}/")
        and path.count("/") == 2
        and path.rpartition("/")[2].startswith("stage-")
    )


def _manifests(paths: Iterable[str]) -> list[str]:
    return sorted(p for p in paths if p.startswith(f"{RELEASES}/") and p.endswith(f"/{MANIFEST}"))


def _names_any(store: Store, path: str, units: set[tuple[StageKey, str]], moved: set[str]) -> bool:
    end = stage_end_from(store.get(path), path)
    if end.decisions is not None and end.decisions.path in moved:
        return True
    return any((end.key, unit) in units for unit in end.commits)


def _rests_on(store: Store, path: str, moved: set[str]) -> bool:
    folder = path.rpartition("/")[0]
    if any(p.startswith(f"{folder}/") for p in moved):
        return True
    try:
        body = unseal(store.get(path), path)
        if body.get("schema_version") != 1:  # version 1 keeps in its manifest what is now in RUN.json
            body = unseal(store.get(f"{folder}/{RUN}"), f"{folder}/{RUN}")
    except DataFault:
        return True
    chain, build = body.get("chain", []), body.get("build")
    if build and any(p.startswith((f"{BUILDS}/{build}.json", f"{BUILDS}/{build}/")) for p in moved):
        return True
    configs = {StageKey(stage=c["stage"], config8=c["config8"]).config_path for c in chain}
    ends = {f"stages/{c['stage']}-{c['config8']}/stage-{c['plan'].replace('.g0', '')}.json" for c in chain}
    return not moved.isdisjoint(ends | configs)
