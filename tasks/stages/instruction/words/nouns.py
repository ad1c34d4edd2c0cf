"""The gate on the target's noun: not another kind of thing, and not another label of the scene."""

from __future__ import annotations

import re

from tasks.records.records import EditType
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.phrases import NounPhrase
from tasks.stages.instruction.words.reading import Reading, owned_by, to_target
from tasks.stages.instruction.words.results import new_things
from tasks.stages.instruction.words.scene import WordScene
from tasks.stages.instruction.words.tokens import contrasted
from tasks.stages.instruction.words.vocabulary import (
    ANYTHING,
    FITTING,
    PARTS,
    QUANTITY,
    Relation,
    are_different,
    are_other_garments,
    kinds,
    relation,
    word_set,
)

FIRST_WORDS = 3
"""A description that never says "the target" names it within its first words ("It's the green mug …")."""

_EMPTY = PARTS | {ANYTHING, QUANTITY}
_ACTED_ON = re.compile(
    r"(?:(?:will|should|is|are|has|have|gets?|be|been|being|to|now|then|also|completely|entirely|fully|carefully)\s+)+"
    r"(?:remov|chang|recolou?r|replac|turn|paint|repaint|transform|dy|eras|delet|alter|modif|adjust|made|given|swap|convert|appear|become)\w*"
)


def noun(draft: Draft) -> Finding:
    """Checks the nouns that instruction, rewriting and parts 2 to 4 use for the target."""
    if draft.reply is None:
        return finding([], decided=False)
    faults, decided = _wrong_in_orders(draft)
    reading = draft.part("localization")
    stated = _stated_target(reading)
    if stated is not None and _means_whole(stated, draft.scene):
        stated = None  # "the target is the man whose jacket …"
    if stated is not None and is_other_thing(stated, draft.scene):
        faults.append(_fault("localization", reading, stated, draft.scene))
    elif stated is None and not _any_fits(reading, draft.scene):
        first = next((p for p in reading.phrases if p.determiner in ("the", "this", "a", "an")), None)
        if first is not None and first.start <= FIRST_WORDS and is_other_thing(first, draft.scene):
            faults.append(_fault("localization", reading, first, draft.scene))
    if draft.edit_type not in (EditType.ADD, EditType.REPLACE):
        new: frozenset[str] = frozenset()
    else:
        new = frozenset(
            noun
            for _, order_reading, order in draft.orders()
            for noun in new_things(order_reading, order, draft.edit_type)
        )
    for name in ("editing",) if draft.edit_type is EditType.REMOVE else ("editing", "result"):
        reading = draft.part(name)
        if not _any_fits(reading, draft.scene) and not (new and draft.edit_type is EditType.ADD):
            faults += _other_subject(name, reading, draft.scene, new | _argument_words(draft))
    return finding(faults, decided)


def _wrong_in_orders(draft: Draft) -> tuple[list[str], bool]:
    faults, decided = [], False
    for name, reading, order in draft.orders():
        phrase = order.chain[-1] if order.chain else None
        if phrase is None:
            continue
        decided = decided or order.denotes in FITTING
        if draft.scene.whole is not None:
            other = _other_part(reading, order.chain, draft.scene)
            if other is not None:
                faults.append(_fault(name, reading, other, draft.scene))
            continue
        if is_other_thing(phrase, draft.scene) and not (
            order.verb in ("add", "") and _is_named(reading, draft.scene, order.verb)
        ):
            faults.append(_fault(name, reading, phrase, draft.scene))
    return faults, decided


def _other_part(reading: Reading, chain: tuple[NounPhrase, ...], scene: WordScene) -> NounPhrase | None:
    """Of an order about a part: the phrase that names another part, another thing, or the whole alone."""
    for phrase in chain:
        if to_target(phrase, scene) in FITTING and not kinds(phrase.noun or "") <= {ANYTHING, QUANTITY}:
            return phrase.owner if _is_another_owner(phrase.owner, scene) else None
        if not _means_whole(phrase, scene) and is_other_thing(phrase, scene):
            return phrase
    if not chain or not _means_whole(chain[-1], scene):
        return None
    # "Make the man wear a blue shirt": the part is named after its whole.
    return None if _any_fits(reading, scene) else chain[-1]


def _is_another_owner(owner: NounPhrase | None, scene: WordScene) -> bool:
    """``the man's shirt``, where the target is worn by a woman."""
    if owner is None or owner.noun in (None, "one") or not owner.certain:
        return False
    return relation(owner.noun or "", scene.whole_label) is Relation.OTHER


def _means_whole(phrase: NounPhrase, scene: WordScene) -> bool:
    return scene.whole is not None and relation(phrase.noun or "", scene.whole_label) in FITTING


def is_other_thing(phrase: NounPhrase, scene: WordScene) -> bool:  # noqa: PLR0911
    """Whether a phrase certainly names another kind of thing than the target, or another label of the scene."""
    own = kinds(phrase.noun or "")
    is_part = scene.whole is not None and bool(own & PARTS)
    if (
        phrase.noun is None
        or phrase.noun == "one"
        or not phrase.certain
        or (own and own <= _EMPTY and not is_part)
    ):
        return False
    others = {thing.label for thing in scene.things} - {thing.label for thing in scene.targets}
    if is_part and scene.whole is not None:
        siblings = {part.label for part in scene.parts_of(scene.whole)}
        fits = to_target(phrase, scene) in FITTING
        return not fits and (are_other_garments(phrase.noun, scene.label) or phrase.noun in siblings)
    names_another = any(relation(phrase.noun, label) is Relation.SAME for label in others)
    if own & _EMPTY and not names_another:  # a door is a part of a car, too
        return False
    to_label = to_target(phrase, scene)
    genders = [word for word in phrase.modifiers if word in ("male", "female")]
    if _is_person(scene) and any(relation(word, scene.label) is Relation.OTHER for word in genders):
        return True
    if to_label is Relation.OTHER:
        return True
    if to_label is Relation.UNKNOWN:
        is_garment = kinds(scene.label) == {"garment"} and are_different(phrase.noun, scene.label)
        return names_another or is_garment
    return names_another and (
        to_label is Relation.ALIKE or (to_label is Relation.NARROWER and not _is_person(scene))
    )


def _is_named(reading: Reading, scene: WordScene, verb: str) -> bool:
    """Whether any phrase that may be meant fits the target: "a cup on the table next to the laptop"."""
    return any(
        to_target(p, scene) in FITTING
        and p.noun
        and not is_other_thing(p, scene)
        and (not verb or reading.word(p.start - 1) in word_set("onto") | {"of"})
        for p in reading.phrases
    )


def _is_person(scene: WordScene) -> bool:
    return "person" in kinds(scene.label)


def _stated_target(reading: Reading) -> NounPhrase | None:
    """The phrase after ``the target is``; quantities lead to what they consist of."""
    for index in range(len(reading.tokens)):
        if reading.word(index) not in ("target", "subject") or reading.word(index - 1) not in (
            "the",
            "this",
            "editing",
            "edit",
            "our",
        ):
            continue
        for phrase in reading.phrases:
            if (
                phrase.start > index
                and reading.tokens[phrase.start].sentence == reading.tokens[index].sentence
            ):
                if not {"is", ":", "consists", "are", ","} & set(reading.words(index, phrase.start)):
                    continue
                if kinds(phrase.noun or "") & {QUANTITY, ANYTHING} and reading.word(phrase.end) == "of":
                    return reading.phrase_at(phrase.end + 1)
                if reading.word(phrase.start - 1) in word_set("prepositions") - {"of"}:
                    return None
                return owned_by(reading, phrase) or phrase
    return None


def _other_subject(name: str, reading: Reading, scene: WordScene, new: frozenset[str]) -> list[str]:
    """The first subject of a part's sentences, if it is another thing than the target."""
    for phrase in reading.phrases:
        if (
            phrase.noun in new
            or phrase.determiner in word_set("others")
            or contrasted(reading.tokens, phrase.start)
        ):
            continue
        if any(relation(phrase.noun or "", word) in FITTING for word in new):
            continue
        starts = reading.word(phrase.start - 1) in ("", ".", ",") or re.search(
            r"\b(?:remov|chang|recolor|turn|replac)\w*$", reading.word(phrase.start - 1)
        )
        if starts and _ACTED_ON.match(_words_after(reading, phrase)) and is_other_thing(phrase, scene):
            return [_fault(name, reading, phrase, scene)]
    return []


def _words_after(reading: Reading, phrase: NounPhrase) -> str:
    return " ".join(reading.words(phrase.end, phrase.end + 6))


def _argument_words(draft: Draft) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z-]+", draft.argument.lower())) | (
        {draft.argument.lower()} if draft.argument else set()
    )


def _any_fits(reading: Reading, scene: WordScene) -> bool:
    return any(
        phrase.noun not in (None, "one")
        and to_target(phrase, scene) in FITTING
        and phrase.determiner not in word_set("others")
        and not kinds(phrase.noun or "") & {ANYTHING, QUANTITY}
        for phrase in reading.phrases
    )


def _fault(name: str, reading: Reading, phrase: NounPhrase, scene: WordScene) -> str:
    return f"{name} says {reading.quoted(phrase)!r}, the target is a {scene.label}"
