"""Lists a local folder whatever the names in it are; obstore's listing ends at the first that it cannot represent."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tasks.storage.objects.infos import ObjectInfo

STAGING = re.compile(r"#\d+$")
"""Names of partial files that a killed process leaves; no listing shows them."""


def list_files(root: Path, prefix: str = "") -> Iterator[ObjectInfo]:
    """Everything below ``root/prefix`` that is not a folder, in no particular order; nothing if it does not exist.

    Links to folders are followed unless they lead to a folder they lie in; such a link, a broken one, a pipe and the
    like are listed as they are. What goes away meanwhile is left out.

    Raises:
        OSError: a folder cannot be read.
    """
    start = root / prefix if prefix else root
    if start.is_dir():
        around = [path.stat() for path in start.parents if path.is_relative_to(root)]
        inside = frozenset((info.st_dev, info.st_ino) for info in around)
        yield from _walk(os.fspath(start), f"{prefix}/" if prefix else "", inside)


def top_of(root: Path, prefix: str = "") -> tuple[list[ObjectInfo], list[str]]:
    """Files directly below a folder, and the paths of the folders there, without listing their contents."""
    start = root / prefix if prefix else root
    below = f"{prefix}/" if prefix else ""
    children = _children(os.fspath(start)) if start.is_dir() else []
    folders = [below + child.name for child in children if _is_folder(child)]
    files = (_info(child, below) for child in children if not _is_folder(child))
    return [file for file in files if file is not None], folders


def _walk(folder: str, below: str, around: frozenset[tuple[int, int]]) -> Iterator[ObjectInfo]:
    try:
        info = os.stat(folder)  # noqa: PTH116
        children = _children(folder)
    except FileNotFoundError:
        return
    around |= {(info.st_dev, info.st_ino)}
    for child in children:
        if _is_folder(child) and not _leads_back(child, around):
            yield from _walk(child.path, f"{below}{child.name}/", around)
        elif (found := _info(child, below)) is not None:
            yield found


def _children(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return [c for c in found if STAGING.search(c.name) is None or _is_folder(c)]


def _is_folder(child: os.DirEntry[str]) -> bool:
    try:
        return child.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _leads_back(child: os.DirEntry[str], around: frozenset[tuple[int, int]]) -> bool:
    if not child.is_symlink():
        return False
    info = child.stat()
    return (info.st_dev, info.st_ino) in around


def _info(child: os.DirEntry[str], below: str) -> ObjectInfo | None:
    try:
        info = child.stat()
    except OSError:
        try:
            info = child.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
    modified = datetime.fromtimestamp(info.st_mtime, UTC)
    return ObjectInfo(path=below + child.name, size=info.st_size, modified=modified)
