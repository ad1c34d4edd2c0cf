"""Detects folders written by GroundEdit: pictures in them must not become photographs of another dataset.

A name alone is not enough: a build's record and a manifest must carry their digest, and a gallery's first page the
mark that all its pages have. A release without its manifest is not recognized.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

from tasks.records.canonical import unseal
from tasks.records.errors import DataFault
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.s3_client import ObjectRefused
from tasks.storage.protocol.layout import BUILDS, MANIFEST, PARTS, STAGES, is_of_a_dataset

DATASET, RELEASE, GALLERY = "a dataset", "a release", "a gallery"

PART = f"part of {DATASET}"
"""What each part of a dataset is called when the source is itself the folder of a dataset."""

_PAGE, _STYLE = "index.html", "style.css"
_GALLERY_MARK = b'<nav class="chips" aria-label="Accepted samples">'
_GALLERY_HEAD_BYTES = 1 << 12


def kind_of(folder: Path, names: Collection[str]) -> str:
    """``a dataset``, ``a release`` or ``a gallery`` of GroundEdit, or ``""`` for any other folder.

    Args:
        folder: a readable folder.
        names: its contents.
    """
    try:
        inner = [
            f"{part}/{each.name}"
            for part in (STAGES, BUILDS)
            if part in names and (folder / part).is_dir()
            for each in (folder / part).iterdir()
        ]
        marks = [mark for path in (*names, *inner) for below, mark in _marks(path) if not below]
        return _kind(marks, lambda mark: _bytes(folder / mark))
    except OSError:
        return ""  # an unreadable file gets its own entry later


def groundedit_folders(store: Bucket, paths: Iterable[str]) -> dict[str, str]:
    """The outermost folders below a store that GroundEdit wrote, and what each is.

    If the store itself holds a dataset, the parts of that are returned instead; a store that is a release or gallery
    as a whole is searched like any other.

    Args:
        store: holds the objects.
        paths: of its objects to look at.

    Raises:
        StorageFault: the store cannot be reached or denies access.
    """
    marks: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        for folder, mark in _marks(path):
            marks[folder].add(mark)
    found: dict[str, str] = {}
    for folder in sorted(marks):  # an outer folder before those in it
        if folder_around(folder, found):
            continue
        kind = _kind(marks[folder], partial(_object, store, folder))
        if kind and folder:
            found[folder] = kind
        elif kind == DATASET:
            found |= dict.fromkeys(PARTS, PART)
    return found


def folder_around(path: str, found: Mapping[str, str]) -> str:
    """The folder in ``found`` that contains or is the path, or ``""``."""
    ends = [n for n, sign in enumerate(path) if sign == "/"] if found else []
    return next((path[:end] for end in (*ends, len(path)) if path[:end] in found), "")


def _marks(path: str) -> Iterator[tuple[str, str]]:
    """(folder, path below it) wherever the name suggests that the folder is one of GroundEdit's."""
    parts = path.split("/")
    for n, (part, name) in enumerate(pairwise(parts)):
        if part == STAGES and is_of_a_dataset(f"{STAGES}/{name}/config.json"):
            yield "/".join(parts[:n]), f"{STAGES}/{name}"
    if parts[-2:-1] == [BUILDS] and is_of_a_dataset(f"{BUILDS}/{parts[-1]}"):
        yield "/".join(parts[:-2]), f"{BUILDS}/{parts[-1]}"
    if parts[-1] in (MANIFEST, _PAGE, _STYLE):
        yield "/".join(parts[:-1]), parts[-1]


def _kind(marks: Collection[str], read: Callable[[str], bytes]) -> str:
    """Decides by a folder's marks and the contents of those that must carry a digest."""
    records = [mark for mark in marks if mark.startswith(f"{BUILDS}/")]
    if any(mark.startswith(f"{STAGES}/") for mark in marks) or any(_holds(read(r), "chain") for r in records):
        return DATASET
    if MANIFEST in marks and _holds(read(MANIFEST), "shards", "chain"):
        return RELEASE
    if {_PAGE, _STYLE}.issubset(marks) and _GALLERY_MARK in read(_PAGE)[:_GALLERY_HEAD_BYTES]:
        return GALLERY
    return ""


def _holds(data: bytes, *keys: str) -> bool:
    """Whether the data is a sealed object with these keys."""
    try:
        return set(keys) <= unseal(data, "").keys()
    except DataFault:
        return False


def _object(store: Bucket, folder: str, mark: str) -> bytes:
    try:
        return store.find(f"{folder}/{mark}" if folder else mark) or b""
    except ObjectRefused:
        return b""  # it gets its own entry, and its reason when it is read


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
