"""The result of an edit after compositing, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.imaging.arrays import Image, Mask
from tasks.records.records import Box, EditPlan
from tasks.stages.editing.gates import Gate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditResult:
    """Result of an edit; all arrays are in pixels of the source, except ``patch``.

    Attributes:
        patch: the backend's raw output, of the crop's size.
        mask: the target.
        allowed: pixels that may differ from the source.
        method: how the patch was put back (``blend``, ``inpaint``).
    """

    plan: EditPlan
    source: Image
    edited: Image
    patch: Image
    crop: Box
    mask: Mask
    allowed: Mask
    method: str
    gates: tuple[Gate, ...]
