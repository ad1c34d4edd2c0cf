"""Edits a target: crop, ask the editor, put the patch back, measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import NAMES
from tasks.imaging.geometry import containment, cropped, from_rle
from tasks.records.edit_types import EditGate, spec_of
from tasks.records.records import Box, EditPlan
from tasks.roles.asks import AskDetector, AskEditor, AskSegmenter
from tasks.roles.offers import Offer
from tasks.roles.picture import Picture
from tasks.roles.questions import EditQuestion
from tasks.stages.editing import gates
from tasks.stages.editing.compositing import (
    alpha_for,
    change_map,
    composite,
    correct_tint,
    effect_of,
    exact_alpha,
)
from tasks.stages.editing.copied_thing import copy_gates
from tasks.stages.editing.crop import edit_crop
from tasks.stages.editing.edit_result import BLEND, BLEND_EFFECTS, COPY, EditResult
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.settings import CropSettings, EditingSettings, GateSettings
from tasks.stages.sample_stage import Workbench


class EditAsks(Protocol):
    """The roles that take part: one edits, two look for a copied thing."""

    @property
    def editor(self) -> AskEditor:
        """Edits the crop."""
        ...

    @property
    def detector(self) -> AskDetector:
        """Searches for the copy."""
        ...

    @property
    def segmenter(self) -> AskSegmenter:
        """Searches for its shape."""
        ...


async def edit_object(
    plan: EditPlan,
    source: Picture,
    bench: Workbench,
    *,
    ask: EditAsks,
    offer: Offer,
    settings: EditingSettings,
    seed: int,
    attempt: int,
) -> EditResult:
    """Edits the target in its crop and blends the result into the picture.

    ``source`` is the whole picture; ``offer`` is the editor's, which says whether the whole target changes, and whether
    its shadow and reflection change with it.

    Raises:
        SampleError: the target fills too much of the picture, or its crop shows too many things like it; or the editor
            failed on it.
    """
    window = await bench.cpu(_open_window, plan, source.rgb, offer, settings)
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
        source=source,
        crop=window.crop,
        target=plan.target,
        similar=window.similar,
    )
    patch = await ask.editor(question)
    copied = offer.copied(plan.edit_type, plan.target, plan.argument)
    if not copied:
        return await bench.cpu(_put_back, plan, source.rgb, window, patch, offer, settings)
    done = await bench.cpu(_put_down, plan, source.rgb, window, patch)
    found = await copy_gates(done, copied, bench, ask.detector, ask.segmenter, settings)
    return replace(done, gates=(*done.gates, *found))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Window:
    """The crop given to an editor.

    Attributes:
        early: gates measured before the edit.
        mask: the target in the picture; ``inside``: in the crop.
        similar: other things of its class and size in the crop.
    """

    early: tuple[Gate, ...]
    mask: Mask
    crop: Box
    inside: Mask
    similar: int


def _open_window(plan: EditPlan, source: Image, offer: Offer, settings: EditingSettings) -> _Window:
    height, width = source.shape[:2]
    mask = from_rle(plan.target.mask)
    region = gates.region_gate(mask, settings.gates)
    gates.require(region)
    crop = edit_crop(plan.target, plan.edit_type, plan.argument, offer, settings.crop)
    similar = 0 if crop.area == width * height else _similar(plan, crop, settings.crop)
    early: tuple[Gate, ...] = (region,)
    if settings.crop.max_similar is not None:
        early = (region, gates.similar_gate(similar, settings.crop.max_similar))
        gates.require(early[-1])
    return _Window(early=early, mask=mask, crop=crop, inside=cropped(mask, crop), similar=similar)


def _similar(plan: EditPlan, crop: Box, settings: CropSettings) -> int:
    """How many other things of the target's class and size lie in a crop with most of their box."""
    target = plan.target
    area = max(o.box.area for o in target.objects)
    return sum(
        containment(o.box, crop) > 0.5
        and min(o.box.area, area) >= settings.similar_area * max(o.box.area, area)
        for o in target.scene.objects
        if o.index not in target.indices and o.label == target.label
    )


def _put_down(plan: EditPlan, source: Image, window: _Window, patch: Image) -> EditResult:
    """The picture with a copied thing, of which every pixel that the editor changed is taken over."""
    edited, allowed = composite(source, patch, window.crop, exact_alpha(cropped(source, window.crop), patch))
    return EditResult(
        plan=plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=window.crop,
        mask=window.mask,
        allowed=allowed,
        method=COPY,
        gates=window.early,
    )


def _put_back(
    plan: EditPlan,
    source: Image,
    window: _Window,
    patch: Image,
    offer: Offer,
    settings: EditingSettings,
) -> EditResult:
    here, inside = cropped(source, window.crop), window.inside
    spec = spec_of(plan.edit_type)
    changed = change_map(here, patch, settings.composite)
    corrected = correct_tint(here, patch, changed | inside, settings.composite)
    effect = effect_of(inside, changed, settings.composite) if offer.effects else None
    alpha = alpha_for(inside, changed, spec.region, settings.composite, effect)
    edited, allowed = composite(source, corrected, window.crop, alpha)
    leak = gates.leak_gate(here, patch, alpha > 0, settings.gates)
    after = cropped(edited, window.crop)
    measured = (
        _measure(gate, plan, here, after, inside, offer.covers_target, settings.gates) for gate in spec.gates
    )
    spread = () if effect is None else (gates.effect_gate(effect, inside, settings.gates),)
    return EditResult(
        plan=plan,
        source=source,
        edited=edited,
        patch=patch,
        crop=window.crop,
        mask=window.mask,
        allowed=allowed,
        method=BLEND if effect is None else BLEND_EFFECTS,
        gates=(*window.early, leak, *spread, *(gate for gate in measured if gate is not None)),
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
    """One of the type's gates over the crop before and after; None if it cannot be measured."""
    key = gate.bound if covers_target else gate.bound_of_part
    if not key:
        return None
    bound = float(getattr(settings, key))
    if gate.name == "change":
        return gates.change_gate(before, after, mask, bound)
    if gate.name == "seam":
        return gates.seam_gate(before, after, mask, settings, most=bound, outline=True)
    if plan.argument not in NAMES:
        return None  # the instructor's own color word has no known range of colors
    return gates.color_gate(after, mask, plan.argument, settings, least=bound)
