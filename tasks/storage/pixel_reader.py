"""Blobs by ranged get, digests checked, pictures decoded once while their unit is at work."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from tasks.canonical import sha256_hex
from tasks.errors import Reason, SampleError
from tasks.outcomes import BlobRef
from tasks.roles.protocols import Image
from tasks.storage.store import Store

MAX_PIXELS = 200_000_000
"""Width times height of the largest picture that is decoded: four times ingest's default limit."""


class StorePixels:
    """The `tasks.outcomes.PixelReader` of a worker; safe for the worker's thread and the one that reads ahead."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._data: dict[BlobRef, bytes] = {}
        self._pictures: dict[BlobRef, Image] = {}

    def data(self, ref: BlobRef) -> bytes:
        """The blob's bytes.

        Raises:
            SampleError: ``source_changed``, when they don't fit their digest.
            DataFault: the object that should hold them is missing.
        """
        known = self._data.get(ref)
        if known is not None:
            return known
        data = self._store.get_range(ref.path, ref.offset, ref.length)
        if sha256_hex(data) != ref.sha256:
            raise SampleError(Reason.SOURCE_CHANGED, "stored bytes don't fit their digest")
        with self._lock:
            return self._data.setdefault(ref, data)

    def rgb(self, ref: BlobRef) -> Image:
        """The blob decoded as (H, W, 3) uint8 RGB, read-only.

        Raises:
            SampleError: ``source_changed`` as for `data`, ``decode_error`` or ``too_many_pixels``.
        """
        known = self._pictures.get(ref)
        if known is not None:
            return known
        picture = decode_rgb(self.data(ref))
        with self._lock:
            return self._pictures.setdefault(ref, picture)

    def forget_all_but(self, refs: Iterable[BlobRef]) -> None:
        """Drop everything but what these blobs hold (the next unit's, read ahead)."""
        kept = set(refs)
        with self._lock:
            self._data = {ref: data for ref, data in self._data.items() if ref in kept}
            self._pictures = {ref: picture for ref, picture in self._pictures.items() if ref in kept}


def decode_rgb(data: bytes) -> Image:
    """A JPEG or PNG as (H, W, 3) uint8 RGB, not turned, read-only.

    Raises:
        SampleError: ``decode_error``, or ``too_many_pixels`` as its header says, before any decoding.
    """
    try:
        with PillowImage.open(io.BytesIO(data)) as header:
            width, height = header.size
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise SampleError(Reason.DECODE_ERROR, type(error).__name__) from error
    except PillowImage.DecompressionBombError as error:
        raise SampleError(Reason.TOO_MANY_PIXELS, "announced by the header") from error
    if width * height > MAX_PIXELS:
        raise SampleError(Reason.TOO_MANY_PIXELS, f"{width} x {height}")
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise SampleError(Reason.DECODE_ERROR, "no pixels")
    picture.flags.writeable = False
    return picture  # type: ignore[return-value]
