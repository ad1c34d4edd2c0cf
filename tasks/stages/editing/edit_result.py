"""The result of an edit after compositing, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.imaging.arrays import Image, Mask
from tasks.records.records import Box, EditPlan
from tasks.stages.editing.gates import Gate

BLEND, BLEND_EFFECTS = "blend", "blend_effects"
"""Methods of an edited crop: laid over the target; over what the editor changed around it, too."""

COPY = "copy"
"""Method of an edit that puts down a copy of a thing of the photograph: every pixel that it changed is taken over."""

INPAINT, INPAINT_EFFECTS = "inpaint", "inpaint_effects"
"""Methods of a removal: the hole alone is filled; what the inpainter changed around it is taken over, too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditResult:
    """Result of an edit; all arrays are in pixels of the source, except ``patch``.

    Attributes:
        patch: the backend's raw output, of the crop's size.
        mask: the target.
        allowed: pixels that may differ from the source.
        method: how the patch was put back, one of the names above.
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
