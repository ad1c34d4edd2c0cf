"""What words say that a person wears, compared with the garments that were found as parts of the person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.stages.instruction.words.phrases import Color, NounPhrase, color_at
from tasks.stages.instruction.words.reading import Reading, is_clad_as_another, to_target
from tasks.stages.instruction.words.scene import WordScene
from tasks.stages.instruction.words.tokens import contrasted
from tasks.stages.instruction.words.vocabulary import (
    FITTING,
    kinds,
    measured_names,
    relation,
    word_set,
)

_WORN = frozenset({"in", "wearing", "wears", "with", "dressed", "sporting", "and", "has"})
_CLAD = frozenset({"dressed", "clad", "wearing", "all", "in"})
_GOES_ON = frozenset({"who", "that", "on", "at", "between", "with", "to", "from", "and", "is", "next", "out"})
"""Words after a color that stands alone: "the jockey in red on the left"."""


@dataclass(frozen=True, slots=True)
class Clothing:
    """One garment as a text states it: its color, its noun (``""`` for "in red"), and whether it covers the torso."""

    color: Color
    noun: str
    is_main: bool


def clothing(
    reading: Reading, named: tuple[NounPhrase, ...], scene: WordScene, *, is_order: bool
) -> Iterator[Clothing]:
    """What the text says that the target wears, where it is a person; ``named`` are its phrases for the target."""
    if "person" not in kinds(scene.label):
        return
    yield from (Clothing(color, "", is_main=True) for color in _clad_in(reading, named))
    known = [part.label for part in scene.parts_of(scene.targets[0])]
    for phrase in reading.phrases:
        if not _is_worn_by_target(reading, phrase, named, scene, is_order=is_order):
            continue
        last = (phrase.text.split() or [""])[-1].removesuffix("s")
        is_main = bool({last, f"{last}s"} & word_set("main_garments"))
        is_found = any(relation(phrase.noun or "", label) in FITTING for label in known)
        if is_main or is_found or {last, f"{last}s"} & word_set("legwear"):
            yield from (Clothing(color, phrase.noun or phrase.text, is_main) for color in phrase.colors)


def fits_clothes(said: Clothing, scene: WordScene) -> bool | None:
    """Whether the target wears it; None where nothing comparable was found.

    A color without a garment fits any known one, and the person as a whole.
    """
    target = scene.targets[0]
    worn = [part for part in scene.parts_of(target) if measured_names(part.color)]
    if said.noun:
        worn = [part for part in worn if relation(said.noun, part.label) in FITTING]
    elif not any(part.label in word_set("main_garments") for part in worn):
        return None
    if not worn:
        return None
    names = frozenset[str]().union(*(measured_names(part.color) for part in worn))
    return bool(said.color.names & (names if said.noun else names | measured_names(target.color)))


def _clad_in(reading: Reading, named: tuple[NounPhrase, ...]) -> Iterator[Color]:
    """``the jockey in red``: the color alone, and no shoes in it."""
    for phrase in named:
        at = phrase.end
        while reading.word(at) in _CLAD:
            at += 1
        if at > phrase.end and (colored := color_at(reading.tokens, at)) is not None:
            after = reading.word(at + colored[1])
            if not after or not after[0].isalnum() or after in _GOES_ON:
                yield colored[0]


def _is_worn_by_target(
    reading: Reading, phrase: NounPhrase, named: tuple[NounPhrase, ...], scene: WordScene, *, is_order: bool
) -> bool:
    if not phrase.colors or contrasted(reading.tokens, phrase.start):
        return False
    before = reading.word(phrase.start - 1)
    if phrase.owner is not None:
        return phrase.owner in named
    if before not in _WORN and phrase.determiner not in word_set("possessives"):
        return is_order and bool(named) and phrase.start < named[-1].start
    people = [
        each
        for each in reading.phrases
        if each.end <= phrase.start and each.noun and (each.noun == "one" or "person" in kinds(each.noun))
    ]
    if people:
        return people[-1] in named or (
            to_target(people[-1], scene) in FITTING
            and people[-1].determiner not in word_set("others")
            and not (people[-1].start and is_clad_as_another(reading, people[-1], scene))
            and reading.word(people[-1].start - 1) in ("is", "", ".")
        )
    return not is_order
