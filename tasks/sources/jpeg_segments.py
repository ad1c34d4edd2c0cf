"""Removes the metadata of a JPEG; the coded picture is copied byte for byte.

A JPEG is a chain of segments: marker (0xFF, code), two length bytes, payload; after each start-of-scan the entropy
coded bytes run up to the next marker. Only what decoding needs is copied: tables, frame and scan headers, scans,
and the two application segments that decide how the components are read as colors. Everything else is dropped,
including all data after the end marker (a phone's further pictures, gain maps, appended videos).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.records.errors import Reason, SampleError

MAX_SCANS = 500
"""Of a progressive picture; encoders write about ten, and each one costs the decoder a full pass."""

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_TABLES = frozenset((0xC4, 0xDB, 0xDD))
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_OTHER_FRAMES = frozenset((0xC3, *range(0xC5, 0xD0)))
_REFUSED = _OTHER_FRAMES | {0xDC, 0xDE, 0xDF}
_STANDALONE = frozenset((0x01, _SOI, *range(0xD0, 0xD8)))
_NEXT_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrippedJpeg:
    """A JPEG without metadata.

    Attributes:
        data: from the start marker to the end marker, nothing before or after.
        components: color components of the frame (1 gray, 3 color, 4 CMYK).
        dropped: whether anything was left out.
    """

    data: bytes
    components: int
    dropped: bool


def strip_metadata(data: bytes) -> StrippedJpeg | None:
    """The same picture without metadata, or None unless it is 8-bit baseline or progressive Huffman.

    The decoded pixels are identical, except that color profile and orientation are left to the caller.

    Raises:
        SampleError: ``truncated`` if the chain ends before the end marker, ``decode_error`` past `MAX_SCANS`.
    """
    pieces, position, components, scans = [b"\xff\xd8"], 2, 0, 0
    while True:
        marker, start = _next_marker(data, position)
        if marker == _EOI:
            if not components or not scans:
                raise SampleError(Reason.DECODE_ERROR, "a JPEG without a picture")
            pieces.append(b"\xff\xd9")
            stripped = b"".join(pieces)
            return StrippedJpeg(data=stripped, components=components, dropped=stripped != data)
        if marker in _STANDALONE:
            position = start
            continue
        payload = _payload(data, start)
        position = start + 2 + len(payload)
        if marker in _REFUSED or (marker in _FRAMES and (len(payload) < 6 or payload[0] != 8)):
            return None
        if marker in _FRAMES:
            components = payload[5]
        pieces.append(_rewritten(marker, payload))
        if marker == _SOS:
            scans += 1
            end = _scan_end(data, position)
            pieces.append(data[position:end])
            position = end
        if scans > MAX_SCANS:
            raise SampleError(Reason.DECODE_ERROR, f"more than {MAX_SCANS} scans")


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
    elif marker not in _TABLES and marker not in _FRAMES and marker != _SOS:
        return b""
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def _scan_end(data: bytes, position: int) -> int:
    match = _NEXT_MARKER.search(data, position)
    return len(data) if match is None else match.start()
