"""The scene that words are compared with: things with boxes, sizes and colors, and their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tasks.records.records import Box, GroundedTarget

SIZE_MARGIN = 1.3
"""Sizes that differ by less than this factor look equal."""

TIE_SHARE = 0.2
"""Centers closer than this share of the smaller thing may be counted in either order."""

ROW_SHARE = 0.6
"""Things are in one row if their centers differ by less than this share of their median height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One object of the scene.

    Attributes:
        label: lower-case noun.
        box: in pixels of the picture, half-open.
        area: pixels of the mask, or of the box without a mask.
        color: a measured color name; ``""`` or ``mixed`` if unknown.
        part_of: index of the thing that it is a part of (a shirt's wearer), None for a thing of its own.
    """

    label: str
    box: Box
    area: int
    color: str = ""
    part_of: int | None = None

    @property
    def x(self) -> float:
        """Center column, in pixels."""
        return self.box.center[0]

    @property
    def y(self) -> float:
        """Center row, in pixels."""
        return self.box.center[1]

    def measure(self, name: str) -> float:
        """Its ``area``, ``height``, ``width`` or ``length`` (the longer side), in pixels."""
        sizes = {"height": self.box.height, "width": self.box.width, "area": self.area}
        return float(sizes.get(name, max(self.box.width, self.box.height)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WordScene:
    """The scene that the texts describe.

    Attributes:
        width, height: of the picture, in pixels.
        things: the scene's objects.
        target: indices of the things to be edited.
        weak: detections of low confidence; they make counts and orders uncertain and are never the target.
        part: index of the part of the target that the words are about, None where they are about the target itself.
    """

    width: int
    height: int
    things: tuple[Thing, ...]
    target: tuple[int, ...]
    weak: tuple[Thing, ...] = ()
    part: int | None = None

    @property
    def targets(self) -> tuple[Thing, ...]:
        """The things to be edited."""
        return tuple(self.things[index] for index in self.target)

    @property
    def label(self) -> str:
        """The first target's label."""
        return self.targets[0].label

    @property
    def whole_index(self) -> int | None:
        """Index of the thing that the first target is a part of, None for a thing of its own."""
        return self.targets[0].part_of

    @property
    def whole(self) -> Thing | None:
        """The thing that the first target is a part of."""
        return None if self.whole_index is None else self.things[self.whole_index]

    @property
    def whole_label(self) -> str:
        """Its label, ``""`` for a target of its own."""
        return "" if self.whole is None else self.whole.label

    def parts_of(self, thing: Thing) -> tuple[Thing, ...]:
        """The parts of one of the things."""
        return tuple(
            part for part in self.things if part.part_of is not None and self.things[part.part_of] is thing
        )

    def of_whole(self) -> WordScene | None:
        """The scene with the whole as its target, for what words say of the whole; None for a target of its own."""
        if self.whole_index is None:
            return None
        return replace(self, target=(self.whole_index,), part=self.target[0])

    @property
    def labels(self) -> frozenset[str]:
        """Labels of all things."""
        return frozenset(thing.label for thing in (*self.things, *self.weak))


def word_scene(target: GroundedTarget) -> WordScene:
    """The scene of a grounded target for comparison with words; distractors are its weak detections."""
    source = target.scene.source
    return WordScene(
        width=source.width,
        height=source.height,
        things=tuple(
            Thing(label=each.label, box=each.box, area=each.area, color=each.color, part_of=each.part_of)
            for each in target.scene.objects
        ),
        target=target.indices,
        weak=tuple(
            Thing(label=each.label, box=each.box, area=each.box.area) for each in target.scene.distractors
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """Things that a phrase may count: ``sure`` ones fit its words, ``maybe`` ones could."""

    sure: tuple[Thing, ...]
    maybe: tuple[Thing, ...]

    @property
    def all(self) -> tuple[Thing, ...]:
        """Both."""
        return self.sure + self.maybe


Axis = Callable[[Thing], float]

AXES: dict[str, Axis] = {
    "left": lambda thing: thing.x,
    "right": lambda thing: -thing.x,
    "top": lambda thing: thing.y,
    "bottom": lambda thing: -thing.y,
}
"""Where counting starts, and the coordinate it follows."""


def rank_range(thing: Thing, peers: Peers, start: str) -> tuple[int, int]:
    """The minimum and maximum rank (from 1) that a thing may have among its peers, counted from a side."""
    axis = AXES[start]
    before = [other for other in peers.sure if other is not thing and _is_before(other, thing, axis, start)]
    tied = [other for other in peers.sure if other is not thing and _is_tied(other, thing, start)]
    maybe = [
        other
        for other in peers.maybe
        if other is not thing and (axis(other) < axis(thing) or _is_tied(other, thing, start))
    ]
    return 1 + len(before), 1 + len(before) + len(tied) + len(maybe)


def usual_starts(things: Sequence[Thing]) -> tuple[str, ...]:
    """Where things are usually counted from if a text does not say: along the direction in which they extend."""
    if len(things) < 2:
        return tuple(AXES)
    spread_x = max(thing.x for thing in things) - min(thing.x for thing in things)
    spread_y = max(thing.y for thing in things) - min(thing.y for thing in things)
    if spread_x >= 2 * spread_y:
        return ("left", "right")
    return ("top", "bottom") if spread_y >= 2 * spread_x else tuple(AXES)


def rows(things: Sequence[Thing]) -> list[list[Thing]]:
    """The things clustered into rows, from the top, each from the left."""
    if not things:
        return []
    heights = sorted(thing.box.height for thing in things)
    step = ROW_SHARE * heights[len(heights) // 2]
    found: list[list[Thing]] = []
    for thing in sorted(things, key=lambda each: each.y):
        if found and thing.y - found[-1][-1].y < step:
            found[-1].append(thing)
        else:
            found.append([thing])
    return [sorted(row, key=lambda each: each.x) for row in found]


def _is_before(other: Thing, thing: Thing, axis: Axis, start: str) -> bool:
    return axis(other) < axis(thing) and not _is_tied(other, thing, start)


def _is_tied(other: Thing, thing: Thing, start: str) -> bool:
    if start in ("left", "right"):
        return abs(other.x - thing.x) < TIE_SHARE * min(other.box.width, thing.box.width)
    return abs(other.y - thing.y) < TIE_SHARE * min(other.box.height, thing.box.height)
