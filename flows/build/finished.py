"""Whether a build is finished already, found without models, Prefect, Ray or templates, so that it is said at once."""

from __future__ import annotations

from flows.build.licenses import release_context
from flows.build.plans import Build, draft
from tasks.publishing.find_release import Release, find_release
from tasks.records.outcomes import STAGES
from tasks.storage.protocol.stage_end import find_stage_end


def finished_release(build: Build) -> Release | None:
    """The build's release if every stage and the manifest exist; writes nothing, loads no model."""
    for stage in STAGES:
        build.plans[stage] = draft(build, stage)
        if find_stage_end(build.store, build.plans[stage]) is None:
            build.plans.clear()
            return None
    plans = [build.plans[stage] for stage in STAGES]
    return find_release(build.store, plans, release_context(build.config, build.digests))
