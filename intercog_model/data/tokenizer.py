"""Text to token ids and back: the published byte-level BPE, and plain bytes for the debug flavor."""

import json
from pathlib import Path
from typing import Protocol

from intercog_model.config import SpecialTokens, debug_config

TOKENIZER_FILE = "tokenizer.json"
SPECIAL = {
    "text_start": "<|im_start|>",
    "text_end": "<|im_end|>",
    "image_start": "<|vision_start|>",
    "image_end": "<|vision_end|>",
}
Offsets = list[tuple[int, int]]


class TextError(ValueError):
    """A text of which no tokens can be made."""


class SpelledTokenError(TextError):
    """A text spells out special tokens, as which it would be read."""


class Tokenizer(Protocol):
    """What the data code needs; special tokens are never made from text."""

    tokens: SpecialTokens

    def encode(self, text: str) -> tuple[list[int], Offsets]:
        """Ids, and the characters start..stop of the text that each id covers; raises TextError."""
        ...

    def decode(self, ids: list[int]) -> str:
        """The text of the ids; bytes that are no UTF-8 become replacement characters."""
        ...


class ByteTokenizer:
    """One id per UTF-8 byte: needs no files, fits the debug vocabulary."""

    def __init__(self) -> None:
        self.tokens = debug_config().tokens

    def encode(self, text: str) -> tuple[list[int], Offsets]:
        """See `Tokenizer`."""
        require_unicode(text)
        ids: list[int] = []
        offsets: Offsets = []
        for place, character in enumerate(text):
            data = character.encode()
            ids += data
            offsets += [(place, place + 1)] * len(data)
        return ids, offsets

    def decode(self, ids: list[int]) -> str:
        """See `Tokenizer`."""
        return bytes(i for i in ids if i < 256).decode(errors="replace")


class BpeTokenizer:
    """`tokenizer.json` of a checkpoint folder; nothing is added at the start or the end."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer as FastTokenizer  # noqa: PLC0415 - the debug flavor does without it

        try:
            self.fast = FastTokenizer.from_file(str(folder / TOKENIZER_FILE))
        except (
            Exception
        ) as error:  # the library raises nothing narrower, for a missing file as for a damaged one
            raise ValueError(f"{folder / 'tokenizer.json'}: {error}") from error
        known = {name: self.fast.token_to_id(token) for name, token in SPECIAL.items()}
        ids = {name: value for name, value in known.items() if value is not None}
        missing = [SPECIAL[name] for name in known if name not in ids]
        if missing:
            raise ValueError(f"{folder / 'tokenizer.json'} lacks the special tokens {missing}")
        self.tokens = SpecialTokens(**ids)
        listed = json.loads((folder / TOKENIZER_FILE).read_text()).get("added_tokens", [])
        self.reserved = [entry["content"] for entry in listed if entry.get("special")]

    def encode(self, text: str) -> tuple[list[int], Offsets]:
        """See `Tokenizer`; a special token spelled out in a text is refused, it would be read as one."""
        require_unicode(text)
        found = [token for token in self.reserved if token in text]
        if found:
            raise SpelledTokenError(f"the text spells out the special tokens {found}")
        encoding = self.fast.encode(text, add_special_tokens=False)
        return list(encoding.ids), [(a, b) for a, b in encoding.offsets]

    def decode(self, ids: list[int]) -> str:
        """See `Tokenizer`."""
        return str(self.fast.decode(ids, skip_special_tokens=True))


def read_tokenizer(folder: Path | None, *, debug: bool) -> Tokenizer:
    """The tokenizer of a model folder; a debug model may have none, its ids are bytes then.

    Raises ValueError for a file that is none, and for one that a released model lacks.
    """
    if debug and (folder is None or not (folder / TOKENIZER_FILE).is_file()):
        return ByteTokenizer()
    if folder is None:
        raise ValueError("a released model needs the tokenizer of its folder")
    return BpeTokenizer(folder)


def require_unicode(text: str) -> None:
    """Raise TextError for half a surrogate pair, which JSON can spell and no UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(f"the text has half a surrogate pair as character {error.start}") from error


def tokens_within(offsets: Offsets, start: int, stop: int) -> range:
    """Positions of the ids that share a character with start..stop."""
    inside = [i for i, (a, b) in enumerate(offsets) if a < stop and b > start]
    return range(inside[0], inside[-1] + 1) if inside else range(0)
