"""The embedded referrer: finds the objects that an instruction may mean, from its words and the scene.

Everything that the words could mean is returned, so that a reference that fits two objects, or one object and a weak
detection, is recognized as ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from tasks.backends.embedded.language.referral_grammar import Referral, Relation, parse_referral
from tasks.backends.embedded.language.text_facts import DATA as WORDS
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.geometry import containment, gap, iou
from tasks.records.records import Box, ModelIdentity, Scene
from tasks.records.settings_base import Settings
from tasks.roles.questions import Referents, ReferQuestion

VERSION = 1
"""Raised when the code of this backend changes the output."""

TIE_WIDTH = 0.015
"""Centers closer than this share of the picture's width are tied."""

TIE_AREA = 0.8
"""Boxes of at least this share of the largest area are tied with it."""

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
        everything = _candidates(question.scene, self.options.weak_score)
        referral = parse_referral(question.instruction, {c.label for c in everything})
        if referral is None:
            return Referents()
        fitting = [c for c in everything if c.label == referral.label and _has_color(c, referral.color)]
        for relation in referral.relations:
            fitting = _filter(fitting, relation, everything, question.scene)
        meant = _superlatives(fitting, referral, everything, question.scene)
        return Referents(objects=tuple(sorted(candidate.index for candidate in meant)))


def _candidates(scene: Scene, weak: float) -> list[_Candidate]:
    found = [
        _Candidate(index=o.index, label=o.label, box=o.box, color=o.color, color_share=o.color_share)
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
    if relation.name in {"left_of", "right_of", "above", "below", "on"}:
        anchors = [a for a in everything if a.label == relation.labels[0]]
        return [c for c in fitting if any(_stands(c, relation.name, a) for a in anchors if a is not c)]
    if relation.name == "between":
        first = [a for a in everything if a.label == relation.labels[0]]
        second = [a for a in everything if a.label == relation.labels[1]]
        return [c for c in fitting if any(_amid(c, a, b) for a in first for b in second if c not in (a, b))]
    return fitting


def _in_part(position: float, part: int) -> bool:
    """Whether a center (0..1) could be said to be in that third; thirds overlap."""
    return (position < 0.45, 0.25 < position < 0.75, position > 0.55)[part]


def _stands(c: _Candidate, relation: str, anchor: _Candidate) -> bool:
    dx, dy = c.x - anchor.x, c.box.center[1] - anchor.box.center[1]
    meets = gap(c.box, anchor.box) == 0 and c.box.y1 > anchor.box.y0
    return {"left_of": dx < 0, "right_of": dx > 0, "above": dy < 0, "below": dy > 0, "on": meets}[relation]


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
    if "camera" in names:
        fitting = _in_front(fitting, height)
    if referral.size:
        areas = [c.box.area if referral.size == "largest" else -c.box.area for c in fitting]
        most = max(areas)
        bound = TIE_AREA * most if most > 0 else most / TIE_AREA
        fitting = [c for c, area in zip(fitting, areas, strict=True) if area >= bound]
    return _ranked(fitting, referral, TIE_WIDTH * width) if referral.rank else fitting


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


def _in_front(fitting: list[_Candidate], height: int) -> list[_Candidate]:
    """The largest and the lowest, since either may look closest to the camera."""
    largest = max(c.box.area for c in fitting)
    lowest = max(c.box.y1 for c in fitting)
    return [c for c in fitting if c.box.area >= TIE_AREA * largest or c.box.y1 >= lowest - 0.02 * height]
