"""Certain facts about a target from the geometry of its scene: possible rivals, anchors, clothes.

Weak detections count as possible objects. A part (a shirt) is told by its whole: the whole is then what is singled out
among its rivals, and no part is a thing of its own among rivals and anchors.
`tasks.backends.embedded.language.references` builds wordings from these facts, with the relations of `relations`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tasks.backends.embedded.nouns import may_be, noun
from tasks.imaging.geometry import containment, iou
from tasks.records.records import Box, Distractor, GroundedTarget, Scene, SceneObject

TABLE = "dining table"

GARMENT = "garment"
"""Kind of noun of what a person wears."""

SAME_THING_IOU = 0.45
"""IoU from which two boxes of one class are the same object."""

PART_SHARE = 0.75
"""Share of a weak box inside an entity of its class from which it is a part; the other way round, a group."""

SURE_LABEL = 0.75
"""Score from which a thing is what its label says, not something similar."""

SURE_ON_METAL = frozenset({"black", "red", "orange", "yellow", "green", "pink", "purple"})
"""Colors by which a device may be named; no others, since silver mirrors its environment."""

FUR = frozenset({"black", "white", "gray", "brown"})
"""Colors by which an animal may be named; others belong to what it holds or wears."""

NO_CAST = frozenset({"mixed", "black", "white", "gray", "brown"})
"""Colors that many objects of a scene often share."""

CAST_SHARE = 0.6
"""Share of a scene's objects of one other color from which the color is that of the light."""

CAST_LEAST = 4
"""Least number of such objects."""

EDGE = 0.36
"""Width of the outer parts of the picture, as a share of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An object, or with ``index`` -1 a weak detection that may be one.

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
        """Center column, pixels."""
        return self.box.center[0]

    @property
    def y(self) -> float:
        """Center row, pixels."""
        return self.box.center[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLimits:
    """Scores from which a detection counts.

    Attributes:
        weak: as a possible instance.
        named: as something to be named in a text, or an anchor.
        color_share: share of the mask in one color from which the color may be named.
    """

    weak: float
    named: float
    color_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFacts:
    """A target of one object with its rivals and anchors.

    Attributes:
        target: what is told from its rivals: the target, or the whole that the target is a part of.
        part: the target, where it is a part; None for a target of its own.
        is_sole_part: whether the whole is one thing, and no other part of it has the part's noun.
        clothes: for each wearer's index its garments, from the top.
        rivals: certain and possible objects that its noun could also mean, from left to right.
        anchors: objects identified by their noun alone, from left to right.
        groups: classes with several instances, each with its certain and possible ones.
        named: objects certain enough to be described, the target included, from left to right.
        width, height: of the picture, pixels.
    """

    target: Entity
    part: Entity | None
    is_sole_part: bool
    clothes: Mapping[int, tuple[Entity, ...]]
    rivals: tuple[Entity, ...]
    anchors: tuple[Entity, ...]
    groups: tuple[tuple[Entity, ...], ...]
    named: tuple[Entity, ...]
    width: int
    height: int

    @property
    def edited(self) -> Entity:
        """What the edit changes: the part, or the target."""
        return self.part or self.target

    def garments(self, wearer: Entity) -> tuple[Entity, ...]:
        """What somebody is known to wear, from the top; empty for anything else."""
        return self.clothes.get(wearer.index, ()) if wearer.index >= 0 else ()


def gather_facts(target: GroundedTarget, limits: FactLimits) -> SceneFacts:
    """The facts about a target's first object."""
    scene = target.scene
    cast = color_cast(scene)
    everything = [_entity(thing, cast) for thing in scene.objects]
    whole = target.whole
    part = everything[target.indices[0]] if whole is not None else None
    own = everything[target.indices[0] if whole is None else whole.index]
    objects = [thing for thing in scene.objects if thing.part_of is None]
    things = [everything[thing.index] for thing in objects]
    weak = possible_instances(scene, limits.weak)
    rivals = [e for e in (*things, *weak) if e.index != own.index and _may_be_called(own.label, e)]
    rivals = [e for e in rivals if not (e.index < 0 and _covers_same(e.box, own.box))]
    named = [
        entity
        for entity, thing in zip(things, objects, strict=True)
        if entity.index == own.index or (thing.score >= limits.named and _is_one_thing(thing))
    ]
    anchors = [e for e in named if e.index != own.index and _identified(e, own, things, weak)]
    return SceneFacts(
        groups=_groups(own, named, [*things, *weak]),
        target=own,
        part=part,
        is_sole_part=part is None or _is_sole(part, own, everything, scene),
        clothes=_clothes(everything, scene),
        rivals=tuple(sorted(rivals, key=lambda e: (e.x, e.y))),
        anchors=tuple(sorted(anchors, key=lambda e: (e.x, e.y))),
        named=tuple(sorted(named, key=lambda e: (e.x, e.y))),
        width=scene.source.width,
        height=scene.source.height,
    )


def color_cast(scene: Scene) -> str:
    """The color that most objects of a scene share, ``""`` without one; it is that of the light, so it is not named."""
    things = [thing for thing in scene.objects if thing.part_of is None]
    named = Counter(thing.color for thing in things if thing.color not in NO_CAST)
    color, count = max(named.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return color if count >= max(CAST_LEAST, CAST_SHARE * len(things)) else ""


def possible_instances(scene: Scene, weak: float) -> list[Entity]:
    """Weak detections that may be further objects: not duplicates, parts or groups of known ones."""
    return [
        Entity(index=-1, label=d.label, box=d.box, score=d.score, area=0, color="unknown", color_share=0.0)
        for d in scene.distractors
        if d.score >= weak and not _repeats(d, scene.objects)
    ]


def has_color_name(entity: Entity) -> bool:
    """Whether its color may be named; metal and glass mirror their environment."""
    kind = noun(entity.label).kind
    mirrors = kind == "glassware" or (kind in {"device", "computer"} and entity.color not in SURE_ON_METAL)
    strange = kind == "animal" and entity.color not in FUR
    return entity.color not in {"mixed", "unknown"} and not mirrors and not strange


def part(position: float) -> int:
    """0, 1 or 2: whether a position 0..1 lies at the start, in the middle or at the end."""
    return 0 if position < EDGE else 2 if position > 1 - EDGE else 1


def zone_of(entity: Entity, facts: SceneFacts) -> tuple[int, int]:
    """(row, column), each 0..2, of the part of the picture that holds the entity's center."""
    return part(entity.y / facts.height), part(entity.x / facts.width)


def same_label(entities: Iterable[Entity], label: str) -> list[Entity]:
    """Those with this label."""
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


def _is_sole(part: Entity, whole: Entity, everything: Sequence[Entity], scene: Scene) -> bool:
    kin = [e for e in everything if scene.objects[e.index].part_of == whole.index and e.index != part.index]
    same = any(noun(e.label).one == noun(part.label).one for e in kin)
    return _is_one_thing(scene.objects[whole.index]) and not same


def _clothes(everything: Sequence[Entity], scene: Scene) -> Mapping[int, tuple[Entity, ...]]:
    found: dict[int, list[Entity]] = {}
    for entity in sorted(everything, key=lambda e: (e.box.y0, e.index)):
        wearer = scene.objects[entity.index].part_of
        if wearer is not None and noun(entity.label).kind == GARMENT:
            found.setdefault(wearer, []).append(entity)
    return MappingProxyType({wearer: tuple(garments) for wearer, garments in found.items()})


def _is_one_thing(thing: SceneObject) -> bool:
    return thing.not_a_target not in {"group_box", "contested_label"}


def _identified(anchor: Entity, own: Entity, things: Sequence[Entity], weak: Sequence[Entity]) -> bool:
    """Whether the noun alone identifies the anchor: no other certain or possible object could have it."""
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
    """Whether the entity could be called by the noun of ``label``."""
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
    """Whether a weak box is a duplicate of the certain one, a part of it, or a group around it."""
    return (
        iou(weak, sure) >= SAME_THING_IOU
        or containment(weak, sure) >= PART_SHARE
        or containment(sure, weak) >= PART_SHARE
    )
