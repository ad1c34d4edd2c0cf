"""Opening pictures of unknown origin: a picture is read whole, or refused with its reason."""

import struct
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

# what Pillow raises for damaged, oversized or foreign data, depending on the format and on where the damage lies
FAULTS = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class PictureError(ValueError):
    """A picture cannot be read; the message is the reason, the same in every run."""


def open_picture(file: Path | IO[bytes]) -> Image.Image:
    """The decoded picture of a file; raises PictureError."""
    try:
        with Image.open(file) as opened:
            opened.load()
            return opened.copy()
    except UnidentifiedImageError as error:
        # its own message holds an address in memory, which would make two logs of one run differ
        raise PictureError("no picture of a known format") from error
    except FAULTS as error:
        told = error.strerror if isinstance(error, OSError) else None
        raise PictureError(told or str(error) or type(error).__name__) from error
