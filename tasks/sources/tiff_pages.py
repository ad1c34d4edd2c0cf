"""Takes a TIFF apart into its one photograph and the tags that say how it is read.

A TIFF holds pages, each with a directory of tags; a page may be a reduced copy of another (a thumbnail, a level of a
pyramid) or a mask. The decoder gets the photograph's directory alone, with the tags that its pixels need.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tasks.records.errors import Reason, SampleError
from tasks.sources.actions import Action
from tasks.sources.exif import numbers_of
from tasks.sources.parts import PictureParts
from tasks.sources.stated_color import UNUSABLE, StatedColor, from_numbers
from tasks.sources.tiff_directory import Directory, first_directory

MAX_PAGES = 1000
"""Pages looked at."""

THUMBNAIL_PX = 320
"""Longer side, at most, of an unmarked page that is a thumbnail whatever its shape; those of cameras have 160."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_NEW_SUBFILE, _SUBFILE = 254, 255
_ORIENTATION, _TRANSFER, _WHITE_POINT, _PRIMARIES = 274, 301, 318, 319
_SUB_IFDS, _XMP, _PROFILE, _DNG_VERSION = 330, 700, 34675, 50706
_REDUCED, _MASK = 1, 4
_OLD_REDUCED = 2
_INKS, _INK_SET = 5, 332
_SENSOR = (32803, 34892)
_COLORS = {9: "ICC L*a*b*", 10: "ITU L*a*b*", 32844: "LogL", 32845: "LogLuv"}
_PIXELS = frozenset(
    (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320)
) | frozenset(
    (322, 323, 324, 325, 332, 334, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531, 532, 50674)
)
"""Tags that pixels need: size, depth, compression, strips, tiles, tables, color map and components."""


def read_tiff(data: bytes) -> PictureParts:
    """The photograph of a TIFF.

    Raises:
        SampleError: ``truncated`` without a whole first directory, ``unsupported_format`` for sensor data,
            ``unsupported_color`` for kinds of pixels that are not converted here.
    """
    first = first_directory(data)
    if first is None:
        raise SampleError(Reason.TRUNCATED, f"TIFF of {len(data)} bytes without a whole directory")
    if _DNG_VERSION in first.entries:
        raise SampleError(Reason.UNSUPPORTED_FORMAT, "DNG holds sensor data")
    pages = list(_pages(first))
    full = _full(pages) or _full(_below(first)) or [first]
    page = full[0]
    kind = page.number(_PHOTOMETRIC)
    if kind in _SENSOR:
        raise SampleError(Reason.UNSUPPORTED_FORMAT, "TIFF with sensor data")
    if kind == _INKS and (page.number(_INK_SET) or 1) != 1:
        raise SampleError(Reason.UNSUPPORTED_COLOR, "TIFF with inks other than CMYK")
    if kind in _COLORS:
        raise SampleError(Reason.UNSUPPORTED_COLOR, f"TIFF with pixels in {_COLORS[kind]}")
    profile = page.content(_PROFILE)
    return PictureParts(
        data=_alone(data, page),
        format="TIFF",
        frames=len(full),
        profile=profile or b"",
        exif=data,
        xmp=page.content(_XMP) or b"",
        orientation=page.number(_ORIENTATION),
        color=_color(page),
        noted=(Action.PROFILE_UNUSABLE,) if _PROFILE in page.entries and not profile else (),
    )


def _pages(first: Directory) -> Iterator[Directory]:
    """Pages in their chain's order, up to an offset that is zero, leads nowhere or leads back."""
    page: Directory | None = first
    seen: set[int] = set()
    while page is not None and page.offset not in seen and len(seen) < MAX_PAGES:
        yield page
        seen.add(page.offset)
        page = page.at(page.following)


def _below(page: Directory) -> list[Directory]:
    found = (page.at(int(offset)) for offset in page.numbers(_SUB_IFDS)[:MAX_PAGES])
    return [each for each in found if each is not None]


def _full(pages: list[Directory]) -> list[Directory]:
    """The pages that are no reduced copy and no mask, in order."""
    stated = [page for page in pages if not _is_dependent(page)]
    return [page for page in stated if page is stated[0] or not _is_copy(page, stated[0])]


def _is_dependent(page: Directory) -> bool:
    flags = page.number(_NEW_SUBFILE)
    if flags is not None:
        return bool(flags & (_REDUCED | _MASK))
    return page.number(_SUBFILE) == _OLD_REDUCED


def _is_copy(page: Directory, whole: Directory) -> bool:
    """Whether an unmarked page is a smaller picture of the same shape, as pyramids have them, or of the size of a
    camera's thumbnail, which has bars where the shapes differ.
    """
    if _NEW_SUBFILE in page.entries or _SUBFILE in page.entries:
        return False
    sizes = [each.number(tag) or 0 for each in (page, whole) for tag in (_WIDTH, _HEIGHT)]
    width, height, whole_width, whole_height = sizes
    if min(sizes) < 1:
        return True  # no picture at all
    if 2 * width > whole_width + 1 or 2 * height > whole_height + 1:
        return False
    if max(width, height) <= THUMBNAIL_PX and 4 * max(width, height) <= max(whole_width, whole_height):
        return True
    scale = min(width, height) / (whole_width if width < height else whole_height)
    return abs(width - scale * whole_width) <= 2 and abs(height - scale * whole_height) <= 2


def _color(page: Directory) -> StatedColor | None:
    """By white point, primaries and transfer function; None if none is stated, or if the pixels are no RGB or gray."""
    if page.number(_PHOTOMETRIC) not in (0, 1, 2, 3, 6):
        return None
    stated = {tag for tag in (_TRANSFER, _WHITE_POINT, _PRIMARIES) if tag in page.entries}
    if not stated:
        return None
    chromaticities, tables = numbers_of(page), _tables(page)
    if (_PRIMARIES in stated and not chromaticities) or (_TRANSFER in stated and not tables):
        return UNUSABLE
    color = from_numbers(None, chromaticities)
    if not tables or color == UNUSABLE:
        return color
    return StatedColor(primaries=color.primaries, tables=tables, converted=color.converted)


def _tables(page: Directory) -> tuple[tuple[float, ...], ...]:
    values, bits = page.numbers(_TRANSFER), page.number(_BITS) or 8
    length = 1 << min(bits, 16)
    if len(values) not in (length, 3 * length):
        return ()
    return tuple(
        tuple(value / 65535 for value in values[start : start + length])
        for start in range(0, len(values), length)
    )


def _alone(data: bytes, page: Directory) -> bytes:
    """The same file with a header that leads to this page, and the page's directory cut down in its place.

    Nothing moves or grows, so that a file that was cut short stays short.
    """
    kept = b"".join(page.entries[tag] for tag in sorted(page.entries) if tag in _PIXELS)
    directory = struct.pack(f"{page.order}H", len(kept) // 12) + kept + bytes(4)
    head = data[:4] + struct.pack(f"{page.order}I", page.offset)
    return head + data[8 : page.offset] + directory + data[page.offset + len(directory) :]
