"""The gate on sides of the picture: left, right, top, bottom, center, where they refer to the target."""

from __future__ import annotations

from tasks.stages.instruction.words.counting import peers_of
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.phrases import NounPhrase, color_at
from tasks.stages.instruction.words.places import BESIDE, Place, places, said_of, speaking_of_target
from tasks.stages.instruction.words.reading import Reading
from tasks.stages.instruction.words.scene import AXES, Peers, Thing, WordScene, rank_range, usual_starts
from tasks.stages.instruction.words.vocabulary import FITTING, Relation, kinds, measured_names, relation

SLACK = 0.1
"""Share of the picture's width or height by which the zones of sides extend over the middle."""

BESIDE_SHARE = 0.25
"""A thing this share of another's width beside its middle is on that side of it."""

SLACKS = {"half": SLACK, "edge": -0.05, "center": 0.03}
""""edge" or "far left" excludes the middle, unless the thing reaches the border; "left of the center" is exact."""

_ZONES = {
    "left": (0.0, 0.5),
    "right": (0.5, 1.0),
    "top": (0.0, 0.5),
    "bottom": (0.5, 1.0),
    "center": (1 / 3, 2 / 3),
}

_ACROSS = ("left", "right")

_WITH_SIDES = frozenset({"person", "animal", "vehicle"})
_ALONG_A_WAY = frozenset({"road", "street", "path", "lane", "river", "stream"})


def side(draft: Draft) -> Finding:
    """Checks left, right, top, bottom and center of the picture, where they refer to the target.

    Of a part, a place may be said of itself or of its whole: it is wrong where it fits neither.
    """
    whole = draft.of_whole()
    faults, decided = _wrong_sides(draft, adjectives=whole is draft)
    if whole is not draft:
        others, also = _wrong_sides(whole, adjectives=True)
        fits = {place for place, fault in (*faults.items(), *others.items()) if not fault}
        faults = {place: fault for place, fault in (faults | others).items() if place not in fits}
        decided = decided or also
    return finding([fault for fault in faults.values() if fault], decided)


def _wrong_sides(draft: Draft, *, adjectives: bool) -> tuple[dict[tuple[str, int], str], bool]:
    """For each place that is compared, by text and token, what is wrong with it, ``""`` for nothing.

    Args:
        draft: the words.
        adjectives: whether "the leftmost" is compared, too; not all parts of a name are found.
    """
    faults: dict[tuple[str, int], str] = {}
    for name, reading, named, is_order in speaking_of_target(draft):
        placed: set[str] = set()
        for place in places(reading):
            refers_to = said_of(reading, place, named, draft.scene, is_order=is_order)
            if not refers_to or _is_of_another(reading, place, named, placed):
                continue
            placed |= set(place.sides)
            verdict = _fits_place(draft.scene, place, reading)
            if refers_to == BESIDE and verdict is False and not _is_across(draft.scene, place):
                verdict = None
            if verdict is not None:
                where = " ".join(reading.words(place.start, place.end))
                fault = f"{name} says {where!r}, the target's center is {_where(draft.scene)}"
                faults[name, place.start] = "" if verdict else fault
        for phrase in named if adjectives else ():
            fits = _fits_adjective(reading, phrase, draft.scene)
            if fits is not None:
                fault = (
                    f"{name} says {reading.quoted(phrase)!r}, the target's center is {_where(draft.scene)}"
                )
                faults[name, phrase.start] = "" if fits else fault
    return faults, bool(faults)


def _is_of_another(reading: Reading, place: Place, named: tuple[NounPhrase, ...], placed: set[str]) -> bool:
    """``The sign on the left is yellow``, after words that put the target on the right: another sign."""
    start = reading.sentence_start(place.start)
    first = next((phrase for phrase in named if phrase.start == start), None)
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
    return (
        first is not None
        and start > 0
        and set(reading.words(first.end, place.start)) <= {"on", "at", "in", "to", "the"}
        and reading.word(place.end) in ("is", "are", "has", "was")
        and any(opposite.get(each) in placed for each in place.sides)
    )


def _is_across(scene: WordScene, place: Place) -> bool:
    """Whether all of the target is clearly on the other side, so that nothing close to it is on this one."""
    across = {
        "left": lambda t: t.box.x0 / scene.width,
        "right": lambda t: 1 - t.box.x1 / scene.width,
        "top": lambda t: t.box.y0 / scene.height,
        "bottom": lambda t: 1 - t.box.y1 / scene.height,
    }
    return all(
        side in across and across[side](thing) >= 0.5 + SLACK
        for thing in scene.targets
        for side in place.sides
    )


def _fits_place(scene: WordScene, place: Place, reading: Reading) -> bool | None:
    """Whether every target is there; None if boxes cannot decide."""
    if place.of == "thing":
        is_landmark = _is_landmark(scene, place)
        return _fits_landmark(scene, place, reading) if is_landmark else _fits_surface(scene, place)
    slack = SLACKS[place.reach]
    verdicts = [
        _within(scene, thing, side, slack) and not _by_slack_alone(scene, thing, side)
        for thing in scene.targets
        for side in place.sides
    ]
    if "center" in place.sides and len(place.sides) > 1:  # "center left": the zones of both overlap
        verdicts = [
            _within(scene, thing, side) for thing in scene.targets for side in place.sides if side != "center"
        ]
    if all(verdicts):
        return True
    if place.of == "bare":
        peers = [thing for thing in scene.things if thing.label == scene.label]
        if all(_among_peers(thing, peers, side) for thing in scene.targets for side in place.sides):
            return True
        if "center" in place.sides:
            return None
    if len(scene.target) > 1 and any(verdicts):
        return None
    return False


def _by_slack_alone(scene: WordScene, thing: Thing, side: str) -> bool:
    """Whether a thing past the middle is on the other side among its kind, too: "top left" in the lower row."""
    if side == "center" or _within(scene, thing, side, 0.0):
        return False
    peers = [each for each in scene.things if each.label == thing.label]
    other = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[side]
    return _among_peers(thing, peers, other) and not _among_peers(thing, peers, side)


def _within(scene: WordScene, thing: Thing, side: str, slack: float = SLACK) -> bool:
    low, high = _ZONES[side]
    x, y = thing.x / scene.width, thing.y / scene.height
    if side == "center":
        # "near the center" may refer to either axis, and to a thing that covers the center.
        covers = (
            thing.box.x0 <= scene.width / 2 <= thing.box.x1
            and thing.box.y0 <= scene.height / 2 <= thing.box.y1
        )
        return covers or (low - slack <= x <= high + slack)
    at = x if side in _ACROSS else y
    if slack < 0 and _reaches_border(scene, thing, side):
        return True
    return low - slack <= at <= high + slack


def _reaches_border(scene: WordScene, thing: Thing, side: str) -> bool:
    box, slack = thing.box, SLACK
    return {
        "left": box.x0 <= slack * scene.width,
        "right": box.x1 >= (1 - slack) * scene.width,
        "top": box.y0 <= slack * scene.height,
        "bottom": box.y1 >= (1 - slack) * scene.height,
    }[side]


def _among_peers(thing: Thing, peers: list[Thing], side: str) -> bool:
    """Whether a thing is on that side of its kind: fewer of them further out than further in."""
    if side == "center" or len(peers) < 2:
        return False
    axis = AXES[side]
    if side not in usual_starts(peers):  # the lowest of a row is not "at the bottom"
        return False
    out = sum(1 for peer in peers if peer is not thing and axis(peer) < axis(thing))
    return out < (len(peers) - 1) / 2 or (len(peers) > 2 and out <= (len(peers) - 1) / 2)


def _fits_landmark(scene: WordScene, place: Place, reading: Reading) -> bool | None:
    """``to the left of the bus``: wrong only if the target is clearly on the other side of the only bus."""
    if place.landmark is None or place.landmark.noun is None or len(scene.target) > 1:
        return None
    side = place.sides[0] if len(place.sides) == 1 and place.sides[0] in _ACROSS else ""
    phrase = place.landmark
    if not side or phrase.ordinals or phrase.sizes or phrase.owner:
        return None
    found = [
        t
        for t in (*scene.things, *scene.weak)
        if relation(phrase.noun or "", t.label) in FITTING and t not in scene.targets
    ]
    found = [t for t in found if relation(phrase.noun or "", t.label) is Relation.SAME] or found
    if len(found) > 1 and not phrase.plural:
        found = _of_color(found, reading, phrase)
    if not found or (len(found) > 1 and not phrase.plural):
        return None
    # In widths of the landmark, positive on the stated side; several are "the flowers", all on one side.
    sign = 1 if side == "right" else -1
    steps = [sign * (scene.targets[0].x - other.x) / max(1, other.box.width) for other in found]
    return False if max(steps) <= -BESIDE_SHARE else True if min(steps) >= BESIDE_SHARE else None


def _of_color(things: list[Thing], reading: Reading, phrase: NounPhrase) -> list[Thing]:
    """The things that ``the woman in (the) blue (coat)`` may mean: all if a color is not stated or not known."""
    colors = list(phrase.colors)
    if not colors and reading.word(phrase.end) in ("in", "wearing"):
        at = phrase.end + (2 if reading.word(phrase.end + 1) in ("the", "a") else 1)
        colors = [found[0] for found in (color_at(reading.tokens, at),) if found]
    if len(colors) != 1 or not all(measured_names(thing.color) for thing in things):
        return things
    return [thing for thing in things if measured_names(thing.color) & colors[0].names] or things


def _is_landmark(scene: WordScene, place: Place) -> bool:
    """Whether left and right of the thing are the picture's: beside it, or parts of a thing without own sides."""
    noun = place.landmark.noun if place.landmark is not None else None
    if noun is None:
        return False
    is_found = any(relation(noun, label) in FITTING for label in scene.labels)
    return is_found and (place.to or not kinds(noun) & _WITH_SIDES)


def _fits_surface(scene: WordScene, place: Place) -> bool | None:
    """``at the far left of the terrace``: wrong if the target is clearly across, and the last of its kind there."""
    noun = place.landmark.noun if place.landmark is not None else None
    if (
        len(place.sides) != 1
        or place.sides[0] not in _ACROSS
        or len(scene.target) > 1
        or noun in _ALONG_A_WAY
        or place.beside
    ):
        return None
    if noun is not None and (
        kinds(noun) & _WITH_SIDES or any(relation(noun, label) in FITTING for label in scene.labels)
    ):
        return None
    axis = AXES[place.sides[0]]
    peers = [thing for thing in scene.things if thing.label == scene.label and thing is not scene.targets[0]]
    last = bool(peers) and all(axis(thing) < axis(scene.targets[0]) for thing in peers)
    return False if last and _is_across(scene, place) else None


def _fits_adjective(reading: Reading, phrase: NounPhrase, scene: WordScene) -> bool | None:
    """``the leftmost cup``, ``the left cup``, ``the middle cup``."""
    if not phrase.side or len(scene.target) > 1 or phrase.ordinals:
        return None
    target = scene.targets[0]
    peers = peers_of(reading, phrase, scene)
    if phrase.side in ("leftmost", "rightmost"):
        side = phrase.side.removesuffix("most")
        low, _ = rank_range(target, peers, side)
        last = _is_last(target, peers, side)
        return False if low > 1 or last else True if len(peers.all) > 1 else None
    if phrase.side == "middle":
        if len(peers.sure) < 3 or peers.maybe:
            return None
        starts = usual_starts(peers.sure)
        ends = [start for start in starts if rank_range(target, peers, start)[1] == 1]
        return not ends or _within(scene, target, "center")
    other = "right" if phrase.side == "left" else "left"
    if _within(scene, target, phrase.side) or len(peers.all) < 2:
        return True if _within(scene, target, phrase.side) else None
    return False if rank_range(target, peers, other)[1] == 1 else None


def _is_last(target: Thing, peers: Peers, side: str) -> bool:
    """Whether all of several others, certain or not, come before: then it is not the first of any two of them."""
    others = [thing for thing in peers.all if thing is not target]
    axis = AXES[side]
    return (
        bool(others)
        and all(axis(thing) < axis(target) for thing in others)
        and rank_range(target, peers, side)[1] > len(others)
    )


def _where(scene: WordScene) -> str:
    said = [f"({thing.x / scene.width:.2f}, {thing.y / scene.height:.2f})" for thing in scene.targets]
    return f"at {', '.join(said)} of the picture"
