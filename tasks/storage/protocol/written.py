"""Lists what builds wrote, among whatever else lies in a dataset's folder."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.storage.objects.infos import ObjectInfo
from tasks.storage.objects.store import Store
from tasks.storage.protocol.layout import is_written


def written(store: Store, folder: str) -> Iterator[ObjectInfo]:
    """Objects below a folder of builds, stages or runs whose paths only a build gives; others are foreign files."""
    return (item for item in store.list(folder) if is_written(item.path))
