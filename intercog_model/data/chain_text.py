"""The texts of the reasoning chain: system prompt, headings, think tags, and where each part lies."""

from dataclasses import dataclass
from typing import Literal

from intercog_model.data.tokenizer import Tokenizer, tokens_within

GROUNDING_PROMPT = (
    "Work in grounding mode. Inside <think></think>, first describe the scene and say where the target is, "
    "then draw the target in red, then say what is edited and what the result shows. After that, draw the "
    "edited picture."
)
OPEN, CLOSE = "<think>", "</think>"
HEADINGS = (
    "1. Scene description: ",
    "2. Target location: ",
    "3. Editing description: ",
    "4. Post-edit description: ",
)
TagRule = Literal["one pair", "pair per text"]


def bare_texts(tags: TagRule) -> tuple[str, str]:
    """T1 and T2 of a chain without text reasoning: the tags alone."""
    return (OPEN, CLOSE) if tags == "one pair" else (OPEN + CLOSE, OPEN + CLOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The four parts of the reasoning, without headings."""

    scene: str
    target: str
    edit: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainText:
    """Ids of one reasoning text, and the ranges of ids inside them that losses read."""

    ids: tuple[int, ...]
    content: range  # both sections with headings, without think tags
    second: range  # body of the second section, without its heading


def first_text(sections: Sections | None, tokenizer: Tokenizer, tags: TagRule) -> ChainText:
    """T1: scene and target after the opening tag; `sections` None leaves the tag alone."""
    bodies = (sections.scene, sections.target) if sections else None
    return _text(bodies, HEADINGS[:2], tokenizer, OPEN, CLOSE if tags == "pair per text" else "")


def second_text(sections: Sections | None, tokenizer: Tokenizer, tags: TagRule) -> ChainText:
    """T2: edit and result before the closing tag; `sections` None leaves the tag alone."""
    bodies = (sections.edit, sections.result) if sections else None
    return _text(bodies, HEADINGS[2:], tokenizer, OPEN if tags == "pair per text" else "", CLOSE)


def _text(
    bodies: tuple[str, str] | None, headings: tuple[str, ...], tokenizer: Tokenizer, before: str, after: str
) -> ChainText:
    first = f"{headings[0]}{bodies[0]}\n{headings[1]}" if bodies else ""
    content = first + (bodies[1] if bodies else "")
    ids, offsets = tokenizer.encode(before + content + after)
    start = len(before)
    return ChainText(
        ids=tuple(ids),
        content=tokens_within(offsets, start, start + len(content)),
        second=tokens_within(offsets, start + len(first), start + len(content)),
    )


def parse_text(text: str) -> tuple[str, str] | None:
    """Both bodies of a generated T1 or T2; None when its headings are not found in order."""
    text = text.replace(OPEN, "").replace(CLOSE, "")
    for first, second in (HEADINGS[:2], HEADINGS[2:]):
        head, found, rest = text.partition(first)
        body, split, other = rest.partition(second)
        if found and split and not head.strip():
            return body.strip(), other.strip()
    return None
