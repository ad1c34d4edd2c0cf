"""Takes a WebP apart into its picture, its color profile and EXIF; all other chunks are dropped unread."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.records.errors import Reason, SampleError
from tasks.sources.parts import PictureParts

_HEADER = 12
_PICTURE = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
_FLAGS_KEPT = 0x10 | 0x02
"""Alpha and animation; the others announce the profile, EXIF and XMP, which are left out."""


def read_webp(data: bytes) -> PictureParts:
    """The picture of a WebP, with its metadata aside. A file that breaks off after its picture is complete.

    Raises:
        SampleError: ``truncated`` or ``decode_error`` if the picture itself is not whole.
    """
    pieces, used, frames, whole = list[bytes](), dict[bytes, bytes](), 0, False
    for name, body in _chunks(data):
        if name == b"VP8X" and len(body) >= 10:
            pieces.append(_piece(name, bytes((body[0] & _FLAGS_KEPT,)) + body[1:10]))
        elif name in _PICTURE:
            pieces.append(_piece(name, body))
            frames += name == b"ANMF"
            whole = whole or name in (b"VP8 ", b"VP8L", b"ANMF")
        else:
            used.setdefault(name, body)
    if not whole:
        reason = Reason.TRUNCATED if _announced(data) > len(data) else Reason.DECODE_ERROR
        raise SampleError(reason, f"a WebP of {len(data)} bytes without image data")
    content = b"WEBP" + b"".join(pieces)
    return PictureParts(
        data=b"RIFF" + len(content).to_bytes(4, "little") + content,
        format="WEBP",
        frames=max(1, frames),
        profile=used.get(b"ICCP", b""),
        exif=used.get(b"EXIF", b"").removeprefix(b"Exif\x00\x00"),
        xmp=used.get(b"XMP ", b""),
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position, end = _HEADER, min(len(data), _announced(data))
    while position + 8 <= end:
        name = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        body = data[position + 8 : position + 8 + length]
        if len(body) < length:
            if name in _PICTURE:
                raise SampleError(Reason.TRUNCATED, f"WebP of {len(data)} bytes ends inside its picture")
            return
        yield name, body
        position += 8 + length + length % 2


def _announced(data: bytes) -> int:
    return int.from_bytes(data[4:8], "little") + 8


def _piece(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\x00" * (len(body) % 2)
