"""Comparisons of computed with stored tensors, counted, printed and summed up."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

# (relative, absolute) by role; a folder may not loosen them
TOLERANCE = {"float": (1e-4, 1e-4), "gradient": (1e-3, 1e-4)}
PICTURE_SHARE = 0.01  # share of 8-bit values that may be off by one


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; `ratio` is the largest error over what is allowed there, so above 1 is a miss."""

    name: str
    error: float
    ratio: float
    note: str = ""
    decided: bool = True  # False: rounding hides the answer, which is neither a pass nor a miss

    @property
    def ok(self) -> bool:
        """Within tolerance; NaN is not."""
        return self.ratio <= 1


@dataclass(slots=True)
class Report:
    """All rows of a run."""

    rows: list[Row] = field(default_factory=list)

    def miss(self, name: str, note: str) -> None:
        """Record something that is wrong without a number."""
        self.rows.append(Row(name, torch.inf, torch.inf, note))

    def require(self, name: str, ok: bool, note: str) -> None:
        """Record a yes-or-no check."""
        self.rows.append(Row(name, 0.0, 0.0, "") if ok else Row(name, torch.inf, torch.inf, note))

    def undecided(self, name: str, note: str) -> None:
        """Record that the stored numbers cannot tell."""
        self.rows.append(Row(name, 0.0, 0.0, note, decided=False))

    def compare(self, name: str, ours: Tensor, stored: Tensor, role: str, route: str = "") -> None:
        """Compare one tensor under the rule of its role and type."""
        label = f"{name} [{route}]" if route else name
        if ours.shape != stored.shape:
            self.miss(label, f"shape {list(ours.shape)} computed, {list(stored.shape)} stored")
            return
        self.rows.append(Row(label, *_error(ours.detach().cpu(), stored, role)))

    @property
    def misses(self) -> list[Row]:
        """Rows out of tolerance."""
        return [row for row in self.rows if not row.ok]


def _error(ours: Tensor, stored: Tensor, role: str) -> tuple[float, float, str]:
    """Largest absolute error, its share of the tolerance, and a note with the worst place."""
    if not stored.numel():
        return 0.0, 0.0, ""
    a, b = ours.double(), stored.double()
    gap = torch.where(a == b, 0.0, (a - b).abs())  # equal infinities have no distance
    gap = torch.nan_to_num(gap, nan=torch.inf)
    if stored.dtype == torch.uint8 and role in ("output", "intermediate"):
        share = float((gap > 0).double().mean())
        worst = torch.inf if gap.max() > 1 else share / PICTURE_SHARE
        return float(gap.max()), worst, f"{share:.2%} of the values off"
    if not stored.is_floating_point():
        return float(gap.max()), torch.inf if gap.max() > 0 else 0.0, _place(gap)
    relative, absolute = TOLERANCE["gradient" if role == "gradient" else "float"]
    ratio = gap / (absolute + relative * torch.nan_to_num(b.abs(), posinf=0.0))
    return float(gap.max()), float(ratio.max()), _place(ratio)


def _place(ratio: Tensor) -> str:
    index = [int(i) for i in torch.unravel_index(ratio.argmax(), ratio.shape)]
    return f"worst at {index}" if ratio.max() > 1 else ""


def print_report(report: Report, folder: str) -> None:
    """Every row, then the misses again, then one line that sums up."""
    width = max((len(row.name) for row in report.rows), default=0)
    for row in report.rows:
        if not row.decided:
            print(f"undecided {row.name}: {row.note}")
            continue
        state = "ok  " if row.ok else "MISS"
        print(
            f"{state} {row.name:{width}} error {row.error:.2e}  share of tolerance {row.ratio:.4f}  {row.note}"
        )
    for row in report.misses:
        print(f"missed: {row.name}: error {row.error:.3e}, {row.ratio:.3g} times the tolerance {row.note}")
    worst = max(report.rows, key=lambda row: row.ratio, default=Row("nothing", 0, 0))
    verdict = "FAILED" if report.misses else "passed"
    decided = sum(row.decided for row in report.rows)
    open_rows = f", {len(report.rows) - decided} undecided" if decided < len(report.rows) else ""
    print(
        f"parity {verdict}: {folder}: {decided - len(report.misses)} of {decided} checks within "
        f"tolerance, largest share {worst.ratio:.3g} at {worst.name}{open_rows}"
    )
