"""Seeds derived from keys alone, so that no sample depends on its batch, order or worker."""

from __future__ import annotations

import hashlib


def derive_seed(build_seed: int, key: str, step: str) -> int:
    """A seed in 0 .. 2**31 - 1 from (build seed, id, step)."""
    digest = hashlib.sha256(f"{build_seed}\x00{key}\x00{step}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def unit_interval(build_seed: int, key: str, step: str) -> float:
    """A number in [0, 1) from (build seed, id, step), with 53 bits."""
    digest = hashlib.sha256(f"{build_seed}\x00{key}\x00{step}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
