"""Takes a GIF apart into its first picture and a count of pictures; comments and applications' blocks are dropped."""

from __future__ import annotations

from tasks.records.errors import Reason, SampleError
from tasks.sources.parts import PictureParts

_HEADER = 13
_EXTENSION, _PICTURE = 0x21, 0x2C
_CONTROL, _APPLICATION = 0xF9, 0xFF
_PROFILE = b"\x0bICCRGBG1012"


def read_gif(data: bytes) -> PictureParts:
    """The first picture of a GIF, with a color profile if there is one. What follows the last whole picture is
    ignored, be it the end mark, garbage, or nothing.

    Raises:
        SampleError: ``truncated`` if no picture is whole.
    """
    position = _HEADER + _table(data[10] if len(data) > 10 else 0)
    head, control, first, profile, frames = data[:position], b"", b"", b"", 0
    while position < len(data):
        start, kind = position, data[position]
        if kind == _EXTENSION and position + 2 <= len(data):
            label, end = data[position + 1], _blocks_end(data, position + 2)
            if end is None:
                break
            block = data[position + 2 : end]
            if label == _CONTROL:
                control = data[start:end]
            elif label == _APPLICATION and block.startswith(_PROFILE):
                profile = profile or _joined(block[len(_PROFILE) :])
            position = end
        elif kind == _PICTURE and position + 10 <= len(data):
            end = _blocks_end(data, position + 11 + _table(data[position + 9]))
            if end is None:
                frames += bool(frames)  # a second picture, though not a whole one
                break
            frames += 1
            first = first or control + data[start:end]
            control, position = b"", end
        else:
            break
    if not frames:
        raise SampleError(Reason.TRUNCATED, f"GIF of {len(data)} bytes without a whole picture")
    return PictureParts(data=head + first + b";", format="GIF", frames=frames, profile=profile)


def _table(flags: int) -> int:
    """Bytes of the color table that flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks_end(data: bytes, position: int) -> int | None:
    """Position after a chain of sub-blocks, None if the file ends inside it."""
    while position < len(data):
        length = data[position]
        position += 1 + length
        if not length:
            return position
    return None


def _joined(blocks: bytes) -> bytes:
    pieces, position = [], 0
    while position < len(blocks) and blocks[position]:
        pieces.append(blocks[position + 1 : position + 1 + blocks[position]])
        position += 1 + blocks[position]
    return b"".join(pieces)
