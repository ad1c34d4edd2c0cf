"""What a build keeps open while it runs: its store, its pool of workers and its progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flows.build.check_environment import check_environment
from flows.build.drain import Drain
from flows.build.fan_out import Pool
from flows.build.first_look import first_looks
from flows.build.licenses import release_context
from flows.build.live_preview import LivePreview, open_preview
from flows.build.log_files import log_lines
from flows.build.plans import Build, plan
from flows.build.progress import Progress
from flows.build.run_report import RunReport
from flows.build.server_check import check_servers
from flows.build.service_spec import service_spec
from flows.build.stage_runner import opened_pool, run_stage
from tasks.gallery.release_gallery import release_gallery
from tasks.publishing.find_release import Release
from tasks.publishing.finish_release import finish_release
from tasks.records.outcomes import STAGES
from tasks.storage.reports.tallies import tally_of_end


@dataclass(slots=True)
class Session:
    """An open build; ``drain`` stops it in good order."""

    build: Build
    pool: Pool
    progress: Progress
    opened: float
    preview: LivePreview
    start_up_s: float | None = None
    drain: Drain = field(default_factory=Drain)

    @property
    def dashboard_url(self) -> str:
        """Where Ray's dashboard listens, or ``""``."""
        return str(getattr(self.pool, "dashboard_url", ""))

    def ready(self) -> None:
        """Waits for the workers, once, and reports how long start-up took.

        Raises:
            EnvironmentFault: they could not be started.
        """
        if self.start_up_s is not None:
            return
        self.pool.ready()
        self.start_up_s = time.monotonic() - self.opened
        self.progress.note(f"ready after {self.start_up_s:.1f} s; {self.pool.workers} workers")
        for line in log_lines(service_spec(self.build)):
            self.progress.note(line)
        if self.dashboard_url:
            self.progress.note(f"Ray dashboard: {self.dashboard_url}")

    def run_plainly(self) -> None:
        """The build's stages one after the other, without Prefect.

        Raises:
            Drained: SIGTERM came; what was begun is committed.
            GroundEditError: as the stages raise them.
        """
        self.ready()
        self.look_first()
        self.build.whole = True
        for stage in self.build.stages:
            run_stage(self.build, stage, self.pool, self.progress, drain=self.drain)

    def look_first(self) -> None:
        """A few photographs through all stages, where the configuration asks for it, until there is a sample.

        Raises:
            Drained, GroundEditError: as `run_plainly`.
        """
        for first in first_looks(self.build):
            with self.progress.first_look():
                for stage in first.stages:
                    end = run_stage(first, stage, self.pool, self.progress, drain=self.drain)
                    if stage == STAGES[0]:
                        plan(self.build, stage)  # its record is what `status` looks for
            if tally_of_end(end).outputs.kept:
                return

    def finish(self) -> Release:
        """See `finish`."""
        self.drain.check_interrupt()
        with self.drain.listening():  # a release that is almost complete is still finished
            release = finish(self.build)
        self.preview.finish(release.folder)
        return release


@contextmanager
def open_session(
    build: Build, *, progress: Progress | None = None, verbose: bool = False
) -> Iterator[Session]:
    """Checks the surroundings, the store and the servers, then opens the pool.

    Raises:
        ConfigurationError: the store cannot keep the commit protocol, or a variable of the environment is wrong.
        StorageFault: the store cannot be written to, or has too little space left.
    """
    opened = time.monotonic()
    progress = progress or Progress()
    check_environment()
    build.store.probe()
    spec = service_spec(build)
    for line in check_servers(spec.servers, spec.routes):
        progress.note(line)
    try:
        with (
            opened_pool(build, verbose=verbose) as pool,
            RunReport(build, pool, progress),
            open_preview(build, progress) as preview,
        ):
            session = Session(build=build, pool=pool, progress=progress, opened=opened, preview=preview)
            with session.drain.listening():
                yield session
    finally:
        progress.close()


def finish(build: Build) -> Release:
    """The release of closed stages, written unless it exists.

    Raises:
        DataFault: a stage is open, or data in the store does not match its digests.
    """
    plans = [build.plans[stage] for stage in STAGES]
    return finish_release(
        build.store,
        plans,
        context=release_context(build.config, build.digests),
        settings=build.config.publish,
        build=build.record.build if build.record is not None else "",
        write_gallery=release_gallery(build.store, plans, build.config.publish),
    )
