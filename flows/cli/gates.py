"""``groundedit gates``: tries the word gates on texts, without any model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from flows.build.request import BuildRequest, resolve
from flows.cli.terminal import tell
from tasks.records.errors import ConfigurationError
from tasks.records.user_path import user_path
from tasks.stages.instruction.words.gates import gates_named
from tasks.stages.instruction.words.json_line import check_line


def gates(arguments: argparse.Namespace) -> int:
    """Prints one verdict per line of the file, as JSON; an unreadable line gets a verdict, too.

    Raises:
        ConfigurationError: an unknown profile or gate, or an unreadable file.
    """
    config, _ = resolve(BuildRequest(profile=arguments.profile, assignments=tuple(arguments.assignments)))
    names: tuple[str, ...] = config.instruction.gates
    if arguments.gates is not None:
        names = tuple(name.strip() for name in arguments.gates.split(",") if name.strip())
        gates_named(names, "--gates")
    for line in _lines(user_path(arguments.file)):
        if line.strip():
            # Half of a surrogate pair can't be written; as "\\ud800" it stays JSON.
            verdict = json.dumps(check_line(line, names), ensure_ascii=False)
            tell(verdict.encode("utf-8", "backslashreplace").decode("utf-8"))
    return 0


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path}: {error.strerror or error}"
        raise ConfigurationError(msg) from error
    # Split at line feeds only: JSON strings may contain other Unicode line separators.
    return data.decode("utf-8-sig", errors="replace").split("\n")
