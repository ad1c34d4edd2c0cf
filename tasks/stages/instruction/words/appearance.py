"""Gates on the target's appearance: its size among its kind, and its color."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.stages.instruction.words.clothes import Clothing, clothing, fits_clothes
from tasks.stages.instruction.words.counting import peers_of
from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.phrases import Color, NounPhrase, color_at
from tasks.stages.instruction.words.reading import Reading, mentions
from tasks.stages.instruction.words.scene import SIZE_MARGIN, Peers, Thing, WordScene
from tasks.stages.instruction.words.subjects import subjects
from tasks.stages.instruction.words.vocabulary import (
    FITTING,
    canonical_color,
    measured_names,
    relation,
    same_color,
    word_set,
    words,
)

_IS = frozenset({"is", "are", "appears", "looks"})


def size(draft: Draft) -> Finding:
    """Checks largest, smaller of the two, tall against the things compared with, with a clear margin only."""
    draft = draft.of_whole()
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
    """Checks the color stated for the target's own noun, for its whole, and for what either wears."""
    if len(draft.scene.target) != 1:
        return finding([], decided=False)
    faults, decided = _wrong_colors(draft)
    if draft.scene.whole is not None:
        others, also = _wrong_colors(draft.of_whole())
        faults, decided = [*faults, *others], decided or also
    return finding(faults, decided)


def _wrong_colors(draft: Draft) -> tuple[list[str], bool]:
    faults, decided = [], False
    own = measured_names(draft.scene.targets[0].color)
    said: dict[str, tuple[Color, ...]] = {}
    for name, reading, named, is_order in _texts(draft):
        worn = tuple(clothing(reading, named, draft.scene, is_order=is_order))
        for each in worn:
            fits = fits_clothes(each, draft.scene)
            decided = decided or fits is not None
            if fits is False:
                faults.append(f"{name} says {each.color.text!r}, {_clothes_words(draft.scene)}")
        if only := _not_the_only_one(reading, named, draft.scene):
            faults.append(f"{name} says {only}")
        known = bool(draft.scene.parts_of(draft.scene.targets[0]))
        colors = [color for phrase in named for color in _colors_of(reading, phrase, is_order=is_order)]
        colors += () if known else _colors_worn(worn)
        said[name] = tuple(colors)
        if not said[name] or not own:
            continue
        decided = True
        if not any(own & each.names for each in said[name]):
            faults.append(f"{name} says {said[name][0].text!r}, the target is {draft.scene.targets[0].color}")
    if not faults and "localization" in said and said.get("instruction"):
        first, second = said["instruction"], said["localization"]
        if len(first) == len(second) == 1 and not _may_be_same(first[0], second[0]):
            faults.append(f"instruction says {first[0].text!r}, localization {second[0].text!r}")
    return faults, decided


def _not_the_only_one(reading: Reading, named: tuple[NounPhrase, ...], scene: WordScene) -> str:
    """``the only red car`` where another car is red, too; ``""`` else."""
    for phrase in named:
        if reading.word(phrase.start - 1) != "only" or len(phrase.colors) != 1:
            continue
        word = canonical_color(phrase.colors[0].word)
        kin = [t for t in scene.things if t.label == scene.label and t is not scene.targets[0]]
        if any(thing.color == word for thing in kin):
            return f"'only {reading.quoted(phrase)}', another {scene.label} is {word}, too"
    return ""


def _colors_of(reading: Reading, phrase: NounPhrase, *, is_order: bool) -> list[Color]:
    """Colors stated for the phrase's own noun."""
    found = list(phrase.colors)
    at = phrase.end
    if is_order:
        return found
    while at < phrase.end + 4 and reading.word(at) not in _IS and reading.word(at) not in (".", ""):
        at += 1  # "the jeans in question, which are blue"
    which = reading.word(at - 1) in ("which", "that")
    if (
        (at == phrase.end or which)
        and reading.word(at) in _IS
        and (colored := color_at(reading.tokens, at + 1))
    ):
        found.append(colored[0])
    return found


def _colors_worn(worn: tuple[Clothing, ...]) -> list[Color]:
    """Colors of what a person wears whose clothes are not known: the measured color may be that of any of them.

    Pants and skin count as much as a shirt, so that legwear alone says nothing.
    """
    bare = [each.color for each in worn if not each.noun]
    main = [each.color for each in worn if each.noun and each.is_main]
    legs = [each.color for each in worn if each.noun and not each.is_main]
    return [*bare, *main, *(legs if main else ())]


def _clothes_words(scene: WordScene) -> str:
    worn = [f"{part.color or 'unknown'} {part.label}" for part in scene.parts_of(scene.targets[0])]
    return f"known of the {scene.label} are {', '.join(worn)}"


def _may_be_same(one: Color, other: Color) -> bool:
    """Whether two texts may name one color; a measured color is compared less strictly than two words."""
    shaded = one.text != one.word or other.text != other.word
    return bool(one.names & other.names) if shaded else same_color(one.word, other.word)


def _texts(draft: Draft) -> Iterator[tuple[str, Reading, tuple[NounPhrase, ...], bool]]:
    if draft.reply is None:
        return
    for name, reading, order in draft.orders():
        # "The red one of the chairs": the color stands before "one".
        ones = tuple(p for p in order.chain if p.noun == "one" and p is not order.target)
        yield name, reading, (*ones, order.target) if order.target is not None else (), True
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
