"""Gates on the request: a single edit, of the given type."""

from __future__ import annotations

import re
from itertools import pairwise

from tasks.records.edit_types import EDIT_TYPES, Maker
from tasks.records.records import EditType
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.new_colors import result_colors
from tasks.stages.instruction.words.reading import Order, Reading, verb_kind
from tasks.stages.instruction.words.scene import WordScene
from tasks.stages.instruction.words.tokens import QUOTE
from tasks.stages.instruction.words.vocabulary import (
    FITTING,
    color_names,
    kinds,
    relation,
    word_set,
    words,
)

_ALL = frozenset(EditType)
_CHANGES = frozenset(row.edit_type for row in EDIT_TYPES if row.maker is Maker.EDITOR)
_BY_VERB = {
    verb: frozenset(row.edit_type for row in EDIT_TYPES if verb in row.verbs)
    for verb in frozenset[str]().union(*(row.verbs for row in EDIT_TYPES))
}
_BREAKS = frozenset({"and", "then", ",", ";", ".", "also", "plus", "&"})
_PRONOUNS = frozenset({"it", "them", "him", "this", "that"})
_CLEAR = frozenset({"remove", "replace", "recolor", "add", "write"})
"""Verbs that never go on with an action ("make the man sit down and …")."""

_MAIN_CLAUSE = {"color", "hue", "shade"}
_COLORING = re.compile(
    r"\b(?:will be|is|are|gets?|be|been|being)\s+(?:\w+ly\s+)?(?:re-?colou?red|repainted|dyed)\b"
)
_REMOVING = re.compile(
    r"\b(?:will be|is|are|gets?|has been|be|been)\s+(?:\w+ly\s+)?(?:removed|erased|deleted|eliminated)\b"
)
_REPLACING = re.compile(
    r"\b(?:will be|is|are|gets?|has been|be|been)\s+(?:\w+ly\s+)?(?:replaced|swapped|substituted)\b"
)


def edit_type(draft: Draft) -> Finding:
    """Checks the type stated in the reply, and verbs that cannot ask for the given type."""
    if draft.reply is None:
        return finding([], decided=False)
    faults = []
    said = named_type(draft.reply.edit_type)
    if said is not draft.edit_type:
        faults.append(f"the reply's type is {draft.reply.edit_type!r}, asked was {draft.edit_type.value}")
    decided = True
    for name, reading, order in draft.orders():
        asked = types_of(reading, order)
        if draft.edit_type not in asked:
            faults.append(f"{name} asks for {' or '.join(sorted(asked))}, asked was {draft.edit_type.value}")
    for name in ("editing", "result"):
        if other := _described_type(draft, name):
            faults.append(f"{name} speaks of {other.value}, asked was {draft.edit_type.value}")
    return finding(faults, decided)


def named_type(text: str) -> EditType | None:
    """The edit type that a reply's words name (``Subject Addition`` is Add), or None."""
    exact = [row.edit_type for row in EDIT_TYPES if row.edit_type.value.lower() == text.strip().lower()]
    if exact:
        return exact[0]
    found = set(re.findall(r"[a-z]+", text.lower())) - word_set("edit_type_fillers")
    names = words()["edit_type_names"]
    types = {EditType(name) for name, known in names.items() if found & set(known)}
    if EditType.TEXT in types and len(types) == 2:  # Text Replacement, Text Addition
        return EditType.TEXT
    return types.pop() if len(types) == 1 else None


def one_edit(draft: Draft) -> Finding:
    """Rejects two imperative verbs with different objects."""
    faults = []
    for name, reading, order in draft.orders():
        second = _second_edit(reading, order) or _second_object(reading, order, draft.scene)
        if second:
            faults.append(f"{name} also asks to {second!r}")
    return finding(faults, decided=draft.reply is not None)


def types_of(reading: Reading, order: Order) -> frozenset[EditType]:
    """The types that an instruction may have, by its verb and what follows; all types if that is open."""
    if not order.verb:
        return _ALL
    tokens = reading.words(order.at, len(reading.tokens))
    text = bool(set(tokens) & (word_set("text_nouns") | {QUOTE}))
    material = bool(set(tokens) & word_set("materials"))
    color = _asks_color(tokens)
    if order.verb in ("change", "make"):
        return _types_of_change(reading, order, tokens, text=text, material=material, color=color)
    found = set(_BY_VERB[order.verb])
    if {"instead", "where"} & set(tokens) or "in place of" in " ".join(tokens):
        found.add(EditType.REPLACE)
    if text:
        found.add(EditType.TEXT)
    if order.verb in ("replace", "restyle") and material:
        found.add(EditType.MATERIAL)
    if order.verb == "recolor" and material:
        found.add(EditType.MATERIAL)
    if order.verb in ("replace", "add", "give") and (
        set(tokens) & _MAIN_CLAUSE or (order.verb == "give" and color)
    ):
        found |= {EditType.COLOR, EditType.APPEARANCE}
    if order.verb == "recolor" and reading.word(order.at) in ("paint", "tint", "repaint"):
        found |= {EditType.APPEARANCE} | ({EditType.ADD} if not color else set())
    if order.verb == "act" and reading.word(order.at) in ("open", "close", "move", "rotate", "show"):
        return _CHANGES - {EditType.COLOR}
    if order.verb in ("replace", "give") and kinds(_noun_of(order)) & {"garment", "part"}:
        found.add(EditType.APPEARANCE)
    return frozenset(found)


def _types_of_change(
    reading: Reading, order: Order, tokens: tuple[str, ...], *, text: bool, material: bool, color: bool
) -> frozenset[EditType]:
    """``change``, ``turn`` and ``make`` may ask for anything except a removal; a named color is a Color edit."""
    if text:
        return _CHANGES
    into_noun = any(first in ("into", "to") and second in ("a", "an") for first, second in pairwise(tokens))
    if order.verb == "change" and color and not into_noun and set(tokens) & _MAIN_CLAUSE:
        # gold, silver and bronze are materials, too
        return frozenset({EditType.COLOR, EditType.APPEARANCE} | ({EditType.MATERIAL} if material else set()))
    if (
        color
        and not material
        and not into_noun
        and result_colors(reading.text, frozenset(), instruction=True)
    ):
        return frozenset({EditType.COLOR, EditType.APPEARANCE})
    if material and not color and set(tokens) & {"material", "texture"}:
        return frozenset({EditType.MATERIAL, EditType.APPEARANCE})
    return _CHANGES


def _asks_color(tokens: tuple[str, ...]) -> bool:
    return bool(set(tokens) & _MAIN_CLAUSE) or any(color_names(word) for word in tokens)


def _noun_of(order: Order) -> str:
    return (order.object.noun if order.object else None) or ""


def _described_type(draft: Draft, name: str) -> EditType | None:
    """A part that clearly describes a removal when the edit is none, or another edit when it is a removal."""
    text = dict(draft.texts())[name].lower()
    removed, replaced, colored = (
        bool(pattern.search(text)) for pattern in (_REMOVING, _REPLACING, _COLORING)
    )
    if draft.edit_type in (EditType.COLOR, EditType.MATERIAL, EditType.ACTION, EditType.ADD) and removed:
        return (
            EditType.REMOVE
            if not (replaced or colored or re.search(r"\bchang|\btransform|\badded|\bturn", text))
            else None
        )
    if (
        draft.edit_type is EditType.REMOVE
        and not removed
        and not re.search(r"\bremov|\beras|\bdelet|\bgone\b|absen|no longer", text)
    ):
        return EditType.COLOR if colored else EditType.REPLACE if replaced else None
    return None


def _second_edit(reading: Reading, order: Order) -> str:
    """The second order of an instruction in its own words, ``""`` if there is none."""
    for index in range(order.at + 1, len(reading.tokens)):
        kind = verb_kind(reading, index)
        gerund = words()["gerunds"].get(reading.word(index), "")
        if gerund and reading.word(index - 1) in (
            "while",
            "and",
            "also",
            "besides",
            "with",
            "to",
            "as",
            "then",
            "by",
        ):
            if reading.word(index - 1) == "by" or (
                reading.word(index - 1) == "with" and reading.word(index - 2) != "along"
            ):
                continue
            kind = str(gerund)
        elif not kind or not _starts_an_order(reading, index):
            continue
        phrase = reading.phrase_at(index + 1) or reading.phrase_at(index + 2)
        if reading.word(index + 1) in _PRONOUNS or phrase is None:
            continue
        if order.verb == "make" and not _is_clear(reading.word(index), kind, phrase.determiner):
            continue
        if phrase.determiner in word_set("possessives") and kind not in _CLEAR:
            continue
        if kind == "remove" and order.verb == "remove" and phrase.determiner in word_set("possessives"):
            continue
        is_told_apart = bool(phrase.colors or phrase.ordinals or phrase.sizes or phrase.side) or reading.word(
            phrase.end
        ) in (
            "in",
            "with",
            "on",
            "next",
            "near",
            "who",
            "that",
            "beside",
            "labeled",
            "labelled",
            "marked",
            "saying",
            "behind",
            "below",
            "above",
        )
        if not is_told_apart and _is_same_thing(order, phrase.noun, phrase.determiner):
            continue
        return reading.text[reading.tokens[index].start : reading.tokens[phrase.end - 1].end]
    return ""


def _is_clear(word: str, kind: str, determiner: str) -> bool:
    """Whether a verb after "make the man sit" can't go on with the action ("and put a hand on his hip")."""
    if determiner in word_set("possessives"):
        return False
    if word in ("add", "insert", "remove", "delete", "erase", "replace", "recolor"):
        return True
    return kind in _CLEAR | {"change", "make"} and determiner not in ("a", "an", "")


def _starts_an_order(reading: Reading, index: int) -> bool:
    before = reading.word(index - 1)
    while (
        before in ("then", "also", "please", "finally", "simultaneously", "subsequently", ",") and index > 1
    ):
        if before in ("then", "also", "finally", "simultaneously", "subsequently"):
            return True
        index -= 1
        before = reading.word(index - 1)
    return before in _BREAKS or before in ("and", ".", ";")


def _is_same_thing(order: Order, noun: str | None, determiner: str) -> bool:
    """Whether the second order is about the first one's thing ("… and paint the car red")."""
    if noun is None or determiner not in ("the", "this", "that"):
        return False
    return any(phrase.noun == noun for phrase in order.chain)


def _second_object(reading: Reading, order: Order, scene: WordScene) -> str:
    """``remove the cup and the plate``: a second thing of the scene right after the only target."""
    target = order.target
    if (
        target is None
        or len(scene.target) > 1
        or order.verb not in ("remove", "replace", "recolor", "change")
    ):
        return ""
    if reading.word(target.end) != "and" or reading.word(target.start - 1) in ("between", "of", "and"):
        return ""
    second = reading.phrase_at(target.end + 1)
    if second is None or second.noun is None or second.determiner != "the" or not second.certain:
        return ""
    labels = {thing.label for index, thing in enumerate(scene.things) if index not in scene.target}
    is_other = any(relation(second.noun, label) in FITTING for label in labels if label != scene.label)
    return reading.quoted(second) if is_other and relation(second.noun, scene.label) not in FITTING else ""
