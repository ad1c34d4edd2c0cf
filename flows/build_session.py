"""What a build holds open while it runs: its store, its pool of workers and its progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flows.fan_out import Pool
from flows.progress import Progress
from flows.release import release_context
from flows.stage_runner import Build, draft, opened_pool, run_stage
from tasks.outcomes import STAGES
from tasks.publishing.finish_release import Release, find_release, finish_release
from tasks.storage.stage_end import find_stage_end


@dataclass(slots=True)
class Session:
    """An open build."""

    build: Build
    pool: Pool
    progress: Progress

    @property
    def dashboard_url(self) -> str:
        """Where Ray's dashboard listens, or ``""``."""
        return str(getattr(self.pool, "dashboard_url", ""))

    def run_plainly(self) -> Release:
        """All stages and the release, without Prefect."""
        for stage in STAGES:
            run_stage(self.build, stage, self.pool, self.progress)
        return self.finish()

    def finish(self) -> Release:
        """See `finish`."""
        return finish(self.build)


@contextmanager
def open_session(
    build: Build, *, progress: Progress | None = None, verbose: bool = False
) -> Iterator[Session]:
    """Checks the store, as far as that needs writing, and opens the pool.

    Raises:
        ConfigurationError: the store can't keep the commit protocol.
        StorageFault: it can't be written to, or has too little space left.
    """
    build.store.probe()
    with opened_pool(build.config.execution, verbose=verbose) as pool:
        yield Session(build=build, pool=pool, progress=progress or Progress())


def finished_release(build: Build) -> Release | None:
    """The build's release if every stage and the manifest are there; nothing is written, no model is loaded."""
    for stage in STAGES:
        build.plans[stage] = draft(build, stage)
        if find_stage_end(build.store, build.plans[stage]) is None:
            build.plans.clear()
            return None
    plans = [build.plans[stage] for stage in STAGES]
    return find_release(build.store, plans, release_context(build.config, build.digests))


def finish(build: Build) -> Release:
    """The release of closed stages, made if it isn't there.

    Raises:
        DataFault: a stage is open, or what the store holds doesn't fit its digests.
    """
    return finish_release(
        build.store,
        [build.plans[stage] for stage in STAGES],
        context=release_context(build.config, build.digests),
        settings=build.config.publish,
        build=build.record.build if build.record is not None else "",
    )
