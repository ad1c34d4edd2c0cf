"""Comparisons of computed with stored values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tasks.backends.torch.ram_parity.golden import Tolerances


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        error: largest absolute difference; None where nothing was computed or a yes or no is checked.
        share: largest difference as a share of what is allowed there; above 1 is a miss.
    """

    name: str
    error: float | None
    share: float
    note: str = ""

    @property
    def ok(self) -> bool:
        """Within tolerance."""
        return self.share <= 1

    def plain(self) -> dict[str, Any]:
        """As JSON values, which know no infinity."""
        return {
            "name": self.name,
            "error": self.error if self.error is not None and math.isfinite(self.error) else None,
            "share_of_tolerance": self.share if math.isfinite(self.share) else None,
            "ok": self.ok,
            "note": self.note,
        }


@dataclass(slots=True)
class Report:
    """All rows of a run, compared under the folder's tolerances; ``skipped`` says what was not compared and why."""

    tolerances: Tolerances
    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Something was compared and nothing was out of tolerance."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def require(self, name: str, holds: bool, note: str) -> None:
        """A yes-or-no check; ``note`` says what is wrong, or what was seen."""
        self.rows.append(Row(name, None, 0.0 if holds else math.inf, note))

    def skip(self, name: str, why: str) -> None:
        """A comparison that the folder holds nothing for; it is told and is no miss."""
        self.skipped[name] = why

    def compare(self, name: str, ours: Tensor, stored: Tensor, *, gradient: bool = False) -> None:
        """One tensor; integers and decisions are equal, NaN is never within tolerance."""
        if ours.shape != stored.shape:
            shapes = f"shape {list(ours.shape)} computed, {list(stored.shape)} stored"
            self.rows.append(Row(name, None, math.inf, shapes))
            return
        if not stored.numel():
            self.rows.append(Row(name, 0.0, 0.0))
            return
        tolerance = self.tolerances.gradients if gradient else self.tolerances.floats
        wanted = stored.double()
        allowed = tolerance.atol + tolerance.rtol * wanted.abs()
        if not stored.is_floating_point():
            allowed = torch.zeros_like(wanted)
        gap = (ours.detach().double() - wanted).abs().nan_to_num(nan=math.inf)
        share = torch.where(gap == 0, 0.0, gap / allowed).nan_to_num(nan=math.inf, posinf=math.inf)
        worst = [int(index) for index in torch.unravel_index(share.argmax(), share.shape)]
        note = f"worst at {worst}" if share.max() > 1 else ""
        self.rows.append(Row(name, float(gap.max()), float(share.max()), note))
