"""Directories of TIFF and EXIF: tags by number, each read on its own, so that a damaged tag costs no other.

A directory is a count, twelve bytes per tag (number, type, count, value or its offset) and the offset of the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_CODES = {1: "B", 3: "H", 4: "I", 5: "I", 6: "b", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d", 13: "I"}
_MAX_BYTES = 1 << 20
"""Of values read as numbers; a transfer function of 16 bits has 393,216."""

_RATIONALS = (5, 10)
_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One directory.

    Attributes:
        data: of the whole block; offsets count from its start.
        offset: of the directory itself.
        order: ``<`` or ``>``, as `struct` spells it.
        entries: the twelve bytes of each tag, by number; of repeated tags the first.
        following: offset of the next directory, 0 if there is none.
    """

    data: bytes
    offset: int
    order: str
    entries: Mapping[int, bytes]
    following: int

    def content(self, tag: int) -> bytes | None:
        """The tag's bytes; None if it is absent, of an unknown type, or not wholly in the block."""
        entry = self.entries.get(tag)
        if entry is None:
            return None
        kind, count = struct.unpack_from(f"{self.order}HI", entry, 2)
        length = _SIZES.get(kind, 0) * count
        if not length:
            return None
        if length <= 4:
            return entry[8 : 8 + length]
        (offset,) = struct.unpack_from(f"{self.order}I", entry, 8)
        return self.data[offset : offset + length] if offset + length <= len(self.data) else None

    def numbers(self, tag: int) -> tuple[float, ...]:
        """The tag's values; empty if it cannot be read, holds no numbers, or divides by zero."""
        content = self.content(tag)
        entry = self.entries.get(tag)
        if content is None or entry is None:
            return ()
        (kind,) = struct.unpack_from(f"{self.order}H", entry, 2)
        code = _CODES.get(kind)
        if code is None or len(content) > _MAX_BYTES:
            return ()
        values = struct.unpack(f"{self.order}{len(content) // struct.calcsize(code)}{code}", content)
        if kind not in _RATIONALS:
            return values
        pairs = list(zip(values[::2], values[1::2], strict=True))
        return tuple(above / below for above, below in pairs) if all(below for _, below in pairs) else ()

    def number(self, tag: int) -> int | None:
        """The tag's first value as an integer, or None."""
        values = self.numbers(tag)
        return int(values[0]) if values and abs(values[0]) < 1 << 53 else None

    def text(self, tag: int) -> str:
        """The tag's bytes up to the first NUL as Latin-1 text; ``""`` if it cannot be read."""
        return (self.content(tag) or b"").split(b"\x00")[0].decode("latin-1").strip()

    def below(self, tag: int) -> Directory | None:
        """The directory whose offset the tag holds, or None."""
        offset = self.number(tag)
        return None if offset is None else self.at(offset)

    def at(self, offset: int) -> Directory | None:
        """The directory at an offset, or None."""
        return _directory(self.data, offset, self.order)


def first_directory(data: bytes) -> Directory | None:
    """The first directory of a TIFF or EXIF block, or None if the block is damaged there."""
    order = _ORDERS.get(data[:4])
    if order is None or len(data) < 8:
        return None
    return _directory(data, struct.unpack_from(f"{order}I", data, 4)[0], order)


def _directory(data: bytes, offset: int, order: str) -> Directory | None:
    if not 8 <= offset <= len(data) - 2:
        return None
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    start, end = offset + 2, offset + 2 + 12 * count
    if not count or end > len(data):
        return None
    entries: dict[int, bytes] = {}
    for position in range(start, end, 12):
        (tag,) = struct.unpack_from(f"{order}H", data, position)
        entries.setdefault(tag, data[position : position + 12])
    # Some writers end the file right after the last tag of the last directory.
    following = struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0
    return Directory(data=data, offset=offset, order=order, entries=entries, following=following)
