"""The four tokenizer files of a model folder: copied, made of one another, or written for the debug flavor's bytes."""

import json
import shutil
from pathlib import Path
from typing import Any

from intercog_model.config import BagelConfig
from intercog_model.data.tokenizer import SPECIAL

FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
PICTURE, PAD = "<|image_pad|>", "<|endoftext|>"
"""What vLLM puts in the place of a picture, and what fills up a batch."""


def write_tokenizer(source: Path, out: Path) -> None:
    """Copy the files of a folder; `vocab.json` and `merges.txt` are made of `tokenizer.json` where they are missing."""
    for name in FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    _complete(out)


def write_byte_tokenizer(config: BagelConfig, out: Path) -> None:
    """The debug flavor's tokenizer, an id for each byte, as a byte-level BPE without merges."""
    special = {SPECIAL[name]: getattr(config.tokens, name) for name in SPECIAL}
    first = max(special.values()) + 1
    special |= {PICTURE: first, PAD: first + 1}
    tree = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": number,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for text, number in special.items()
        ],
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        },
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        },
        "model": {"type": "BPE", "vocab": {_letter(byte): byte for byte in range(256)}, "merges": []},
    }
    (out / "tokenizer.json").write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    _complete(out)


def _complete(out: Path) -> None:
    """Write what is missing beside `tokenizer.json`."""
    model: dict[str, Any] = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    if not (out / "vocab.json").is_file():
        (out / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    if not (out / "merges.txt").is_file():
        pairs = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
        (out / "merges.txt").write_text("".join(f"{pair}\n" for pair in pairs), encoding="utf-8")
    if not (out / "tokenizer_config.json").is_file():
        tree = {
            "tokenizer_class": "Qwen2Tokenizer",
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": SPECIAL["text_end"],
            "pad_token": PAD,
            "clean_up_tokenization_spaces": False,
        }
        (out / "tokenizer_config.json").write_text(json.dumps(tree, indent=1), encoding="utf-8")


def _letter(byte: int) -> str:
    """The letter that byte-level vocabularies write for a byte: itself where it prints, else one from 256 on."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in prints:
        return chr(byte)
    return chr(256 + sum(1 for other in range(byte) if other not in prints))
