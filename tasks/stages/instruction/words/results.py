"""The gate on the result: new colors, materials, things and writing, compared with the argument."""

from __future__ import annotations

import re
from functools import cache

from tasks.records.errors import Reason
from tasks.records.records import EditType
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.new_colors import result_colors
from tasks.stages.instruction.words.phrases import NounPhrase, color_at
from tasks.stages.instruction.words.reading import Order, Reading, mentions, to_target
from tasks.stages.instruction.words.tokens import contrasted, plain, quotes
from tasks.stages.instruction.words.vocabulary import (
    PARTS,
    QUANTITY,
    Relation,
    are_different,
    canonical_material,
    color_names,
    kinds,
    measured_names,
    same_color,
    word_set,
)

_NEW_THING = (
    r"\b(?:replac|swap|substitut|exchang|transform|turn|chang|convert)\w*\s+(?:[^.;]{0,80}?\s)?"
    r"(?:with|by|for|into)\s"
)
_SAID = re.compile(
    r"(?:\b(?:to|into|with|says?|saying|reads?|reading|as|write|words?|text|be|display\w*|show\w*|spell\w*|phrase|by|"
    r"becomes?|for)|:)[\s:,]*(?:the\s+(?:words?|text|phrase|name)\s+)?$"
)
_BESIDE = re.compile(
    r"\b(?:between|among|amid|beside|next to|against|unlike|contrast\w*|others?|while|whereas|remain\w*|still|rest)\b"
)
_MADE = re.compile(
    r"\b(?:to|into|of|in|with|like|as|now|becomes?|be|appears?|looks?|from|made|a|an|solid|polished|shiny)\s+"
    r"(?:[a-z-]+\s+){0,2}$"
)


def result(draft: Draft) -> Finding:
    """Checks what the target becomes in instruction, part 3 and part 4, against the argument and each other."""
    if draft.reply is None:
        return finding([], decided=False)
    color, color_decided = _colors(draft)
    if color:
        return finding(color, decided=True, reason=Reason.WRONG_COLOR_WORD)
    other = [*_materials(draft), *_things(draft), *_writing(draft)]
    decided = color_decided or bool(
        draft.argument and draft.edit_type in (EditType.REPLACE, EditType.MATERIAL, EditType.TEXT)
    )
    return finding(other, decided=decided, reason=Reason.WRONG_ARGUMENT)


def new_things(reading: Reading, order: Order, edit_type: EditType) -> tuple[str, ...]:
    """Known nouns of what replaces the target or is added to it; empty if no known noun says it."""
    if edit_type is EditType.ADD:
        phrase = (
            order.object
            if order.verb in ("add", "write")
            else _after(reading, order, ("a", "an", "some", "with", "in"))
        )
    else:
        phrase = _after(reading, order, ("with", "by", "for", "into", "to"))
    return _nouns_of(reading, phrase)


def quoted_result(text: str) -> str:
    """The new writing: the last quotation after ``to``, ``says``, ``with`` …"""
    found = ""
    for quotation in quotes(text):
        at = text.find(quotation)
        if _SAID.search(text[: max(0, at - 1)].lower()):
            found = quotation
    return found


def _colors(draft: Draft) -> tuple[list[str], bool]:
    assert draft.reply is not None
    labels = draft.scene.labels
    said = {
        name: result_colors(text, labels, instruction=True)
        for name, text in draft.texts()
        if name in ("instruction", "rewriting")
    }
    expected = tuple(
        word for word in re.findall(r"[a-z]+(?:-[a-z]+)?", draft.argument.lower()) if color_names(word)
    )
    if draft.edit_type is not EditType.COLOR and not (
        expected and draft.edit_type in (EditType.REPLACE, EditType.ADD, EditType.MATERIAL)
    ):
        return [], False
    if not expected:
        expected = said["instruction"]
    if not expected:
        return [], False
    for name in ("editing", "result"):
        said[name] = result_colors(dict(draft.texts())[name], labels)
    if draft.edit_type is not EditType.COLOR:
        said = {}
    elif not said["result"]:
        said["result"] = _colors_of_new_state(draft)
    faults = []
    for name, colors in said.items():
        wrong = [color for color in colors if not any(_same(color, want) for want in expected)]
        if wrong and (name in ("editing", "result") or len(wrong) == len(colors)):
            faults.append(f"{name} says it becomes {wrong[0]}, asked was {' '.join(expected)}")
    return faults, any(said.values())


def _colors_of_new_state(draft: Draft) -> tuple[str, ...]:
    """Colors that part 4 gives the target without a verb of change: "the mug is blue", "she wears a red dress"."""
    target, reading = draft.scene.targets[0], draft.part("result")
    kin = [
        thing
        for thing in draft.scene.things
        if thing not in draft.scene.targets and kinds(thing.label) & kinds(target.label)
    ]
    stated = [measured_names(thing.color) for thing in (target, *kin)]
    named = mentions(reading, draft.scene)
    found = []
    for phrase in reading.phrases:
        is_named = phrase in named and not phrase.ordinals
        color = phrase.colors[0] if len(phrase.colors) == 1 else None
        worn = "garment" in kinds(phrase.noun or "") and reading.word(phrase.start - 1) in (
            "wears",
            "wearing",
        )
        # "She wears black jeans": what is worn in pairs has no article.
        is_new = (phrase.determiner in ("a", "an") or (worn and not phrase.determiner)) and (
            is_named or worn or to_target(phrase, draft.scene) is Relation.SAME
        )
        if (
            phrase in named
            and reading.word(phrase.end) in ("is", "are")
            and (colored := color_at(reading.tokens, phrase.end + 1))
        ):
            color, is_new = colored[0], True
        if color is None or not is_new or contrasted(reading.tokens, phrase.start):
            continue
        # Another thing of its kind may have the color, and the old one may still be mentioned.
        if all(stated) and not color.names & frozenset().union(*stated):
            found.append(color.word)
    return tuple(found[:1])


def _same(one: str, other: str) -> bool:
    return any(same_color(a, b) for a in one.split("-") for b in other.split("-"))


def _materials(draft: Draft) -> list[str]:
    if draft.edit_type is not EditType.MATERIAL:
        return []
    expected = {
        canonical_material(word)
        for word in re.findall(r"[a-z]+", draft.argument.lower())
        if word in word_set("materials")
    }
    if not expected:
        return []
    faults = []
    for name, text in draft.texts():
        if name in ("scene", "localization"):
            continue
        spoken = plain(text, draft.scene.labels)
        after = [
            canonical_material(match.group())
            for match in re.finditer(
                "|".join(rf"\b{word}\b" for word in sorted(word_set("materials"), key=len, reverse=True)),
                spoken,
            )
            if _MADE.search(spoken[: match.start()])
            and not (name == "result" and _BESIDE.search(re.split(r"[.;]", spoken[: match.start()])[-1]))
            and not re.search(r"\bfrom\s+(?:\w+\s+)?$", spoken[: match.start()])
        ]
        if name in ("instruction", "rewriting") and not after:
            last = re.findall(r"[a-z]+", spoken)[-1:]
            after = [canonical_material(word) for word in last if word in word_set("materials")]
        named = {
            canonical_material(word)
            for word in re.findall(r"[a-z]+", spoken)
            if word in word_set("materials")
        }
        turned_into = {
            canonical_material(match.group("material")) for match in _turned_into().finditer(spoken)
        }
        if turned_into and not turned_into & expected:
            after, named = sorted(turned_into), set()
        if after and not named & expected:
            faults.append(f"{name} says {after[-1]}, asked was {', '.join(sorted(expected))}")
    return faults


@cache
def _turned_into() -> re.Pattern[str]:
    """``turned into (rusty) iron``: the new material and no ornament of it."""
    materials = "|".join(sorted(word_set("materials"), key=len, reverse=True))
    return re.compile(
        r"\b(?:turned|changed|transformed|converted|replaced)\s+(?:into|to|with|by)\s+"
        rf"(?:(?!(?:with|and|of|in|a)\b)[a-z-]+\s+){{0,3}}?(?P<material>{materials})\b(?!-)"
    )


def _things(draft: Draft) -> list[str]:
    """Checks replaced or added things against the argument's noun."""
    if draft.edit_type not in (EditType.REPLACE, EditType.ADD):
        return []
    expected = _argument_nouns(draft)
    orders = list(draft.orders())
    if not expected and draft.argument and (faults := _without_argument(draft)):
        return faults
    if not expected and orders:
        _, reading, order = orders[0]
        expected = new_things(reading, order, draft.edit_type)
    if not expected:
        return []
    faults = []
    for name, reading, order in orders:
        found = new_things(reading, order, draft.edit_type)
        if found and _all_other(found, expected):
            faults.append(f"{name} says {', '.join(found)}, asked was {', '.join(expected)}")
    if draft.edit_type is EditType.REPLACE:
        for name in ("editing", "result"):
            reading = draft.part(name)
            for match in re.finditer(_NEW_THING, plain(reading.text, draft.scene.labels)):
                phrase = next(
                    (p for p in reading.phrases if reading.tokens[p.start].start >= match.end()), None
                )
                found = _nouns_of(reading, phrase)
                if (
                    phrase is not None
                    and reading.tokens[phrase.start].start - match.end() < 2
                    and found
                    and _all_other(found, expected)
                ):
                    faults.append(f"{name} says {', '.join(found)}, asked was {', '.join(expected)}")
    return faults


def _without_argument(draft: Draft) -> list[str]:
    """Orders with a known noun in place of an argument that no list knows, where part 3 or 4 has that argument."""
    word = re.findall(r"[a-z-]+", draft.argument.lower())[-1:]
    said = {name: set(re.findall(r"[a-z-]+", text.lower())) for name, text in draft.texts()}
    if not word or not any(word[0] in said[name] for name in ("editing", "result")):
        return []
    return [
        f"{name} says {', '.join(found)}, asked was {draft.argument}"
        for name, reading, order in draft.orders()
        if word[0] not in said[name] and (found := new_things(reading, order, draft.edit_type))
    ]


def _writing(draft: Draft) -> list[str]:
    if draft.edit_type is not EditType.TEXT or draft.reply is None:
        return []
    expected = draft.argument.strip().strip("'\"") or quoted_result(draft.reply.instruction)
    if not expected:
        return []
    faults = []
    for name, text in draft.texts():
        if name in ("scene", "localization"):
            continue
        said = quoted_result(text)
        if said and not _same_writing(said, expected) and expected.lower() not in text.lower():
            faults.append(f"{name} says {said!r}, asked was {expected!r}")
    return faults


def _same_writing(one: str, other: str) -> bool:
    letters = [re.sub(r"[\W_]+", "", text).lower() for text in (one, other)]
    return letters[0] in letters[1] or letters[1] in letters[0]


def _all_other(found: tuple[str, ...], expected: tuple[str, ...]) -> bool:
    return all(are_different(a, b) for a in found for b in expected)


def _argument_nouns(draft: Draft) -> tuple[str, ...]:
    if not draft.argument:
        return ()
    reading = draft.read(
        draft.argument if re.match(r"(?:an?|the|some|two|three) ", draft.argument) else f"a {draft.argument}"
    )
    return _nouns_of(reading, reading.phrases[0]) if reading.phrases else ()


def _nouns_of(reading: Reading, phrase: NounPhrase | None) -> tuple[str, ...]:
    while phrase is not None and kinds(phrase.noun or "") & {QUANTITY} and reading.word(phrase.end) == "of":
        phrase = reading.phrase_at(phrase.end + 1)
    if (
        phrase is None
        or phrase.noun is None
        or not phrase.certain
        or kinds(phrase.noun) & PARTS - {"garment"}
    ):
        return ()
    return (phrase.noun,) if phrase.noun != "one" else ()


def _after(reading: Reading, order: Order, openers: tuple[str, ...]) -> NounPhrase | None:
    """The first phrase after one of the words that follows the order's thing."""
    if not order.chain:
        return None
    start = max(phrase.end for phrase in order.chain)
    for index in range(start, reading.sentence_end(order.chain[0].start)):
        if reading.word(index) in openers:
            following = reading.phrase_at(index + 1) or (
                reading.phrase_at(index) if reading.word(index) in ("a", "an", "some") else None
            )
            if following is not None and following.determiner in (
                "a",
                "an",
                "some",
                "another",
                "two",
                "three",
            ):
                return following
    return None
