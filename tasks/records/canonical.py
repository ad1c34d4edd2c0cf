"""Canonical JSON (one spelling per value, for stable digests), and sealed JSON, which carries its own digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tasks.records.errors import DataFault

SEAL = "sha256"
"""Key in a sealed object for the digest of all its other keys."""


def canonical_json(value: object) -> bytes:
    r"""``value`` as JSON: sorted keys, no spaces, UTF-8; lone surrogates (odd file names) as ``\\udcxx`` escapes.

    Raises:
        ValueError: NaN or infinity, which JSON cannot represent.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="backslashreplace")


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: object) -> str:
    """SHA-256 of the canonical JSON of ``value``."""
    return sha256_hex(canonical_json(value))


def seal(content: Mapping[str, Any]) -> bytes:
    """``content`` with its own digest under ``sha256``, as canonical JSON."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    return canonical_json({**rest, SEAL: digest_of(rest)})


def unseal(data: bytes, path: str) -> dict[str, Any]:
    """The content of a sealed object, ``sha256`` included.

    Raises:
        DataFault: naming ``path``, if the digest is wrong or the bytes are not the canonical spelling.
    """
    try:
        content = json.loads(data)
    except ValueError as error:
        msg = f"{path}: not JSON ({error})"
        raise DataFault(msg) from error
    # Comparing all bytes also detects changes without meaning to a JSON reader (a space, another escape).
    if not isinstance(content, dict) or seal(content) != data:
        msg = f"{path}: bytes do not match their own digest"
        raise DataFault(msg)
    return content
