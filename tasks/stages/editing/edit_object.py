"""Editing a target: crop, ask the editor, put the patch back, measure."""

from __future__ import annotations

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import from_rle
from tasks.records.records import EditPlan, EditType
from tasks.roles.questions import Editor, EditRequest
from tasks.stages.editing import gates
from tasks.stages.editing.compositing import alpha_for, change_map, composite, correct_tint
from tasks.stages.editing.crop import crop_box, union_box
from tasks.stages.editing.finished import Finished, cut
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.settings import EditingSettings


def edit_object(
    plan: EditPlan, source: Image, *, editor: Editor, settings: EditingSettings, seed: int
) -> Finished:
    """The target edited in its crop and blended back.

    Raises:
        SampleError: the target fills too much of the picture, or the editor can't do this one.
    """
    height, width = source.shape[:2]
    mask = from_rle(plan.target.mask)
    region = gates.region_gate(mask, settings.gates)
    gates.require(region)
    box = union_box([o.box for o in plan.target.objects])
    crop = crop_box(box, plan.edit_type, width, height, settings.crop)
    here, inside = cut(source, crop), cut(mask, crop)
    request = EditRequest(
        image=here,
        mask=inside,
        edit_type=plan.edit_type,
        argument=plan.argument,
        instruction=plan.instruction,
        seed=seed,
    )
    (patch,) = editor.edit([request])
    changed = change_map(here, patch, settings.composite)
    corrected = correct_tint(here, patch, changed | inside, settings.composite)
    alpha = alpha_for(inside, changed, plan.edit_type, settings.composite)
    edited, allowed = composite(source, corrected, crop, alpha)
    leak = gates.leak_gate(here, patch, alpha > 0, settings.gates)
    return Finished(
        plan=plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=mask,
        allowed=allowed,
        method="blend",
        gates=(region, leak, *_measured(plan, here, cut(edited, crop), inside, settings)),
    )


def _measured(
    plan: EditPlan, before: Image, after: Image, mask: Mask, settings: EditingSettings
) -> tuple[Gate, ...]:
    """The gates over the crop before and after."""
    bounds = settings.gates
    least = bounds.min_effect if plan.edit_type is EditType.APPEARANCE else bounds.min_change
    most = bounds.max_color_seam_share if plan.edit_type is EditType.COLOR else bounds.max_seam_share
    found = [
        gates.change_gate(before, after, mask, least),
        gates.seam_gate(before, after, mask, bounds, most=most, outline=True),
    ]
    if plan.edit_type is EditType.COLOR:
        found.append(gates.color_gate(after, mask, plan.argument, bounds))
    return tuple(found)
