"""The table of ``groundedit plan``."""

from __future__ import annotations

from collections.abc import Sequence

from flows.build.estimate import StageEstimate
from flows.build.gpu_hours import RoleCost
from flows.cli.tables import text_table
from tasks.roles.rates import RateSettings

MODELS = (
    "stage", "role", "answered by", "questions", "s each", "basis", "hours", "cards", "GPU-hours", "cost",
)  # fmt: skip
"""Header of the second table."""


def estimate_text(lines: Sequence[StageEstimate], rates: RateSettings | None = None) -> str:
    """The estimate as a table and some sentences: the total, and what its numbers rest on."""
    rates = rates or RateSettings()
    rows = [("stage", "inputs", "units", "reused", "inputs left", "seconds", "MB", "configuration")]
    for line in lines:
        about = "" if line.known else "~"
        rows.append(
            (
                line.stage,
                f"{about}{line.inputs}",
                f"{about}{line.units}" if line.units else "-",
                str(line.reused_units),
                f"{about}{line.open_inputs}",
                f"~{line.seconds:.0f}",
                f"~{line.bytes / 1e6:.0f}",
                line.config8,
            )
        )
    seconds = sum(line.seconds for line in lines)
    size = sum(line.bytes for line in lines)
    total = (
        f"about {_duration(seconds)} and {size / 1e6:.0f} MB to go; start-up not counted; nothing was done"
    )
    parts = [f"{text_table(rows, right=range(1, 7))}\n{total}"]
    if any(line.models.roles for line in lines):
        parts.append(_models_text(lines, rates))
    return "\n\n".join(parts)


def _models_text(lines: Sequence[StageEstimate], rates: RateSettings) -> str:
    """GPU-hours by stage and role, and which seconds per question were measured, stated or are not known."""
    rows: list[tuple[str, ...]] = [MODELS]
    for line in lines:
        if not line.models.roles:
            continue
        cost, fits = line.models.cost, not line.models.problem
        rows.append(
            (
                line.stage, "", "", "", "", "",
                f"~{line.models.hours:.2f}" if fits else "-",
                f"{line.models.cards:g}" if fits else "-",
                f"~{line.models.gpu_hours:.2f}" if fits else "-",
                f"~{cost:.2f}" if cost is not None else "-",
            )
        )  # fmt: skip
        rows += [_role_row(role, rates) for role in line.models.roles]
    hours = sum(line.models.gpu_hours for line in lines)
    costs = [line.models.cost for line in lines if line.models.cost is not None]
    money = f", about {sum(costs):.2f} {rates.currency}" if costs else ""
    total = f"about {hours:.2f} GPU-hours{money}; a stage reserves its cards while its busiest pool or server works"
    assumed = [line.stage for line in lines if not line.measured and line.models.roles]
    problems = dict.fromkeys(line.models.problem for line in lines if line.models.problem)
    notes = [total, *(f"not counted, does not fit: {problem}" for problem in problems)]
    if assumed:
        notes.append(f"outputs per input assumed, not measured: {', '.join(assumed)} (a pilot measures them)")
    unknown = dict.fromkeys(
        role.role for line in lines for role in line.models.roles if role.basis == "unknown"
    )
    if unknown:
        notes.append(f"not counted, neither measured nor stated in rates.seconds: {', '.join(unknown)}")
    return f"{text_table(rows, right=[3, 4, 6, 7, 8, 9])}\n" + "\n".join(notes)


def _role_row(role: RoleCost, rates: RateSettings) -> tuple[str, ...]:
    basis = {
        "measured": f"measured, {role.measured} questions",
        "stated": f"stated: {rates.source}" if rates.source else "stated",
        "unknown": "not known",
    }[role.basis]
    seconds = f"{role.seconds:.3g}" if role.seconds is not None else "-"
    return (
        "",
        role.setting.partition(".")[2],
        role.run,
        f"~{role.questions:.0f}",
        seconds,
        basis,
        "",
        "",
        "",
        "",
    )


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
