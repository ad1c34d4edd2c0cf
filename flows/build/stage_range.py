"""Which stages a command runs: ``--stages a..b``, and the stop after one of them that the configuration asks for."""

from __future__ import annotations

from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES

DOTS = ".."


def stages_of(text: str, pause_after: str = "") -> tuple[str, ...]:
    """The stages to run, in order.

    Args:
        text: ``""`` (all), ``"grounding"``, ``"ingest..grounding"``, ``"..grounding"`` or ``"editing.."``.
        pause_after: ``execution.pause_after``; it ends the run where the stage is one of those, and does nothing else.

    Raises:
        ConfigurationError: an unknown stage, or a range that ends before it begins.
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
        msg = f"--stages {text!r}: no stage {name!r} (available: {', '.join(STAGES)}; a range as a..b)"
        raise ConfigurationError(msg)
    return STAGES.index(name)
