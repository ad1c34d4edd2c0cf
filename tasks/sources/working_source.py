"""The working source: an upright 8-bit sRGB JPEG without metadata, used by all later stages and shipped in releases."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import simplejpeg
from PIL import Image as Pillow
from PIL.ImageFile import ImageFile

from tasks.imaging.arrays import Image
from tasks.imaging.pixels import encode_jpeg
from tasks.records.errors import Reason, SampleError
from tasks.sources.actions import Action
from tasks.sources.color import Deep, profile_kind, refuse_high_range, to_srgb
from tasks.sources.decode import decoding, open_picture
from tasks.sources.exif import ExifFacts, read_exif
from tasks.sources.jpeg_segments import JpegParts
from tasks.sources.parts import PictureParts
from tasks.sources.settings import IngestSettings
from tasks.sources.stated_color import UNUSABLE, StatedColor, is_srgb

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

_ORIENTATION = 0x0112
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
    else is rotated, converted and encoded once. All metadata is removed, and none of it but orientation and color is
    looked at.

    Raises:
        SampleError: the original is not a complete picture within the limits; see `open_picture`.
    """
    parts, picture = open_picture(data, settings)
    refuse_high_range(parts.profile)
    facts = read_exif(parts.exif, parts.xmp)
    orientation = _orientation(parts, picture, facts)
    stated = _stated(parts, facts)
    actions = [*parts.noted] if facts.readable else [*parts.noted, Action.EXIF_UNREADABLE]
    deep = None
    if isinstance(parts, JpegParts) and parts.plain and parts.components in _SPACES:
        decoded = _decode_strictly(parts)
        if (
            decoded.mode == "RGB"
            and orientation == 1
            and (done := _harmless(parts.profile, stated)) is not None
        ):
            return _kept(parts, np.asarray(decoded), [*actions, *done])
    else:
        actions += _load(parts.data, picture)
        decoded = picture
        deep = _deep(parts, picture, stated)
    profile = parts.profile or picture.info.get("icc_profile") or b""
    upright, converted = to_srgb(decoded, profile, stated, deep)
    actions += converted
    if orientation in TURNS:
        upright = upright.transpose(TURNS[orientation])
        actions.append(Action.TURNED)
    rgb = np.asarray(upright)
    return WorkingSource(
        jpeg=encode_jpeg(rgb, settings.jpeg_quality),
        rgb=rgb,
        original_format=parts.format,
        actions=_values(*actions, Action.ENCODED),
    )


def _orientation(parts: PictureParts, picture: ImageFile, facts: ExifFacts) -> int:
    if parts.format == "AVIF":
        # The decoder leaves the turns and mirrors that the file's own properties ask for to its caller.
        return int(picture.getexif().get(_ORIENTATION, 1))
    return parts.orientation if parts.orientation in (1, *TURNS) else facts.orientation


def _stated(parts: PictureParts, facts: ExifFacts) -> StatedColor | None:
    """The container's own statement before EXIF's; a damaged one gives way and stays noted."""
    if parts.color == UNUSABLE and facts.color is not None:
        return replace(facts.color, noted=(*UNUSABLE.noted, *facts.color.noted))
    return parts.color or facts.color


def _harmless(profile: bytes, stated: StatedColor | None) -> tuple[Action, ...] | None:
    """What to note about colors that are sRGB as they are; None if they have to be converted."""
    kind = profile_kind(profile, "RGB")
    if kind in ("other", "srgb"):
        return None if kind == "other" else ()
    if stated is not None and not is_srgb(stated):
        return None
    unusable = (Action.PROFILE_UNUSABLE,) if kind == "unusable" else ()
    return (*unusable, *(stated.noted if stated else ()))


def _kept(parts: JpegParts, rgb: Image, actions: list[Action]) -> WorkingSource:
    stripped = (Action.METADATA_STRIPPED,) if parts.dropped else ()
    return WorkingSource(
        jpeg=parts.data,
        rgb=rgb,
        original_format=parts.format,
        actions=_values(*actions, *stripped, Action.KEPT),
    )


def _decode_strictly(parts: JpegParts) -> Pillow.Image:
    """The pixels as Pillow decodes them, but raising where Pillow would silently fill damage with gray."""
    space = _SPACES[parts.components]
    try:
        try:
            pixels: Image = simplejpeg.decode_jpeg(parts.data, space, strict=True)
        except ValueError as error:
            if not str(error).startswith(_HARMLESS):  # scan headers of some cameras; no data is missing
                raise
            pixels = simplejpeg.decode_jpeg(parts.data, space, strict=False)
    except ValueError as error:
        reason = Reason.TRUNCATED if "premature end" in str(error).lower() else Reason.DECODE_ERROR
        raise SampleError(reason, str(error)) from error
    if parts.components == 1:
        return Pillow.fromarray(pixels[:, :, 0])
    # All programs store four components inverted; Pillow assumes it, too.
    return Pillow.fromarray(255 - pixels, "CMYK") if parts.components == 4 else Pillow.fromarray(pixels)


def _load(data: bytes, picture: ImageFile) -> list[Action]:
    """Decodes in place; returns what Pillow did meanwhile: 16-bit colors cut to 8."""
    reduced = any(";16" in str(tile.args) for tile in picture.tile) and not picture.mode.startswith("I")
    with decoding(data):
        picture.load()
    return [Action.DEPTH_REDUCED] if reduced else []


def _deep(parts: PictureParts, picture: Pillow.Image, stated: StatedColor | None) -> Deep | None:
    """(H, W, 3) uint16: all bits of a PNG's or TIFF's colors, where a curve has to be applied to them; else None.

    Eight bits of linear light would leave steps in the shadows that can be seen. Pillow reads no more than eight.
    """
    if parts.format not in ("PNG", "TIFF") or stated is None or is_srgb(stated):
        return None
    pixels = cv2.imdecode(np.frombuffer(parts.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] < 3:
        return None
    if pixels.shape[:2] != (picture.height, picture.width):
        return None
    return np.ascontiguousarray(pixels[..., 2::-1])


def _values(*actions: Action) -> tuple[str, ...]:
    return tuple(dict.fromkeys(action.value for action in actions))
