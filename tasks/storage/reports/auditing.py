"""`verify`: reads a dataset again and reports every object that does not match what refers to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tasks.records.canonical import digest_of, sha256_hex, unseal
from tasks.records.errors import ConfigurationError, DataFault, StorageFault
from tasks.storage.objects.infos import ObjectInfo
from tasks.storage.objects.store import Store
from tasks.storage.protocol.builds import BuildRecord, build_from, link_path
from tasks.storage.protocol.commits import Commit, StoredObject, commit_from, members_digest
from tasks.storage.protocol.layout import (
    ANSWERS,
    ASIDE,
    BUILDS,
    LOGS,
    MANIFEST,
    PARTS,
    RELEASES,
    RUN,
    RUNS,
    STAGES,
    StageKey,
    finished_path,
    is_of_a_dataset,
    is_plain,
    is_written,
)
from tasks.storage.protocol.rows import check_count_law, count_rows, rows_from
from tasks.storage.protocol.stage_end import (
    StageEnd,
    light_rows,
    read_decisions,
    stage_end_from,
    stage_totals,
)
from tasks.storage.protocol.units import Plan, PlanInput, Unit, make_unit, plan_digest, plan_from
from tasks.storage.reports.answers_audit import AnswersAudit

UNFINISHED = "an unfinished release; running its build again completes it"
"""Note on a release without a manifest, unless a marker says that it was completed."""


FOREIGN = "not part of a dataset"
"""Note on an object that no build has written, whatever its name; it is neither read nor moved."""


_FINISHED = re.compile(rf"{RELEASES}/[^/]+-[0-9a-f]+\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An object, by its path below the dataset, and its problem."""

    path: str
    problem: str


@dataclass(slots=True, kw_only=True)
class Audit:
    """Results of `verify`.

    Attributes:
        faults: problems, sorted by path, one per path.
        notes: odd but harmless: unfinished releases, and objects that nothing refers to (left by a killed worker or
            a lost race).
        checked: number of objects checked; ``bytes`` of those read in full.
        resting: damaged or missing kept answer -> units whose blobs it holds; only known after a deep check.
    """

    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)
    checked: int = 0
    bytes: int = 0
    resting: dict[str, set[tuple[StageKey, str]]] = field(default_factory=dict)


def verify(store: Store, *, deep: bool) -> Audit:
    """Checks a dataset: digests in names and references, existence, sizes, the count law.

    Objects that a killed build had not written yet are not faults. A release without a manifest is unfinished and gets
    a note, unless its completion marker exists: then the manifest was lost, which is a fault.

    Args:
        store: of the dataset.
        deep: read every byte that a commit or manifest refers to; otherwise only JSON, and sizes of the rest.

    Raises:
        ConfigurationError: the store holds nothing written by a build.
    """
    return _Auditor(store, deep).run()


class _Auditor:
    """One pass over a dataset, from the leaves, which carry their own digest, to the objects that refer to them."""

    def __init__(self, store: Store, deep: bool) -> None:
        self._store = store
        self._deep = deep
        self._objects: dict[str, ObjectInfo] = {}
        self._answers = AnswersAudit()
        self._named: set[str] = set()
        self._faults: dict[str, str] = {}
        self._audit = Audit()
        self._plans: dict[str, Plan] = {}
        self._units: dict[tuple[StageKey, str], Unit] = {}
        self._commits: dict[tuple[StageKey, str], Commit] = {}
        self._ends: dict[str, StageEnd] = {}
        self._builds: list[BuildRecord] = []
        self._links: dict[str, Mapping[str, Any]] = {}

    def run(self) -> Audit:
        """Runs all checks, each after those whose results it uses."""
        self._list()
        if not any(map(is_of_a_dataset, self._objects)):
            msg = f"OUT={self._store.uri!r}: holds no build"
            raise ConfigurationError(msg)
        for path in self._below(STAGES, "/plans/"):
            self._guarded(path, self._check_plan)
        for path in self._below(STAGES, "/commits/"):
            self._guarded(path, self._check_commit)
        for path in self._below(STAGES):
            if "/attempts/" in path or "/rechecks/" in path or path.endswith("/config.json"):
                self._guarded(path, self._check_sealed)
            elif path.rpartition("/")[2].startswith("stage-") and path.count("/") == 2:
                self._guarded(path, self._check_stage_end)
        for path in self._below(BUILDS):
            self._guarded(path, self._check_build)
        for record in self._builds:
            self._check_links(record)
        for path in self._below(RELEASES):
            if path.endswith(f"/{MANIFEST}") and is_plain(path):
                self._guarded(path, self._check_manifest)
            elif _FINISHED.fullmatch(path) and is_plain(path):
                self._guarded(path, self._check_finished)
        self._check_answers()
        self._note_strangers()
        self._audit.faults = [Fault(path=p, problem=text) for p, text in sorted(self._faults.items())]
        return self._audit

    def _list(self) -> None:
        """Lists all but the answers. A foreign folder that cannot be read is noted; a part of the dataset must be."""
        objects, folders = self._store.top()
        self._objects = {item.path: item for item in objects}
        for folder in folders:
            if folder == ANSWERS:
                continue
            try:
                self._objects |= {item.path: item for item in self._store.list(folder)}
            except StorageFault:
                if folder in PARTS:
                    raise
                self._audit.notes.append(Fault(path=folder, problem=f"{FOREIGN}, and cannot be read"))

    def _below(self, top: str, part: str = "") -> list[str]:
        """Sorted paths; below builds and stages only those that a build gives, since others need not be readable."""
        return sorted(
            p
            for p in self._objects
            if p.startswith(f"{top}/") and part in p and (top == RELEASES or is_written(p))
        )

    def _guarded(self, path: str, check: Callable[[str, bytes], None]) -> None:
        self._require(path, "")
        try:
            check(path, self._store.get(path))
        except DataFault as fault:
            self._fault(path, str(fault))

    def _fault(self, path: str, problem: str) -> None:
        self._faults.setdefault(path, problem.removeprefix(f"{path}: "))

    def _check_sealed(self, path: str, data: bytes) -> None:
        unseal(data, path)

    def _check_plan(self, path: str, data: bytes) -> None:
        plan = plan_from(data, path)
        self._plans[path] = plan
        if plan.path != path:
            self._fault(path, f"holds the plan of {plan.path}")
        self._require(plan.key.config_path, path)
        for unit in plan.units:
            self._units[plan.key, unit.id] = unit
            for parent in unit.parents:
                self._require(parent, f"unit {unit.id} of {path}")
        if any(make_unit(plan.key, _members(u), u.generation, u.extra).id != u.id for u in plan.units):
            self._fault(path, "a unit's id does not match its members")
        inputs = {m.id: m for unit in plan.units for m in _members(unit)}
        if plan_digest(inputs.values()) != plan.plan12:
            self._fault(path, "its name does not match its inputs")

    def _check_commit(self, path: str, data: bytes) -> None:
        commit = commit_from(data, path)
        self._commits[commit.key, commit.unit] = commit
        body = unseal(data, path)
        content = {k: v for k, v in body.items() if k not in ("content", "run", "sha256")}
        if digest_of(content) != commit.content:
            self._fault(path, "its content does not match its own digest")
        unit = self._units.get((commit.key, commit.unit))
        if unit is None:
            self._audit.notes.append(Fault(path=path, problem="the commit of a unit that no plan holds"))
        elif members_digest(unit) != commit.members:
            self._fault(path, "its members differ from those of its plan's unit")
        if commit.tar is not None:
            self._check_object(commit.tar, path)
        rows = self._check_object(commit.rows, path)
        if rows is not None:
            try:
                self._check_rows(commit, unit, rows)
            except DataFault as fault:
                self._fault(commit.rows.path, str(fault))

    def _check_rows(self, commit: Commit, unit: Unit | None, data: bytes) -> None:
        rows = rows_from(data, commit.rows.path)
        if unit is not None:
            check_count_law(rows, unit.members, commit.rows.path)
        if count_rows(rows) != commit.counts:
            self._fault(commit.path, "its counts differ from its rows")
        for row in rows:
            for ref in row.blobs.values():
                by, end = f"{row.id} in {commit.rows.path}", ref.offset + ref.length
                if ref.path.startswith(f"{ANSWERS}/"):
                    self._answers.refer(ref.path, end, by, (commit.key, commit.unit))
                else:
                    self._require(ref.path, by, end)

    def _check_object(self, stored: StoredObject, by: str) -> bytes | None:
        """The object's bytes if they are to be read and match, else None; problems are recorded as faults."""
        self._require(stored.path, by)
        info = self._objects.get(stored.path)
        if info is None:
            return None
        if info.size != stored.bytes:
            self._fault(stored.path, f"has {info.size} bytes, expected {stored.bytes} by {by}")
            return None
        if not self._deep:
            return None
        data = self._store.get(stored.path)
        self._audit.bytes += len(data)
        if sha256_hex(data) != stored.sha256:
            self._fault(stored.path, f"its bytes do not match the digest in {by}")
            return None
        return data

    def _require(self, path: str, by: str, size: int = 0) -> None:
        if path not in self._named:
            self._named.add(path)
            self._audit.checked += 1
        info = self._objects.get(path)
        if info is None:
            self._fault(path, f"is missing; named by {by}")
        elif info.size < size:
            self._fault(path, f"ends before what {by} names")

    def _check_answers(self) -> None:
        found = self._answers.walk(self._store, deep=self._deep)
        self._audit.checked += found.checked
        self._audit.bytes += found.bytes
        self._audit.resting = {path: self._answers.resting_on(path) for path in found.faults}
        self._audit.notes += [Fault(path=path, problem=FOREIGN) for path in found.strangers]
        for path, problem in found.faults.items():
            self._fault(path, problem)

    def _check_stage_end(self, path: str, data: bytes) -> None:
        end = stage_end_from(data, path)
        self._ends[path] = end
        body = unseal(data, path)
        if digest_of({k: v for k, v in body.items() if k not in ("digest", "sha256")}) != end.digest:
            self._fault(path, "its content does not match its own digest")
        plan = self._plans.get(f"{end.key.plans}/{end.plan}.json")
        if plan is None:
            self._require(f"{end.key.plans}/{end.plan}.json", path)
            return
        if set(end.commits) != {unit.id for unit in plan.units}:
            self._fault(path, "its units differ from its plan")
        for unit, content in end.commits.items():
            commit = self._commits.get((end.key, unit))
            if commit is None:
                self._require(end.key.commit_path(unit), path)
            elif commit.content != content:
                self._fault(commit.path, f"is not the commit that {path} counted")
        decisions = end.decisions is None or self._check_object(end.decisions, path) is not None
        if self._deep and decisions and not self._damaged(end):
            rows = list(light_rows(self._store, plan, [self._commits[end.key, u] for u in end.commits]))
            if stage_totals(rows, read_decisions(self._store, end)) != end.totals:
                self._fault(path, "its totals differ from its rows")

    def _damaged(self, end: StageEnd) -> bool:
        commits = [self._commits.get((end.key, unit)) for unit in end.commits]
        return any(c is None or c.path in self._faults or c.rows.path in self._faults for c in commits)

    def _check_build(self, path: str, data: bytes) -> None:
        body = unseal(data, path)
        if path.count("/") == 1:
            record = build_from(data, path)
            content = {k: body[k] for k in ("config", "chain", "first_plan")}
            if digest_of(content)[:12] != record.build:
                self._fault(path, "its name does not match its content")
            self._builds.append(record)
            return
        self._require(f"{path.rpartition('/')[0]}.json", path)
        self._links[path] = body
        key = StageKey(stage=str(body.get("stage")), config8=str(body.get("config8")))
        self._require(key.plan_path(str(body.get("plan12")), int(body.get("generation", 0))), path)

    def _check_links(self, record: BuildRecord) -> None:
        """A link names the plan of the stage before; without that plan's own link the build cannot be followed."""
        stages = {key.stage: before for before, key in pairwise(record.chain)}
        for path, link in self._links.items():
            before = stages.get(str(link.get("stage")))
            if before is None or not path.startswith(f"{BUILDS}/{record.build}/"):
                continue
            reference, start = str(link.get("upstream")), f"{BUILDS}/{record.build}/{before.stage}."
            if any(p.startswith(start) and p.endswith(f".{reference}.json") for p in self._objects):
                continue
            plan = self._plans.get(f"{before.plans}/{reference}.json")
            self._require(
                link_path(record.build, before.stage, reference, plan.upstream if plan else ""), path
            )

    def _check_manifest(self, path: str, data: bytes) -> None:
        body = unseal(data, path)
        folder = path.rpartition("/")[0]
        for item in _listed(body.get("files"), path):
            stored = StoredObject(path=f"{folder}/{item['name']}", bytes=item["bytes"], sha256=item["sha256"])
            self._check_object(stored, path)
        if body.get("schema_version") == 1:  # version 1 keeps in its manifest what is now in RUN.json
            self._check_origin(path, body)
            return
        self._require(f"{folder}/{RUN}", path)
        if f"{folder}/{RUN}" in self._objects:
            self._guarded(f"{folder}/{RUN}", self._check_run)

    def _check_run(self, path: str, data: bytes) -> None:
        body = unseal(data, path)
        if f"{body.get('release')}/{RUN}" != path:
            self._fault(path, f"is about {body.get('release')}")
        self._check_origin(path, body)

    def _check_origin(self, path: str, body: Mapping[str, Any]) -> None:
        """The build that a release came from, and the ends of its stages, must be there."""
        known = {(end.key.stage, end.key.config8, end.plan): end.digest for end in self._ends.values()}
        chain = list(_listed(body.get("chain"), path))
        if body.get("build"):
            self._require(f"{BUILDS}/{body['build']}.json", path)
            for before, link in pairwise([{"plan": ""}, *chain]):
                self._require(link_path(body["build"], link["stage"], link["plan"], before["plan"]), path)
        for link in chain:
            digest = known.get((link["stage"], link["config8"], link["plan"]))
            if digest != link["digest"]:
                self._fault(path, f"was made from another end of {link['stage']} than the stored one")

    def _check_finished(self, path: str, data: bytes) -> None:
        release = str(unseal(data, path).get("release"))
        if finished_path(release) != path:
            self._fault(path, f"is about {release}")
        self._require(f"{release}/{MANIFEST}", path)

    def _note_strangers(self) -> None:
        releases = {_folder(path) for path in self._below(RELEASES) if path.count("/") > 1}
        unnamed = {release for release in releases if f"{release}/{MANIFEST}" not in self._objects}
        for release in sorted(unnamed):
            if finished_path(release) not in self._objects:
                self._audit.notes.append(Fault(path=release, problem=UNFINISHED))
        for path in sorted(self._objects.keys() - self._named):
            if path.partition("/")[0] in (RUNS, LOGS):
                continue  # nothing depends on their contents
            if _folder(path) in unnamed:
                continue  # reported as a whole
            kind = "set aside" if path.startswith(f"{ASIDE}/") else "named by nothing"
            if path.partition("/")[0] not in (RELEASES, ASIDE) and not is_written(path):
                kind = FOREIGN
            self._audit.notes.append(Fault(path=path, problem=kind))


def _folder(path: str) -> str:
    """The release that a path below ``releases/`` belongs to."""
    return "/".join(path.split("/")[:2])


def _members(unit: Unit) -> list[PlanInput]:
    return [PlanInput(id=i, digest=d) for i, d in zip(unit.members, unit.digests, strict=True)]


def _listed(value: object, path: str) -> Iterable[Mapping[str, Any]]:
    if not isinstance(value, list):
        msg = f"{path}: expected a list"
        raise DataFault(msg)
    return value
