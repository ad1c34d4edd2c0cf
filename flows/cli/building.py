"""``groundedit build``; what only a build that is not finished needs is imported when it runs."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping, Sequence

from flows.build.drain import Drained
from flows.build.finished import finished_release
from flows.build.log_files import log_lines
from flows.build.plans import Build, draft, earlier_note, open_build
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.build.service_spec import service_spec
from flows.build.stage_range import stages_of
from flows.cli.funnel_table import funnel_table
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.publishing.find_release import Release, mark_finished
from tasks.publishing.funnel import stage_ends
from tasks.records.errors import ConfigurationError, EnvironmentFault, StageStopped
from tasks.records.outcomes import STAGES
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
        progress.note("this build is already finished: nothing to do")
        print_result(ready, release, {}, time.monotonic() - began)
        return 0
    if note := earlier_note(ready):
        progress.note(note)
    try:
        from flows.cli.run_build import run_build  # noqa: PLC0415  (seconds, and a finished build needs none of it)

        release, start_up = run_build(ready, request, progress, verbose=arguments.verbose)
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


def _opened(arguments: argparse.Namespace, request: BuildRequest) -> Build:
    if arguments.answers_only:
        from flows.cli.answers import open_answers_only  # noqa: PLC0415

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
