"""Editing a target: crop, ask the editor, put the patch back, measure."""

from __future__ import annotations

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import NAMES
from tasks.imaging.geometry import from_rle
from tasks.records.edit_types import EditGate, spec_of
from tasks.records.records import EditPlan
from tasks.roles.asks import AskEditor
from tasks.roles.picture import Picture
from tasks.roles.questions import EditQuestion
from tasks.stages.editing import gates
from tasks.stages.editing.compositing import alpha_for, change_map, composite, correct_tint
from tasks.stages.editing.crop import crop_box, union_box
from tasks.stages.editing.finished import Finished, cut
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.settings import EditingSettings, GateSettings


async def edit_object(
    plan: EditPlan,
    source: Picture,
    *,
    editor: AskEditor,
    covers_target: bool,
    settings: EditingSettings,
    seed: int,
) -> Finished:
    """The target edited in its crop and blended back.

    ``source`` is the whole picture; ``covers_target`` says whether the editor changes the whole target, or only the
    part that the instruction speaks of (`tasks.roles.offers.Offer.covers_target`).

    Raises:
        SampleError: the target fills too much of the picture, or the editor cannot do this one.
    """
    whole = source.rgb
    height, width = whole.shape[:2]
    mask = from_rle(plan.target.mask)
    spec = spec_of(plan.edit_type)
    region = gates.region_gate(mask, settings.gates)
    gates.require(region)
    box = union_box([o.box for o in plan.target.objects])
    crop = crop_box(box, plan.edit_type, width, height, settings.crop)
    picture, inside = source.crop(crop), cut(mask, crop)
    patch = await editor(
        EditQuestion(
            subject=plan.plan_id,
            seed=seed,
            picture=picture,
            mask=inside,
            label=plan.target.label,
            edit_type=plan.edit_type,
            argument=plan.argument,
            instruction=plan.instruction,
        )
    )
    here = picture.rgb
    changed = change_map(here, patch, settings.composite)
    corrected = correct_tint(here, patch, changed | inside, settings.composite)
    alpha = alpha_for(inside, changed, spec.region, settings.composite)
    edited, allowed = composite(whole, corrected, crop, alpha)
    leak = gates.leak_gate(here, patch, alpha > 0, settings.gates)
    after = cut(edited, crop)
    measured = (
        _measure(gate, plan, here, after, inside, covers_target, settings.gates) for gate in spec.gates
    )
    return Finished(
        plan=plan,
        source=whole,
        edited=edited,
        patch=patch,
        crop=crop,
        mask=mask,
        allowed=allowed,
        method="blend",
        gates=(region, leak, *(gate for gate in measured if gate is not None)),
    )


def _measure(
    gate: EditGate,
    plan: EditPlan,
    before: Image,
    after: Image,
    mask: Mask,
    covers_target: bool,
    settings: GateSettings,
) -> Gate | None:
    """One of the type's gates over the crop before and after; None where it cannot tell."""
    key = gate.bound if covers_target else gate.bound_of_part
    if not key:
        return None
    bound = float(getattr(settings, key))
    if gate.name == "change":
        return gates.change_gate(before, after, mask, bound)
    if gate.name == "seam":
        return gates.seam_gate(before, after, mask, settings, most=bound, outline=True)
    if plan.argument not in NAMES:
        return None  # an instructor's own word for a color has no range to measure by
    return gates.color_gate(after, mask, plan.argument, settings, least=bound)
