"""Folders that GroundEdit itself wrote: their pictures were photographs once, and must not become photographs again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tasks.canonical import unseal
from tasks.errors import DataFault
from tasks.storage.auditing import MANIFEST
from tasks.storage.layout import ASIDE, BUILDS, RELEASES, STAGES, is_of_a_dataset

DATASET, RELEASE, GALLERY = "a dataset", "a release", "a gallery"

PARTS_OF_A_DATASET = (ASIDE, BUILDS, RELEASES, STAGES)
"""All that a build puts into its folder."""

_GALLERY_MARK = b'<nav class="chips" aria-label="Accepted samples">'
_GALLERY_HEAD_BYTES = 1 << 12


def kind_of(folder: Path, names: Collection[str]) -> str:
    """``a dataset``, ``a release`` or ``a gallery`` of GroundEdit, or ``""`` for any other folder.

    Names alone prove nothing, so a build's record and a manifest must carry their digest, and a gallery's first page
    what all its pages have. A release without its manifest is not known for one.

    Args:
        folder: that can be read.
        names: what lies in it.
    """
    try:
        if _is_dataset(folder, names):
            return DATASET
        if MANIFEST in names and {"shards", "chain"} <= _sealed(folder / MANIFEST).keys():
            return RELEASE
        if {"index.html", "style.css"}.issubset(names) and _is_gallery(folder / "index.html"):
            return GALLERY
    except OSError:
        pass  # whatever can't be read gets its row when it is its turn
    return ""


def _is_dataset(folder: Path, names: Collection[str]) -> bool:
    if STAGES in names and (folder / STAGES).is_dir():
        stages = [each.name for each in (folder / STAGES).iterdir()]
        if any(is_of_a_dataset(f"{STAGES}/{name}/config.json") for name in stages):
            return True
    if BUILDS in names and (folder / BUILDS).is_dir():
        records = [each for each in (folder / BUILDS).iterdir() if is_of_a_dataset(f"{BUILDS}/{each.name}")]
        return any("chain" in _sealed(record) for record in records)
    return False


def _sealed(path: Path) -> dict[str, object]:
    """A sealed object's content; nothing for any other file."""
    if not path.is_file():
        return {}
    try:
        return unseal(path.read_bytes(), path.name)
    except DataFault:
        return {}


def _is_gallery(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as stream:
        return _GALLERY_MARK in stream.read(_GALLERY_HEAD_BYTES)
