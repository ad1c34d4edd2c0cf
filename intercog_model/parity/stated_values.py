"""Whether a stated value is what the stored numbers imply: met, missed, or undecided within the noise."""

import math
from dataclasses import dataclass

import torch

from intercog_model.parity.golden import Golden

ULP = torch.finfo(torch.float32).eps  # relative rounding of a stored float
SPREAD = 5  # standard errors that an honest value stays within


@dataclass(frozen=True, slots=True)
class Implied:
    """A value found again; `noise` is how far rounding alone may move it, infinite where nothing is stored."""

    value: float
    noise: float


def close(
    golden: Golden, name: str, stated: float, implied: Implied, *, relative: float, floor: float = 0.0
) -> None:
    """A miss beyond `relative` of the stated value, `floor` and the noise; undecided where noise is all there is."""
    label = f"cases.json: config.{name}"
    note = f"{stated:g} stated, stored numbers imply {implied.value:g} up to {implied.noise:.2g}"
    within = abs(implied.value - stated) <= relative * abs(stated) + floor + implied.noise
    if math.isinf(implied.noise) or (within and implied.noise > max(0.5 * abs(stated), floor)):
        golden.report.undecided(label, note)
    else:
        golden.report.require(label, within, note)


def same(golden: Golden, name: str, stated: object, implied: object, part: str = "config.") -> None:
    """A miss unless both are equal."""
    note = f"{stated} stated, stored numbers imply {implied}"
    golden.report.require(f"cases.json: {part}{name}", stated == implied, note)
