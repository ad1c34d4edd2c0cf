"""Color words of a text for what something becomes."""

from __future__ import annotations

import re
from functools import cache

from tasks.stages.instruction.words.tokens import plain
from tasks.stages.instruction.words.vocabulary import word_set, words

_CHANGING = (
    r"(?:chang|turn|recolou?r|repaint|paint|dye|dying|transform|alter|switch|shift|convert|modif|adjust|transition|updat|"
    r"mak|made|tint|go|fad|bleach|becom|giv)\w*"
)
_SHOWN = (
    r"(?:appear|become|be|look|turn|show|display|have turned|have become|"
    r"be (?:shown|rendered|painted|dyed|recolored|colored))"
)
_OF_OTHERS = re.compile(
    r"\b(?:others?|rest|remaining|remains?|surrounding\w*|background(?! of the)|everything|still|unchanged|"
    r"unlike|original\w*|previous\w*|before)\b"
)
_INSTEAD = re.compile(
    r"\b(?:instead of|rather than|in place of|unlike|as opposed to|not)\s+(?:[a-z-]+\s+){0,2}?[a-z-]+"
)


def result_colors(text: str, labels: frozenset[str], *, instruction: bool = False) -> tuple[str, ...]:
    """Color words that a text says something becomes, in the order they stand.

    Args:
        text: an instruction, or part 3 or 4.
        labels: labels of the scene.
        instruction: whether the text orders the change ("make it red") rather than describes it.
    """
    spoken = _INSTEAD.sub(lambda match: " " * len(match.group()), plain(text, labels))
    found: dict[int, str] = {}
    for pattern in _color_patterns():
        for match in pattern.finditer(spoken):
            clause = re.split(r"[.;]|,\s*(?:while|and|but|whereas)\b|\bwhile\b", spoken[: match.start()])[-1]
            if not instruction and (
                _OF_OTHERS.search(clause + match.group()) or _color_list().match(spoken, match.start("color"))
            ):
                continue
            found.setdefault(match.start("color"), match.group("color"))
    if instruction and (ending := _ending_color().search(spoken)):
        found.setdefault(ending.start("color"), ending.group("color"))
    return tuple(found[at] for at in sorted(found))


@cache
def _color_words() -> str:
    return "(?P<color>" + "|".join(sorted(map(str, words()["colors"]), key=len, reverse=True)) + ")"


@cache
def _color_list() -> re.Pattern[str]:
    """``red, blue and white``: colors of several things."""
    colors = "(?:" + "|".join(sorted(map(str, words()["colors"]), key=len, reverse=True)) + ")"
    return re.compile(rf"{colors}(?:,\s*(?:and\s+)?(?:(?:an?|the|one)\s+)?{colors}\b)+")


@cache
def _color_patterns() -> tuple[re.Pattern[str], ...]:
    adverbs = "|".join(sorted(word_set("color_adverbs"), key=len, reverse=True))
    before = rf"(?:(?:a|an|the|its|this)\s+)?(?:(?:{adverbs}|\w+ly)(?:,|\s+and)?[\s-]+)*"
    color = rf"{before}{_color_words()}(?:[- ](?!is\b))?\b"
    gap = r"[^.;:]{0,90}?"
    patterns = (
        rf"\b{_CHANGING}\s+(?:{gap}\s)?(?:to|into)\s+(?:be\s+)?{color}",
        rf"\b(?:painted|repainted|dyed|rendered|tinted|recolou?red|turned|turns)\s+(?:in\s+)?{color}",
        rf"\b(?:will|would|should|now|to|it)\s+(?:now\s+|all\s+|then\s+)?{_SHOWN}\s+(?:to be\s+|now\s+|in\s+)?{color}",
        rf"\b(?:is|are|appears?|becomes?|looks?|turns?)\s+now\s+(?:in\s+)?{color}",
        rf"\bnow\s+(?:is\s+|appears?\s+|has\s+|features?\s+|sports?\s+|in\s+|wears?\s+)?{color}",
        rf"\b(?:becomes?|turns?|appears?)\s+{color}",
        rf"\b(?:appears?|looks?|gleams?|shines?|glows?|dressed)\s+in\s+{color}",
        rf"\bnew(?:ly)?[- ](?:painted |colou?red |recolou?red )?{color}",
    )
    return tuple(re.compile(pattern) for pattern in patterns)


@cache
def _ending_color() -> re.Pattern[str]:
    """``make the second cup (bright) red.``"""
    return re.compile(
        rf"\b(?:make|turn|paint|repaint|dye|colou?r|tint|recolou?r|be|become|to)\b"
        rf"[^.;]*(?<!\bin )(?<!\band )(?<!the )\b{_color_words()}"
        r"(?:\s+(?:in\s+)?(?:colou?r|hue|shade|tone))?(?:,?\s+please)?\s*[.!?]?\s*$"
    )
