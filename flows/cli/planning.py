"""``groundedit plan``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from flows.build.estimate import estimate
from flows.build.plans import earlier_note, exclusion_note, open_build, source_notes
from flows.build.progress import Progress
from flows.build.request import resolve
from flows.cli.building import request_of
from flows.cli.estimate_table import estimate_text
from flows.cli.terminal import tell
from tasks.storage.objects.uris import local_folder


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
    made: list[Path] = []
    with suppress(OSError):  # what cannot even be looked at is refused inside
        made = [path for path in (folder, *folder.parents) if not path.exists()] if folder is not None else []
    try:
        yield
    finally:
        with suppress(OSError):  # it was not created after all, or another process uses it by now
            for path in made:
                path.rmdir()
