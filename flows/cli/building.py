"""``groundedit build`` and ``groundedit plan``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from flows.build.estimate import estimate, estimate_text
from flows.build.plans import Build, earlier_note, exclusion_note, open_build
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.build.session import finished_release, open_session
from flows.cli.answers import open_answers_only
from flows.cli.funnel_table import funnel_table
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from flows.prefect.task_runs import run_flow, start_prefect
from tasks.publishing.finish_release import Release, mark_finished
from tasks.publishing.funnel import stage_ends
from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES
from tasks.storage.objects.store import local_folder
from tasks.storage.reports.tallies import tally_of_end


def build(arguments: argparse.Namespace) -> int:
    """Photographs to a release; a finished build is only reported."""
    began = time.monotonic()
    request = request_of(arguments)
    progress = Progress(quiet=arguments.quiet)
    ready = _opened(arguments, request)
    config = ready.config
    release = None if request.retry_failed else finished_release(ready)
    if release is not None:
        mark_finished(ready.store, release)
        progress.note("this build is finished: nothing was left to do")
        print_result(ready, release, {}, time.monotonic() - began)
        return 0
    if note := earlier_note(ready):
        progress.note(note)
    server = start_prefect(verbose=arguments.verbose) if config.execution.prefect else None
    with open_session(ready, progress=progress, verbose=arguments.verbose) as session:
        if config.execution.prefect:
            run_flow(session, request, server)
        else:
            session.run_plainly()
        release = session.finish()
        start_up = session.start_up_s or 0.0
    seconds = {name: stage.seconds for name, stage in progress.stages.items() if stage.fresh}
    print_result(ready, release, seconds, time.monotonic() - began, start_up)
    return 0


def plan(arguments: argparse.Namespace) -> int:
    """What `build` would do with the same arguments."""
    request = request_of(arguments)
    config, _ = resolve(request)
    with _not_made(local_folder(config.out)):
        ready = open_build(config, retry=request.retry_failed)
        lines = estimate(ready)
        notes = [earlier_note(ready), exclusion_note(ready)]
    for note in filter(None, notes):
        Progress().note(note)
    tell(json.dumps([asdict(line) for line in lines], indent=2) if arguments.json else estimate_text(lines))
    return 0


@contextmanager
def _not_made(folder: Path | None) -> Iterator[None]:
    """Opening a store makes its folder; those made within are taken away again, as long as they are empty."""
    made = [path for path in (folder, *folder.parents) if not path.exists()] if folder is not None else []
    try:
        yield
    finally:
        with suppress(OSError):  # not made after all, or somebody else's by now
            for path in made:
                path.rmdir()


def _opened(arguments: argparse.Namespace, request: BuildRequest) -> Build:
    if arguments.answers_only:
        return open_answers_only(arguments)
    unused = (
        "--from" if arguments.origin else "--allow-other-libraries" if arguments.allow_other_libraries else ""
    )
    if unused:
        msg = f"{unused}: only with --answers-only"
        raise ConfigurationError(msg)
    return open_build(resolve(request)[0], retry=request.retry_failed)


def request_of(arguments: argparse.Namespace) -> BuildRequest:
    """The request that the command line spells."""
    return BuildRequest(
        profile=arguments.profile,
        source=tuple(arguments.source),
        out=arguments.out or "",
        name=arguments.name or "",
        assignments=tuple(arguments.assignments),
        limit=arguments.limit,
        exclude=arguments.exclude or "",
        retry_failed=arguments.retry_failed,
    )


def print_result(
    build: Build, release: Release, seconds: Mapping[str, float], total: float, start_up: float = 0.0
) -> None:
    """Tables of what became of every input, then where the release and its gallery lie.

    ``seconds`` are wall seconds by stage; a stage that was done before has none, nor has one without inputs.
    """
    ends = stage_ends(build.store, [build.plans[stage] for stage in STAGES])
    tallies = [tally_of_end(end) for end in ends]
    took = [
        f"{seconds[t.stage]:.1f}" if t.stage in seconds else "before" if t.inputs.count else "-"
        for t in tallies
    ]
    tell(funnel_table(tallies, {"seconds": took}))
    types = release.manifest["edit_types"]
    samples = sum(release.manifest["samples"].values())
    rows = [
        ("edit type", "samples"),
        *((kind, str(count)) for kind, count in types.items()),
        ("all", str(samples)),
    ]
    tell(f"\n{text_table(rows, right=[1])}\n")
    if not samples:
        tell("no sample came out: the table above says what was refused and why, the gallery shows it")
    tell(f"{'seconds':<9}{total:.1f}" + (f", {start_up:.1f} of them to start" if start_up else ""))
    tell(f"{'release':<9}{build.store.url(release.folder)}")
    tell(f"{'gallery':<9}{build.store.url(release.folder)}/gallery/index.html")
