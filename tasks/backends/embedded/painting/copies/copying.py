"""Add and Replace of the embedded editor: chooses the best place for a copy and puts it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.painting.copies.cutout import Cutout, cut_out, window_around
from tasks.backends.embedded.painting.copies.evenness import Beside, Evenness, evenness
from tasks.backends.embedded.painting.copies.ground import Ground, ground_around
from tasks.backends.embedded.painting.copies.instances import (
    LIVING,
    Instance,
    decoded,
    has_fine_outline,
    opened,
    supports,
)
from tasks.backends.embedded.painting.copies.paste import Layers, pasted, scaled
from tasks.backends.embedded.painting.copies.patch import Patch, patch_at
from tasks.backends.embedded.painting.copies.placements import REACH, Placement, additions, replacements
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.geometry import box_of, cropped
from tasks.imaging.masks import dilate
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.records import GroundedTarget, Measurement, Scene, SceneObject

MIN_EVEN, MIN_ALIKE, MAX_DISTANCE, MAX_EDGES, MIN_WAY = 0.7, 0.93, 14.0, 0.06, 0.6
"""Bounds of the ground around the thing that is copied, and of the place where the copy stands."""

MIN_ALIKE_WALKING, MAX_DISTANCE_WALKING, MAX_DISTANCE_UP = 0.85, 36.0, 26.0
"""The same of people and animals, which walk from grass to sand, and stand with a foot on each. Behind the target the
ground may end, at a wall of another color."""

UP = 0.1
"""Distance above the target's foot line, in its height, from which a place lies behind it."""

GOOD = 0.9
"""Value of a place from which no further one is looked at."""

HOLE_SHARE = 0.05
"""Margin of the hole around a thing that is replaced, in its longer side."""

DARK_L, MAX_DARK_LEFT = 10.0, 0.002
"""Lab lightness below the lit ground that is left of a shadow, and the area that passes, in areas of the thing."""

Fill = Callable[[Image, Mask], Image]
"""Fills a hole (H, W) of a picture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    cutout: Cutout
    ground: Ground


def add_copy(image: Image, target: GroundedTarget, argument: str) -> Image:
    """The photograph with a copy of a thing of the target's class beside the target.

    Raises:
        SampleError: ``backend_error`` for an argument that is not offered; ``uneven_ground`` where no place is even.
    """
    places = additions(target).get(argument)
    if places is None:
        raise SampleError(Reason.BACKEND_ERROR, f"Add of {argument!r} is not offered")
    own, scene = opened(target.objects[0]), target.scene
    near = _ground(image, scene, own)
    hidden = _shaded(near, own.mask) | dilate(own.mask | _others(scene, own.thing), 3)
    beside = Beside(box=own.box, hidden=hidden, color=None if near is None else near.color)
    sources: dict[int, _Source | None] = {}
    best: tuple[float, Layers] | None = None
    refused = [measure("ground_even_share", 0.0, low=MIN_EVEN)]
    for place in places:
        patch = _patch(image, scene, place)
        if patch is not None and patch.agrees:
            return pasted(image, patch.layers)[0]
    for place in places:
        if place.index not in sources:
            sources[place.index] = _source(image, scene, place.index)
        source = sources[place.index]
        if source is None:
            continue
        layers = scaled(source.cutout, place.scale, place.x, place.foot)
        found = evenness(image, place.box(scene), layers, source.ground, beside)
        behind = place.foot < own.box.y1 - UP * own.box.height
        measured = measured_of(found, scene.objects[place.index], behind=behind)
        if not all(each.passed for each in measured):
            refused = max(refused, list(measured), key=lambda each: (sum(m.passed for m in each), len(each)))
            continue
        value = found.alike - 0.01 * found.distance - found.edges
        if best is None or value > best[0] + 0.03:
            best = (value, layers)
        if value >= GOOD:
            break
    if best is None:
        raise SampleError(Reason.UNEVEN_GROUND, measured=tuple(refused))
    return pasted(image, best[1])[0]


def _patch(image: Image, scene: Scene, place: Placement) -> Patch | None:
    """The copy with the ground around it, where the place lies on the thing's own foot line."""
    thing = opened(scene.objects[place.index])
    own = thing.thing.box
    if place.scale != 1 or round(place.foot) != own.y1:
        return None
    every = _others(scene, thing.thing) | thing.mask
    return patch_at(image, thing.mask, every, round(place.x - own.center[0]))


def replace_by_copy(image: Image, target: GroundedTarget, argument: str, fill: Fill) -> Image:
    """The photograph with the target taken out and a copy of another thing in its place.

    Raises:
        SampleError: ``backend_error`` for an argument that is not offered; ``uneven_ground`` where the ground around
            the two things is not even, or not the same; ``still_there`` where the old shadow is left.
    """
    place = replacements(target).get(argument)
    if place is None:
        raise SampleError(Reason.BACKEND_ERROR, f"Replace by {argument!r} is not offered")
    own, scene = target.objects[0], target.scene
    source, old = _source(image, scene, place.index), _source(image, scene, own.index)
    if source is None or old is None:
        raise SampleError(Reason.UNEVEN_GROUND, measured=(measure("ground_even_share", 0.0, low=MIN_EVEN),))
    mask = opened(own).mask
    hole = _hole(mask, old.ground, _others(scene, own))
    window = window_around(own.box, REACH, image.shape[1], image.shape[0])
    clean = image.copy()
    clean[window.y0 : window.y1, window.x0 : window.x1] = fill(cropped(image, window), cropped(hole, window))
    left = measure("old_shadow_left_share", _dark_left(clean, mask, hole, old.ground), high=MAX_DARK_LEFT)
    if not left.passed:
        raise SampleError(Reason.STILL_THERE, measured=(left,))
    layers = scaled(source.cutout, place.scale, place.x, place.foot)
    found = evenness(clean, place.box(scene), layers, source.ground, None)
    measured = measured_of(found, scene.objects[place.index], behind=False)
    if not all(each.passed for each in measured):
        raise SampleError(Reason.UNEVEN_GROUND, measured=measured)
    return pasted(clean, layers)[0]


def _dark_left(clean: Image, mask: Mask, hole: Mask, ground: Ground) -> float:
    """Area of dark spots in and around the filled hole at the foot, in areas of the thing: its shadow is left."""
    window, box = ground.window, box_of(mask)
    near = cropped(dilate(hole, max(4, round(HOLE_SHARE * box.height))), window)
    near[: max(0, box.y1 - window.y0 - round(0.3 * box.height))] = False
    light = cv2.GaussianBlur(to_lab(cropped(clean, window)), (0, 0), 2.0)[..., 0]
    dark = near & (light < ground.color[0] - max(DARK_L, 4 * float(ground.spread[0])))
    return float(np.count_nonzero(dark)) / max(1, int(np.count_nonzero(mask)))


def measured_of(found: Evenness, thing: SceneObject, *, behind: bool) -> tuple[Measurement, ...]:
    """What was ``found`` at a place, with the bounds for a copy of ``thing``, which may stand ``behind`` the target."""
    # What stands on a table stays on that table.
    walks = noun(thing.label).kind in LIVING
    most = (MAX_DISTANCE_UP if behind else MAX_DISTANCE_WALKING) if walks else MAX_DISTANCE
    return (
        measure("place_alike_share", found.alike, low=MIN_ALIKE_WALKING if walks else MIN_ALIKE),
        measure("place_ground_delta_e", found.distance, high=most),
        measure("place_edge_share", found.edges, high=MAX_EDGES),
        measure("way_alike_share", found.way, low=MIN_WAY),
    )


def _source(image: Image, scene: Scene, index: int) -> _Source | None:
    """The thing cut out with its shadow; None where the ground around it is not even or its shadow is cut off."""
    thing = opened(scene.objects[index])
    if not has_fine_outline(thing.thing):
        return None
    ground = _ground(image, scene, thing)
    if ground is None or ground.cut or ground.even < MIN_EVEN or not ground.one_surface:
        return None
    return _Source(cutout=cut_out(image, thing.mask, ground), ground=ground)


def _ground(image: Image, scene: Scene, thing: Instance) -> Ground | None:
    window = window_around(thing.box, REACH, image.shape[1], image.shape[0])
    return ground_around(image, thing.mask, _others(scene, thing.thing), window)


def _shaded(ground: Ground | None, mask: Mask) -> Mask:
    """Pixels (H, W) in the shadow of the thing under ``mask``."""
    shaded = np.zeros_like(mask)
    if ground is not None:
        window = ground.window
        shaded[window.y0 : window.y1, window.x0 : window.x1] = ground.shadow < 0.975
    return shaded


def _others(scene: Scene, thing: SceneObject) -> Mask:
    """Pixels of the scene's other things, without those that the thing stands on."""
    taken = decoded(thing.mask)
    others = np.zeros_like(taken)
    for other in scene.objects:
        if thing.index not in (other.index, other.part_of) and not supports(other, thing):
            others |= decoded(other.mask)
    return others & ~taken


def _hole(mask: Mask, ground: Ground, others: Mask) -> Mask:
    """The pixels to fill: the thing with a margin, and its shadow."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    radius = max(6, round(HOLE_SHARE * max(np.ptp(rows), np.ptp(columns))))
    shaded = _shaded(ground, mask)
    shaded = cv2.morphologyEx(shaded.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return (dilate(mask, radius) | dilate(shaded, round(2.5 * radius))) & ~others
