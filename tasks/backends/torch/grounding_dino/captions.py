"""Captions for a grounding detector: a few names each, and which tokens belong to which name.

Long captions dilute every name in them, and tokens beyond the model's limit are cut without a word. So names are spread
over several captions, counted with the model's own tokenizer, and each caption remembers the span of each name. Word
pieces do not reach across punctuation, so the tokens of a caption are those of its names with separators between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tasks.records.errors import Reason, SampleError

SPECIAL_TOKENS = {"[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
"""Tokens that the models know by number: words between two of them see only each other."""

SEPARATORS = {".": 1012, ",": 1010}
"""Sign between names to its token. A comma is no boundary: the names of its caption see each other."""

Encode = Callable[[str], Sequence[int]]
"""A text's token ids, without special tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A caption as tokens.

    Attributes:
        names: as they were asked for.
        text: as the model's tokenizer would be given it.
        ids: all tokens, with [CLS] and [SEP].
        spans: first token and the one after the last of each name, positions in ``ids``.
    """

    names: tuple[str, ...]
    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def plain(name: str) -> str:
    """A name as it stands in a caption: lower case, without the signs that separate names."""
    words = name.lower().translate(str.maketrans(".?,", "   ")).split()
    return " ".join(words)


def write_captions(
    names: Sequence[str], encode: Encode, *, most_names: int, most_tokens: int, separator: str = "."
) -> tuple[Caption, ...]:
    """Spreads names over captions in their order; a name that differs from an earlier one only in case is left out.

    Args:
        names: to look for.
        encode: the model's tokenizer.
        most_names: in one caption.
        most_tokens: in one caption, [CLS] and [SEP] included.
        separator: between names, a key of `SEPARATORS`; the last name is followed by a full stop in any case.

    Raises:
        SampleError: ``backend_error`` for a name that no caption can hold.
    """
    found: list[Caption] = []
    names_now: list[str] = []
    ids: list[int] = [SPECIAL_TOKENS["[CLS]"]]
    spans: list[tuple[int, int]] = []

    def close() -> None:
        if names_now:
            all_ids = (*ids[:-1], SPECIAL_TOKENS["."], SPECIAL_TOKENS["[SEP]"])
            text = f"{separator} ".join(map(plain, names_now)) + "."
            found.append(Caption(names=tuple(names_now), text=text, ids=all_ids, spans=tuple(spans)))
        names_now.clear()
        spans.clear()
        del ids[1:]

    for name, tokens in _distinct(names, encode):
        if len(tokens) + 3 > most_tokens:
            msg = f"a name of {len(tokens)} tokens ({name[:40]!r}), at most {most_tokens - 3} fit a caption"
            raise SampleError(Reason.BACKEND_ERROR, msg)
        if len(names_now) == most_names or len(ids) + len(tokens) + 2 > most_tokens:
            close()
        spans.append((len(ids), len(ids) + len(tokens)))
        names_now.append(name)
        ids += [*tokens, SEPARATORS[separator]]
    close()
    return tuple(found)


def _distinct(names: Sequence[str], encode: Encode) -> Iterator[tuple[str, Sequence[int]]]:
    seen: set[str] = set()
    for name in names:
        text = plain(name)
        tokens = encode(text) if text and text not in seen else ()
        seen.add(text)
        if tokens:
            yield name, tokens
