"""Where copies can stand, from records alone: beside a target (Add), or in its place (Replace)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.painting.copies.instances import (
    LIVING,
    SUPPORTS,
    can_be_copied,
    in_frame,
    is_free,
    stands_alone,
    supports,
)
from tasks.imaging.geometry import clip, grow
from tasks.imaging.perspective import scale_at
from tasks.records.records import Box, EditType, GroundedTarget, Scene, SceneObject

SIDES = ("left", "right")

GAPS = (0.3, 0.6, 1.0, 1.6)
"""Distances between target and copy that are tried, in the lesser of their widths."""

LINES = (0.0, 0.06, -0.06, 0.14, -0.14, 0.3, -0.3)
"""Shifts of the foot line that are tried, in heights of the target."""

MOST_PLACES = 8
"""Places of one thing on one side that are looked at; each costs some milliseconds."""

MIN_SCALE, MAX_SCALE = 0.5, 1.3
"""Smaller copies are too sharp for their place, larger ones too soft."""

FAR = 1.6
"""Distance of a living thing from its own copy, in widths of the copy, from which the two are not compared at once."""

ROOM = 0.06
"""Room around a copy in which nothing may be, as a share of its height."""

REACH = 0.8
"""Room around a thing for its shadow, in its longer side."""

ALIKE = 2.2
"""Largest ratio of the sizes of two things of which one may stand in the other's place."""

COLORED = 0.6
"""Share of a mask in one color from which a copy is told by it."""

CLOTHES = frozenset({"black", "blue", "green", "red", "yellow", "purple", "white", "pink", "orange"})
"""Colors that, all over a person, are clothes."""

DIFFERENT = "different"
"""How another person or animal is told that no color tells."""

PLAIN = frozenset({"vehicle", "furniture", "bag", "toy", "tableware", "fruit", "device", "thing"})
"""Kinds that are told by their color."""

LABELS_ON_TABLES = frozenset(
    {
        "cup",
        "bowl",
        "vase",
        "bottle",
        "wine glass",
        "drinking glass",
        "mouse",
        "keyboard",
        "cell phone",
        "remote",
    }
    | {
        "laptop",
        "clock",
        "apple",
        "orange",
        "banana",
        "donut",
        "cake",
        "sandwich",
        "hot dog",
        "pizza",
        "toaster",
    }
)
"""Things that stand on tables and not on floors."""

EITHER = frozenset({"potted plant", "book", "teddy bear"})
"""Things that stand on both."""

ON_FLOORS = frozenset({"person", "animal", "vehicle", "furniture", "bag", "plant"})
"""Kinds that stand on floors, streets and grass."""

GROUPS: tuple[frozenset[str], ...] = (
    frozenset({"person"}),
    frozenset({"dog", "cat", "sheep", "cow", "horse", "zebra", "bear", "elephant", "giraffe", "teddy bear"}),
    frozenset({"car", "truck", "bus", "motorcycle", "bicycle"}),
    frozenset({"chair", "bench", "potted plant", "suitcase"}),
    frozenset({"handbag", "backpack", "suitcase"}),
    frozenset(
        {
            "cup",
            "bowl",
            "vase",
            "bottle",
            "wine glass",
            "drinking glass",
            "potted plant",
            "mouse",
            "cell phone",
        }
        | {"remote", "book", "clock", "teddy bear", "apple", "orange", "banana", "sports ball"}
    ),
    frozenset(
        {"apple", "orange", "banana", "donut", "cake", "sandwich", "hot dog", "pizza", "broccoli", "carrot"}
    ),
)
"""Labels that stand in the same places, so that one thing may take another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A copy of an object of the scene, in pixels of the picture.

    Attributes:
        index: the object that is copied.
        x: column of the middle of the copy's box; ``foot``: the row below its lowest pixel.
        scale: the copy's size over the object's.
    """

    index: int
    x: float
    foot: float
    scale: float

    def box(self, scene: Scene) -> Box:
        """The copy's box; it may reach beyond the picture."""
        own = scene.objects[self.index].box
        width, height = self.scale * own.width, self.scale * own.height
        return Box(
            x0=round(self.x - width / 2),
            y0=round(self.foot - height),
            x1=round(self.x + width / 2),
            y1=round(self.foot),
        )


def addition(label: str, side: str) -> str:
    """The argument of Add: ``another cup to the left`` (of the target)."""
    return f"another {noun(label).one} to the {side}"


def additions(target: GroundedTarget) -> dict[str, tuple[Placement, ...]]:
    """Arguments of Add with the places where the copy can stand, best first; those without a place are left out.

    The new thing is a copy of any whole thing that stands on the same ground, of the target's class or another.
    """
    if len(target.indices) != 1:
        return {}
    own, scene = target.objects[0], target.scene
    if own.part_of is not None or noun(own.label).kind in _HANGING or own.label in SUPPORTS:
        return {}
    found: dict[str, tuple[Placement, ...]] = {}
    # The nearest foot line first: a copy from there is scaled least.
    for source in sorted(scene.objects, key=lambda o: (abs(o.box.y1 - own.box.y1), o.index)):
        if _together(source, own) and can_be_copied(source, scene):
            for side in SIDES:
                argument = addition(source.label, side)
                places = tuple(islice(_beside(own, side, source, scene), MOST_PLACES))
                if places:
                    found[argument] = (*found.get(argument, ()), *places)
    return found


_HANGING = frozenset({"sign", "fixture", "accessory", "thin"})
"""Kinds of which it is not known that they stand on the ground."""


def _together(source: SceneObject, own: SceneObject) -> bool:
    """Whether a copy of ``source`` makes sense beside the target: both stand on the floor, or both on a table."""
    if source.label == own.label:
        return True
    on_tables = (LABELS_ON_TABLES & {source.label, own.label}) or {source.label, own.label} <= EITHER
    if on_tables:
        return {source.label, own.label} <= LABELS_ON_TABLES | EITHER
    return {noun(source.label).kind, noun(own.label).kind} <= ON_FLOORS


def _beside(own: SceneObject, side: str, source: SceneObject, scene: Scene) -> Iterator[Placement]:
    """Free places for a copy of ``source`` on that side of the target."""
    living = noun(source.label).kind in LIVING
    feet = [own.box.y1 + line * own.box.height for line in LINES]
    # On its own foot line a thing keeps its size, whatever the perspective.
    if own.box.y0 + 0.5 * own.box.height < source.box.y1 < own.box.y1 + 0.3 * own.box.height:
        feet.insert(0, float(source.box.y1))
    if not _share_support(own, source, scene) or (living and source.index == own.index):
        return
    for gap in GAPS:
        for foot in feet:
            place = _at(own, side, source, gap, foot, scene)
            if place is not None and _fits(place, scene, frozenset()):
                if living and not _apart(place, source, scene):
                    continue
                yield place


def _at(
    own: SceneObject, side: str, source: SceneObject, gap: float, foot: float, scene: Scene
) -> Placement | None:
    scale = scale_at(source, foot, scene)
    if scale is None or not MIN_SCALE <= scale <= MAX_SCALE:
        return None
    width = scale * source.box.width
    apart = own.box.width / 2 + width / 2 + gap * min(own.box.width, width)
    x = own.box.center[0] + (apart if side == "right" else -apart)
    return Placement(index=source.index, x=x, foot=foot, scale=scale)


def _fits(place: Placement, scene: Scene, without: frozenset[int]) -> bool:
    box = place.box(scene)
    if not in_frame(box, scene):
        return False
    room = round(ROOM * box.height)
    wide = clip(
        Box(x0=box.x0 - room, y0=box.y0, x1=box.x1 + room, y1=box.y1 + room),
        scene.source.width,
        scene.source.height,
    )
    return is_free(wide, scene, without, scene.objects[place.index])


def _share_support(one: SceneObject, other: SceneObject, scene: Scene) -> bool:
    """Whether both stand on the same table, or neither on any."""
    return _supports_of(one, scene) == _supports_of(other, scene)


def _supports_of(thing: SceneObject, scene: Scene) -> frozenset[int]:
    return frozenset(o.index for o in scene.objects if o.index != thing.index and supports(o, thing))


def _apart(place: Placement, source: SceneObject, scene: Scene) -> bool:
    box = place.box(scene)
    step = max(abs(place.x - source.box.center[0]), abs(place.foot - source.box.y1))
    return step >= FAR * max(box.width, source.box.width)


def replacements(target: GroundedTarget) -> dict[str, Placement]:
    """Arguments of Replace (``yellow chair``) with the copy that takes the target's place."""
    if len(target.indices) != 1:
        return {}
    own, scene = target.objects[0], target.scene
    if own.part_of is not None or not in_frame(own.box, scene) or not stands_alone(own, scene):
        return {}
    found: dict[str, Placement] = {}
    for source in sorted(scene.objects, key=lambda o: (abs(o.box.y1 - own.box.y1), o.index)):
        name = _told(source, own)
        if source.index == own.index or not name or name in found or not can_be_copied(source, scene):
            continue
        scale = _size_in_place(source, own, scene)
        if scale is None or not MIN_SCALE <= scale <= MAX_SCALE:
            continue
        place = Placement(index=source.index, x=own.box.center[0], foot=own.box.y1, scale=scale)
        box = place.box(scene)
        near_in_size = max(box.height / own.box.height, own.box.height / box.height) <= ALIKE
        free = _share_support(own, source, scene) and _fits(place, scene, frozenset({own.index}))
        if near_in_size and free:
            found[name] = place
    return found


def place_of(edit_type: EditType, target: GroundedTarget, argument: str) -> Placement | None:
    """The first place of the copy that an edit asks for; None for another edit."""
    if edit_type is EditType.ADD:
        return next(iter(additions(target).get(argument, ())), None)
    return replacements(target).get(argument) if edit_type is EditType.REPLACE else None


def room_for(edit_type: EditType, target: GroundedTarget, argument: str) -> Box | None:
    """The part of the picture that holds the target and the copy wherever it may be put, with their shadows."""
    if edit_type is EditType.ADD:
        places: tuple[Placement, ...] = additions(target).get(argument, ())
    else:
        place = place_of(edit_type, target, argument)
        places = (place,) if place else ()
    if not places:
        return None
    boxes = [target.objects[0].box, *(place.box(target.scene) for place in places)]
    source = target.scene.source
    grown = [
        grow(box, round(REACH * max(box.width, box.height)), source.width, source.height) for box in boxes
    ]
    return Box(
        x0=min(box.x0 for box in grown),
        y0=min(box.y0 for box in grown),
        x1=max(box.x1 for box in grown),
        y1=max(box.y1 for box in grown),
    )


def _size_in_place(source: SceneObject, own: SceneObject, scene: Scene) -> float | None:
    """The source's size at the target's foot line; of one class, it is taken for as tall as the target."""
    scale = scale_at(source, own.box.y1, scene)
    if scale is None and source.label == own.label:
        return own.box.height / source.box.height
    return scale


def _told(source: SceneObject, own: SceneObject) -> str:
    """How the copy is called in words, ``""`` where it could not be told from the target or doesn't fit its place."""
    word = noun(source.label)
    color = source.color if source.color != "mixed" and source.color_share >= COLORED else ""
    differs = bool(color) and own.color not in {color, "mixed"} and own.color_share >= COLORED
    if source.label != own.label:
        if not any(source.label in group and own.label in group for group in GROUPS):
            return ""
        plain = color and word.kind in PLAIN and color != word.one
        return f"{color} {word.one}" if plain else word.one
    if word.kind == "person" and differs and color in CLOTHES:
        return f"person in {color}"
    if word.kind in LIVING and not (differs and word.kind == "animal"):
        return f"{DIFFERENT} {word.one}"  # no two look alike
    if not differs:
        return ""
    return f"{color} {word.one}" if word.kind in PLAIN or word.kind == "animal" else ""
