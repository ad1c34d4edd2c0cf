"""The texts a command ends with: the funnel by stage and reason, samples by edit type, seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.publishing.release_context import FunnelLine

REASONS_SHOWN = 6
"""Most frequent reasons on a stage's line; `groundedit status` lists all."""


def funnel_table(lines: Sequence[FunnelLine], seconds: Mapping[str, float]) -> str:
    """One line a stage: inputs, kept, rejected, failed, children kept, seconds, reasons.

    ``seconds`` are wall seconds by stage; a stage that was done before has none.
    """
    header = ("stage", "inputs", "kept", "rejected", "failed", "out", "seconds", "rejected or failed because")
    rows = [
        (
            line.stage,
            str(line.inputs),
            str(line.kept),
            str(line.rejected),
            str(line.failed),
            str(line.children),
            f"{seconds[line.stage]:.1f}" if line.stage in seconds else "before",
            reasons_text(line.reasons),
        )
        for line in lines
    ]
    return text_table([header, *rows], right=range(1, 7))


def reasons_text(reasons: Sequence[tuple[str, int]], shown: int = REASONS_SHOWN) -> str:
    """``no_target 3, easy_target 2, 4 more kinds``."""
    texts = [f"{reason} {count}" for reason, count in reasons[:shown]]
    if len(reasons) > shown:
        texts.append(f"{len(reasons) - shown} more kinds")
    return ", ".join(texts)


def text_table(rows: Sequence[Sequence[str]], right: range | Sequence[int] = ()) -> str:
    """Rows in aligned columns, the first one a header; columns named in ``right`` are right-aligned."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if n in right else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
