"""Opening pictures of unknown origin: read whole and turned upright, or refused with the reason."""

import struct
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

# what Pillow raises for damaged, oversized or foreign data, depending on the format and on where the damage lies
FAULTS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class PictureError(ValueError):
    """A picture cannot be read; the message is the reason, the same in every run."""


def open_picture(file: Path | IO[bytes]) -> Image.Image:
    """The decoded picture of a file, turned as its EXIF says it is viewed; raises PictureError."""
    try:
        with Image.open(file) as opened:
            opened.load()
            picture = _upright(opened)
    except UnidentifiedImageError as error:
        # its own message holds an address in memory, which would make two logs of one run differ
        raise PictureError("no picture of a known format") from error
    except FAULTS as error:
        told = error.strerror if isinstance(error, OSError) else None
        raise PictureError(told or str(error) or type(error).__name__) from error
    if picture.mode == "F":
        raise PictureError("its values are fractions, of which none is known to be white")
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except FAULTS:
        # damaged EXIF says nothing of how the picture is viewed, and is no reason to refuse its pixels
        return picture.copy()
