"""Boxes of ISO base media files and of JPEG 2000: length, name, content."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its name, and the range of its content in the file."""

    name: bytes
    start: int
    end: int


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Boxes in a range; a length beyond the range ends the last one there.

    Raises:
        struct.error: the file ends inside a box's header.
    """
    while start + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = end if length == 0 else min(end, start + length)
        if stop < start + head:
            return
        yield Box(name, start + head, stop)
        start = stop
