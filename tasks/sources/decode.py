"""Opens a picture without decoding it: format, limits, frames; maps all of Pillow's errors to reasons."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image as Pillow
from PIL.ImageFile import ImageFile

from tasks.records.errors import Reason, SampleError
from tasks.sources.formats import DECODED, HEAD_BYTES, is_cut_short, pointer_in, sniff
from tasks.sources.parts import PictureParts
from tasks.sources.settings import IngestSettings
from tasks.sources.take_apart import take_apart

DECODER_ERRORS = (
    OSError,  # UnidentifiedImageError, "image file is truncated", "broken data stream", libtiff and WebP errors
    SyntaxError,  # PNG chunks and checksums, JPEG and TIFF headers
    ValueError,  # impossible sizes, text chunks that unpack to gigabytes, bad modes
    struct.error,  # headers that end early
    EOFError,  # GIF and PNG frames that end early
    IndexError,  # palettes and tables that end early
    KeyError,  # unknown modes, units and compressions
    TypeError,  # TIFF tags of a wrong type
    AttributeError,  # TIFF tags that are missing
    OverflowError,  # TIFF offsets beyond any file
    ZeroDivisionError,  # resolutions and tiles of size zero
    RuntimeError,  # AVIF's decoder; NotImplementedError for compressions without one
)
"""What Pillow raises for damaged bytes; any other exception is a bug and propagates."""


def open_picture(data: bytes, settings: IngestSettings) -> tuple[PictureParts, ImageFile]:
    """Takes the file apart and reads the picture's header within all limits of the settings; pixels are not decoded
    yet. The picture is opened without its metadata.

    Raises:
        SampleError: ``empty_file``, ``too_many_bytes``, ``pointer_file``, ``not_an_image``, ``unsupported_format``,
            ``unsupported_color``, ``truncated``, ``decode_error``, ``too_many_pixels``, ``animated``,
            ``extreme_aspect`` or ``too_small``.
    """
    if not data:
        raise SampleError(Reason.EMPTY_FILE, "0 bytes")
    if len(data) > settings.max_bytes:
        raise SampleError(Reason.TOO_MANY_BYTES, f"{len(data)} bytes, at most {settings.max_bytes}")
    parts = take_apart(data, _format(data))
    with decoding(parts.data):
        picture = Pillow.open(
            io.BytesIO(parts.data), formats=("JPEG" if parts.format == "MPO" else parts.format,)
        )
        _check_size(picture, settings)
        if parts.frames > 1 or getattr(picture, "is_animated", False):
            raise SampleError(Reason.ANIMATED, f"{parts.format} with more than one frame or page")
    return parts, picture


@contextmanager
def decoding(data: bytes) -> Iterator[None]:
    """Converts exceptions of decoders about ``data`` to a `SampleError`."""
    try:
        with _quietly():
            yield
    except Pillow.DecompressionBombError as error:
        raise SampleError(Reason.TOO_MANY_PIXELS, "far more pixels than a photograph has") from error
    except DECODER_ERRORS as error:
        reason = Reason.DECODE_ERROR
        if "truncated" in str(error).lower() or is_cut_short(data):
            reason = Reason.TRUNCATED
        name = sniff(data[:HEAD_BYTES])
        raise SampleError(reason, f"{name} of {len(data)} bytes can't be decoded in full") from error


def _format(data: bytes) -> str:
    if pointer := pointer_in(data):
        raise SampleError(Reason.POINTER_FILE, pointer)
    name = sniff(data[:HEAD_BYTES])
    if not name:
        raise SampleError(Reason.NOT_AN_IMAGE, "no picture by its first bytes")
    if name not in DECODED:
        raise SampleError(Reason.UNSUPPORTED_FORMAT, f"{name} is not read")
    return name


def _check_size(picture: Pillow.Image, settings: IngestSettings) -> None:
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    if short < 1:
        raise SampleError(Reason.DECODE_ERROR, f"{width}x{height} pixels")
    if width * height > settings.max_pixels:
        raise SampleError(Reason.TOO_MANY_PIXELS, f"{width}x{height} pixels, at most {settings.max_pixels}")
    if long > settings.max_aspect * short:
        raise SampleError(
            Reason.EXTREME_ASPECT, f"{width}x{height} pixels, at most {settings.max_aspect:g} to 1"
        )
    if short < settings.min_side_px:
        raise SampleError(
            Reason.TOO_SMALL, f"{width}x{height} pixels, shorter side at least {settings.min_side_px}"
        )


@contextmanager
def _quietly() -> Iterator[None]:
    # Pillow warns about odd metadata and large pictures; the limits above decide, and one row reports it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
