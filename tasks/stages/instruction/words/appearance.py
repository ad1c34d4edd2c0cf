"""Gates on the target's appearance: its size among its kind, and its color."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.stages.instruction.words.counting import peers_of
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.phrases import Color, NounPhrase, color_at
from tasks.stages.instruction.words.reading import Reading, mentions, to_target
from tasks.stages.instruction.words.scene import SIZE_MARGIN, Peers, Thing, WordScene
from tasks.stages.instruction.words.subjects import subjects
from tasks.stages.instruction.words.tokens import contrasted
from tasks.stages.instruction.words.vocabulary import (
    FITTING,
    kinds,
    measured_names,
    relation,
    same_color,
    word_set,
    words,
)

_WORN = frozenset({"in", "wearing", "wears", "with", "dressed", "sporting", "and", "has"})
_IS = frozenset({"is", "appears", "looks"})


def size(draft: Draft) -> Finding:
    """Checks largest, smaller of the two, tall against the things compared with, with a clear margin only."""
    faults, decided = [], False
    for name, reading, named, _ in _texts(draft):
        for phrase in named:
            if "as" in (reading.word(phrase.start - 1), reading.word(phrase.end)):
                continue  # "a third as tall as the first one"
            for word in phrase.sizes:
                fits = (
                    _fits_than(reading, phrase, word, draft.scene)
                    if "than" in reading.words(phrase.end, phrase.end + 1) and not phrase.text
                    else _fits_size(reading, phrase, word, draft.scene)
                )
                decided = decided or fits is not None
                if fits is False:
                    faults.append(
                        f"{name} says {reading.quoted(phrase)!r}, {_size_words(reading, phrase, word, draft.scene)}"
                    )
    return finding(faults, decided)


def color(draft: Draft) -> Finding:
    """Checks the color stated for the target's own noun or main garment against the measured color."""
    faults, decided = [], False
    if len(draft.scene.target) != 1:
        return finding([], decided=False)
    own = measured_names(draft.scene.targets[0].color)
    said: dict[str, tuple[Color, ...]] = {}
    for name, reading, named, is_order in _texts(draft):
        said[name] = _colors_of_target(reading, named, draft.scene, is_order=is_order)
        if not said[name] or not own:
            continue
        decided = True
        if not any(own & each.names for each in said[name]):
            faults.append(f"{name} says {said[name][0].text!r}, the target is {draft.scene.targets[0].color}")
    if not faults and "localization" in said and said.get("instruction"):
        first, second = said["instruction"], said["localization"]
        if len(first) == len(second) == 1 and not _may_be_same(first[0], second[0]):
            faults.append(f"instruction says {first[0].text!r}, localization {second[0].text!r}")
    return finding(faults, decided)


def _may_be_same(one: Color, other: Color) -> bool:
    """Whether two texts may name one color; a measured color is compared less strictly than two words."""
    shaded = one.text != one.word or other.text != other.word
    return bool(one.names & other.names) if shaded else same_color(one.word, other.word)


def _texts(draft: Draft) -> Iterator[tuple[str, Reading, tuple[NounPhrase, ...], bool]]:
    if draft.reply is None:
        return
    for name, reading, order in draft.orders():
        yield name, reading, (order.target,) if order.target is not None else (), True
    reading = draft.part("localization")
    yield "localization", reading, mentions(reading, draft.scene), False
    for name, reading, named in subjects(draft, result=False):
        yield name, reading, named, True


def _fits_size(reading: Reading, phrase: NounPhrase, word: str, scene: WordScene) -> bool | None:
    """Whether a size word is true of the target; None if the difference is small or nothing is compared with."""
    section = next(name for name in ("superlatives", "comparatives", "positives") if word in words()[name])
    measure, direction = words()[section][word]
    if (
        measure == "none"
        or len(scene.target) > 1
        or phrase.noun in word_set("not_counted")
        or phrase.ordinals
    ):
        return None
    peers = peers_of(reading, _without_sizes(phrase), scene)
    target = scene.targets[0]
    sure = [_ratio(thing, target, measure, direction) for thing in peers.sure if thing is not target]
    every = [_ratio(thing, target, measure, direction) for thing in peers.all if thing is not target]
    if not every:
        return None
    if section == "positives":
        # A "small" one of several is wrong only where it is the large one of them all.
        return False if all(ratio >= SIZE_MARGIN for ratio in every) else None
    if section == "comparatives" and len(every) > 1:
        return False if all(ratio >= SIZE_MARGIN for ratio in every) else None
    if any(ratio >= SIZE_MARGIN for ratio in sure) or all(ratio >= SIZE_MARGIN for ratio in every):
        return False
    return True if all(ratio <= 1 / SIZE_MARGIN for ratio in every) else None


def _fits_than(reading: Reading, phrase: NounPhrase, word: str, scene: WordScene) -> bool | None:
    """``larger than the ducks``, ``taller than the other three``: compared with all of those things."""
    measure, direction = words()["comparatives"].get(word, ("none", 0))
    landmark = reading.phrase_at(phrase.end + 1) or reading.phrase_at(phrase.end + 2)
    following = set(reading.words(phrase.end + 1, phrase.end + 4))
    if measure == "none" or len(scene.target) > 1:
        return None
    if landmark is None and not following & {"others", "rest"}:
        return None
    is_other = (
        landmark is None
        or landmark.determiner in ("other", "others")
        or "other" in landmark.modifiers
        or landmark.text == "others"
    )
    kin = [thing for thing in scene.things if thing.label == scene.label]
    if landmark is not None and not is_other and landmark.noun == "one" and len(kin) == 2:
        is_other = True  # "smaller than the one in the foreground", where there are two
    if landmark is not None and (landmark.colors or (not is_other and landmark.noun in (None, "one"))):
        return None
    found = [
        thing
        for thing in scene.things
        if thing is not scene.targets[0]
        and (
            thing.label == scene.label
            if landmark is None or is_other
            else relation(landmark.noun or "", thing.label) in FITTING
        )
    ]
    ratios = [_ratio(thing, scene.targets[0], measure, direction) for thing in found]
    if not ratios:
        return None
    return False if all(ratio >= SIZE_MARGIN for ratio in ratios) else True if max(ratios) < 1 else None


def _ratio(other: Thing, target: Thing, measure: str, direction: int) -> float:
    """How much more the other thing is what is said of the target; above 1 it exceeds the target."""
    first, second = max(1.0, other.measure(measure)), max(1.0, target.measure(measure))
    return first / second if direction > 0 else second / first


def _without_sizes(phrase: NounPhrase) -> NounPhrase:
    return NounPhrase(
        start=phrase.start,
        end=phrase.end,
        determiner=phrase.determiner,
        colors=phrase.colors,
        side=phrase.side,
        modifiers=phrase.modifiers,
        noun=phrase.noun,
        text=phrase.text,
        plural=phrase.plural,
        owner=phrase.owner,
    )


def _size_words(reading: Reading, phrase: NounPhrase, word: str, scene: WordScene) -> str:
    section = next(name for name in ("superlatives", "comparatives", "positives") if word in words()[name])
    measure, _ = words()[section][word]
    peers: Peers = peers_of(reading, _without_sizes(phrase), scene)
    others = sorted(round(thing.measure(measure)) for thing in peers.all if thing is not scene.targets[0])
    return f"its {measure} is {round(scene.targets[0].measure(measure))}, others have {', '.join(map(str, others))}"


def _colors_of_target(
    reading: Reading, named: tuple[NounPhrase, ...], scene: WordScene, *, is_order: bool
) -> tuple[Color, ...]:
    """All colors stated for the target itself, or for a person's main garment and what is worn on the legs."""
    found: list[Color] = []
    for phrase in named:
        found += phrase.colors
        at = phrase.end
        if (
            not is_order
            and reading.word(at) in _IS
            and (colored := color_at(reading.tokens, at + 1)) is not None
        ):
            found.append(colored[0])
    if "person" not in kinds(scene.label):
        return tuple(found)
    found += _clad_in(reading, named)
    # A garment may have the measured color only in part: pants and skin count as much as a shirt.
    garments: list[Color] = []
    main = False
    for phrase in reading.phrases:
        if not _is_worn_by_target(reading, phrase, named, scene, is_order=is_order):
            continue
        last = (phrase.text.split() or [""])[-1].removesuffix("s")
        is_main = last in word_set("main_garments") or f"{last}s" in word_set("main_garments")
        if is_main or f"{last}s" in word_set("legwear") or last in word_set("legwear"):
            garments += phrase.colors
            main = main or (is_main and bool(phrase.colors))
    return (*found, *(garments if main else ()))


def _clad_in(reading: Reading, named: tuple[NounPhrase, ...]) -> list[Color]:
    """``the jockey in red``: the color alone, and no shoes in it."""
    found = []
    for phrase in named:
        at = phrase.end
        while reading.word(at) in ("dressed", "clad", "wearing", "all", "in"):
            at += 1
        if at > phrase.end and (colored := color_at(reading.tokens, at)) is not None:
            after = reading.word(at + colored[1])
            if not after or not after[0].isalnum() or after in ("who", "that", "on", "at", "between", "with"):
                found.append(colored[0])
    return found


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
        if each.end <= phrase.start and each.noun and "person" in kinds(each.noun)
    ]
    if people:
        return people[-1] in named or (
            to_target(people[-1], scene) in FITTING
            and people[-1].determiner not in word_set("others")
            and reading.word(people[-1].start - 1) in ("is", "", ".")
        )
    return not is_order
