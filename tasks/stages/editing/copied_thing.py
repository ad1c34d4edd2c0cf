"""Gates on a copied thing: found, whole, of the right size, on the ground, free of others and of its old ground."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import NAMES, share_of_color, to_lab
from tasks.imaging.geometry import box_of, cropped, enlarge, from_rle, iou
from tasks.imaging.masks import dilate, erode, mask_iou
from tasks.imaging.perspective import horizon_of, scale_at
from tasks.records.edit_types import spec_of
from tasks.records.errors import Reason
from tasks.records.records import Box, EditPlan, SceneObject
from tasks.roles.asks import AskDetector, AskSegmenter
from tasks.roles.picture import Picture
from tasks.roles.questions import Detection, DetectQuestion, SegmentQuestion
from tasks.stages.editing.edit_result import EditResult
from tasks.stages.editing.gates import Gate, gate
from tasks.stages.editing.settings import CopySettings, EditingSettings
from tasks.stages.sample_stage import Workbench

WINDOW_FACTORS = (1.5, 2.5)
"""Windows in which the copy is searched for, as factors of the box of what changed."""

CHANGED_SHARE = 0.35
"""Share of a detection's box that changed from which it is the new thing."""

PLAIN_CONTACT = 0.92
"""Brightness at a foot, over that of the ground, from which a thing casts no shadow to speak of."""

MAX_TURN = 9.0
"""Lab a/b distance from the color that the ground has with less light, up to which a darker pixel is shadow."""

SIDE_PX = 96
"""Side to which two shapes are brought before they are compared."""


async def copy_gates(
    done: EditResult,
    label: str,
    bench: Workbench,
    detector: AskDetector,
    segmenter: AskSegmenter,
    settings: EditingSettings,
) -> tuple[Gate, ...]:
    """Looks for the copy of a thing of class ``label`` and measures it; the cheap gates first.

    The detector must find it where pixels changed and the class was not found before; the segmenter's shape of it is
    compared with the shapes of the class in the photograph, and says where it stands.
    """
    bounds = settings.copies
    changed = await bench.cpu(_changed, done)
    if not changed.any():
        return (gate("copy_found_score", 0.0, Reason.NOT_FOUND_AGAIN, low=bounds.min_found),)
    found = await _search(done, label, changed, detector)
    best = max(found, key=lambda d: d.score, default=None)
    score = gate(
        "copy_found_score", best.score if best else 0.0, Reason.NOT_FOUND_AGAIN, low=bounds.min_found
    )
    taken = await bench.cpu(_overlap_gate, done, changed, bounds)
    if best is None or not score.passed or not taken.passed:
        return score, taken
    around = enlarge(best.box, 1.6, 64, done.source.shape[1], done.source.shape[0])
    shape = SegmentQuestion(
        subject=done.plan.plan_id,
        picture=Picture.of_pixels(cropped(done.edited, around)),
        detections=(Detection(label=label, score=best.score, box=_moved(best.box, -around.x0, -around.y0)),),
    )
    (segmentation,) = await segmenter(shape)
    mask = np.zeros(changed.shape, bool)
    mask[around.y0 : around.y1, around.x0 : around.x1] = segmentation.mask
    return (score, taken, *await bench.cpu(_measured, done, label, mask, changed, bounds))


def _beside(plan: EditPlan) -> bool:
    """Whether the copy stands beside the target; else it takes the target's place."""
    return spec_of(plan.edit_type).beside


def _changed(done: EditResult) -> Mask:
    """Pixels (H, W) that plainly changed, without the specks of a soft edge."""
    differs = (np.abs(done.edited.astype(np.int16) - done.source.astype(np.int16)) > 6).any(axis=2)
    return cv2.morphologyEx(np.asarray(differs, np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


async def _search(done: EditResult, label: str, changed: Mask, detector: AskDetector) -> list[Detection]:
    """Detections of the class, of which most changed, and that are none of the things that were there before."""
    height, width = changed.shape
    box = box_of(changed)
    windows = [enlarge(box, factor, 64, width, height) for factor in WINDOW_FACTORS]
    windows.append(Box(x0=0, y0=0, x1=width, y1=height))
    edited = Picture.of_pixels(done.edited)
    answers = await asyncio.gather(
        *(
            detector(DetectQuestion(subject=done.plan.plan_id, picture=edited.crop(w), names=(label,)))
            for w in windows
        )
    )
    plan, place = done.plan, _new_place(done.plan, changed, done.mask)
    before = [o.box for o in plan.target.scene.objects if _beside(plan) or o.index not in plan.target.indices]
    found = []
    for answer, window in zip(answers, windows, strict=True):
        for detection in answer:
            moved = _moved(detection.box, window.x0, window.y0)
            if detection.label != label or any(iou(moved, old) > 0.5 for old in before):
                continue
            if _share_of(moved, place) > CHANGED_SHARE:
                found.append(Detection(label=label, score=detection.score, box=moved))
    return found


def _new_place(plan: EditPlan, changed: Mask, target: Mask) -> Mask:
    """What changed, for an added thing without the target itself."""
    return changed & ~target if _beside(plan) else changed


def _share_of(box: Box, place: Mask) -> float:
    part = place[max(0, box.y0) : max(0, box.y1), max(0, box.x0) : max(0, box.x1)]
    return float(part.sum()) / box.area if box.area else 0.0


def _moved(box: Box, x: int, y: int) -> Box:
    return Box(x0=box.x0 + x, y0=box.y0 + y, x1=box.x1 + x, y1=box.y1 + y)


def _overlap_gate(done: EditResult, changed: Mask, bounds: CopySettings) -> Gate:
    """Share of what changed that was another thing; what the target stands on is ground."""
    target = done.plan.target
    taken = np.zeros_like(changed)
    replaced = not _beside(done.plan)
    for thing in target.scene.objects:
        if (replaced and thing.index in target.indices) or _is_ground(thing, target.objects[0], done.mask):
            continue
        taken |= from_rle(thing.mask)
    if replaced:
        taken &= ~done.mask
    share = float((changed & taken).sum()) / max(1, int(changed.sum()))
    return gate("copy_over_things_share", share, Reason.ENTANGLED, high=bounds.max_over_things)


def _is_ground(thing: SceneObject, own: SceneObject, target: Mask) -> bool:
    """Whether the target stands on the thing: it is larger, and most of what surrounds the foot."""
    if thing.index == own.index or thing.box.area < 1.5 * own.box.area:
        return False
    box = box_of(target)
    reach = max(4, round(0.1 * box.height))
    foot = np.zeros_like(target)
    foot[max(0, box.y1 - reach) : box.y1 + reach, max(0, box.x0 - reach) : box.x1 + reach] = True
    foot &= ~dilate(target, 2)
    return bool(foot.any()) and float(from_rle(thing.mask)[foot].mean()) > 0.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    """The thing of the photograph that the copy looks like most.

    Attributes:
        thing: of the scene; ``mask``: its pixels, (H, W).
        likeness: overlap 0..1 of the two shapes, brought to one box.
    """

    thing: SceneObject
    mask: Mask
    likeness: float


def _measured(
    done: EditResult, label: str, mask: Mask, changed: Mask, bounds: CopySettings
) -> tuple[Gate, ...]:
    plan, scene = done.plan, done.plan.target.scene
    height, width = mask.shape
    box = box_of(mask)
    margin = max(2, round(bounds.frame_share * max(width, height)))
    clear = min(box.x0, box.y0, width - box.x1, height - box.y1) if box.area else 0
    gates = [gate("copy_frame_px", clear, Reason.CUT_OFF, low=margin)]
    model = _most_alike(mask, plan, label)
    if model is None or not box.area:
        return (*gates, gate("copy_shape_iou", 0.0, Reason.CUT_OFF, low=bounds.min_shape))
    gates.append(gate("copy_shape_iou", model.likeness, Reason.CUT_OFF, low=bounds.min_shape))
    own, old, nothing = box_of(done.mask), box_of(model.mask), np.zeros_like(mask)
    scale = scale_at(model.thing, box.y1, scene)
    if scale is None:
        # Without a known perspective a thing keeps its size, or takes that of the one of its class that it replaces.
        alike = not _beside(plan) and model.thing.label == plan.target.label
        scale = own.height / old.height if alike else 1.0
    ratio = box.height / old.height / scale
    gates.append(
        gate("copy_scale_ratio", ratio, Reason.WRONG_SCALE, low=1 / bounds.max_scale, high=bounds.max_scale)
    )
    # A known perspective ties a foot line to a size; without one a copy keeps to the foot lines that there are.
    if horizon_of(scene, label) is None:
        gates.append(_foot_gate(box, own, old, plan, bounds))
    before = _contact(done.source, model.mask, old, _others(plan, model.thing.index, nothing))
    after = _contact(done.edited, mask, box, _others(plan, -1, mask if _beside(plan) else done.mask))
    # Of the darkening that the model shows at its foot; where it shows hardly any, none can be lost.
    lost = max(0.0, after - before) / (1 - before) if before < PLAIN_CONTACT else 0.0
    gates.append(gate("copy_contact_loss", lost, Reason.FLOATING, high=bounds.max_contact_loss))
    if _beside(plan):
        apart = float(cv2.distanceTransform((~done.mask).astype(np.uint8), cv2.DIST_L2, 5)[mask].min())
        gates.append(gate("copy_gap_share", apart / box.width, Reason.REPEATED, low=bounds.min_gap))
        pair = (_smooth(done.source), _smooth(done.edited))
        gates.append(_halo_gate(*pair, mask, bounds))
        gates.append(_stray_gate(*pair, mask, bounds))
    else:
        gates.append(_left_over_gate(done, mask, bounds))
    color = next((word for word in plan.argument.split() if word in NAMES), "")
    if color:
        share = share_of_color(done.edited, mask, color)
        gates.append(gate("asked_color_share", share, Reason.WRONG_COLOR, low=bounds.min_color_share))
    return tuple(gates)


def _most_alike(mask: Mask, plan: EditPlan, label: str) -> _Model | None:
    own = _shape(mask)
    replaced = plan.target.indices if not _beside(plan) else ()
    models = []
    for thing in plan.target.scene.objects:
        if thing.label == label and thing.index not in replaced and own is not None:
            other = from_rle(thing.mask)
            shape = _shape(other)
            if shape is not None:
                models.append(_Model(thing=thing, mask=other, likeness=mask_iou(own, shape)))
    return max(models, key=lambda m: (m.likeness, -m.thing.index), default=None)


def _shape(mask: Mask) -> Mask | None:
    box = box_of(mask)
    if not box.area:
        return None
    part = cropped(mask, box).astype(np.uint8)
    return np.asarray(cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8) > 0


def _foot_gate(box: Box, own: Box, old: Box, plan: EditPlan, bounds: CopySettings) -> Gate:
    lines = (own.y1, old.y1) if _beside(plan) else (own.y1,)
    step = min(abs(box.y1 - line) for line in lines) / box.height
    return gate("copy_foot_step", step, Reason.FLOATING, high=bounds.max_foot_step)


def _stretched(mask: Mask, old: Box, new: Box) -> Mask:
    """The shape inside ``old`` brought into the box ``new``, so that both are measured with one outline."""
    part = cropped(mask, old).astype(np.uint8)
    stretched = np.zeros_like(mask)
    size = (new.width, new.height)
    stretched[new.y0 : new.y1, new.x0 : new.x1] = cv2.resize(part, size, interpolation=cv2.INTER_NEAREST) > 0
    return stretched


def _others(plan: EditPlan, index: int, without: Mask) -> Mask:
    """Pixels of the scene's things but the one with this index, without what the target stands on and ``without``."""
    target = from_rle(plan.target.mask)
    others = np.zeros_like(target)
    for thing in plan.target.scene.objects:
        if thing.index != index and not _is_ground(thing, plan.target.objects[0], target):
            others |= from_rle(thing.mask)
    return others & ~without


def _contact(image: Image, mask: Mask, box: Box, others: Mask) -> float:
    """Brightness right at the foot over that of the ground beside it, 0..1: a thing on the ground darkens it."""
    light = cv2.GaussianBlur(to_lab(image)[..., 0], (0, 0), 1.0)
    reach = max(3, round(0.04 * box.height))
    low = np.zeros_like(mask)
    low[max(0, box.y1 - 2 * reach) : box.y1 + reach] = True
    near = dilate(mask, reach) & ~dilate(mask, 1) & low & ~others
    far = dilate(mask, 6 * reach) & ~dilate(mask, 4 * reach) & low & ~dilate(others, 2)
    if not near.any() or not far.any():
        return 1.0
    # The lit ground: a neighbor's shadow may lie on some of it.
    ground = float(np.percentile(light[far], 70))
    return float(np.percentile(light[near], 8)) / max(ground, 1.0)


def _halo_gate(
    before: NDArray[np.float32], after: NDArray[np.float32], mask: Mask, bounds: CopySettings
) -> Gate:
    """Share of the ring around the copy that changed otherwise than by shadow: ground that came with it.

    ``before`` and ``after`` are the pictures in Lab, (H, W, 3).
    """
    reach = max(3, round(0.02 * box_of(mask).height))
    ring = dilate(mask, reach + 2) & ~dilate(mask, 2)
    off = after - before
    changed = np.linalg.norm(off, axis=2) > bounds.halo_delta_e
    # In Lab less light on one surface scales a and b as it scales L + 16.
    dimmed = (after[..., 0] + 16) / (before[..., 0] + 16)
    turned = np.linalg.norm(after[..., 1:] - before[..., 1:] * dimmed[..., None], axis=2)
    same_hue = (turned < MAX_TURN) | (np.hypot(off[..., 1], off[..., 2]) < 0.6 * np.abs(off[..., 0]) + 2)
    shade = (off[..., 0] < 0) & same_hue
    value = float((changed & ~shade)[ring].mean()) if ring.any() else 0.0
    return gate("copy_halo_share", value, Reason.SEAM_VISIBLE, high=bounds.max_halo)


def _stray_gate(
    before: NDArray[np.float32], after: NDArray[np.float32], mask: Mask, bounds: CopySettings
) -> Gate:
    """Area that changed far from the copy, in its areas: a shadow that took in the dark of another place."""
    area = max(1, int(mask.sum()))
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    changed = np.linalg.norm(after - before, axis=2) > bounds.halo_delta_e
    stray = changed & (distance > bounds.stray_reach * np.sqrt(area))
    return gate("copy_stray_share", float(stray.sum()) / area, Reason.LEAKED, high=bounds.max_stray)


def _left_over_gate(done: EditResult, mask: Mask, bounds: CopySettings) -> Gate:
    """Share of the replaced thing that is neither covered by the new one nor changed."""
    inner = erode(done.mask, 2)
    off = np.linalg.norm(_smooth(done.edited) - _smooth(done.source), axis=2)
    left = inner & ~dilate(mask, 2) & (off < bounds.left_delta_e)
    value = float(left.sum()) / max(1, int(inner.sum()))
    return gate("old_thing_left_share", value, Reason.STILL_THERE, high=bounds.max_left)


def _smooth(image: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(to_lab(image), (0, 0), 1.0), np.float32)
