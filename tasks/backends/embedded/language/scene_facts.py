"""What the geometry of a scene says for certain about a target: who could be confused with it, who stands where.

Everything here is strict: a relation holds only when it is unmistakable, and weaker detections count as things
that may be there. `tasks.backends.embedded.language.references` builds wordings from these facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.backends.embedded.nouns import may_be, noun
from tasks.imaging.geometry import containment, gap, iou
from tasks.records.records import Box, Distractor, GroundedTarget, Scene, SceneObject

TABLE = "dining table"

SAME_THING_IOU = 0.45
"""Boxes of one class that overlap this much are the same thing twice."""

PART_SHARE = 0.75
"""A weak box with this share inside an entity of its class is a part of it; the other way round, a group of it."""

SURE_LABEL = 0.75
"""From this score on a thing is taken to be what its label says, and not something alike."""

CLEAR_STEP = 0.03
"""Least distance of two centers, over the picture's width, for their order to be plain."""

SIDE_OVERLAP = 0.35
"""Share of the narrower width by which two boxes may overlap and still be side by side."""

SURE_ON_METAL = frozenset({"black", "red", "orange", "yellow", "green", "pink", "purple"})
"""Colors that a device has of its own; silver is seen as white, gray or, in a blue room, blue."""

FUR = frozenset({"black", "white", "gray", "brown"})
"""Colors that an animal may be called by; others belong to what it holds or wears."""

SHARED_COLUMNS = 0.15
"""Share of the narrower width by which two boxes may overlap and still stand in an order from left to right."""

NO_CAST = frozenset({"mixed", "black", "white", "gray", "brown"})
"""Colors that many things of a scene may well share."""

CAST_SHARE = 0.6
"""Share of a scene's things of one other color that tells of the light, not of the things."""

CAST_LEAST = 4
"""So many things of that color, at least."""

EDGE = 0.36
"""A center within this share of the picture from an edge lies in the part at that edge."""

LEVEL_SLOPE = 0.75
"""Beside means: centers differ in height by at most this times their distance in width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A thing that is, or may be, in the picture. ``index`` is -1 for one that only may be.

    ``area`` counts mask pixels (0 for a weak detection); ``color`` is ``"unknown"`` for a weak detection and
    ``"mixed"`` where no single color dominates.
    """

    index: int
    label: str
    box: Box
    score: float
    area: int
    color: str
    color_share: float

    @property
    def x(self) -> float:
        """Horizontal middle in pixels."""
        return self.box.center[0]

    @property
    def y(self) -> float:
        """Vertical middle in pixels."""
        return self.box.center[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLimits:
    """From which confidence on a thing counts.

    Attributes:
        weak: a weak detection at or above this score may be another instance.
        named: a thing at or above this score may be named in a text, or serve as an anchor.
        color_share: share of the mask that must carry a color before the thing is called by it.
    """

    weak: float
    named: float
    color_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFacts:
    """A single-object target among what surrounds it.

    Attributes:
        target: the target.
        rivals: all else that could be meant by its noun, certain and possible, from left to right.
        anchors: things that their noun alone identifies, from left to right.
        groups: classes with several instances, each with all its sure and possible ones.
        named: entities sure enough to be told of in a description, the target included, from left to right.
        width, height: of the picture, pixels.
    """

    target: Entity
    rivals: tuple[Entity, ...]
    anchors: tuple[Entity, ...]
    groups: tuple[tuple[Entity, ...], ...]
    named: tuple[Entity, ...]
    width: int
    height: int


def gather_facts(target: GroundedTarget, limits: FactLimits) -> SceneFacts:
    """The facts about a target's first object."""
    scene = target.scene
    cast = color_cast(scene)
    things = [_entity(thing, cast) for thing in scene.objects]
    weak = possible_instances(scene, limits.weak)
    own = things[target.indices[0]]
    rivals = [e for e in (*things, *weak) if e.index != own.index and _may_be_called(own.label, e)]
    rivals = [e for e in rivals if not (e.index < 0 and _covers_same(e.box, own.box))]
    named = [
        entity
        for entity, thing in zip(things, scene.objects, strict=True)
        if entity.index == own.index or (thing.score >= limits.named and _is_one_thing(thing))
    ]
    anchors = [e for e in named if e.index != own.index and _identified(e, own, things, weak)]
    return SceneFacts(
        groups=_groups(own, named, [*things, *weak]),
        target=own,
        rivals=tuple(sorted(rivals, key=lambda e: (e.x, e.y))),
        anchors=tuple(sorted(anchors, key=lambda e: (e.x, e.y))),
        named=tuple(sorted(named, key=lambda e: (e.x, e.y))),
        width=scene.source.width,
        height=scene.source.height,
    )


def color_cast(scene: Scene) -> str:
    """The color that most things of a scene share, or ``""``: under a neon light none is called by it."""
    named = Counter(thing.color for thing in scene.objects if thing.color not in NO_CAST)
    color, count = max(named.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return color if count >= max(CAST_LEAST, CAST_SHARE * len(scene.objects)) else ""


def possible_instances(scene: Scene, weak: float) -> list[Entity]:
    """Weak detections that may be further things: neither a second box of an entity, nor part or group of some."""
    return [
        Entity(index=-1, label=d.label, box=d.box, score=d.score, area=0, color="unknown", color_share=0.0)
        for d in scene.distractors
        if d.score >= weak and not _repeats(d, scene.objects)
    ]


def clearly_left(a: Entity, b: Entity, width: int) -> bool:
    """Whether ``a`` is plainly further left than ``b``: center and both edges, by more than a small step."""
    step = max(CLEAR_STEP * width, 0.25 * min(a.box.width, b.box.width))
    return a.x + step <= b.x and a.box.x0 < b.box.x0 and a.box.x1 < b.box.x1


def wholly_left(a: Entity, b: Entity, width: int) -> bool:
    """Whether ``a`` comes before ``b`` from left to right for every viewer: they hardly share a column."""
    shared = a.box.x1 - b.box.x0
    return clearly_left(a, b, width) and shared <= SHARED_COLUMNS * min(a.box.width, b.box.width)


def has_color_name(entity: Entity) -> bool:
    """Whether its color can be said: metal and glass take on that of their surroundings, fur has but a few."""
    kind = noun(entity.label).kind
    mirrors = kind == "glassware" or (kind in {"device", "computer"} and entity.color not in SURE_ON_METAL)
    strange = kind == "animal" and entity.color not in FUR
    return entity.color not in {"mixed", "unknown"} and not mirrors and not strange


def beside(a: Entity, b: Entity, side: str, width: int) -> bool:
    """Whether ``a`` is unmistakably on that side (``left``, ``right``) of ``b``: about level, hardly overlapping."""
    left, right = (a, b) if side == "left" else (b, a)
    overlap = left.box.x1 - right.box.x0
    apart = overlap <= SIDE_OVERLAP * min(left.box.width, right.box.width)
    return apart and clearly_left(left, right, width) and abs(a.y - b.y) <= LEVEL_SLOPE * abs(a.x - b.x)


def maybe_beside(a: Entity, b: Entity, side: str) -> bool:
    """Whether somebody could say that ``a`` is on that side of ``b``: its center is."""
    return a.x < b.x if side == "left" else a.x > b.x


def clearly_above(a: Entity, b: Entity) -> bool:
    """Whether ``a`` is plainly higher up in the picture: each box ends before the other's middle."""
    return a.box.y1 < b.y and b.box.y0 > a.y


def rests_on(a: Entity, table: Entity) -> bool:
    """Whether ``a`` stands or lies on a table: its foot is well inside the table's box, and it is much smaller."""
    box, top = a.box, table.box
    foot = top.y0 + 0.02 * top.height <= box.y1 <= top.y0 + 0.85 * top.height
    across = top.x0 + 0.02 * top.width <= box.x0 and box.x1 <= top.x1 - 0.02 * top.width
    return foot and across and box.area <= 0.5 * top.area


def stands_on_or_at(a: Entity, table: Entity) -> bool:
    """Whether ``table`` is a table that ``a`` meets: it is on it or sits at it, and no side or order says so."""
    return table.label == TABLE and gap(a.box, table.box) == 0


def part(position: float) -> int:
    """0, 1 or 2: whether a position 0..1 lies at the start, in the middle or at the end."""
    return 0 if position < EDGE else 2 if position > 1 - EDGE else 1


def zone_of(entity: Entity, facts: SceneFacts) -> tuple[int, int]:
    """(row, column), each 0..2, of the part of the picture that holds the entity's center."""
    return part(entity.y / facts.height), part(entity.x / facts.width)


def touches_border(box: Box, width: int, height: int, margin: float = 0.01) -> bool:
    """Whether a box reaches the picture's border, so that the thing may go on outside."""
    dx, dy = margin * width, margin * height
    return box.x0 <= dx or box.y0 <= dy or box.x1 >= width - dx or box.y1 >= height - dy


def same_label(entities: Iterable[Entity], label: str) -> list[Entity]:
    """Those with this very label."""
    return [entity for entity in entities if entity.label == label]


def _entity(thing: SceneObject, cast: str) -> Entity:
    return Entity(
        index=thing.index,
        label=thing.label,
        box=thing.box,
        score=thing.score,
        area=thing.area,
        color="mixed" if thing.color == cast else thing.color,
        color_share=thing.color_share,
    )


def _is_one_thing(thing: SceneObject) -> bool:
    return thing.not_a_target not in {"group_box", "contested_label"}


def _identified(anchor: Entity, own: Entity, things: Sequence[Entity], weak: Sequence[Entity]) -> bool:
    """Whether the noun alone leads to the anchor: nothing else, sure or possible, might be called so."""
    if (
        _may_be_called(own.label, anchor)
        or _may_be_called(anchor.label, own)
        or noun(anchor.label).kind == "thin"
    ):
        return False
    others = [e for e in things if e.index != anchor.index and _may_be_called(anchor.label, e)]
    others += [e for e in weak if may_be(anchor.label, e.label) and not _covers_same(e.box, anchor.box)]
    return not others


def _may_be_called(label: str, entity: Entity) -> bool:
    """Whether a viewer might call the entity by the noun of ``label``."""
    return entity.label == label or (entity.score < SURE_LABEL and may_be(label, entity.label))


def _groups(
    own: Entity, named: Sequence[Entity], everything: Sequence[Entity]
) -> tuple[tuple[Entity, ...], ...]:
    labels = sorted({e.label for e in named} - {own.label})
    sure = [label for label in labels if len(same_label(named, label)) > 1 and not may_be(own.label, label)]
    return tuple(tuple(same_label(everything, label)) for label in sure)


def _repeats(weak: Distractor, things: Sequence[SceneObject]) -> bool:
    same = [thing for thing in things if thing.label == weak.label]
    return any(_covers_same(weak.box, thing.box) for thing in same)


def _covers_same(weak: Box, sure: Box) -> bool:
    """Whether a weak box is the sure one again, a part of it, or a group around it."""
    return (
        iou(weak, sure) >= SAME_THING_IOU
        or containment(weak, sure) >= PART_SHARE
        or containment(sure, weak) >= PART_SHARE
    )
