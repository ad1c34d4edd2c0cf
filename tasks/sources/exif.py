"""The few facts that ingest takes from EXIF and XMP: orientation, and the color space of cameras."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.sources.actions import Action
from tasks.sources.stated_color import ADOBE_RGB, SRGB, SRGB_PRIMARIES, StatedColor, from_numbers
from tasks.sources.tiff_directory import Directory, first_directory

_ORIENTATION = 0x0112
_WHITE_POINT, _PRIMARIES = 0x013E, 0x013F
_EXIF, _INTEROPERABILITY, _INTEROPERABILITY_INDEX = 0x8769, 0xA005, 0x0001
_COLOR_SPACE, _GAMMA = 0xA001, 0xA500
_SRGB, _ADOBE_RGB = 1, 2
_ADOBE_RGB_INDEX = "R03"
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=[\"']|>)\s*([1-8])")
_XMP_COLOR_SPACE = re.compile(rb"exif:ColorSpace(?:=[\"']|>)\s*(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExifFacts:
    """What EXIF and XMP say.

    Attributes:
        orientation: 1..8; 1 if none is stated.
        color: None if none is stated.
        readable: whether there is no EXIF block, or one whose first directory can be read.
    """

    orientation: int
    color: StatedColor | None
    readable: bool


def read_exif(block: bytes, xmp: bytes) -> ExifFacts:
    """Reads what is there; a tag that is damaged counts as absent."""
    directory = first_directory(block) if block else None
    stated = directory.number(_ORIENTATION) if directory else None
    if stated is None and (match := _XMP_ORIENTATION.search(xmp)):
        stated = int(match[1])
    return ExifFacts(
        orientation=stated if stated is not None and 1 <= stated <= 8 else 1,
        color=_color(directory, xmp),
        readable=not block or directory is not None,
    )


def numbers_of(directory: Directory) -> tuple[float, ...]:
    """White point and primaries of a directory, as `from_numbers` takes them; empty unless both are there."""
    white, primaries = directory.numbers(_WHITE_POINT), directory.numbers(_PRIMARIES)
    return (*white, *primaries) if len(white) == 2 and len(primaries) == 6 else ()


def _color(directory: Directory | None, xmp: bytes) -> StatedColor | None:
    exif = directory.below(_EXIF) if directory else None
    space = exif.number(_COLOR_SPACE) if exif else None
    if space is None and (match := _XMP_COLOR_SPACE.search(xmp)):
        space = int(match[1])
    if space == _SRGB:
        return SRGB
    # Cameras follow DCF: uncalibrated, and the color space named by the index of interoperability. Some write 2.
    index = exif.below(_INTEROPERABILITY) if exif else None
    if space == _ADOBE_RGB or (index and index.text(_INTEROPERABILITY_INDEX) == _ADOBE_RGB_INDEX):
        return ADOBE_RGB
    if not space:
        return None
    # Uncalibrated, or one of the numbers that makers have given to spaces of their own.
    gamma = exif.numbers(_GAMMA) if exif else ()
    chromaticities = numbers_of(directory) if directory else ()
    if gamma and (chromaticities or abs(gamma[0] / 2.2 - 1) > 0.01):
        return from_numbers(gamma[0], chromaticities)
    if chromaticities:
        return from_numbers(None, chromaticities)
    return StatedColor(primaries=SRGB_PRIMARIES, noted=(Action.COLOR_UNCALIBRATED,))
