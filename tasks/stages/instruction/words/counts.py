"""The gate on stated numbers of things, before and after the edit."""

from __future__ import annotations

import re
from dataclasses import replace

from tasks.records.records import EditType
from tasks.stages.instruction.words.counting import Counted, is_narrowed
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.phrases import NounPhrase
from tasks.stages.instruction.words.reading import Reading, to_target
from tasks.stages.instruction.words.scene import WordScene
from tasks.stages.instruction.words.tokens import contrasted
from tasks.stages.instruction.words.vocabulary import (
    ANYTHING,
    FITTING,
    PARTS,
    QUANTITY,
    Relation,
    is_plural,
    kinds,
    relation,
    word_set,
    words,
)

MISSED = 2
"""A detector may miss or invent one thing, so only numbers that differ by at least this much are rejected."""

_REMAINING = frozenset({"remain", "remaining", "left", "remains", "leaving", "stay"})


def count(draft: Draft) -> Finding:
    """Compares numbers of a kind of thing in instruction, scene, localization and result with the scene."""
    if draft.reply is None:
        return finding([], decided=False)
    # Who loses a hat is still there.
    is_gone = draft.edit_type is EditType.REMOVE and draft.scene.whole is None
    removed = len(draft.scene.target) if is_gone else 0
    draft = draft.of_whole()
    faults, decided = [], False
    counted = counted_in(draft)
    for name, text in draft.texts():
        if name == "editing":
            continue
        reading = draft.read(text)
        for phrase in reading.phrases:
            verdict = _verdict(reading, phrase, draft.scene, gone=removed if name == "result" else 0)
            decided = decided or verdict is not None
            subset = phrase.number is not None and counted.holds(phrase.noun) and name != "result"
            if verdict and not (subset and (phrase.number or 0) < len(draft.scene.things)):
                faults.append(f"{name} says {reading.quoted(phrase)!r}, {verdict}")
    faults += _contradiction(draft, removed)
    return finding(faults, decided)


def unsure_count(draft: Draft) -> bool:
    """Whether a number of the target's kind differs from the scene's; ranks are then unreliable."""
    counted = counted_in(draft)
    for name, text in draft.texts():
        if name in ("editing", "result"):
            continue
        reading = draft.read(text)
        for phrase in reading.phrases:
            if counted.holds(phrase.noun):  # "three plates …; two plates are white"
                continue
            placed = reading.word(phrase.end) in ("on", "in", "at", "near") and reading.word(
                phrase.end + 1
            ) in ("the", "a")
            if (
                phrase.noun is None
                or phrase.colors
                or placed
                or phrase.number == len(draft.scene.target)
                or not _is_total(reading, phrase)
                or to_target(phrase, draft.scene) not in FITTING
            ):
                continue
            low, high = _found(phrase, draft.scene)
            if phrase.number is not None and not low <= phrase.number <= high:
                return True
    return False


def counted_in(draft: Draft) -> Counted:
    """Nouns with their adjectives whose stated number equals the scene's."""
    nouns: set[str] = set()
    modifiers: set[str] = set()
    for name, text in draft.texts():
        if name in ("editing", "result"):
            continue
        for phrase in draft.read(text).phrases:
            if not phrase.number or phrase.noun in (None, "one"):
                continue
            if to_target(phrase, draft.scene) in FITTING and _found(phrase, draft.scene)[1] == phrase.number:
                nouns.add(phrase.noun or "")
                modifiers |= set(phrase.modifiers)
    return Counted(frozenset(nouns), frozenset(modifiers))


def _verdict(reading: Reading, phrase: NounPhrase, scene: WordScene, gone: int) -> str | None:  # noqa: PLR0911
    """What was found if it contradicts the number, ``""`` if it does not, None if that cannot be decided."""
    number = phrase.number
    if number is None or phrase.noun is None or phrase.ordinals:
        return None
    if number > 1 and _is_single(phrase):  # "the eight ball"
        return None
    if (whole := _in_pieces(reading, phrase, scene)) is not None:
        phrase = whole
    if _is_no_thing(phrase, scene):
        return None
    if reading.word(phrase.start - 1) == "of" and is_plural(reading.word(phrase.start - 2)):
        return None
    if reading.word(phrase.start - 1) in (
        "about",
        "around",
        "approximately",
        "roughly",
        "nearly",
        "almost",
        "over",
        "least",
        "most",
        "than",
        "or",
        "to",
    ):
        return None
    low, high = _found(phrase, scene)
    if not high:
        return None
    is_kind = to_target(phrase, scene) in FITTING
    if "other" in phrase.modifiers or phrase.determiner == "other":
        low, high = (max(0, low - len(scene.target)), high - len(scene.target)) if is_kind else (low, high)
    elif gone and is_kind:
        low = max(0, low - gone)
    if number >= high + MISSED:
        return f"found were {high}"
    narrowed = is_narrowed(reading, phrase, scene) or bool(phrase.colors) or bool(phrase.sizes)
    if number <= low - MISSED and _is_total(reading, phrase) and not narrowed:
        return f"found were {low}"
    return "" if low <= number <= high else None


def _is_single(phrase: NounPhrase) -> bool:
    return (
        not phrase.plural
        and phrase.text == phrase.noun
        and not phrase.text.endswith("s")
        and phrase.text.rpartition(" ")[2] not in word_set("unchanged")
    )


def _in_pieces(reading: Reading, phrase: NounPhrase, scene: WordScene) -> NounPhrase | None:
    """``nine pieces of sushi`` as nine of the target's kind, where several were found and so are the pieces."""
    if phrase.noun not in ("piece", "slice") or reading.word(phrase.end) != "of":
        return None
    whole = reading.phrase_at(phrase.end + 1)
    if whole is None or sum(1 for thing in scene.things if thing.label == scene.label) <= MISSED:
        return None
    is_kind = to_target(whole, scene) is Relation.SAME
    return replace(phrase, noun=whole.noun, plural=True) if is_kind else None


def _is_no_thing(phrase: NounPhrase, scene: WordScene) -> bool:
    fitting = [thing for thing in scene.things if relation(phrase.noun or "", thing.label) in FITTING]
    if fitting and all(thing.part_of is not None for thing in fitting):
        return True  # not all garments that are worn are found
    return phrase.noun not in scene.labels and bool(kinds(phrase.noun or "") & (PARTS | {ANYTHING, QUANTITY}))


def _found(phrase: NounPhrase, scene: WordScene) -> tuple[int, int]:
    """Minimum and maximum number of things that a noun may name."""
    if phrase.noun is None or phrase.noun == "one":
        number = sum(1 for thing in scene.things if thing.label == scene.label)
        return number, number
    sure = maybe = 0
    for thing in scene.things:
        found = relation(phrase.noun, thing.label)
        sure += found in (Relation.SAME, Relation.WIDER)
        maybe += found in (Relation.NARROWER, Relation.ALIKE)
    weak = sum(1 for thing in scene.weak if relation(phrase.noun, thing.label) in FITTING)
    return sure, sure + maybe + weak


def _is_total(reading: Reading, phrase: NounPhrase) -> bool:
    """``there are four cups``, ``of the four cups``: a number that includes all."""
    if phrase.number is None or contrasted(reading.tokens, phrase.start):
        return False
    before = reading.word(phrase.start - 1)
    total = (
        before in word_set("showing")
        or phrase.determiner in ("the", "all", "these")
        or phrase.start == reading.sentence_start(phrase.start)
    )
    if before == "of" and is_plural(reading.word(phrase.start - 2)):  # "two rows of three windows"
        return False
    if before in ("between", "behind", "beside", "near", "by") or (before == "with" and phrase.start > 12):
        return False
    sentence = set(reading.words(reading.sentence_start(phrase.start), reading.sentence_end(phrase.start)))
    texts = {token.text for token in reading.tokens}
    return (
        total
        and not sentence & word_set("partial")
        and not texts & {"others", "another", "additional"}
        and "other" not in phrase.modifiers
    )


def _contradiction(draft: Draft, removed: int) -> list[str]:
    """Numbers of one kind that contradict each other between parts, independent of the scene."""
    said: dict[str, int] = {}
    for name, text in draft.texts():
        if name in ("editing", "result"):
            continue
        reading = draft.read(text)
        for phrase in reading.phrases:
            of_all = reading.word(phrase.start - 1) in (
                "of",
                "are",
                "shows",
                "depicts",
                "features",
                "contains",
                "captures",
            )
            # "Two musicians are seated to his left" counts some of them; only the scene part describes the whole.
            of_all = of_all or (name == "scene" and phrase.start == reading.sentence_start(phrase.start))
            if (
                phrase.number
                and of_all
                and _is_total(reading, phrase)
                and to_target(phrase, draft.scene) in FITTING
            ):
                if phrase.noun in (None, "one") or phrase.colors or phrase.modifiers or phrase.sizes:
                    continue
                if phrase.number == len(draft.scene.target) > 1:  # "the two hikers at either end"
                    continue
                said.setdefault(name, phrase.number)
    faults = []
    if len(set(said.values())) > 1 and len({_noun_in(draft, name) for name in said}) == 1:
        faults.append("numbers differ: " + ", ".join(f"{name} {number}" for name, number in said.items()))
    if removed and said and (left := _remaining(draft)) is not None:
        before = next(iter(said.values()))
        if before - removed != left and len(set(said.values())) == 1:
            faults.append(f"{before} less {removed} removed are not the {left} that remain")
    return faults


def _noun_in(draft: Draft, name: str) -> str:
    reading = draft.read(dict(draft.texts())[name])
    return next(
        (p.noun or "" for p in reading.phrases if p.number and to_target(p, draft.scene) in FITTING), ""
    )


def _remaining(draft: Draft) -> int | None:
    """The number of the target's kind that remain according to part 4."""
    reading = draft.part("result")
    for phrase in reading.phrases:
        if phrase.number is None or to_target(phrase, draft.scene) not in FITTING or phrase.noun == "one":
            continue
        around = {
            reading.word(index)
            for index in range(phrase.start - 3, phrase.end + 3)
            if reading.word(index) != "left"
            or reading.word(index - 1) not in word_set("possessives") | {"the", "to", "far", "on", "from"}
        } | set(phrase.modifiers)
        if around & _REMAINING and not around & (
            words()["numbers"].keys() - set(reading.words(phrase.start, phrase.end))
        ):
            return phrase.number
    match = re.search(r"\bonly (\w+) (?:of them )?(?:remain|left)", reading.text.lower())
    number = words()["numbers"].get(match.group(1)) if match else None
    return int(number) if number is not None else None
