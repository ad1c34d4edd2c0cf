"""Text to token ids and back: the published byte-level BPE, and plain bytes for the debug flavour."""

import json
from pathlib import Path
from typing import Protocol

from intercog_model.config import SpecialTokens, debug_config

SPECIAL = {
    "text_start": "<|im_start|>",
    "text_end": "<|im_end|>",
    "image_start": "<|vision_start|>",
    "image_end": "<|vision_end|>",
}
Offsets = list[tuple[int, int]]


class Tokenizer(Protocol):
    """What the data code needs; special tokens are never made from text."""

    tokens: SpecialTokens

    def encode(self, text: str) -> tuple[list[int], Offsets]:
        """Ids, and the characters start..stop of the text that each id covers."""
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
        from tokenizers import Tokenizer as FastTokenizer  # noqa: PLC0415 - the debug flavour does without it

        self.fast = FastTokenizer.from_file(str(folder / "tokenizer.json"))
        ids = {name: self.fast.token_to_id(token) for name, token in SPECIAL.items()}
        missing = [SPECIAL[name] for name, value in ids.items() if value is None]
        if missing:
            raise ValueError(f"{folder / 'tokenizer.json'} lacks the special tokens {missing}")
        self.tokens = SpecialTokens(**ids)
        listed = json.loads((folder / "tokenizer.json").read_text()).get("added_tokens", [])
        self.reserved = [entry["content"] for entry in listed if entry.get("special")]

    def encode(self, text: str) -> tuple[list[int], Offsets]:
        """See `Tokenizer`; a special token spelled out in a text is refused, it would be read as one."""
        found = [token for token in self.reserved if token in text]
        if found:
            raise ValueError(f"the text spells out the special tokens {found}")
        encoding = self.fast.encode(text, add_special_tokens=False)
        return list(encoding.ids), [tuple(pair) for pair in encoding.offsets]

    def decode(self, ids: list[int]) -> str:
        """See `Tokenizer`."""
        return str(self.fast.decode(ids, skip_special_tokens=True))


def tokens_within(offsets: Offsets, start: int, stop: int) -> range:
    """Positions of the ids that share a character with start..stop."""
    inside = [i for i, (a, b) in enumerate(offsets) if a < stop and b > start]
    return range(inside[0], inside[-1] + 1) if inside else range(0)
