"""Finds in an AVIF how its primary picture's colors are coded, and hides EXIF and XMP from the decoder.

An AVIF is a tree of boxes: length, name, content. Items (pictures, EXIF, XMP) and their properties are listed in the
box ``meta``; ``colr`` holds an ICC profile or codes of ITU-T H.273. The decoder applies the codes' matrix and range
itself, but says nothing about primaries and curve.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tasks.records.errors import Reason, SampleError
from tasks.sources.actions import Action
from tasks.sources.boxes import Box, boxes
from tasks.sources.parts import PictureParts
from tasks.sources.stated_color import from_codes, refuse_high_range

_HIDDEN = (b"Exif", b"mime")
_UNKNOWN = b"skip"
_UNSPECIFIED = (2, 2)
_COLOR = b"colr"


def read_avif(data: bytes) -> PictureParts:
    """The file with EXIF and XMP renamed to an item that decoders skip, so that damage in them costs nothing, and
    its color. Orientation is a property of the picture, which the decoder reports; EXIF's does not count here.

    Raises:
        SampleError: ``decode_error`` or ``truncated`` if the box of items is damaged, ``unsupported_color``.
    """
    try:
        return _read(data)
    except (struct.error, IndexError) as error:
        raise SampleError(Reason.DECODE_ERROR, "a box of the AVIF is damaged") from error


def _read(data: bytes) -> PictureParts:
    top = list(boxes(data, 0, len(data)))
    meta = next((box for box in top if box.name == b"meta"), None)
    moov = next((box for box in top if box.name == b"moov"), None)
    if meta is None and moov is None:
        raise SampleError(Reason.TRUNCATED, f"AVIF of {len(data)} bytes without its box of items")
    clean, found = bytearray(data), list[bytes]()
    if meta is not None:
        inner = {box.name: box for box in boxes(data, meta.start + 4, meta.end)}
        for position in _hidden_items(data, inner.get(b"iinf")):
            clean[position : position + 4] = _UNKNOWN
        found = _properties(data, inner)
    if moov is not None and not any(each[:4] == _COLOR for each in found):
        # A sequence keeps its color in the description of its track.
        found = [data[at : at + 19] for at in _all(data, b"colrnclx", moov)]
    codes = [each[8:] for each in found if each[:8] == b"colrnclx"]
    profiles = [each[8:] for each in found if each[:8] in (b"colrprof", b"colrrICC")]
    primaries, transfer = struct.unpack_from(">HH", codes[0]) if codes else _UNSPECIFIED
    refuse_high_range(transfer)
    deep = any(each[:4] == b"av1C" and each[6] & 0x40 for each in found)
    return PictureParts(
        data=bytes(clean),
        format="AVIF",
        profile=profiles[0] if profiles else b"",
        color=None if profiles else from_codes(primaries, transfer),
        noted=(Action.DEPTH_REDUCED,) if deep else (),
    )


def _hidden_items(data: bytes, box: Box | None) -> Iterator[int]:
    """Positions of the types of items that hold EXIF or XMP."""
    if box is None:
        return
    for item in boxes(data, box.start + (6 if data[box.start] == 0 else 8), box.end):
        version = data[item.start]
        position = item.start + (8 if version == 2 else 10)
        if item.name == b"infe" and version >= 2 and data[position : position + 4] in _HIDDEN:
            yield position


def _properties(data: bytes, inner: dict[bytes, Box]) -> list[bytes]:
    """Name and content of each property of the primary picture."""
    pitm, iprp = inner.get(b"pitm"), inner.get(b"iprp")
    if pitm is None or iprp is None:
        return []
    wide = data[pitm.start] > 0
    (primary,) = struct.unpack_from(">I" if wide else ">H", data, pitm.start + 4)
    listed, indexes = list[bytes](), list[int]()
    for box in boxes(data, iprp.start, iprp.end):
        if box.name == b"ipco":
            listed = [each.name + data[each.start : each.end] for each in boxes(data, box.start, box.end)]
        elif box.name == b"ipma":
            indexes += _associated(data, box, primary)
    return [listed[index - 1] for index in indexes if 0 < index <= len(listed)]


def _associated(data: bytes, box: Box, wanted: int) -> list[int]:
    """Indexes (from 1) of the properties of one item."""
    version, flags = data[box.start], data[box.start + 3]
    (count,) = struct.unpack_from(">I", data, box.start + 4)
    position, result = box.start + 8, list[int]()
    item_code, index_code = ">H" if version < 1 else ">I", ">H" if flags & 1 else ">B"
    for _ in range(count):
        (item,) = struct.unpack_from(item_code, data, position)
        position += struct.calcsize(item_code)
        number = data[position]
        position += 1
        for _ in range(number):
            (index,) = struct.unpack_from(index_code, data, position)
            position += struct.calcsize(index_code)
            if item == wanted:
                result.append(
                    index & (0x7FFF if flags & 1 else 0x7F)
                )  # the top bit marks essential properties
    return result


def _all(data: bytes, mark: bytes, box: Box) -> Iterator[int]:
    position = data.find(mark, box.start, box.end)
    while position >= 0:
        yield position
        position = data.find(mark, position + 1, box.end)
