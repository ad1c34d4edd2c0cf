"""Gates on the form of a reply: refusals, missing parts, words about the marking, loops."""

from __future__ import annotations

import re
from collections import Counter

from tasks.stages.instruction.words.draft import Draft, Finding, finding
from tasks.stages.instruction.words.tokens import mute, plain
from tasks.stages.instruction.words.vocabulary import plural, singular

MAX_WORDS = {"instruction": 60, "rewriting": 60}
MAX_PART_WORDS = 250
"""Two or three sentences are asked for; the paper's longest part has about 60 words."""

LOOP_LENGTH, LOOP_TIMES = 5, 4
"""This many words repeated this many times in one part are a loop."""

MIN_DISTINCT, DISTINCT_AFTER = 0.3, 60
"""Minimum share of distinct words in a part longer than so many words; English of that length has over 0.45."""

_REFUSALS = re.compile(
    r"\bI(?:'m| am)\s+(?:very |so |really )?(?:sorry|unable|not able|afraid)\b"
    r"|\bI\s+(?:can(?:'t|not| not)|could(?:n't| not)|am not able|won't|will not|do(?:n't| not) (?:see|have|feel)|"
    r"must decline|have to decline|apologi[sz]e)\b"
    r"|^\s*(?:sorry|apologies|unfortunately)\b|\bas an ai\b|\bas a (?:language|multimodal|vision) model\b"
    r"|\b(?:unable|not possible|impossible) (?:for me )?to "
    r"(?:comply|assist|help|fulfil|process|generate|provide|identify|determine|create|complete|edit)\b"
    r"|\b(?:can(?:'t|not| not)) (?:assist|help|comply|fulfil|be (?:edited|fulfilled|completed|provided|determined))\b"
    r"|\bno (?:target|object|red box) (?:is|was|could be) (?:visible|found|provided|identified|given|specified)\b",
    re.IGNORECASE,
)

_SHAPE = r"(?:box(?:es)?|rectangles?|bounding[- ]box(?:es)?)"
_HELD = (
    r"(?:carry|carries|hold|lift|open|push|pull|stack|load|unload|deliver|pack|wrap|sit|stand|sell|fill)\w*"
)
_BOX = (
    r"\bbounding[- ]box(?:es)?\b|\bbounding[- ](?:rectangle|frame)\b|\bb-?box\b",
    r"\bboxed\b(?!\s+(?:lunch|set|gift|wine|in by))",
    rf"\bred[- ]{_SHAPE}\b(?!\s+(?:truck|car|van|office))",
    r"\b(?:in|inside|within|outside|(?:surrounded|outlined|enclosed|framed|marked|indicated) by)\s+(?:of\s+)?"
    rf"(?:the|a|this|that)\s+(?:\w+\s+)?{_SHAPE}\b(?!\s+(?:truck|car|office|seats?|van))",
    r"\bred (?:outline|frame|border|square)d?\b(?=\s*(?:$|[.,;]|around|surrounding|that marks|marking|indicat))",
)
_MASK = (
    r"(?<!wearing a )(?<!wears a )(?<!wearing the )\b(?:red|semi-transparent|translucent|segmentation|transparent)[- ]"
    r"(?:semi-transparent |translucent |colou?red )?(?:mask|overlay|highlight|shading)(?:ed)?\b",
    r"\b(?:in|inside|within|under|(?:covered|indicated|marked|highlighted) by)\s+the\s+(?:\w+\s+)?mask(?:ed area)?\b",
    r"\bmasked\s+(?:area|region|object|person|part|target|one|item|section|pixels?)\b",
)
_MARKED = (
    r"\b(?:highlighted|marked|outlined|circled|framed|annotated|enclosed|indicated|delineated|bounded)\s+"
    r"(?:(?:clearly|here)\s+)?(?:in|by|with)\s+(?:a\s+|the\s+)?(?:\w+\s+)?"
    r"(?:red|box|bounding|mask|rectangle|overlay|annotation|marker)\b",
    r"\b(?:target|object|person|it|subject)\s+(?:is|that is|being|which is)\s+(?:highlighted|boxed|annotated|circled)"
    r"(?=\s*(?:$|[.,;]|for\b|in\b))",
    r"\[\s*\d{1,4}\s*,\s*\d{1,4}\s*,\s*\d{1,4}\s*,\s*\d{1,4}\s*\]",
)
_TARGETS = "target|object|person|region|area|individual|item|subject|one|figure|entity|man|woman|child"


def refusal(draft: Draft) -> Finding:
    """The model declines, in a reply or instead of one; quoted text such as a sign's "SORRY" does not count."""
    texts = list(draft.texts()) or [("reply", draft.raw)]
    faults = []
    if draft.reply is None and draft.fault.startswith("declined"):
        faults.append(draft.fault)
    for name, text in texts:
        spoken = mute(text, draft.scene.labels) if draft.reply is not None else text
        if found := _REFUSALS.search(spoken.replace("’", "'")):
            faults.append(f"{name} says {found.group().strip()!r}")
    return finding(faults, decided=True)


def schema(draft: Draft) -> Finding:
    """The reply is the requested JSON object with all its parts."""
    return finding([draft.fault] if draft.reply is None else [], decided=True)


def marking(draft: Draft) -> Finding:
    """No words about the box or mask shown to the instructor, unless the scene contains a thing of that name."""
    labels = draft.scene.labels
    patterns: list[str] = []
    if not _has(labels, "box"):
        patterns += _BOX
    if not _has(labels, "mask"):
        patterns += _MASK
    patterns += _MARKED
    nouns = "|".join(
        sorted(
            {re.escape(word) for thing in draft.scene.targets for word in (thing.label, plural(thing.label))}
        )
    )
    patterns.append(rf"\b(?:highlighted|boxed|circled|annotated)\s+(?:\w+\s+)?(?:{_TARGETS}|{nouns})\b")
    patterns.append(rf"\bmarked\s+(?:{_TARGETS}|{nouns})\b")
    faults = []
    for name, text in draft.texts():
        for pattern in patterns:
            for match in re.finditer(pattern, plain(text, labels)):
                if not re.search(
                    rf"\b{_HELD}\s+(?:a|an|her|his|their|its|the)?\s*(?:\w+\s+)?$",
                    match.string[: match.start()],
                ):
                    faults.append(f"{name} says {match.group().strip()!r}")
    return finding(faults, decided=True)


def degenerate(draft: Draft) -> Finding:
    """No part is endless or repetitive."""
    faults = []
    for name, text in draft.texts():
        words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower())
        limit = MAX_WORDS.get(name, MAX_PART_WORDS)
        if len(words) > limit:
            faults.append(f"{name} has {len(words)} words, at most {limit}")
        if fault := _loop(words):
            faults.append(f"{name} {fault}")
        signs = sum(1 for letter in text if not (letter.isalnum() or letter.isspace()))
        if len(text) >= 8 and signs > 0.4 * len(text):
            faults.append(f"{name} is mostly signs")
    return finding(faults, decided=True)


def _has(labels: frozenset[str], noun: str) -> bool:
    return any(word.endswith(noun) for label in labels for word in (singular(label) or label, label)) or any(
        noun in label.split() for label in labels
    )


def _loop(words: list[str]) -> str:
    for length in range(1, 7):
        run = 1
        for at in range(length, len(words) - length + 1):
            same = words[at] == words[at - length]
            run = run + 1 if same else 1
            if run > 2 * length and (length > 1 or run > 2):
                return f"repeats {' '.join(words[at - length + 1 : at + 1])!r}"
    grams = Counter(tuple(words[at : at + LOOP_LENGTH]) for at in range(len(words) - LOOP_LENGTH + 1))
    if grams and (most := grams.most_common(1)[0])[1] >= LOOP_TIMES:
        return f"says {' '.join(most[0])!r} {most[1]} times"
    if len(words) > DISTINCT_AFTER and len(set(words)) < MIN_DISTINCT * len(words):
        return f"has {len(set(words))} different words among {len(words)}"
    return ""
