"""What is known about a stored object without reading it, and what is required of its store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What a build requires of its store. Address and keys of a bucket: see `tasks.storage.objects.s3_client`.

    Attributes:
        min_free_bytes: free space a local folder must have before work.
        timeout_s: of one request.
        retries: of one request that failed for a passing reason.
    """

    min_free_bytes: int = 0
    timeout_s: float = 60.0
    retries: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object below the store.

    Attributes:
        path: relative to the store, exactly as stored; of a local file as `os.fsdecode` spells it.
        size: in bytes.
        modified: time of its last write.
        etag: changes with the bytes; ``""`` for a local file.
    """

    path: str
    size: int
    modified: datetime
    etag: str = ""
