"""Editing a target: crop, ask the editor, put the patch back, measure."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import from_rle
from tasks.records.records import Box, EditPlan, EditType
from tasks.roles.asks import AskEditor
from tasks.roles.picture import Picture
from tasks.roles.questions import EditQuestion
from tasks.stages.editing import gates
from tasks.stages.editing.compositing import alpha_for, change_map, composite, correct_tint
from tasks.stages.editing.crop import crop_box, union_box
from tasks.stages.editing.finished import Finished, cut
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.settings import EditingSettings
from tasks.stages.sample_stage import Workbench


async def edit_object(
    plan: EditPlan,
    source: Picture,
    bench: Workbench,
    *,
    editor: AskEditor,
    settings: EditingSettings,
    seed: int,
    attempt: int,
) -> Finished:
    """The target edited in its crop and blended back.

    Raises:
        SampleError: the target fills too much of the picture, or the editor cannot do this one.
    """
    window = await bench.cpu(_open_window, plan, source.rgb, settings)
    question = EditQuestion(
        subject=plan.plan_id,
        seed=seed,
        attempt=attempt,
        picture=source.crop(window.crop),
        mask=window.inside,
        label=plan.target.label,
        edit_type=plan.edit_type,
        argument=plan.argument,
        instruction=plan.instruction,
    )
    patch = await editor(question)
    return await bench.cpu(_put_back, plan, source.rgb, window, patch, settings)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Window:
    """The crop an editor sees; ``mask`` is the target in the picture, ``inside`` in the crop."""

    region: Gate
    mask: Mask
    crop: Box
    inside: Mask


def _open_window(plan: EditPlan, source: Image, settings: EditingSettings) -> _Window:
    height, width = source.shape[:2]
    mask = from_rle(plan.target.mask)
    region = gates.region_gate(mask, settings.gates)
    gates.require(region)
    box = union_box([o.box for o in plan.target.objects])
    crop = crop_box(box, plan.edit_type, width, height, settings.crop)
    return _Window(region=region, mask=mask, crop=crop, inside=cut(mask, crop))


def _put_back(
    plan: EditPlan, source: Image, window: _Window, patch: Image, settings: EditingSettings
) -> Finished:
    here, inside = cut(source, window.crop), window.inside
    changed = change_map(here, patch, settings.composite)
    corrected = correct_tint(here, patch, changed | inside, settings.composite)
    alpha = alpha_for(inside, changed, plan.edit_type, settings.composite)
    edited, allowed = composite(source, corrected, window.crop, alpha)
    leak = gates.leak_gate(here, patch, alpha > 0, settings.gates)
    return Finished(
        plan=plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=window.crop,
        mask=window.mask,
        allowed=allowed,
        method="blend",
        gates=(window.region, leak, *_measured(plan, here, cut(edited, window.crop), inside, settings)),
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
        found.append(gates.colour_gate(after, mask, plan.argument, bounds))
    return tuple(found)
