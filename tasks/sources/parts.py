"""What a container of a picture holds: the picture alone, and the metadata that decides how it is read."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.sources.actions import Action
from tasks.sources.stated_color import StatedColor


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureParts:
    """A file taken apart by the readers of containers (`jpeg_segments`, `png_chunks` …).

    Attributes:
        data: a file of the same format with the picture and nothing else, for the decoder.
        format: as Pillow names it, ``MPO`` for a JPEG with further pictures behind it.
        frames: pictures of equal rank; more than one is an animation or a document.
        profile: the ICC profile, ``b""`` without one.
        exif: the EXIF block, from its byte order on; ``b""`` without one.
        xmp: the XMP packet, ``b""`` without one.
        orientation: as the container itself states it, None if it leaves that to EXIF.
        color: as the container itself states it; it counts where no ICC profile can be used.
        noted: metadata that would have been used, but is damaged.
    """

    data: bytes
    format: str
    frames: int = 1
    profile: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    orientation: int | None = None
    color: StatedColor | None = None
    noted: tuple[Action, ...] = ()
