"""``groundedit answers list`` and ``answers forget``, and the arguments of ``build --answers-only``."""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime

from flows.build.answers_only import open_replay
from flows.build.plans import Build
from flows.cli.inspect import existing_dataset
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.records.errors import ConfigurationError
from tasks.roles.questions import ROLES
from tasks.storage.reports.forgetting import count_answers, forget

NOT_WITH_ANSWERS_ONLY = ("source", "name", "limit", "exclude", "retry_failed", "recheck")
"""Arguments of ``build`` that would contradict the other dataset."""


def list_answers(arguments: argparse.Namespace) -> int:
    """Prints counts and bytes per role, kind and round."""
    counts = count_answers(existing_dataset(arguments.out), _role(arguments.role) if arguments.role else "")
    if arguments.json:
        tell(json.dumps([asdict(count) for count in counts]))
        return 0
    if not counts:
        tell("no kept answers")
        return 0
    rows = [
        ("role", "kind", "round", "answers", "MB"),
        *((c.role, c.kind, str(c.round), str(c.answers), f"{c.bytes / 1e6:.1f}") for c in counts),
        ("all", "", "", str(sum(c.answers for c in counts)), f"{sum(c.bytes for c in counts) / 1e6:.1f}"),
    ]
    tell(text_table(rows, right=[2, 3, 4]))
    return 0


def forget_answers(arguments: argparse.Namespace) -> int:
    """Sets aside answers and the units that depend on them; the next build asks again."""
    done = forget(
        existing_dataset(arguments.out),
        role=_role(arguments.role),
        since=_moment(arguments.since) if arguments.since else None,
        server=arguments.server or "",
        key=_digits(arguments.key) if arguments.key else "",
    )
    if not done.answers:
        tell("no kept answer matches: nothing was moved")
        return 0
    by_stage = Counter(key.stage for key, _ in done.units)
    units = ", ".join(f"{count} of {stage}" for stage, count in by_stage.items())
    tell(f"set aside {len(done.answers)} answers and {len(done.units)} units{f' ({units})' if units else ''}")
    tell(f"{len(done.moved)} objects moved to aside/; the next build asks again")
    return 0


def open_answers_only(arguments: argparse.Namespace) -> Build:
    """The build that ``build --answers-only --from DATASET --out NEW`` asks for.

    Raises:
        ConfigurationError: see `open_replay`, or arguments that contradict each other.
    """
    if not arguments.origin or not arguments.out:
        msg = "--answers-only: expected --from DATASET and --out NEW"
        raise ConfigurationError(msg)
    given = [name for name in NOT_WITH_ANSWERS_ONLY if getattr(arguments, name)]
    if given:
        msg = f"--{given[0].replace('_', '-')}: not allowed with --answers-only (it comes from {arguments.origin})"
        raise ConfigurationError(msg)
    return open_replay(
        arguments.origin,
        arguments.out,
        assignments=arguments.assignments,
        allow_other_libraries=arguments.allow_other_libraries,
    )


def _role(name: str) -> str:
    if name not in ROLES:
        msg = f"--role {name!r}: unknown role (available: {', '.join(ROLES)})"
        raise ConfigurationError(msg)
    return name


def _moment(text: str) -> datetime:
    """Parses a time as ``2026-01-31`` or ``2026-01-31T12:00``; UTC unless a zone is given."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--since {text!r}: expected a time such as 2026-01-31 or 2026-01-31T12:00+00:00"
        raise ConfigurationError(msg) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _digits(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{1,64}", text) is None:
        msg = f"--key {text!r}: expected the first 1 to 64 hex digits of a key"
        raise ConfigurationError(msg)
    return text
