"""``python -m tasks.backends.torch.ram_parity FOLDER``: prints the largest error of each tensor and a verdict."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from tasks.backends.torch.ram_parity.checks import check_folder
from tasks.backends.torch.ram_parity.golden import read_golden
from tasks.backends.torch.ram_parity.report import Report, Row
from tasks.records.errors import ConfigurationError

PASSED, FAILED, UNUSABLE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 all within tolerance, 1 a tensor out of tolerance or not checked, 2 no usable folder."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.backends.torch.ram_parity",
        description="Compares our RAM++ with numbers of the published code: inner states, logits, decisions, open-set "
        "logits, training losses and gradients, and names and shapes of the full-size network.",
        epilog="Exit code 1: a tensor is out of tolerance or was not checked; 2: the folder cannot be used.",
    )
    parser.add_argument(
        "folder", type=Path, help="holds cases.json, weights and tensors; tolerances are taken from it"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args(arguments)
    try:
        report = check_folder(read_golden(chosen.folder))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return UNUSABLE
    sys.stdout.write(as_json(report, chosen.folder) if chosen.json else as_text(report, chosen.folder))
    return PASSED if report.passed else FAILED


def as_json(report: Report, folder: Path) -> str:
    """All rows and the verdict."""
    rows = [row.plain() for row in report.rows]
    verdict = {"folder": str(folder), "passed": report.passed, "not_compared": report.skipped}
    return json.dumps({**verdict, "rows": rows}, indent=2) + "\n"


def as_text(report: Report, folder: Path) -> str:
    """One line per row, then the verdict."""
    width = max((len(row.name) for row in report.rows), default=0)
    lines = [_line(row, width) for row in report.rows]
    missed = [row.name for row in report.rows if not row.ok]
    verdict = "passed" if report.passed else "FAILED"
    parts = [f"parity {verdict}: {folder}: {len(report.rows) - len(missed)} of {len(report.rows)} checks"]
    measured = [row for row in report.rows if row.error is not None]
    if measured:
        worst = max(measured, key=lambda row: row.share)
        parts.append(
            f"{len(measured)} tensors computed, worst {worst.name} at {worst.share:.2%} of its tolerance"
        )
    if missed:
        more = f" and {len(missed) - 5} more" if len(missed) > 5 else ""
        parts.append(f"missed {', '.join(missed[:5])}{more}")
    lines += [f"SKIP  {name:{width}}  not compared: {why}" for name, why in report.skipped.items()]
    if report.skipped:
        parts.append(f"not compared {', '.join(report.skipped)}")
    return "\n".join([*lines, "; ".join(parts)]) + "\n"


def _line(row: Row, width: int) -> str:
    state = "ok  " if row.ok else "MISS"
    if row.error is None:
        return f"{state}  {row.name:{width}}  {row.note}"
    if not math.isfinite(row.error):
        return f"{state}  {row.name:{width}}  not a finite number  {row.note}".rstrip()
    line = f"{state}  {row.name:{width}}  error {row.error:.1e}  {row.share:8.2%} of tolerance  {row.note}"
    return line.rstrip()


if __name__ == "__main__":
    sys.exit(main())
