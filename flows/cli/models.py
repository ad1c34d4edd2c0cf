"""``groundedit models try``: one photograph through every role of a profile."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.build.try_models import Tried, try_models
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.records.user_path import user_path


def try_profile(arguments: argparse.Namespace) -> int:
    """A line per role; exit code 1 when one did not answer.

    Raises:
        ConfigurationError: the profile, a server or the photograph is not as it should be.
    """
    request = BuildRequest(profile=arguments.profile, assignments=tuple(arguments.assignments))
    config, _ = resolve(request)
    progress = Progress(quiet=arguments.json)

    def show(one: Tried) -> None:
        progress.note(f"{one.role}: {one.problem or one.answer}")

    tried, notes = try_models(config, user_path(arguments.photo), show)
    failed = [one.role for one in tried if one.problem]
    if arguments.json:
        tell(json.dumps({"roles": [asdict(one) for one in tried], "notes": notes}, indent=2))
        return 1 if failed else 0
    rows = [("role", "answered by", "load s", "answer s", "MB", "GPU MB", "answer", "model")]
    rows += [
        (
            one.role,
            one.run,
            f"{one.load_s:.1f}",
            f"{one.answer_s:.1f}",
            f"{one.memory_bytes / 1e6:.0f}" if one.memory_bytes else "-",
            f"{one.gpu_bytes / 1e6:.0f}" if one.gpu_bytes is not None else "-",
            one.answer or one.problem,
            one.model,
        )
        for one in tried
    ]
    tell(text_table(rows, right=range(2, 6)))
    for note in notes:
        tell(f"note: {note}")
    tell(
        f"{len(failed)} of {len(tried)} roles did not answer: {', '.join(failed)}"
        if failed
        else f"all {len(tried)} roles answered"
    )
    return 1 if failed else 0
