"""Decoding and encoding for all stages, and perceptual fingerprints.

Pillow decodes, as in the usual readers of a release (`webdataset`, `datasets`), so that "equal to the bit" holds for
them as well. No orientation and no color profile is applied: the working source has neither.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from tasks.imaging.arrays import Image
from tasks.records.errors import Reason, SampleError

FORMATS = ("JPEG", "PNG")
"""Formats of stored pictures; no other is accepted in a blob."""

FINGERPRINT_SIDE = 32
"""Side of the gray thumbnail a fingerprint is made of, in pixels."""

PNG_COMPRESSION = 4
"""zlib level; higher ones take twice the time for a few percent on photographs."""


def decode_rgb(data: bytes) -> Image:
    """Decode a stored JPEG or PNG to (H, W, 3) uint8 RGB, as a read-only array.

    Raises:
        SampleError: ``source_changed`` the bytes do not decode to a whole picture; they did when they were stored.
    """
    return _decode(data, "RGB")


def encode_jpeg(rgb: Image, quality: int = 95) -> bytes:
    """Encode (H, W, 3) uint8 RGB as a JPEG without chroma subsampling or metadata; the same bytes each time."""
    buffer = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(rgb)).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def encode_png(array: NDArray[np.uint8] | NDArray[np.bool_]) -> bytes:
    """Encode (H, W, 3) RGB or (H, W) gray uint8 as PNG; a bool mask becomes 0 and 255. The same bytes each time."""
    pixels = array.astype(np.uint8) * 255 if array.dtype == np.bool_ else array
    buffer = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=PNG_COMPRESSION)
    return buffer.getvalue()


def fingerprint(rgb: Image) -> str:
    """A 64-bit perceptual hash (DCT pHash) of (H, W, 3) uint8 RGB, as 16 hex digits.

    The 8 x 8 lowest frequencies of a 32 x 32 gray thumbnail, each above their median or not. Near-duplicates
    (scaled, re-encoded) differ in few bits: compare by Hamming distance. Integer arithmetic throughout, so the
    bits don't depend on processor, threads or library build.
    """
    side = FINGERPRINT_SIDE
    thumbnail = Pillow.fromarray(rgb).convert("L").resize((side, side), Pillow.Resampling.BOX)
    basis = _cosines(side)[:8]
    spectrum = (basis @ np.asarray(thumbnail, dtype=np.int64) @ basis.T).ravel()
    # The first coefficient is the mean brightness, which says nothing about similarity and would skew the median.
    bits = spectrum > np.median(spectrum[1:])
    return np.packbits(bits).tobytes().hex()


def _decode(data: bytes, mode: str) -> NDArray[np.uint8]:
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            return np.asarray(picture.convert(mode))
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise SampleError(Reason.SOURCE_CHANGED, "a stored picture cannot be decoded") from error


def _cosines(side: int) -> NDArray[np.int64]:
    """The DCT-II basis (side, side), scaled by 2**12 and rounded: row u holds frequency u."""
    frequency, position = np.arange(side)[:, None], np.arange(side)[None, :]
    basis: NDArray[np.float64] = np.cos(np.pi * frequency * (2 * position + 1) / (2 * side))
    return np.rint(basis * 4096).astype(np.int64)
