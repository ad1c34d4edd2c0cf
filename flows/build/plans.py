"""A build and its stage plans, made from the sources and from the kept outputs of the stage before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from flows.build.photographs import with_photographs
from flows.build.recheck import recheck
from flows.build.stage_range import stages_of
from tasks.publishing.plan_release import draft_retry_shards, read_fingerprints, shard_grouping, sid_of
from tasks.publishing.sample_libraries import libraries_of_samples
from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES
from tasks.records.records import SCHEMA_VERSION
from tasks.sources.listing import Listing, list_sources
from tasks.stages.config import BuildConfig
from tasks.stages.registry import check_roles, stage_digests, stage_material
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.builds import BuildRecord, link_plan, list_builds, write_build
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.out_folder import check_out
from tasks.storage.protocol.planning import (
    Grouping,
    draft_plan,
    draft_retry,
    entry_inputs,
    store_plan,
    write_stage_config,
)
from tasks.storage.protocol.rechecks import Mark, mark_changed, read_marks, with_marks
from tasks.storage.protocol.stage_end import failed_inputs, find_stage_end, kept_children
from tasks.storage.protocol.units import Plan, PlanInput

NOT_IDENTITY = ("execution", "out", "pools", "rates", "servers")
"""Sections of the configuration that say how, where and at what price a build runs; no result depends on them."""


@dataclass(slots=True)
class Build:
    """A configuration, its store, and the plans of the stages so far.

    Attributes:
        config: as requested; stored in the build's record.
        located: the same, with named photograph collections replaced by local folders.
        record: set once ingest is planned.
        listing: of the sources, computed once.
        stages: those that this run covers, in order.
        recorded: whether its plans are linked to a record; those of a first look are not.
        whole: whether all stages run one after the other, so that workers may load the next stage's models early.
        recheck: read photographs again that earlier builds read; ``marks``: of those whose bytes changed.
        replay: use kept answers only; ``origin``: a second dataset whose answers count.
        taken_over: the plan of ingest copied from ``origin`` with its commits; no source is read then.
        other_libraries: one line per installed library whose version differs from ``origin``'s; for the card.
    """

    config: BuildConfig
    located: BuildConfig
    store: Store
    digests: dict[str, str]
    retry: bool = False
    recheck: bool = False
    marks: dict[str, Mark] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    record: BuildRecord | None = None
    listing: Listing | None = None
    stages: tuple[str, ...] = STAGES
    recorded: bool = True
    whole: bool = False
    replay: bool = False
    origin: str = ""
    taken_over: Plan | None = None
    other_libraries: tuple[str, ...] = ()

    def key(self, stage: str) -> StageKey:
        """Where the stage is stored under this configuration."""
        return StageKey(stage=stage, config8=self.digests[stage])


def open_build(config: BuildConfig, *, retry: bool = False, recheck: bool = False, stages: str = "") -> Build:
    """Opens the store and returns the build; the store is not checked yet.

    ``stages`` is a range as in `flows.build.stage_range.stages_of`.

    Raises:
        ConfigurationError: an invalid role, range of stages, exclusion file or store, or other files where the dataset
            would lie.
        AssetUnavailable: photographs requested by name cannot be fetched.
        StorageFault: the store cannot be written to.
    """
    chosen = stages_of(stages, config.execution.pause_after)
    check_roles(config)
    check_out(config.out)
    store = open_store(config.out, StoreOptions(min_free_bytes=config.execution.min_free_bytes))
    return Build(
        config=config,
        located=with_photographs(config),
        store=store,
        digests=stage_digests(config),
        retry=retry,
        recheck=recheck,
        stages=chosen,
    )


def listing(build: Build) -> Listing:
    """Lists the sources, and with ``recheck`` reads all that was read before.

    Raises:
        ConfigurationError: a source or an exclusion file is invalid.
        StorageFault: an object store cannot be reached.
    """
    if build.listing is None:
        config = build.located
        listed = list_sources(config.sources, config.exclude, config.limit, config.out)
        key = build.key(STAGES[0])
        entries = with_marks(listed.entries, read_marks(build.store, key))
        notes = listed.notes
        if build.recheck:
            found = recheck(build.store, key, config.sources, entries)
            build.marks = found.marks
            entries = with_marks(listed.entries, read_marks(build.store, key) | found.marks)
            notes = (*notes, found.note)
        build.listing = replace(listed, entries=entries, notes=notes)
    return build.listing


def exclusion_note(build: Build) -> str:
    """Names lines of the exclusion file that match nothing, or ``""``; a typo there would let a photograph in."""
    if build.taken_over is not None:
        return ""
    idle = listing(build).idle_exclusions
    named = ", ".join(idle[:5]) + (f" and {len(idle) - 5} more" if len(idle) > 5 else "")
    return f"exclude={build.config.exclude!r}: no source matches {named}" if idle else ""


def source_notes(build: Build) -> tuple[str, ...]:
    """What was seen in the sources and is not used, a line each."""
    return () if build.taken_over is not None else listing(build).notes


def earlier_note(build: Build) -> str:
    """Names stages in the dataset written by an earlier version, or ``""``; they are read but never written."""
    chains = [r.chain for r in list_builds(build.store) if r.schema_version < SCHEMA_VERSION]
    names = sorted({f"{key.stage}-{key.config8}" for chain in chains for key in chain})
    return f"stages of an earlier version are left unchanged: {', '.join(names)}" if names else ""


def draft(build: Build, stage: str) -> Plan:
    """The stage's plan, without writing it; the stage before must be closed.

    Raises:
        ConfigurationError: the stage before is not finished under this configuration.
    """
    if stage == STAGES[0] and build.taken_over is not None:
        return build.taken_over
    upstream = _upstream(build, stage)
    return draft_plan(
        build.store,
        build.key(stage),
        _inputs(build, stage, upstream),
        unit_size=unit_size(build.config, stage),
        upstream=upstream.reference if upstream else "",
        grouping=_grouping(build, stage, upstream),
    )


def plan(build: Build, stage: str) -> Plan:
    """The stage's plan, stored; with ``retry``, a finished plan that has failures gets its next generation."""
    drafted = draft(build, stage)
    write_stage_config(build.store, build.key(stage), stage_material(build.config, stage))
    if stage == STAGES[0]:
        mark_changed(build.store, build.key(stage), build.marks)
        build.marks = {}
    stored = store_plan(build.store, drafted)
    following = draft_following(build, stored)
    if following is not stored:
        stored = store_plan(build.store, following)
    build.plans[stage] = stored
    _record(build, stored)
    return stored


def draft_following(build: Build, planned: Plan) -> Plan:
    """With ``retry``, the successor of a finished plan that has failures; else the plan itself. Writes nothing."""
    if not build.retry or find_stage_end(build.store, planned) is None:
        return planned
    failed = failed_inputs(build.store, planned)
    if planned.key.stage == "publish":
        return draft_retry_shards(planned, failed)
    return draft_retry(build.store, planned, failed, unit_size(build.config, planned.key.stage))


def unit_size(config: BuildConfig, stage: str) -> int:
    """Maximum inputs per unit; publish splits by shards instead."""
    settings = getattr(config, stage)
    return int(settings.samples_per_shard if stage == "publish" else settings.unit_size)


def _record(build: Build, planned: Plan) -> None:
    """Adds the plan to the build's record, whose identity follows from the configuration and the sources."""
    if not build.recorded:
        return
    if build.record is None:
        # How and where a build runs does not change its results, so it is not part of its identity.
        # The models of servers are in the stages' digests; their addresses may change from day to day.
        content = build.config.model_dump(mode="json", exclude=set(NOT_IDENTITY))
        run = build.config.model_dump(mode="json", include=set(NOT_IDENTITY))
        chain = [build.key(stage) for stage in STAGES]
        build.record = write_build(build.store, content, chain, _plan_of(build, "ingest"), run)
    # All plans up to here: a stage run alone may be the first of this build, whose plans must be traceable.
    for before, stage in pairwise(STAGES[: STAGES.index(planned.key.stage) + 1]):
        # Not the note inside the plan: another build with different earlier plans may have stored this same plan.
        link_plan(build.store, build.record, build.plans[stage], build.plans[before].reference)


def _upstream(build: Build, stage: str) -> Plan | None:
    position = STAGES.index(stage)
    if position == 0:
        return None
    before = STAGES[position - 1]
    if before not in build.plans:
        # A stage run alone follows the plans of the stages before it, without writing.
        build.plans[before] = draft(build, before)
    upstream = build.plans[before]
    if find_stage_end(build.store, upstream) is None:
        msg = (
            f"{stage}: {before} is not finished for this configuration in {build.store.uri}; run it first "
            f"(--stages ..{before})"
        )
        raise ConfigurationError(msg)
    return upstream


def _inputs(build: Build, stage: str, upstream: Plan | None) -> Iterable[PlanInput]:
    if upstream is None:
        return entry_inputs(listing(build).entries)
    return list(kept_children(build.store, upstream))


def _grouping(build: Build, stage: str, upstream: Plan | None) -> Grouping | None:
    if stage != "publish" or upstream is None:
        return None
    sids = {sid_of(item.id) for item in kept_children(build.store, upstream)}
    fingerprints = read_fingerprints(build.store, _plan_of(build, "ingest"), sids)
    before = [_plan_of(build, name) for name in STAGES[: STAGES.index(stage)]]
    return shard_grouping(
        build.key(stage),
        fingerprints,
        build.config.publish,
        seed=build.config.seed,
        libraries=lambda: libraries_of_samples(build.store, before),
    )


def _plan_of(build: Build, stage: str) -> Plan:
    if stage not in build.plans:
        build.plans[stage] = draft(build, stage)
    return build.plans[stage]
