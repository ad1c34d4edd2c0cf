"""``groundedit build`` and ``groundedit plan``."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from flows.build.drain import Drained
from flows.build.estimate import estimate
from flows.build.log_files import log_lines
from flows.build.plans import Build, draft, earlier_note, exclusion_note, open_build, source_notes
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.build.service_spec import service_spec
from flows.build.session import finished_release, open_session
from flows.build.stage_range import stages_of
from flows.cli.answers import open_answers_only
from flows.cli.estimate_table import estimate_text
from flows.cli.funnel_table import funnel_table
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from flows.prefect.task_runs import run_flow, start_prefect
from tasks.publishing.finish_release import Release, mark_finished
from tasks.publishing.funnel import stage_ends
from tasks.records.errors import ConfigurationError, EnvironmentFault, StageStopped
from tasks.records.outcomes import STAGES
from tasks.storage.objects.uris import local_folder
from tasks.storage.reports.tallies import tally_of_end

STOPPED = 3
"""Exit code of a build that stopped before its end."""


def build(arguments: argparse.Namespace) -> int:
    """Builds a release from photographs; a finished build is only reported."""
    began = time.monotonic()
    request = request_of(arguments)
    progress = Progress(quiet=arguments.quiet)
    ready = _opened(arguments, request)
    if ready.stages[0] != STAGES[0]:
        draft(ready, ready.stages[0])  # raises before anything is started if the stage before is not finished
    config = ready.config
    release = None if request.retry_failed else finished_release(ready)
    if release is not None:
        mark_finished(ready.store, release)
        progress.note("this build is already finished")
        print_result(ready, release, {}, time.monotonic() - began)
        return 0
    if note := earlier_note(ready):
        progress.note(note)
    try:
        release, start_up = _run(ready, request, progress, verbose=arguments.verbose)
    except Drained as stop:
        progress.note(str(stop))
        return STOPPED
    except (StageStopped, EnvironmentFault) as error:
        for line in log_lines(service_spec(ready), str(error)):
            progress.note(line)
        raise
    seconds = {name: stage.seconds for name, stage in progress.stages.items() if stage.fresh}
    total = time.monotonic() - began
    if release is None:
        print_part(ready, seconds, total, start_up, out=arguments.out or config.out)
    else:
        print_result(ready, release, seconds, total, start_up)
    return 0


def _run(
    ready: Build, request: BuildRequest, progress: Progress, *, verbose: bool
) -> tuple[Release | None, float]:
    """Runs the build's stages; returns the release if publish is one of them, and the start-up seconds."""
    execution = ready.config.execution
    server = start_prefect(verbose=verbose) if execution.prefect else None
    with open_session(ready, progress=progress, verbose=verbose) as session:
        if execution.prefect:
            run_flow(session, request, server)
        else:
            session.run_plainly()
        release = session.finish() if ready.stages[-1] == STAGES[-1] else None
        return release, session.start_up_s or 0.0


def plan(arguments: argparse.Namespace) -> int:
    """Shows what `build` would do with the same arguments."""
    request = request_of(arguments)
    config, _ = resolve(request)
    with _not_made(local_folder(config.out)):
        ready = open_build(config, retry=request.retry_failed, recheck=request.recheck, stages=request.stages)
        lines = estimate(ready)
        notes = [earlier_note(ready), exclusion_note(ready), *source_notes(ready)]
    for note in filter(None, notes):
        Progress().note(note)
    if arguments.json:
        tell(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        tell(estimate_text(lines, config.rates))
    return 0


@contextmanager
def _not_made(folder: Path | None) -> Iterator[None]:
    """Removes folders that were created inside the context, if still empty: opening a store creates its folder."""
    made = [path for path in (folder, *folder.parents) if not path.exists()] if folder is not None else []
    try:
        yield
    finally:
        with suppress(OSError):  # it was not created after all, or another process uses it by now
            for path in made:
                path.rmdir()


def _opened(arguments: argparse.Namespace, request: BuildRequest) -> Build:
    if arguments.answers_only:
        ready = open_answers_only(arguments)
        ready.stages = stages_of(request.stages, ready.config.execution.pause_after)
        return ready
    unused = (
        "--from" if arguments.origin else "--allow-other-libraries" if arguments.allow_other_libraries else ""
    )
    if unused:
        msg = f"{unused}: only allowed with --answers-only"
        raise ConfigurationError(msg)
    return open_build(
        resolve(request)[0], retry=request.retry_failed, recheck=request.recheck, stages=request.stages
    )


def request_of(arguments: argparse.Namespace) -> BuildRequest:
    """The request given by the command line."""
    return BuildRequest(
        profile=arguments.profile,
        source=tuple(arguments.source),
        out=arguments.out or "",
        name=arguments.name or "",
        assignments=tuple(arguments.assignments),
        limit=arguments.limit,
        exclude=arguments.exclude or "",
        stages=arguments.stages or "",
        retry_failed=arguments.retry_failed,
        recheck=arguments.recheck,
    )


def print_part(
    build: Build, seconds: Mapping[str, float], total: float, start_up: float = 0.0, *, out: str
) -> None:
    """The result of a build that stopped before its release on request, and how to look at it and resume."""
    last = build.stages[-1]
    _print_funnel(build, STAGES[: STAGES.index(last) + 1], seconds)
    tell(f"\n{'seconds':<9}{_seconds(total, start_up)}")
    paused = build.config.execution.pause_after == last
    because = f"paused after {last} (execution.pause_after)" if paused else f"done: {', '.join(build.stages)}"
    further = "--set execution.pause_after=''" if paused else f"--stages {STAGES[STAGES.index(last) + 1]}.."
    tell(because)
    tell(f"{'look':<9}groundedit gallery {shlex.quote(out)}")
    tell(f"{'resume':<9}the same command with {further}")


def print_result(
    build: Build, release: Release, seconds: Mapping[str, float], total: float, start_up: float = 0.0
) -> None:
    """Prints tables of the outcome of every input, then the paths of the release and its gallery.

    ``seconds`` are wall seconds by stage; stages that ran before, or that have no inputs, have none.
    """
    _print_funnel(build, STAGES, seconds)
    types = release.manifest["edit_types"]
    samples = sum(release.manifest["samples"].values())
    rows = [
        ("edit type", "samples"),
        *((kind, str(count)) for kind, count in types.items()),
        ("all", str(samples)),
    ]
    tell(f"\n{text_table(rows, right=[1])}\n")
    if not samples:
        tell("no sample was accepted: the table above counts the reasons, the gallery shows the pictures")
    tell(f"{'seconds':<9}{_seconds(total, start_up)}")
    tell(f"{'release':<9}{build.store.url(release.folder)}")
    tell(f"{'gallery':<9}{build.store.url(release.folder)}/gallery/index.html")


def _print_funnel(build: Build, stages: Sequence[str], seconds: Mapping[str, float]) -> None:
    ends = stage_ends(build.store, [build.plans[stage] for stage in stages])
    tallies = [tally_of_end(end) for end in ends]
    took = [
        f"{seconds[t.stage]:.1f}" if t.stage in seconds else "before" if t.inputs.count else "-"
        for t in tallies
    ]
    tell(funnel_table(tallies, {"seconds": took}))


def _seconds(total: float, start_up: float) -> str:
    return f"{total:.1f}" + (f", {start_up:.1f} of them to start" if start_up else "")
