"""The table of ``groundedit plan``."""

from __future__ import annotations

from flows.build.estimate import StageEstimate
from flows.cli.tables import text_table


def estimate_text(lines: list[StageEstimate]) -> str:
    """The estimate as a table and a sentence."""
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
    total = f"about {seconds / 60:.1f} minutes and {size / 1e6:.0f} MB to go; start-up not counted; nothing was done"
    return f"{text_table(rows, right=range(1, 7))}\n{total}"
