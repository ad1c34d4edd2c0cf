"""Takes a JPEG apart into its picture and its metadata; the coded picture is copied byte for byte.

A JPEG is a chain of segments: marker (0xFF, code), two length bytes, payload; after each start-of-scan the entropy
coded bytes run up to the next marker. Only what decoding needs is copied: tables, frame and scan headers, scans,
and the two application segments that decide how the components are read as colors. Everything else is dropped,
including all data after the end marker (a phone's further pictures, gain maps, appended videos). Of the rest only
the ICC profile, EXIF and XMP are handed out; no other segment is looked into.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tasks.records.errors import Reason, SampleError
from tasks.sources.actions import Action
from tasks.sources.parts import PictureParts
from tasks.sources.tiff_directory import first_directory

MAX_SCANS = 500
"""Of a progressive picture; encoders write about ten, and each one costs the decoder a full pass."""

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_TABLES = frozenset((0xC4, 0xDB, 0xDD))
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_OTHER_FRAMES = frozenset((0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_RARE = _OTHER_FRAMES | {0xC8, 0xCC, 0xDC, 0xDE, 0xDF}
"""Lossless, arithmetic and hierarchical coding, their tables, and a height that comes after the scan."""
_KEPT = _TABLES | _FRAMES | _RARE | {_SOS}
_REWRITTEN = frozenset((0xE0, 0xEE))
_STANDALONE = frozenset((0x01, _SOI, *range(0xD0, 0xD8)))
_NEXT_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])", re.DOTALL)


_EXIF, _XMP, _PROFILE, _PICTURES = (
    b"Exif\x00\x00",
    b"http://ns.adobe.com/xap/1.0/\x00",
    b"ICC_PROFILE\x00",
    b"MPF\x00",
)
_LOST = {_EXIF: (Action.EXIF_UNREADABLE,), _PROFILE: (Action.PROFILE_UNUSABLE,)}
_NUMBER_OF_PICTURES = 0xB001


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegParts(PictureParts):
    """A JPEG taken apart.

    Attributes:
        components: color components of the frame (1 gray, 3 color, 4 CMYK).
        plain: whether it is 8-bit baseline or progressive Huffman, which every decoder reads alike.
        dropped: whether ``data`` lacks anything of the file.
    """

    components: int
    plain: bool
    dropped: bool


def read_jpeg(data: bytes) -> JpegParts:
    """The same picture without metadata, and the metadata that says how it is read.

    The decoded pixels are identical, except that color profile and orientation are left to the caller.

    Raises:
        SampleError: ``truncated`` if the chain ends before the end marker, ``decode_error`` past `MAX_SCANS`,
            ``unsupported_format`` for more than 8 bits.
    """
    pieces, position, components, scans, plain = [b"\xff\xd8"], 2, 0, 0, True
    asides: dict[bytes, list[bytes]] = {_EXIF: [], _XMP: [], _PROFILE: [], _PICTURES: []}
    noted: tuple[Action, ...] = ()
    lost: SampleError | None = None
    while True:
        marker, start = _next_marker(data, position)
        if marker == _EOI:
            if not components or not scans:
                raise SampleError(Reason.DECODE_ERROR, "a JPEG without a picture")
            pieces.append(b"\xff\xd9")
            parts = _parts(data, b"".join(pieces), asides, components, plain=plain)
            return replace(parts, noted=(*parts.noted, *noted))
        if marker == _SOI and lost is not None:
            raise lost  # a thumbnail in a segment of unknown length must not be taken for the picture
        if marker in _STANDALONE:
            position = start
            continue
        try:
            payload = _payload(data, start)
        except SampleError as error:
            if marker in _KEPT or marker in _REWRITTEN:
                raise
            # Nobody reads the segment: only where it ends is unknown, and the next marker tells.
            lost, position = error, start + 2
            noted += _LOST.get(_kind(data[start + 2 : start + 64]), ())
            continue
        position = start + 2 + len(payload)
        if marker in _FRAMES | _OTHER_FRAMES:
            components = _components(payload)
        plain = plain and marker not in _RARE
        if scans == 0 and marker in (0xE1, 0xE2) and (kind := _kind(payload)):
            asides[kind].append(payload[len(kind) :])
        pieces.append(_rewritten(marker, payload))
        if marker == _SOS:
            scans += 1
            end = _scan_end(data, position)
            pieces.append(data[position:end])
            position = end
        if scans > MAX_SCANS:
            raise SampleError(Reason.DECODE_ERROR, f"more than {MAX_SCANS} scans")


def _components(frame: bytes) -> int:
    """The number of components by a frame's header."""
    if len(frame) < 6:
        raise SampleError(Reason.DECODE_ERROR, "a JPEG with a short frame header")
    if frame[0] != 8:
        raise SampleError(Reason.UNSUPPORTED_FORMAT, f"JPEG of {frame[0]} bits per component")
    return frame[5]


def _parts(
    data: bytes, stripped: bytes, asides: dict[bytes, list[bytes]], components: int, *, plain: bool
) -> JpegParts:
    profile = _profile(asides[_PROFILE])
    return JpegParts(
        data=stripped,
        format="MPO" if _pictures(asides[_PICTURES]) > 1 else "JPEG",
        profile=profile,
        exif=b"".join(asides[_EXIF]),
        xmp=b"".join(asides[_XMP][:1]),
        noted=(Action.PROFILE_UNUSABLE,) if asides[_PROFILE] and not profile else (),
        components=components,
        plain=plain,
        dropped=stripped != data,
    )


def _kind(payload: bytes) -> bytes:
    return next((kind for kind in (_EXIF, _XMP, _PROFILE, _PICTURES) if payload.startswith(kind)), b"")


def _profile(pieces: list[bytes]) -> bytes:
    """The ICC profile from its numbered pieces; ``b""`` unless all are there."""
    numbered = {piece[0]: piece for piece in pieces if len(piece) > 2}
    count = next((piece[1] for piece in numbered.values()), 0)
    if sorted(numbered) != list(range(1, count + 1)):
        return b""
    return b"".join(numbered[number][2:] for number in sorted(numbered))


def _pictures(pieces: list[bytes]) -> int:
    """The number of pictures by the index of a multi-picture file."""
    directory = first_directory(pieces[0]) if pieces else None
    return (directory.number(_NUMBER_OF_PICTURES) if directory else None) or 1


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """(code, position after the marker) of the next marker; stray bytes before it are skipped."""
    match = _NEXT_MARKER.search(data, position)
    if match is None:
        raise SampleError(Reason.TRUNCATED, f"JPEG ends after {len(data)} bytes without an end marker")
    return match[1][0], match.end()


def _payload(data: bytes, start: int) -> bytes:
    length = int.from_bytes(data[start : start + 2], "big")
    if length < 2:
        raise SampleError(Reason.DECODE_ERROR, "a JPEG segment with an impossible length")
    if start + length > len(data):
        raise SampleError(Reason.TRUNCATED, f"JPEG ends after {len(data)} bytes inside a segment")
    return data[start + 2 : start + length]


def _rewritten(marker: int, payload: bytes) -> bytes:
    """The segment as it will be written: unchanged, shortened, or empty."""
    if marker == 0xE0 and payload.startswith(b"JFIF\x00") and len(payload) >= 14:
        # Keep the density; drop the thumbnail after it, and a version that some decoders reject.
        payload = b"JFIF\x00\x01\x01" + payload[7:12] + b"\x00\x00"
    elif marker == 0xEE and payload.startswith(b"Adobe") and len(payload) >= 12:
        payload = payload[:12]  # its last byte says whether the components are RGB, YCbCr or YCCK
    elif marker not in _KEPT:
        return b""
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def _scan_end(data: bytes, position: int) -> int:
    match = _NEXT_MARKER.search(data, position)
    return len(data) if match is None else match.start()
