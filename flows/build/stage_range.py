"""Parses ``--stages a..b``, and applies the configured ``pause_after``."""

from __future__ import annotations

from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES

DOTS = ".."


def stages_of(text: str, pause_after: str = "") -> tuple[str, ...]:
    """The stages to run, in order.

    Args:
        text: ``""`` (all), ``"grounding"``, ``"ingest..grounding"``, ``"..grounding"`` or ``"editing.."``.
        pause_after: ``execution.pause_after``; ends the run after this stage if it is one of them.

    Raises:
        ConfigurationError: an unknown stage, or a reversed range.
    """
    first, dots, last = text.strip().partition(DOTS)
    begin = _position(text, first, 0)
    end = _position(text, last, len(STAGES) - 1) if dots else begin if text.strip() else len(STAGES) - 1
    if end < begin:
        msg = f"--stages {text!r}: {last.strip()} comes before {first.strip()}"
        raise ConfigurationError(msg)
    chosen = STAGES[begin : end + 1]
    if pause_after in chosen:
        return chosen[: chosen.index(pause_after) + 1]
    return chosen


def _position(text: str, name: str, default: int) -> int:
    name = name.strip()
    if not name:
        return default
    if name not in STAGES:
        msg = f"--stages {text!r}: unknown stage {name!r} (available: {', '.join(STAGES)}; ranges as a..b)"
        raise ConfigurationError(msg)
    return STAGES.index(name)
