"""Kinds of URIs for datasets and sources. A new kind of store is named here and opened in `store`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

OBJECT_STORES = ("s3",)
"""Schemes of the object stores that can be opened."""

EXAMPLES = "s3://bucket/prefix"
"""One example of each, for messages and help."""

DATASET_URIS = f"a folder or {EXAMPLES}"
"""Allowed places for a dataset, for messages and help."""


def scheme_of(uri: str) -> str:
    """The scheme in lower case; ``""`` for a path."""
    return uri.split("://", 1)[0].lower() if "://" in uri else ""


def in_object_store(uri: str) -> bool:
    """Whether the URI names something in an object store that can be opened."""
    return scheme_of(uri) in OBJECT_STORES


def split_object(uri: str) -> tuple[str, str]:
    """``s3://bucket/a/b`` as URI of the bucket and key of the object: ``("s3://bucket", "a/b")``."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def local_folder(uri: str) -> Path | None:
    """The folder a URI names, absolute; None when it names no local one."""
    parts = urlparse(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).absolute()
    return None if "://" in uri else Path(uri).expanduser().absolute()
