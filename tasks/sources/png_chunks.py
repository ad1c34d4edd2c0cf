"""Takes a PNG apart into its picture and the chunks that say how it is read; everything else is dropped unread.

A PNG is a chain of chunks: length, name, data, checksum. A lower-case first letter means that a decoder may skip
the chunk. Those that the picture needs (`_PICTURE`) must be whole; of those that state color or orientation a damaged
one is left out and noted; texts, times, histograms, thumbnails and whatever follows the end are never looked at.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from tasks.records.errors import Reason, SampleError
from tasks.sources.actions import Action
from tasks.sources.parts import PictureParts
from tasks.sources.stated_color import SRGB, UNUSABLE, StatedColor, from_codes, from_numbers

MAX_PROFILE_BYTES = 32_000_000
"""Of an ICC profile, unpacked; large ones of printers have about four million."""

MAX_XMP_BYTES = 16_000_000
"""Of an XMP packet or EXIF text, unpacked."""

_START = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_TRUE_COLOR = (b"\2", b"\6")
_CRITICAL = re.compile(rb"[A-Z]")
_NAME = re.compile(rb"[A-Za-z]{4}")
_COLORS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_XMP = b"XML:com.adobe.xmp\x00"
_EXIF_TEXT = b"Raw profile type exif\x00"


def read_png(data: bytes) -> PictureParts:
    """The picture of a PNG, its color statement in the order of PNG's third edition (cICP, iCCP, sRGB, gAMA and
    cHRM), and its EXIF and XMP.

    Raises:
        SampleError: ``decode_error`` or ``truncated`` if the picture's own chunks are damaged, ``unsupported_color``.
    """
    pieces, used, frames, pictured = [_START], dict[bytes, bytes](), 0, False
    damaged: set[bytes] = set()
    for name, piece in _chunks(data):
        body, sound = piece[8:-4], zlib.crc32(piece[4:-4]) == int.from_bytes(piece[-4:], "big")
        if name == b"PLTE" and b"".join(pieces[1:2])[17:18] in _TRUE_COLOR:
            continue  # a suggestion for displays of few colors
        if name in _PICTURE:
            if not sound:
                raise SampleError(Reason.DECODE_ERROR, f"a wrong checksum in {name.decode()}")
            pieces.append(piece)
            pictured = pictured or name == b"IDAT"
        elif _CRITICAL.match(name):
            raise SampleError(Reason.DECODE_ERROR, f"an unknown chunk {name.decode()}")
        elif name == b"fcTL":
            frames += 1
        elif (key := _key(name, body)) and not (pictured and name in _COLORS):
            used.setdefault(key, body) if sound else damaged.add(key)
    if not pictured:
        raise SampleError(Reason.TRUNCATED, "a PNG without image data")
    color, noted = _color(used, damaged)
    profile = b"" if b"cICP" in used else _profile(used.get(b"iCCP", b""))
    if b"iCCP" in damaged or (b"iCCP" in used and b"cICP" not in used and not profile):
        noted = (*noted, Action.PROFILE_UNUSABLE)
    exif = used.get(b"eXIf", b"") or _exif_text(used.get(_EXIF_TEXT, b""))
    if damaged & {b"eXIf", _EXIF_TEXT} and not exif:
        noted = (*noted, Action.EXIF_UNREADABLE)
    return PictureParts(
        data=b"".join((*pieces, _END)),
        format="PNG",
        # An animation begins with a control chunk; a file that has only the chunk's name left is a still.
        frames=max(1, frames) if b"acTL" in used else 1,
        profile=profile,
        exif=exif.removeprefix(b"Exif\x00\x00"),
        xmp=_xmp(used.get(_XMP, b"")),
        color=color,
        noted=noted,
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, whole chunk) up to the end mark. A chain that breaks off after the last image data is complete, too:
    whether pixels are missing is for the decoder to say.

    Raises:
        SampleError: ``truncated`` or ``decode_error`` before or inside image data.
    """
    position, pictured = len(_START), False
    while True:
        length, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 12 + length
        whole = _NAME.fullmatch(name) is not None and end <= len(data)
        if name == b"IEND":
            return
        if not whole:
            if pictured and name != b"IDAT":
                return
            reason = Reason.TRUNCATED if b"IEND" not in data[position:][-64:] else Reason.DECODE_ERROR
            raise SampleError(reason, f"PNG of {len(data)} bytes breaks off at byte {position}")
        pictured = pictured or name == b"IDAT"
        yield name, data[position:end]
        position = end


def _key(name: bytes, body: bytes) -> bytes:
    """Under what a chunk is used, or ``b""`` if it is not."""
    if name in (*_COLORS, b"eXIf", b"acTL"):
        return name
    if name in (b"tEXt", b"zTXt", b"iTXt"):
        return next((key for key in (_XMP, _EXIF_TEXT) if body.startswith(key)), b"")
    return b""


def _color(used: dict[bytes, bytes], damaged: set[bytes]) -> tuple[StatedColor | None, tuple[Action, ...]]:
    noted = (Action.COLOR_UNUSABLE,) if damaged & {b"cICP", b"sRGB", b"gAMA", b"cHRM"} else ()
    if b"cICP" in used:
        if len(used[b"cICP"]) == 4:
            primaries, transfer, matrix, whole_range = used[b"cICP"]
            if matrix or whole_range != 1:
                raise SampleError(Reason.UNSUPPORTED_COLOR, "a PNG with video's matrix or range")
            return from_codes(primaries, transfer), noted
        noted = (Action.COLOR_UNUSABLE,)
        del used[b"cICP"]
    if b"sRGB" in used:
        return SRGB, noted
    gamma, points = used.get(b"gAMA"), used.get(b"cHRM")
    if gamma is None and points is None:
        return None, noted
    if len(gamma or b"\0\0\0\1") != 4 or gamma == bytes(4) or len(points or bytes(32)) != 32:
        return UNUSABLE, ()
    exponent = None if gamma is None else 100_000 / int.from_bytes(gamma, "big")
    stated = from_numbers(exponent, [n / 100_000 for n in struct.unpack(">8I", points)] if points else ())
    return stated, () if stated == UNUSABLE else noted


def _profile(body: bytes) -> bytes:
    """The unpacked profile; ``b""`` if it is damaged or beyond `MAX_PROFILE_BYTES`."""
    _, mark, packed = body.partition(b"\x00")
    return _unpack(packed[1:], MAX_PROFILE_BYTES) if mark and packed[:1] == b"\x00" else b""


def _xmp(body: bytes) -> bytes:
    # Flag and method of compression, then language and translated name, each with a NUL behind it.
    rest = body.removeprefix(_XMP)
    text = rest[2:].partition(b"\x00")[2].partition(b"\x00")[2]
    return _unpack(text, MAX_XMP_BYTES) if rest[:1] == b"\x01" else text


def _exif_text(body: bytes) -> bytes:
    """EXIF as ImageMagick writes it into a text: a name, a length, and the block in hexadecimal digits."""
    text = body.removeprefix(_EXIF_TEXT)
    if text[:1] == b"\x00":
        text = _unpack(text[1:], MAX_XMP_BYTES)
    try:
        return bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))
    except ValueError:
        return b""


def _unpack(packed: bytes, limit: int) -> bytes:
    """Whole unpacked data; ``b""`` if it is damaged, incomplete, or longer than the limit."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, limit)
    except zlib.error:
        return b""
    return data if stream.eof else b""
