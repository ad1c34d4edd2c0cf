"""Reads what the header of a BMP (versions 4 and 5) says about color."""

from __future__ import annotations

import struct

from tasks.sources.actions import Action
from tasks.sources.parts import PictureParts
from tasks.sources.stated_color import UNUSABLE, StatedColor, from_numbers

_FILE_HEADER = 14
_WITH_COLOR, _WITH_PROFILE = 108, 124
_CALIBRATED, _EMBEDDED, _LINKED = bytes(4), b"DEBM", b"KNIL"


def read_bmp(data: bytes) -> PictureParts:
    """The file as it is, with its color statement and profile."""
    size = int.from_bytes(data[14:18], "little")
    if size < _WITH_COLOR or len(data) < _FILE_HEADER + size:
        return PictureParts(data=data, format="BMP")
    kind = data[70:74]
    color = _calibrated(data) if kind == _CALIBRATED else None
    profile = b""
    if kind == _EMBEDDED and size >= _WITH_PROFILE:
        offset, length = struct.unpack_from("<II", data, 126)
        profile = data[_FILE_HEADER + offset :][:length]
    lost = kind == _LINKED or (kind == _EMBEDDED and not profile)
    return PictureParts(
        data=data,
        format="BMP",
        profile=profile,
        color=color,
        noted=(Action.PROFILE_UNUSABLE,) if lost else (),
    )


def _calibrated(data: bytes) -> StatedColor | None:
    """Primaries as XYZ and gammas; None where they were left blank, as most writers do."""
    values = struct.unpack_from("<9i3I", data, 74)
    if not any(values):
        return None
    ends = [tuple(value / (1 << 30) for value in values[start : start + 3]) for start in (0, 3, 6)]
    white = tuple(map(sum, zip(*ends, strict=True)))
    gammas = [value / (1 << 16) for value in values[9:]]
    sums = [sum(each) for each in (white, *ends)]
    if min(sums) <= 0 or max(gammas) - min(gammas) > 0.01:
        return UNUSABLE
    points = [value / total for each, total in zip((white, *ends), sums, strict=True) for value in each[:2]]
    return from_numbers(gammas[0] or None, points)
