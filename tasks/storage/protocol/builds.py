"""Builds: the resolved configuration and the chain of plans that belong to one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks.records import version_1
from tasks.records.canonical import digest_of, seal, unseal
from tasks.records.errors import DataFault
from tasks.records.records import SCHEMA_VERSION
from tasks.storage.objects.store import Store
from tasks.storage.protocol.fault_points import FaultPoint, pass_point
from tasks.storage.protocol.layout import BUILDS, StageKey
from tasks.storage.protocol.planning import load_plan
from tasks.storage.protocol.units import Plan
from tasks.storage.protocol.written import written


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """What a build was asked to do.

    Attributes:
        build: 12 hex digits over the configuration, the chain and the planned sources: the same command over the
            same photographs is the same build.
        config: the resolved configuration, as JSON.
        chain: the stages with their digests, in order.
        first_plan: plan12 of the first stage.
        run: when and where it started; not part of ``build``.
        schema_version: of the program that recorded it; part of ``build`` only through the stages' digests.
    """

    build: str
    config: Mapping[str, Any]
    chain: tuple[StageKey, ...]
    first_plan: str
    run: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def path(self) -> str:
        """Path of the record."""
        return f"{BUILDS}/{self.build}.json"


def write_build(
    store: Store,
    config: Mapping[str, Any],
    chain: Sequence[StageKey],
    first_plan: Plan,
    run: Mapping[str, Any],
) -> BuildRecord:
    """Records a build unless it exists, links its first plan, and returns the stored record."""
    content = {
        "config": dict(config),
        "chain": [[key.stage, key.config8] for key in chain],
        "first_plan": first_plan.plan12,
    }
    build = digest_of(content)[:12]
    began = {"started": datetime.now(UTC).isoformat(timespec="milliseconds"), **run}
    body = {**content, "build": build, "run": began, "schema_version": SCHEMA_VERSION}
    store.put_if_absent(f"{BUILDS}/{build}.json", seal(body))
    pass_point(FaultPoint.BUILD_RECORDED)
    record = read_build(store, build)
    link_plan(store, record, first_plan, upstream="")
    return record


def link_plan(store: Store, record: BuildRecord, plan: Plan, upstream: str) -> None:
    """Records that the build uses this plan after ``upstream`` (`Plan.reference` of the stage before)."""
    note = {
        "stage": plan.key.stage,
        "config8": plan.key.config8,
        "plan12": plan.plan12,
        "generation": plan.generation,
        "upstream": upstream,
    }
    store.put_if_absent(link_path(record.build, plan.key.stage, plan.reference, upstream), seal(note))


def link_path(build: str, stage: str, reference: str, upstream: str) -> str:
    """Path of the record that a build uses the plan ``reference`` of a stage after ``upstream``."""
    return f"{BUILDS}/{build}/{stage}.{upstream or 'sources'}.{reference}.json"


def read_build(store: Store, build: str) -> BuildRecord:
    """Reads a build's record. Raises `DataFault` if it is missing or damaged."""
    path = f"{BUILDS}/{build}.json"
    return build_from(store.get(path), path)


def build_from(data: bytes, path: str) -> BuildRecord:
    """Parses a record. Raises `DataFault` naming ``path``."""
    body = unseal(data, path)
    try:
        record = BuildRecord(
            build=body["build"],
            config=body["config"],
            chain=tuple(StageKey(stage=stage, config8=config8) for stage, config8 in body["chain"]),
            first_plan=body["first_plan"],
            run=body["run"],
            schema_version=body.get("schema_version", version_1.VERSION),
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path}: not a build of the expected shape ({error})"
        raise DataFault(msg) from error
    if record.path != path:
        msg = f"{path}: holds the record of {record.path}"
        raise DataFault(msg)
    return record


def list_builds(store: Store) -> list[BuildRecord]:
    """All builds of a dataset, the latest first."""
    names = [o.path.removeprefix(f"{BUILDS}/") for o in written(store, BUILDS)]
    records = [read_build(store, name.removesuffix(".json")) for name in names if "/" not in name]
    return sorted(records, key=lambda r: (str(r.run.get("started", "")), r.build), reverse=True)


def build_plans(store: Store, record: BuildRecord, *, partial: bool = False) -> list[Plan]:
    """The plans of a build so far, in the order of its chain; newest generations.

    Args:
        store: of the dataset.
        record: of the build.
        partial: stop at a missing plan instead of raising, for datasets from which files were removed.

    Raises:
        DataFault: a plan is damaged or missing.
    """
    links = [unseal(store.get(o.path), o.path) for o in written(store, f"{BUILDS}/{record.build}")]
    plans: list[Plan] = []
    for key in record.chain:
        upstream = plans[-1].reference if plans else ""
        mine = [
            link
            for link in links
            if (link["stage"], link["config8"], link["upstream"]) == (key.stage, key.config8, upstream)
        ]
        if not mine:
            break
        newest = max(mine, key=lambda link: (link["generation"], link["plan12"]))
        if partial and not store.exists(key.plan_path(newest["plan12"], newest["generation"])):
            break
        plans.append(load_plan(store, key, newest["plan12"], newest["generation"]))
    return plans
