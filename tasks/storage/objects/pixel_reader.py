"""Blobs by ranged get, digests checked, pictures decoded once while their unit is at work."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from tasks.imaging.arrays import Image
from tasks.imaging.pixels import decode_rgb
from tasks.records.canonical import sha256_hex
from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import BlobRef
from tasks.storage.objects.store import Store


class StorePixels:
    """The `PixelReader` of a worker; safe for the worker's thread and the one that reads ahead."""

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
            SampleError: ``source_changed``, as for `data` or since the bytes are no whole picture.
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
