"""What one small detection network says about one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tasks.imaging.arrays import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBox:
    """One network's box: corners as shares 0..1 of the picture it saw, label, its own score 0..1."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    score: float


class RawDetector(Protocol):
    """A network that sees one picture at a time."""

    def boxes(self, image: Image, low_score: float) -> list[RawBox]:
        """Boxes of at least that score, clipped to the picture."""
        ...
