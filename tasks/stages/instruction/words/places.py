"""Gates on where the target is: sides of the picture, and its order among its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.records.errors import Reason
from tasks.stages.instruction.words.counting import Counted, axis_of, peers_of
from tasks.stages.instruction.words.counts import counted_in, unsure_count
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.phrases import NounPhrase
from tasks.stages.instruction.words.reading import (
    PRONOUNS,
    Reading,
    mentions,
    subject_is_other,
    to_target,
)
from tasks.stages.instruction.words.scene import AXES, Peers, Thing, WordScene, rank_range, rows, usual_starts
from tasks.stages.instruction.words.tokens import contrasted
from tasks.stages.instruction.words.vocabulary import (
    ANYTHING,
    FITTING,
    PARTS,
    QUANTITY,
    color_names,
    kinds,
    relation,
    word_set,
    words,
)

SLACK = 0.1
"""Share of the picture's width or height by which the zones of sides overlap the middle."""

TARGET, BESIDE = "target", "beside"
"""What a place is said of: the target, or perhaps something close beside it."""

BESIDE_SHARE = 0.25
"""A thing that lies this share of another's width beside its middle is on that side of it."""

STRONG_SLACK = -0.05
"""An edge, a corner or "far left" leaves the middle out, unless the thing reaches the border."""

_ZONES = {
    "left": (0.0, 0.5),
    "right": (0.5, 1.0),
    "top": (0.0, 0.5),
    "bottom": (0.5, 1.0),
    "center": (1 / 3, 2 / 3),
}
_ACROSS, _ALONG = ("left", "right"), ("top", "bottom")
_PLACE = {"left": "left", "left-hand": "left", "right": "right", "right-hand": "right", "upper": "top", "top": "top",
    "lower": "bottom", "bottom": "bottom", "center": "center", "middle": "center", "central": "center", "mid": "center"}  # fmt: skip
_STRENGTH = frozenset(
    {"far", "extreme", "very", "exact", "immediate", "direct", "hand", "approximate", "geometric"}
)
_REGIONS = frozenset({"side", "part", "half", "edge", "third", "portion", "section", "area", "corner", "end", "foreground", "background",
    "quadrant", "region", "zone", "margin", "of"})  # fmt: skip
_PREPOSITIONS = frozenset(
    {"on", "at", "in", "to", "toward", "towards", "near", "along", "within", "around", "of"}
)
_LOCATED = frozenset(
    {
        "located",
        "positioned",
        "placed",
        "situated",
        "seated",
        "standing",
        "stands",
        "sits",
        "sitting",
        "found",
        "visible",
    }
)
_CLOSE = frozenset(
    {
        "at",
        "on",
        "by",
        "near",
        "beside",
        "to",
        "under",
        "behind",
        "above",
        "against",
        "over",
        "below",
        "inside",
        "atop",
    }
)
_ALONG_A_WAY = frozenset({"road", "street", "path", "lane", "river", "stream"})
_HOLDERS = frozenset(
    {
        "wearing",
        "holding",
        "carrying",
        "with",
        "in",
        "of",
        "has",
        "wears",
        "holds",
        "having",
        "featuring",
        "and",
        "against",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in words: its sides, where it stands in the text, and what it is a place of.

    Attributes:
        start, end: tokens, half-open.
        sides: of ``left``, ``right``, ``top``, ``bottom``, ``center``.
        of: ``picture``, ``bare`` (nothing said), or ``thing``.
        landmark: the phrase of that thing.
        to: whether it is "to the left of", beside the thing, and no part of it.
        strong: an edge or corner, or "far": further out than a half.
    """

    start: int
    end: int
    sides: tuple[str, ...]
    of: str
    landmark: NounPhrase | None
    to: bool
    strong: bool


def side(draft: Draft) -> Finding:
    """Left, right, top, bottom and center of the picture, where they are said of the target."""
    faults, decided = [], False
    for name, reading, named, is_order in _speaking_of_target(draft):
        for place in places(reading):
            told = _said_of(reading, place, named, draft.scene, is_order=is_order)
            if not told:
                continue
            verdict = _fits_place(draft.scene, place)
            if told == BESIDE and verdict is False and not _is_across(draft.scene, place):
                verdict = None
            decided = decided or verdict is not None
            if verdict is False:
                where = " ".join(reading.words(place.start, place.end))
                faults.append(f"{name} says {where!r}, the target's center is {_where(draft.scene)}")
        for phrase in named:
            fits = _fits_adjective(reading, phrase, draft.scene)
            decided = decided or fits is not None
            if fits is False:
                faults.append(
                    f"{name} says {reading.quoted(phrase)!r}, the target's center is {_where(draft.scene)}"
                )
    return finding(faults, decided)


def ordinal(draft: Draft) -> Finding:
    """First, second, last: counted from a stated side, in rows, or in any of the usual orders."""
    faults, decided = [], False
    unsure, counted = unsure_count(draft), counted_in(draft)
    reason = None
    for name, reading, named, _ in _speaking_of_target(draft):
        for phrase in named:
            if (
                not phrase.ordinals
                or reading.word(phrase.end) in words()["not_counted"]
                or phrase.text in words()["not_counted"]
            ):
                continue
            fits, from_where, opposite = _fits_ordinals(reading, phrase, draft.scene, counted)
            decided = decided or (fits is not None and not unsure)
            if fits is False and not unsure:
                faults.append(
                    f"{name} says {reading.quoted(phrase)!r} {from_where}; the target is {_rank_words(reading, phrase, draft.scene, counted)}"
                )
                reason = Reason.WRONG_SIDE if opposite else reason
        if (fault := _wrong_row(reading, draft.scene)) is not None:
            decided = True
            if fault:
                faults.append(f"{name} {fault}")
    return finding(faults, decided, reason=reason)


def places(reading: Reading) -> Iterator[Place]:
    """Every place of a text that is said with a preposition or of the picture."""
    index = 0
    while index < len(reading.tokens):
        if reading.word(index) not in _PLACE:
            index += 1
            continue
        start = index
        while reading.word(start - 1) in _STRENGTH:
            start -= 1
        end, sides = index, []
        while reading.word(end) in _PLACE or reading.word(end) in _STRENGTH:
            if reading.word(end) in _PLACE:
                sides.append(_PLACE[reading.word(end)])
            end += 1
        index = end
        if (place := _place(reading, start, end, tuple(dict.fromkeys(sides)))) is not None:
            yield place


def _place(reading: Reading, start: int, end: int, sides: tuple[str, ...]) -> Place | None:
    article = reading.word(start - 1) in ("the", "its")
    before = reading.word(start - 2) if article else reading.word(start - 1)
    regions = end
    while reading.word(regions) in _REGIONS - {"of"}:
        regions += 1
    has_region = regions > end
    if reading.word(start - 1) in word_set("possessives") or _is_direction(
        reading, start - (2 if article else 1), before
    ):
        return None
    prepositional = before in _PREPOSITIONS or (
        before in ("and", ",") and article and len(sides) + has_region > 1
    )
    if not prepositional and not (before in _LOCATED or (has_region and article)):
        return None
    if not article and before not in _LOCATED and not (prepositional and len(sides) > 1):
        return None
    landmark, of = None, "bare"
    if reading.word(regions) in ("of", "in") and reading.word(regions + 1) in (
        "the",
        "this",
        "a",
        "an",
        "his",
        "her",
        "its",
        "their",
    ):
        if set(reading.words(regions + 2, regions + 4)) & word_set("picture"):
            of = "picture"
        elif reading.word(regions) == "of":
            of, landmark = "thing", reading.phrase_at(regions + 1)
    elif reading.word(regions) == "of" or reading.word(regions) == "'s":
        of = "thing"
    elif not has_region and _goes_on_with_noun(reading, end):
        return None
    unplaced = {"top", "bottom", "center"} & set(sides)
    if (
        of == "bare"
        and unplaced
        and not {"left", "right"} & set(sides)
        and reading.word(end) not in ("part", "half", "corner", "portion")
    ):
        return None
    said = set(reading.words(start, regions))
    strong = bool(said & {"far", "extreme", "edge", "corner", "margin"})
    return Place(start, regions, sides, of, landmark, before == "to" and not has_region, strong)


def _goes_on_with_noun(reading: Reading, end: int) -> bool:
    word = reading.word(end)
    if (
        color_names(word)
        or word in word_set("materials")
        or word.endswith(("er", "ic", "ful", "ous", "less", "ly"))
    ):
        return False  # what the order makes of it: "make the man on the left older"
    ends = word_set("boundaries") | word_set("prepositions") | word_set("participles")
    return bool(word) and word[0].isalnum() and word not in ends and not word.endswith(("ing", "ed"))


def _is_direction(reading: Reading, index: int, before: str) -> bool:
    """Whether the words before are "facing to", "walking toward": a direction and no place."""
    for position in range(index - 1, max(-1, index - 5), -1):
        word = reading.word(position)
        if word in word_set("facing") or (before in word_set("facing")):
            return True
        if word in word_set("moving") and before in ("to", "toward", "towards", "from"):
            return True
        if word in (",", ".", ";"):
            return False
    return before in word_set("facing")


def _speaking_of_target(draft: Draft) -> Iterator[tuple[str, Reading, tuple[NounPhrase, ...], bool]]:
    """Instruction, rewriting and localization with their phrases that mean the target; whether it is an order."""
    if draft.reply is None:
        return
    for name, reading, order in draft.orders():
        yield name, reading, (order.target,) if order.target is not None else (), True
    reading = draft.part("localization")
    yield "localization", reading, mentions(reading, draft.scene), False


def _said_of(
    reading: Reading, place: Place, named: tuple[NounPhrase, ...], scene: WordScene, *, is_order: bool
) -> str:
    """`TARGET`, `BESIDE` when another thing stands between in the sentence, ``""`` for something else."""
    if contrasted(reading.tokens, place.start):
        return ""
    clause, sentence = reading.tokens[place.start].clause, reading.tokens[place.start].sentence
    before = [p for p in reading.phrases if p.end <= place.start and reading.tokens[p.start].clause == clause]
    beside = TARGET
    for phrase in reversed(before):
        if phrase in named:
            return beside
        if {"it", "she", "he", "they"} & set(reading.words(phrase.end, place.start)):
            break
        relates = reading.word(phrase.start - 1)
        if to_target(phrase, scene) in FITTING and phrase.noun not in (None, "one"):
            return ""
        if not (relates in _HOLDERS or kinds(phrase.noun or "") & (PARTS | {QUANTITY, ANYTHING})):
            if relates not in _CLOSE or _is_direction(reading, phrase.start, relates):
                return ""
            beside = BESIDE
    first = reading.sentence_start(place.start)
    if all(reading.word(i) in _PREPOSITIONS | {"the"} for i in range(first, place.start)):
        after = next(
            (
                p
                for p in reading.phrases
                if p.start >= place.end and reading.tokens[p.start].sentence == sentence
            ),
            None,
        )
        is_about = after in named or (after is not None and reading.word(after.start - 1) in PRONOUNS)
        return TARGET if is_about or (is_order and named) else ""
    if is_order:
        return beside if any(phrase.end <= place.start for phrase in named) else ""
    if subject_is_other(reading, place.start, scene) or (
        before and before[0].determiner in word_set("others")
    ):
        return ""
    return beside


def _is_across(scene: WordScene, place: Place) -> bool:
    """Whether all of the target lies well on the other side, so that nothing close to it is on this one."""
    across = {"left": lambda t: t.box.x0 / scene.width, "right": lambda t: 1 - t.box.x1 / scene.width,
              "top": lambda t: t.box.y0 / scene.height, "bottom": lambda t: 1 - t.box.y1 / scene.height}  # fmt: skip
    return all(
        side in across and across[side](thing) >= 0.5 + SLACK
        for thing in scene.targets
        for side in place.sides
    )


def _fits_place(scene: WordScene, place: Place) -> bool | None:
    """Whether every target is there; None when boxes don't tell."""
    if place.of == "thing":
        return _fits_landmark(scene, place) if place.to else _fits_surface(scene, place)
    slack = STRONG_SLACK if place.strong else SLACK
    verdicts = [_within(scene, thing, side, slack) for thing in scene.targets for side in place.sides]
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


def _within(scene: WordScene, thing: Thing, side: str, slack: float = SLACK) -> bool:
    low, high = _ZONES[side]
    x, y = thing.x / scene.width, thing.y / scene.height
    if side == "center":
        # "near the center" may speak of either axis, and of a thing that covers the center.
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
    out = sum(1 for peer in peers if peer is not thing and axis(peer) < axis(thing))
    return out < (len(peers) - 1) / 2 or (len(peers) > 2 and out <= (len(peers) - 1) / 2)


def _fits_landmark(scene: WordScene, place: Place) -> bool | None:
    """``to the left of the bus``: wrong only when the target is well on the other side of the only bus."""
    if not place.to or place.landmark is None or place.landmark.noun is None or len(scene.target) > 1:
        return None
    side = place.sides[0] if len(place.sides) == 1 and place.sides[0] in _ACROSS else ""
    phrase = place.landmark
    if not side or phrase.ordinals or phrase.sizes or phrase.colors or phrase.modifiers or phrase.owner:
        return None
    found = [
        t
        for t in (*scene.things, *scene.weak)
        if relation(phrase.noun or "", t.label) in FITTING and t not in scene.targets
    ]
    if not found or (len(found) > 1 and not phrase.plural):
        return None
    # In widths of the landmark, positive on the said side; several are "the flowers" and all on one side.
    sign = 1 if side == "right" else -1
    steps = [sign * (scene.targets[0].x - other.x) / max(1, other.box.width) for other in found]
    return False if max(steps) <= -BESIDE_SHARE else True if min(steps) >= BESIDE_SHARE else None


def _fits_surface(scene: WordScene, place: Place) -> bool | None:
    """``at the far left of the terrace``: wrong where the target is across the picture and the last of its kind there."""
    noun = place.landmark.noun if place.landmark is not None else None
    if (
        len(place.sides) != 1
        or place.sides[0] not in _ACROSS
        or len(scene.target) > 1
        or noun in _ALONG_A_WAY
    ):
        return None
    if noun is not None and (
        kinds(noun) & {"person", "animal", "vehicle"}
        or any(relation(noun, label) in FITTING for label in scene.labels)
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
        return False if ends and not _within(scene, target, "center") else True
    other = "right" if phrase.side == "left" else "left"
    if _within(scene, target, phrase.side) or len(peers.all) < 2:
        return True if _within(scene, target, phrase.side) else None
    return False if rank_range(target, peers, other)[1] == 1 else None


def _is_last(target: Thing, peers: Peers, side: str) -> bool:
    """Whether all of several others, sure or not, come before: then it isn't the first of any two of them."""
    others = [thing for thing in peers.all if thing is not target]
    axis = AXES[side]
    return (
        bool(others)
        and all(axis(thing) < axis(target) for thing in others)
        and rank_range(target, peers, side)[1] > len(others)
    )


def _fits_ordinals(
    reading: Reading, phrase: NounPhrase, scene: WordScene, counted: Counted
) -> tuple[bool | None, str, bool]:
    """Whether ranks fit, where they are counted from in words, and whether they would fit from the other side only."""
    start, at = axis_of(reading, phrase)
    if start == "other":
        return None, "", False
    peers = peers_of(reading, phrase, scene, at if start else None, counted)
    if not _targets_of(phrase, scene) or len(peers.all) < 2:
        return None, "", False
    in_row = _peers_in_row(reading, phrase, peers, scene)
    starts = (start,) if start else ("left", "right") if in_row else usual_starts(peers.all)
    peers = in_row or peers
    fits = any(_ranks_fit(phrase, scene, peers, each) for each in starts)
    opposite = False
    if not fits and start:
        other = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[start]
        # One too many or too few is more likely a miscount than the wrong side.
        miscounts = (
            len(scene.target) == 1
            and abs(rank_range(scene.targets[0], peers, start)[0] - phrase.ordinals[0]) == 1
        )
        opposite = _ranks_fit(phrase, scene, peers, other) and not (miscounts and phrase.ordinals[0] > 1)
    return fits, f"from the {start}" if start else "", opposite


def _peers_in_row(reading: Reading, phrase: NounPhrase, peers: Peers, scene: WordScene) -> Peers | None:
    """``the second bread in the third row``: the target's own row, where there are several."""
    following = reading.words(phrase.end, min(phrase.end + 10, reading.sentence_end(phrase.start)))
    if "row" not in following or not {"in", "of"} & set(following[: following.index("row")]):
        return None
    found = rows(peers.all)
    row = next((each for each in found if scene.targets[0] in each), [])
    return Peers(sure=tuple(row), maybe=()) if len(found) > 1 and len(row) > 1 else None


def _targets_of(phrase: NounPhrase, scene: WordScene) -> tuple[Thing, ...]:
    """The targets a phrase speaks of: all, or any one of several."""
    return scene.targets if len(phrase.ordinals) in (1, len(scene.target)) else ()


def _ranks_fit(phrase: NounPhrase, scene: WordScene, peers: Peers, start: str) -> bool:
    axis = AXES[start]
    targets = sorted(scene.targets, key=axis)
    if (
        phrase.number
        and len(phrase.ordinals) == 1
        and len(targets) == phrase.number
        and phrase.ordinals[0] == 1
    ):
        return all(_rank_fits(rank, thing, peers, start) for rank, thing in enumerate(targets, start=1))
    if len(phrase.ordinals) == 1:
        return any(_rank_fits(phrase.ordinals[0], thing, peers, start) for thing in targets)
    ranks = sorted(phrase.ordinals, key=lambda rank: rank if rank > 0 else 99)
    return all(_rank_fits(rank, thing, peers, start) for rank, thing in zip(ranks, targets, strict=False))


def _rank_fits(rank: int, thing: Thing, peers: Peers, start: str) -> bool:
    if rank == -1:
        opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[start]
        rank, start = 1, opposite
    low, high = rank_range(thing, peers, start)
    return low <= rank <= high


def _wrong_row(reading: Reading, scene: WordScene) -> str | None:
    """A fault, ``""`` when the row fits, None when none is named or rows can't be told."""
    if len(scene.target) > 1:
        return None
    kind = [thing for thing in scene.things if thing.label == scene.label]
    found = rows(kind)
    if len(kind) < 3:
        return None
    at = next(i for i, row in enumerate(found) if scene.targets[0] in row)
    for phrase in reading.phrases:
        if (
            phrase.noun != "row"
            or len(phrase.ordinals) != 1
            or reading.word(phrase.start - 1) not in ("in", "of", "on")
        ):
            continue
        start, _ = axis_of(reading, phrase)
        ranks = {"top": {at + 1}, "bottom": {len(found) - at}}.get(start, {at + 1, len(found) - at})
        if phrase.ordinals[0] not in ranks | ({-1} if at in (0, len(found) - 1) else set()):
            return (
                f"says {reading.quoted(phrase)!r}, the target is in row {at + 1} of {len(found)} from the top"
            )
        return ""
    return None


def _rank_words(reading: Reading, phrase: NounPhrase, scene: WordScene, counted: Counted) -> str:
    start, at = axis_of(reading, phrase)
    peers = peers_of(reading, phrase, scene, at if start else None, counted)
    said = []
    for thing in scene.targets:
        low, high = rank_range(thing, peers, start if start in AXES else "left")
        said.append(f"{low}" if low == high else f"{low} to {high}")
    return f"number {', '.join(said)} from the {start if start in AXES else 'left'} of {len(peers.all)}"


def _where(scene: WordScene) -> str:
    said = [f"({thing.x / scene.width:.2f}, {thing.y / scene.height:.2f})" for thing in scene.targets]
    return f"at {', '.join(said)} of the picture"
