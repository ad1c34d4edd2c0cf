"""Takes a JPEG 2000 file apart into its picture and its color; XML, resolutions and other boxes are dropped unread."""

from __future__ import annotations

import struct

from tasks.records.errors import Reason, SampleError
from tasks.sources.boxes import Box, boxes
from tasks.sources.parts import PictureParts
from tasks.sources.stated_color import UNUSABLE, StatedColor, from_codes

_CODESTREAM = b"\xff\x4f\xff\x51"
_TOP = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")
_HEADER = (b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef")
_CODED, _PROFILES, _PARAMETERS = 1, (2, 3), 5
_PLAIN = (12, 16, 17, 18)
"""CMYK, sRGB, gray and sYCC, which the decoder turns into CMYK, RGB and gray."""


def read_jpeg2000(data: bytes) -> PictureParts:
    """The picture of a JP2 file, or a bare codestream as it is.

    Raises:
        SampleError: ``truncated`` or ``decode_error`` without a codestream, ``unsupported_color``.
    """
    if data.startswith(_CODESTREAM):
        return PictureParts(data=data, format="JPEG2000")
    try:
        return _read(data)
    except struct.error as error:
        raise SampleError(Reason.DECODE_ERROR, "a box of the JPEG 2000 file is damaged") from error


def _read(data: bytes) -> PictureParts:
    pieces, colors, pictured = list[bytes](), list[bytes](), False
    for box in boxes(data, 0, len(data)):
        if box.name == b"jp2h":
            inner = [each for each in boxes(data, box.start, box.end) if each.name in _HEADER]
            colors += [data[each.start : each.end] for each in inner if each.name == b"colr"]
            content = b"".join(_piece(data, each) for each in inner)
            pieces.append(struct.pack(">I4s", 8 + len(content), box.name) + content)
        elif box.name in _TOP and not pictured:
            pieces.append(_piece(data, box))
            pictured = box.name == b"jp2c"
    if not pictured:
        raise SampleError(Reason.TRUNCATED, f"JPEG 2000 of {len(data)} bytes without a codestream")
    profile = next((color[3:] for color in colors if color[:1] and color[0] in _PROFILES), b"")
    return PictureParts(
        data=b"".join(pieces),
        format="JPEG2000",
        profile=profile,
        color=_color(colors[0]) if colors and not profile else None,
    )


def _piece(data: bytes, box: Box) -> bytes:
    return struct.pack(">I4s", 8 + box.end - box.start, box.name) + data[box.start : box.end]


def _color(box: bytes) -> StatedColor | None:
    """What a box ``colr`` without a profile says."""
    method = box[0] if box else 0
    if method == _CODED and len(box) >= 7:
        (space,) = struct.unpack_from(">I", box, 3)
        if space not in _PLAIN:
            raise SampleError(Reason.UNSUPPORTED_COLOR, f"JPEG 2000 in color space {space}")
        return None
    if method == _PARAMETERS and len(box) >= 7:
        return from_codes(*struct.unpack_from(">HH", box, 3))
    return UNUSABLE
