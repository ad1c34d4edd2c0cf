"""What the tries of one removal share, and the hole of each try with the gates measured before it is filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.imaging.arrays import Mask
from tasks.imaging.geometry import from_rle
from tasks.imaging.shadows import attached_shadow
from tasks.records.records import Box, EditPlan, SceneObject
from tasks.roles.offers import Offer
from tasks.roles.picture import Picture
from tasks.stages.editing import fill_gates, gates
from tasks.stages.editing.gates import Gate
from tasks.stages.editing.object_context import unnamed_things
from tasks.stages.editing.removal import dilation_px, removal_hole, with_shadow
from tasks.stages.editing.settings import EditingSettings, RemovalSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RemovalScene:
    """The photograph, what is taken out of it and what stays; masks are (H, W).

    Attributes:
        along: objects of their own that are taken out with the target.
        mask: the target; ``whole``: with what goes along; ``others``: what stays.
    """

    plan: EditPlan
    source: Picture
    along: tuple[SceneObject, ...]
    mask: Mask
    whole: Mask
    others: Mask

    @property
    def gone(self) -> tuple[SceneObject, ...]:
        """Everything that is taken out, the target's objects first."""
        return *self.plan.target.objects, *self.along

    @property
    def boxes(self) -> list[Box]:
        """Boxes of everything that is taken out, in the same order."""
        return [o.box for o in self.gone]

    def margin_px(self, settings: RemovalSettings) -> int:
        """How far the hole extends beyond the object."""
        return dilation_px(max(self.boxes, key=lambda box: box.area), self.mask.shape, settings)


def open_scene(plan: EditPlan, source: Picture, offer: Offer, sure_mask: float) -> RemovalScene:
    """Decodes the masks; the ``offer`` says what goes with the target, besides its parts, and what is its ground.

    Of what goes with it the whole box is taken where the score of its mask is below ``sure_mask``.
    """
    along, ground = offer.taken_along(plan.target), offer.ground_of(plan.target)
    indices, mask = plan.target.indices, from_rle(plan.target.mask)
    whole, others = mask.copy(), np.zeros(mask.shape, bool)
    for thing in plan.target.scene.objects:
        if thing.index in along or thing.part_of in indices:
            whole |= _pixels(thing, sure_mask)
        elif thing.index not in indices and thing.index not in ground:
            others |= from_rle(thing.mask)
    for box in offer.boxes_along(plan.target):
        whole[max(0, box.y0) : box.y1, max(0, box.x0) : box.x1] = True
    objects = (plan.target.scene.objects[index] for index in along)
    # No detector is asked for parts, which have no class of their own.
    taken = tuple(thing for thing in objects if thing.part_of is None)
    return RemovalScene(plan=plan, source=source, along=taken, mask=mask, whole=whole, others=others & ~whole)


def _pixels(thing: SceneObject, sure_mask: float) -> Mask:
    """The thing's mask (H, W), with all of its box where the mask is in doubt."""
    mask = from_rle(thing.mask)
    if thing.mask_score < sure_mask:
        box = thing.box
        mask[max(0, box.y0) : box.y1, max(0, box.x0) : box.x1] = True
    return mask


def hole_of(
    scene: RemovalScene, hole_settings: RemovalSettings, settings: EditingSettings
) -> tuple[Mask, tuple[Gate, ...]]:
    """The pixels to fill, including the object's shadow, and the gates measured before filling.

    Args:
        scene: the photograph.
        hole_settings: those of this try.
        settings: which gates are measured, and their bounds.

    Raises:
        SampleError: one of the gates refuses.
    """
    radius, removal = scene.margin_px(hole_settings), settings.removal
    hole = removal_hole(scene.whole, scene.boxes, scene.others, hole_settings)
    if hole_settings.shadow_reach:
        hole = with_shadow(hole, _shadow(scene, radius, hole_settings), radius) & ~scene.others
    found = [gates.region_gate(hole, settings.gates)]
    if "overlap" in removal.gates:
        found.append(gates.overlap_gate(_overlap(scene.boxes, scene.others), removal.max_overlap))
    if "things" in removal.gates:
        thing = unnamed_things(scene.source.rgb, scene.whole, hole, scene.others, 2 * radius)
        found.append(gates.things_gate(hole & ~scene.whole, thing, removal.max_things))
    if "even" in removal.gates:
        found.append(fill_gates.even_gate(scene.source.rgb, hole, scene.others, settings.gates))
    for gate in found:
        gates.require(gate)
    return hole, tuple(found)


def _shadow(scene: RemovalScene, radius: int, settings: RemovalSettings) -> Mask:
    """The shadow that goes with the object; a dark area larger than ``max_shadow`` is no shadow of it."""
    found = attached_shadow(
        scene.source.rgb, scene.whole, scene.others, reach=settings.shadow_reach, touch_px=radius
    )
    return found if found.sum() <= settings.max_shadow * scene.whole.sum() else np.zeros_like(found)


def _overlap(boxes: Sequence[Box], others: Mask) -> float:
    """Share of the boxes of what is taken out that is covered by what stays."""
    area = sum(box.area for box in boxes)
    taken = sum(int(others[b.y0 : b.y1, b.x0 : b.x1].sum()) for b in boxes)
    return min(1.0, taken / area) if area else 0.0
