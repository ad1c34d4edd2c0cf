"""Reads blobs by ranged get, checks their digests, and decodes each picture once while a unit holds it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tasks.imaging.arrays import Image
from tasks.imaging.pixels import decode_rgb
from tasks.records.canonical import sha256_hex
from tasks.records.errors import Reason, SampleError
from tasks.records.outcomes import BlobRef
from tasks.storage.objects.store import Store


class StorePixels:
    """The `PixelReader` of a worker; thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._data: dict[BlobRef, bytes] = {}
        self._pictures: dict[BlobRef, Image] = {}
        self._holders: Counter[BlobRef] = Counter()

    def data(self, ref: BlobRef) -> bytes:
        """The blob's bytes.

        Raises:
            SampleError: ``source_changed``, if they do not match their digest.
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
            SampleError: ``source_changed``, as for `data`, or if the bytes are not a complete picture.
        """
        known = self._pictures.get(ref)
        if known is not None:
            return known
        picture = decode_rgb(self.data(ref))
        with self._lock:
            return self._pictures.setdefault(ref, picture)

    @contextmanager
    def held(self, refs: Iterable[BlobRef]) -> Iterator[None]:
        """While a unit holds its blobs, their bytes and pixels stay cached, until the last holder is done."""
        own = Counter(refs)
        with self._lock:
            self._holders += own
        try:
            yield
        finally:
            with self._lock:
                self._holders -= own
                for ref in own:
                    if ref not in self._holders:
                        self._data.pop(ref, None)
                        self._pictures.pop(ref, None)
