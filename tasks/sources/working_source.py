"""The working source: an upright 8-bit sRGB JPEG without metadata, used by all later stages and shipped in releases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image as Pillow
from PIL.ImageFile import ImageFile

from tasks.imaging.arrays import Image
from tasks.imaging.pixels import encode_jpeg
from tasks.records.errors import Reason, SampleError
from tasks.sources.color import profile_kind, to_srgb
from tasks.sources.decode import decoding, open_picture, orientation_of
from tasks.sources.jpeg_segments import StrippedJpeg, strip_metadata
from tasks.sources.settings import IngestSettings

TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
"""EXIF orientation -> the transposition that makes the picture upright."""

_HARMLESS = "Invalid SOS parameters"
_SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkingSource:
    """The JPEG to ship, its pixels and how it was made.

    Attributes:
        jpeg: the bytes.
        rgb: (H, W, 3) uint8: exactly what ``jpeg`` decodes to if its image data was kept, else the pixels before
            encoding.
        original_format: of the original, by its bytes (``JPEG``, ``MPO``, ``PNG`` …).
        actions: what was done, in order; the last one is ``kept`` or ``encoded``.
    """

    jpeg: bytes
    rgb: Image
    original_format: str
    actions: tuple[str, ...]


def make_working_source(data: bytes, settings: IngestSettings) -> WorkingSource:
    """Makes the working source of an original.

    The image data of an upright, 8-bit, three-component JPEG in sRGB (or untagged) is copied unchanged; anything
    else is rotated, converted and encoded once. All metadata is removed.

    Raises:
        SampleError: the original is not a complete picture within the limits; see `open_picture`.
    """
    picture = open_picture(data, settings)
    profile = picture.info.get("icc_profile") or b""
    stripped = strip_metadata(data) if picture.format in ("JPEG", "MPO") else None
    if stripped is not None and stripped.components in _SPACES:
        orientation = orientation_of(picture)
        actions = [] if orientation else ["exif_unreadable"]
        decoded = _decode_strictly(stripped)
        kind = profile_kind(profile, decoded.mode)
        if decoded.mode == "RGB" and orientation in (1, None) and kind != "other":
            return _kept(stripped, np.asarray(decoded), str(picture.format), actions, kind == "unusable")
    else:
        actions = _load(data, picture)
        orientation = orientation_of(picture)
        actions += [] if orientation else ["exif_unreadable"]
        decoded = picture
    upright, done = to_srgb(decoded, profile)
    actions += done
    if orientation in TURNS:
        upright = upright.transpose(TURNS[orientation])
        actions.append("turned")
    rgb = np.asarray(upright)
    return WorkingSource(
        jpeg=encode_jpeg(rgb, settings.jpeg_quality),
        rgb=rgb,
        original_format=str(picture.format),
        actions=(*actions, "encoded"),
    )


def _kept(
    stripped: StrippedJpeg, rgb: Image, original_format: str, actions: list[str], unusable: bool
) -> WorkingSource:
    actions += ["profile_unusable"] if unusable else []
    actions += ["metadata_stripped"] if stripped.dropped else []
    return WorkingSource(
        jpeg=stripped.data, rgb=rgb, original_format=original_format, actions=(*actions, "kept")
    )


def _decode_strictly(stripped: StrippedJpeg) -> Pillow.Image:
    """The pixels as Pillow decodes them, but raising where Pillow would silently fill damage with gray."""
    space = _SPACES[stripped.components]
    try:
        try:
            pixels: Image = simplejpeg.decode_jpeg(stripped.data, space, strict=True)
        except ValueError as error:
            if not str(error).startswith(_HARMLESS):  # scan headers of some cameras; no data is missing
                raise
            pixels = simplejpeg.decode_jpeg(stripped.data, space, strict=False)
    except ValueError as error:
        reason = Reason.TRUNCATED if "premature end" in str(error).lower() else Reason.DECODE_ERROR
        raise SampleError(reason, str(error)) from error
    if stripped.components == 1:
        return Pillow.fromarray(pixels[:, :, 0])
    # All programs store four components inverted; Pillow assumes it, too.
    return Pillow.fromarray(255 - pixels, "CMYK") if stripped.components == 4 else Pillow.fromarray(pixels)


def _load(data: bytes, picture: ImageFile) -> list[str]:
    """Decodes in place; returns what Pillow did meanwhile: 16-bit colors cut to 8, a TIFF rotated."""
    actions = []
    if any(";16" in str(tile.args) for tile in picture.tile) and not picture.mode.startswith("I"):
        actions.append("depth_reduced")
    if picture.format == "TIFF" and orientation_of(picture) in TURNS:
        actions.append("turned")
    with decoding(data):
        picture.load()
    return actions
