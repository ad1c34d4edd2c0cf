"""Measured gates of an edit; each gives a number, a bound and the reason it alone would reject for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.color_names import dominant_color, to_lab
from tasks.editing.compositing import dilate
from tasks.editing.settings import GateSettings
from tasks.errors import Reason
from tasks.geometry import box_of, containment, iou
from tasks.records import Box, Measurement
from tasks.roles.protocols import Detection, Image, Mask

NEUTRALS = frozenset({"black", "white", "gray"})
"""Names whose surfaces always show other tones too, by shadow and shine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One measurement and the reason to reject with when it does not pass."""

    measurement: Measurement
    reason: Reason

    @property
    def passed(self) -> bool:
        """Whether the value is within its bound."""
        return self.measurement.passed


def region_gate(mask: Mask, settings: GateSettings) -> Gate:
    """The share of the picture that is to be filled or changed."""
    return _at_most("region_share", float(mask.mean()), settings.max_region_share, Reason.REGION_TOO_LARGE)


def carrier_gate(label: str, carriers: Sequence[str]) -> Gate:
    """Whether the target is of a class that carries other things, which would float without it."""
    value = float(label in carriers)
    measurement = Measurement(name="carries_others", value=value, passed=not value, threshold="= 0")
    return Gate(measurement=measurement, reason=Reason.ENTANGLED)


def overlap_gate(share: float, bound: float) -> Gate:
    """How much of a removal's hole belongs to other objects, which stand in front or behind."""
    return _at_most("hole_other_objects_share", share, bound, Reason.ENTANGLED)


def change_gate(source: Image, edited: Image, mask: Mask, settings: GateSettings) -> Gate:
    """Mean Lab distance between before and after under the mask."""
    value = float(_delta(source, edited)[mask].mean()) if mask.any() else 0.0
    return _at_least("change_inside_delta_e", value, settings.min_change, Reason.NOT_CHANGED)


def leak_gate(source: Image, raw: Image, allowed: Mask, settings: GateSettings) -> Gate:
    """Mean Lab distance outside the allowed region on the editor's raw patch, before anything is put back."""
    outside = ~allowed
    value = float(_delta(source, raw)[outside].mean()) if outside.any() else 0.0
    return _at_most("raw_leak_delta_e", value, settings.max_leak, Reason.LEAKED)


def colour_gate(edited: Image, mask: Mask, name: str, settings: GateSettings) -> Gate:
    """Share of the mask that bears the asked colour's name afterwards; it must also be the most frequent one."""
    found = dominant_color(edited, mask)
    least = settings.min_neutral_share if name in NEUTRALS else settings.min_colour_share
    value = found.share if found.name == name else 0.0
    return _at_least("asked_colour_share", value, least, Reason.WRONG_COLOUR)


def seam_gate(source: Image, edited: Image, region: Mask, settings: GateSettings) -> Gate:
    """Share of the region's border where the edit made a step that the source did not have.

    An honest recolouring puts its steps where the object's outline was one already; a mask that cuts through a
    surface, or a filling that does not meet its surroundings, puts them where there was none.
    """
    line, before, after = border_steps(source, edited, region)
    if not line.any():
        return _at_most("seam_share", 0.0, settings.max_seam_share, Reason.SEAM_VISIBLE)
    seen = settings.seam_step + settings.seam_masking * _deviation(source)
    excess = (after > seen) & (after > before + 2.0) & (before < settings.edge_step)
    return _at_most("seam_share", float(excess[line].mean()), settings.max_seam_share, Reason.SEAM_VISIBLE)


def border_steps(
    source: Image, edited: Image, region: Mask
) -> tuple[Mask, NDArray[np.float32], NDArray[np.float32]]:
    """The region's border line and the Lab step across it before and after, each (H, W).

    The step is the distance between the mean colours just inside and just outside, 2-5 px off the line.
    """
    reach = int(np.clip(round(0.012 * max(region.shape)), 2, 12))
    inner, outer = region & ~_erode(region, reach), dilate(region, reach) & ~region
    line = (region & ~_erode(region, 1)) & _clear_of_frame(region.shape, reach + 1)
    steps = []
    for picture in (source, edited):
        lab = to_lab(picture)
        steps.append(np.linalg.norm(_band_mean(lab, inner, reach) - _band_mean(lab, outer, reach), axis=2))
    return line, steps[0], steps[1]


def flat_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Fine contrast of the filling over that of its surroundings; flat surroundings ask for nothing."""
    inside, around = fine_contrast(edited, hole)
    value = inside / around if around >= settings.textured else 1.0
    return _at_least("fill_contrast_ratio", value, settings.flat_ratio, Reason.FLAT_FILL)


def fine_contrast(edited: Image, hole: Mask) -> tuple[float, float]:
    """Median local deviation of lightness (L units, 7 px) deep in the hole and in the ring around it."""
    deviation = _deviation(edited)
    deep = _erode(hole, 4)
    ring = dilate(hole, _ring_width(hole)) & ~dilate(hole, 4)
    if not deep.any() or not ring.any():
        return 1.0, 1.0
    return float(np.median(deviation[deep])), float(np.median(deviation[ring]))


def foreign_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Share of the filling whose colour is nowhere around the hole: something was carried in from afar."""
    ring = dilate(hole, _ring_width(hole)) & ~hole
    inside = _erode(hole, 3)
    if not ring.any() or not inside.any():
        return _at_most("foreign_fill_share", 0.0, settings.max_foreign, Reason.FLAT_FILL)
    lab = cv2.GaussianBlur(to_lab(edited), (0, 0), 2.0)
    known = np.unique(np.rint(lab[ring] / 4).astype(np.int16), axis=0).astype(np.float32) * 4
    asked, counts = np.unique(np.rint(lab[inside] / 4).astype(np.int16), axis=0, return_counts=True)
    nearest = _nearest(asked.astype(np.float32) * 4, known)
    value = float(counts[nearest > settings.foreign_distance].sum() / counts.sum())
    return _at_most("foreign_fill_share", value, settings.max_foreign, Reason.FOREIGN_FILL)


def ragged_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Share of the hole's border where neighbours along it, just outside, differ strongly.

    Each such place is a thing that ran into the hole and now has to go on or end there: few are a horizon or a
    table's edge, many mean that the object stood among others and no filling can be right.
    """
    line = dilate(hole, 3) & ~dilate(hole, 2)
    line &= _clear_of_frame(hole.shape, 4)
    lab = cv2.GaussianBlur(to_lab(edited), (0, 0), max(1.5, 0.008 * max(hole.shape)))
    gradient = [cv2.Sobel(lab, cv2.CV_32F, dx, 1 - dx, ksize=3) / 8 for dx in (1, 0)]
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    normal = [cv2.Sobel(distance, cv2.CV_32F, dx, 1 - dx, ksize=5) for dx in (1, 0)]
    length = np.maximum(np.hypot(normal[0], normal[1]), 1e-3)
    along = -gradient[0] * (normal[1] / length)[..., None] + gradient[1] * (normal[0] / length)[..., None]
    step = np.linalg.norm(along, axis=2) * max(4.0, 0.02 * max(hole.shape))
    value = float((step[line] > settings.structure_step).mean()) if line.any() else 0.0
    return _at_most("ragged_border_share", value, settings.max_ragged, Reason.ENTANGLED)


def strange_border_gate(edited: Image, hole: Mask, settings: GateSettings) -> Gate:
    """Share of the hole's border in colours that are rare in the wider surroundings.

    Most often this is a part of the object that its box missed (a handle, a saucer), left behind.
    """
    line = dilate(hole, 3) & ~dilate(hole, 1) & _clear_of_frame(hole.shape, 4)
    ring = dilate(hole, _ring_width(hole)) & ~dilate(hole, 6)
    if not line.any() or not ring.any():
        return _at_most("strange_border_share", 0.0, settings.max_strange, Reason.ENTANGLED)
    lab = cv2.GaussianBlur(to_lab(edited), (0, 0), max(1.5, 0.006 * max(hole.shape)))
    bins, counts = np.unique(np.rint(lab[ring] / 5).astype(np.int16), axis=0, return_counts=True)
    usual = bins[counts >= 0.01 * counts.sum()].astype(np.float32) * 5
    asked, weights = np.unique(np.rint(lab[line]).astype(np.int16), axis=0, return_counts=True)
    if not len(usual):
        return _at_most("strange_border_share", 1.0, settings.max_strange, Reason.ENTANGLED)
    far = _nearest(asked.astype(np.float32), usual) > settings.strange_distance
    value = float(weights[far].sum() / weights.sum())
    return _at_most("strange_border_share", value, settings.max_strange, Reason.ENTANGLED)


def found_before_gate(before: Sequence[Detection], target: Box, label: str, settings: GateSettings) -> Gate:
    """Best score of the target's own class at its place, on the window before the removal."""
    value = max(
        (d.score for d in before if d.label == label and _same_place(d.box, target, settings)), default=0.0
    )
    return _at_least("found_before_score", value, settings.before_score, Reason.REMOVAL_UNVERIFIABLE)


def gone_gate(
    after: Sequence[Detection],
    others: Sequence[Box],
    target: Box,
    label: str,
    hole: Mask,
    settings: GateSettings,
) -> Gate:
    """Best score of the target's class at its place afterwards; neighbours of that class don't count.

    Args:
        others: boxes of the scene's other objects of the class.
        hole: the filled pixels, in the same pixels as the boxes.
    """
    found = [
        d.score
        for d in after
        if d.label == label
        and (_same_place(d.box, target, settings) or _share_in(d.box, hole) > settings.in_hole)
        and not any(iou(d.box, other) > 0.5 for other in others)
    ]
    return _at_most("found_after_score", max(found, default=0.0), settings.after_score, Reason.STILL_THERE)


def new_object_gate(
    before: Sequence[Detection], after: Sequence[Detection], label: str, hole: Mask, settings: GateSettings
) -> Gate:
    """Best score of anything else found in the hole afterwards that was not found there before."""
    found = [
        d.score
        for d in after
        if d.label != label
        and _share_in(d.box, hole) > settings.in_hole
        and not any(b.label == d.label and iou(b.box, d.box) > 0.5 for b in before)
    ]
    bound = settings.before_score
    return _at_most("new_object_score", max(found, default=0.0), bound, Reason.NEW_OBJECT_APPEARED)


def _same_place(found: Box, target: Box, settings: GateSettings) -> bool:
    return iou(found, target) > settings.same_place or containment(found, target) > 0.8


def _share_in(box: Box, hole: Mask) -> float:
    inside = hole[max(0, box.y0) : box.y1, max(0, box.x0) : box.x1]
    return float(inside.sum()) / box.area if box.area else 0.0


def _delta(a: Image, b: Image) -> NDArray[np.float32]:
    return np.linalg.norm(to_lab(a) - to_lab(b), axis=2)


def _erode(mask: Mask, radius: int) -> Mask:
    return ~dilate(~mask, radius)


def _ring_width(hole: Mask) -> int:
    box = box_of(hole)
    return int(np.clip(round(0.35 * max(box.width, box.height)), 8, 80))


def _clear_of_frame(shape: tuple[int, ...], margin: int) -> Mask:
    clear = np.zeros(shape[:2], bool)
    clear[margin:-margin, margin:-margin] = True
    return clear


def _band_mean(lab: NDArray[np.float32], band: Mask, reach: int) -> NDArray[np.float32]:
    weight = band.astype(np.float32)
    size = (4 * reach + 1, 4 * reach + 1)
    total = cv2.boxFilter(lab * weight[..., None], -1, size, normalize=False)
    return total / np.maximum(cv2.boxFilter(weight, -1, size, normalize=False), 1e-3)[..., None]


def _deviation(image: Image) -> NDArray[np.float32]:
    """Local deviation of lightness, (H, W) in L units over 7 x 7 px."""
    light = to_lab(image)[..., 0]
    mean = cv2.blur(light, (7, 7))
    return np.sqrt(np.maximum(cv2.blur(light * light, (7, 7)) - mean * mean, 0))


def _nearest(points: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each point (N, 3) to the nearest of ``known`` (M, 3)."""
    squares = (points**2).sum(axis=1)[:, None] - 2 * points @ known.T + (known**2).sum(axis=1)[None]
    return np.sqrt(np.maximum(squares.min(axis=1), 0))


def _at_least(name: str, value: float, bound: float, reason: Reason) -> Gate:
    rounded = round(value, 4)
    measurement = Measurement(name=name, value=rounded, passed=rounded >= bound, threshold=f">= {bound:g}")
    return Gate(measurement=measurement, reason=reason)


def _at_most(name: str, value: float, bound: float, reason: Reason) -> Gate:
    rounded = round(value, 4)
    measurement = Measurement(name=name, value=rounded, passed=rounded <= bound, threshold=f"<= {bound:g}")
    return Gate(measurement=measurement, reason=reason)
