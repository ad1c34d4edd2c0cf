"""The embedded referrer: finds the objects that an instruction may mean, from its words and the scene.

Everything that the words could mean is returned, so that a reference that fits two objects, or one object and a weak
detection, is recognized as ambiguous.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from prompts import load_data
from tasks.backends.embedded.language.position_references import CORNERS
from tasks.backends.embedded.language.referral_grammar import Clothes, Referral, Relation, parse_referral
from tasks.backends.embedded.language.text_facts import DATA as WORDS
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.nouns import noun
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.geometry import containment, gap, iou
from tasks.records.records import Box, ModelIdentity, Scene
from tasks.records.settings_base import Settings
from tasks.roles.questions import Referents, ReferQuestion

VERSION = 3
"""Raised when the code of this backend changes the output."""

TIE_WIDTH = 0.015
"""Centers closer than this share of the picture's width are tied."""

TIE_AREA = 0.8
"""Boxes of at least this share of the largest area are tied with it."""

TIE_HEIGHT = 0.92
"""Boxes of at least this share of the greatest height are tied with it."""

NEAR = 0.05
"""Share of the picture's width within which something may be said to be before a thing; twice that is beside it."""

TIE_DISTANCE = 1.25
"""Distances within this ratio are tied."""


class GrammarReferrerOptions(Settings):
    """Options of the backend ``grammar``."""

    weak_score: float = Field(
        default=0.2, ge=0, le=1, description="score from which weak detections count as possible referents"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A possible referent; an ``index`` beyond the scene's objects is a weak detection."""

    index: int
    label: str
    box: Box
    color: str
    color_share: float
    part_of: int | None = None

    @property
    def x(self) -> float:
        return self.box.center[0]


class GrammarReferrer(OneByOne[ReferQuestion, Referents]):
    """Parses the reference by a small grammar and keeps everything that fits it. Looks at no pixels."""

    Options: ClassVar[type[Settings]] = GrammarReferrerOptions
    answering = frozenset(GrammarReferrerOptions.model_fields)
    reproducible = True
    wire = 1
    prompts = (NOUNS, WORDS)

    def __init__(self, options: GrammarReferrerOptions | None = None) -> None:
        self.options = options or GrammarReferrerOptions()

    @classmethod
    def identity_of(cls, options: GrammarReferrerOptions) -> ModelIdentity:
        """An algorithm without weights."""
        del options
        return ModelIdentity(
            role="referrer",
            backend="grammar",
            model="reference grammar over detections",
            revision=f"groundedit/{VERSION}",
            digest="none",
        )

    def answer_one(self, question: ReferQuestion) -> Referents:
        """Indices of everything that fits the instruction.

        Weak detections have the numbers after the last object, in the scene's order, so that a reference that also fits
        one of them is ambiguous. Empty when no class is named or nothing fits.
        """
        every = _candidates(question.scene, self.options.weak_score)
        parts = [c for c in every if c.part_of is not None]
        things = [c for c in every if c.part_of is None]
        referral = parse_referral(question.instruction, {c.label for c in things}, {c.label for c in parts})
        if referral is None:
            return Referents()
        if referral.part and not referral.label:
            return _indices(_parts_by_color(referral, things, parts))
        fitting = [c for c in things if c.label == referral.label and _has_color(c, referral.color)]
        if referral.clothes is not None:
            fitting = [c for c in fitting if _wears(c, referral.clothes, parts)]
        for relation in referral.relations:
            fitting = _filter(fitting, relation, things, question.scene)
        meant = _superlatives(fitting, referral, things, question.scene)
        if not referral.part:
            return _indices(meant)
        return _indices([part for owner in meant for part in _parts_of(owner, referral, parts)])


def _indices(meant: Iterable[_Candidate]) -> Referents:
    return Referents(objects=tuple(sorted({candidate.index for candidate in meant})))


def _parts_of(owner: _Candidate, referral: Referral, parts: list[_Candidate]) -> list[_Candidate]:
    """The parts that are meant of an owner, or the owner where such a part is not known, but may be there."""
    own = [part for part in parts if part.part_of == owner.index and part.label == referral.part]
    fitting = [part for part in own if not referral.part_color or _may_be(part, referral.part_color)]
    return fitting if own else [owner]


def _parts_by_color(
    referral: Referral, things: list[_Candidate], parts: list[_Candidate]
) -> list[_Candidate]:
    """All parts of that name and color, and owners whose part there may have both."""
    kin = [part for part in parts if part.label == referral.part]
    owners = {thing.label for thing in things if thing.index in {part.part_of for part in kin}}
    found = [part for part in kin if not referral.part_color or _may_be(part, referral.part_color)]
    clothes = Clothes(color=referral.part_color, label=referral.part)
    unknown = [
        thing
        for thing in things
        if thing.label in owners
        and thing.index not in {part.part_of for part in kin}
        and _wears(thing, clothes, parts)
    ]
    return [*found, *unknown]


def _wears(person: _Candidate, clothes: Clothes, parts: list[_Candidate]) -> bool:
    """Whether somebody may wear something of that color: it is known, or what is worn there is not."""
    worn = [part for part in parts if part.part_of == person.index]
    covers = set(noun(clothes.label).covers) if clothes.label else {"torso"}
    there = [part for part in worn if not clothes.label or covers & set(noun(part.label).covers)]
    known = {where for part in worn for where in noun(part.label).covers}
    # Under a dress there are no trousers, and a top that is known is no dress.
    if not covers <= known and "torso" not in covers & known:
        return True
    return any(not clothes.color or _may_be(part, clothes.color) for part in there)


def _may_be(thing: _Candidate, color: str) -> bool:
    """Whether a viewer may call it by that color."""
    near = load_data(WORDS)["near_colors"].get(color, ())
    return thing.color in {color, "mixed", "unknown", *near}


def _candidates(scene: Scene, weak: float) -> list[_Candidate]:
    found = [
        _Candidate(
            index=o.index,
            label=o.label,
            box=o.box,
            color=o.color,
            color_share=o.color_share,
            part_of=o.part_of,
        )
        for o in scene.objects
    ]
    for number, distractor in enumerate(scene.distractors):
        same = [o.box for o in scene.objects if o.label == distractor.label]
        known = any(
            iou(distractor.box, box) > 0.4
            or containment(distractor.box, box) > 0.7
            or containment(box, distractor.box) > 0.7
            for box in same
        )
        if distractor.score >= weak and not known:
            index = len(scene.objects) + number
            found.append(
                _Candidate(
                    index=index, label=distractor.label, box=distractor.box, color="unknown", color_share=0.0
                )
            )
    return found


def _has_color(candidate: _Candidate, color: str) -> bool:
    return not color or candidate.color in {color, "unknown"}


def _filter(
    fitting: list[_Candidate], relation: Relation, everything: list[_Candidate], scene: Scene
) -> list[_Candidate]:
    """Those that satisfy a relation that does not depend on the other candidates."""
    width, height = scene.source.width, scene.source.height
    if relation.name.startswith("zone_"):
        row, column = divmod(int(relation.name.removeprefix("zone_")), 3)
        return [
            c for c in fitting if _in_part(c.x / width, column) and _in_part(c.box.center[1] / height, row)
        ]
    if relation.name == "half_left":
        return [c for c in fitting if c.x < 0.5 * width]
    if relation.name == "half_right":
        return [c for c in fitting if c.x > 0.5 * width]
    if relation.name in {"left_of", "right_of", "above", "below", "on", "next_to", "in_front", "with"}:
        anchors = [a for a in everything if a.label == relation.labels[0]]
        return [c for c in fitting if any(_stands(c, relation.name, a, width) for a in anchors if a is not c)]
    if relation.name == "between":
        first = [a for a in everything if a.label == relation.labels[0]]
        second = [a for a in everything if a.label == relation.labels[1]]
        return [c for c in fitting if any(_amid(c, a, b) for a in first for b in second if c not in (a, b))]
    return fitting


def _in_part(position: float, part: int) -> bool:
    """Whether a center (0..1) could be said to be in that third; thirds overlap."""
    return (position < 0.45, 0.25 < position < 0.75, position > 0.55)[part]


def _stands(c: _Candidate, relation: str, anchor: _Candidate, width: int) -> bool:
    """Whether a relation could be said to hold."""
    dx, dy = c.x - anchor.x, c.box.center[1] - anchor.box.center[1]
    apart = gap(c.box, anchor.box)
    within = anchor.box.x0 - NEAR * width <= c.x <= anchor.box.x1 + NEAR * width
    return {
        "left_of": dx < 0,
        "right_of": dx > 0,
        "above": dy < 0,
        "below": dy > 0,
        "on": apart == 0 and c.box.y1 >= anchor.box.y0,
        "next_to": apart < 2 * NEAR * width,
        "in_front": within and c.box.y1 >= anchor.box.center[1],
        "with": apart <= 0.02 * width,
    }[relation]


def _amid(c: _Candidate, a: _Candidate, b: _Candidate) -> bool:
    return min(a.x, b.x) < c.x < max(a.x, b.x)


def _superlatives(
    fitting: list[_Candidate], referral: Referral, everything: list[_Candidate], scene: Scene
) -> list[_Candidate]:
    """Those that may be extreme or n-th among the ones that fit the rest, near ties included."""
    if not fitting:
        return []
    width, height = scene.source.width, scene.source.height
    names = {relation.name: relation for relation in referral.relations}
    if "nearest" in names:
        fitting = _nearest(fitting, names["nearest"].labels[0], everything, 0.01 * width)
    for name in names:
        if name.startswith(("corner_", "edge_")):
            fitting = _towards(fitting, name, width, height)
    if "camera" in names:
        fitting = _in_front(fitting, height)
    if referral.size:
        fitting = _most(fitting, referral.size)
    return _ranked(fitting, referral, TIE_WIDTH * width) if referral.rank else fitting


def _most(fitting: list[_Candidate], size: str) -> list[_Candidate]:
    """The largest, smallest, tallest or shortest, with those that nearly are."""
    tall = size in {"tallest", "shortest"}
    sizes = [c.box.height if tall else c.box.area for c in fitting]
    tie = TIE_HEIGHT if tall else TIE_AREA
    if size in {"largest", "tallest"}:
        return [c for c, own in zip(fitting, sizes, strict=True) if own >= tie * max(sizes)]
    return [c for c, own in zip(fitting, sizes, strict=True) if tie * own <= min(sizes)]


def _ranked(fitting: list[_Candidate], referral: Referral, tie: float) -> list[_Candidate]:
    if not referral.side:
        return fitting
    ordered = sorted(fitting, key=lambda c: c.x if referral.side == "left" else -c.x)
    if len(ordered) < referral.rank:
        return []
    chosen = ordered[referral.rank - 1]
    return [c for c in ordered if abs(c.x - chosen.x) <= tie]


def _nearest(
    fitting: list[_Candidate], label: str, everything: list[_Candidate], reach: float
) -> list[_Candidate]:
    anchors = [a for a in everything if a.label == label]
    if not anchors:
        return []
    distances = [min(gap(c.box, a.box) for a in anchors) + reach for c in fitting]
    bound = TIE_DISTANCE * min(distances)
    return [c for c, distance in zip(fitting, distances, strict=True) if distance <= bound]


def _towards(fitting: list[_Candidate], place: str, width: int, height: int) -> list[_Candidate]:
    """Those closest to a corner or an edge of the picture, near ties included."""
    kind, _, where = place.partition("_")
    if kind == "edge":
        distances = [float(c.box.y0 if where == "top" else height - c.box.y1) for c in fitting]
        bound = min(distances) + 0.02 * height
    else:
        across, down = CORNERS[int(where)]
        distances = [math.hypot(c.x - across * width, c.box.center[1] - down * height) for c in fitting]
        bound = TIE_DISTANCE * min(distances)
    return [c for c, distance in zip(fitting, distances, strict=True) if distance <= bound]


def _in_front(fitting: list[_Candidate], height: int) -> list[_Candidate]:
    """The largest and the lowest, since either may look closest to the camera."""
    largest = max(c.box.area for c in fitting)
    lowest = max(c.box.y1 for c in fitting)
    return [c for c in fitting if c.box.area >= TIE_AREA * largest or c.box.y1 >= lowest - 0.02 * height]
