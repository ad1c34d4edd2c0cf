"""Lists a local folder: one entry per file; anything else becomes an entry with a reason."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.sources.formats import looks_like_picture
from tasks.sources.groundedit_folders import DATASET, PART, kind_of
from tasks.sources.locations import is_too_long, join, location_of
from tasks.sources.places import Place
from tasks.storage.protocol.layout import PARTS


def list_folder(place: Place, skip: Path | None = None) -> list[SourceEntry]:
    """All files below the folder, including hidden files and those without an image suffix (they end as
    ``not_an_image``), in no particular order.

    Links are followed; each folder is visited once, under its own name if it lies below the root. A link to a
    folder that is listed anyway is a ``duplicate``, a broken link ``source_missing``, an unreadable folder
    ``unreadable``; sockets, pipes and devices are ``not_an_image``.

    So is a folder written by GroundEdit (another dataset, a release or a gallery, see `groundedit_folders`): it
    gets a single entry and its files are not listed. If the source itself is the folder of a dataset, each part of that
    dataset is such an entry and other files are listed. A release or gallery given as the source is listed normally.

    Args:
        place: the source.
        skip: a folder to skip (the output), which need not exist.

    Raises:
        ConfigurationError: the source cannot be read, or is the folder to skip.
    """
    walk = _Walk(place, _identity(skip) if skip and skip.is_dir() else None)
    if walk.skip and place.folder and _identity(place.folder) == walk.skip:
        raise place.fault("is the output folder")
    walk.enter((), os.fspath(walk.root))
    while walk.folders or walk.links:
        # Real folders first: otherwise a link that sorts before its target would claim the target's files.
        if walk.folders:
            walk.enter(*walk.folders.pop())
        else:
            walk.enter_link(*walk.links.pop(0))
    return walk.entries


def version_of(info: os.stat_result) -> str:
    """Changes whenever a local file's bytes do (size and modification time)."""
    return f"{info.st_size}-{info.st_mtime_ns}"


def entry_of(
    place: Place,
    path: str,
    *,
    version: str = "",
    length: int = -1,
    problem: Reason | None = None,
    detail: str = "",
) -> SourceEntry:
    """An entry for a whole file or object at ``path`` (made by `locations.join`)."""
    if problem is None and is_too_long(place.name, path):
        problem = Reason.BAD_NAME
    return SourceEntry(
        location=location_of(place.name, path),
        source=place.name,
        path=path,
        member="",
        offset=0,
        length=length,
        version=version,
        problem=problem.value if problem else "",
        license=place.license,
        detail=detail,
    )


def groundedit_entry(place: Place, path: str, kind: str) -> SourceEntry:
    """The entry for a whole folder written by GroundEdit; ``kind`` as in `groundedit_folders`."""
    detail = f"{kind} of GroundEdit, left out as a whole"
    return entry_of(place, path, problem=Reason.NOT_AN_IMAGE, detail=detail)


def problem_of(error: OSError) -> Reason:
    """The reason for an error of the file system."""
    if error.errno == errno.ENAMETOOLONG:
        return Reason.BAD_NAME
    nowhere = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return Reason.SOURCE_MISSING if error.errno in nowhere else Reason.UNREADABLE


def detail_of(path: str, error: OSError) -> str:
    """Explains a broken or circular link; ``""`` for any other error."""
    if error.errno == errno.ELOOP:
        return "a link that leads in a circle"
    missing = problem_of(error) is Reason.SOURCE_MISSING
    return "a link that leads nowhere" if missing and Path(path).is_symlink() else ""


def special_file(mode: int) -> str:
    """What a path is, by its mode, if neither file nor folder."""
    return next((name for is_one, name in _SPECIAL if is_one(mode)), "no regular file")


_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def _identity(folder: Path) -> tuple[int, int]:
    info = folder.stat()
    return info.st_dev, info.st_ino


_Folder = tuple[tuple[str, ...], str]


@dataclass(slots=True)
class _Walk:
    """State of a walk: entries found, folders left to visit, folders visited (device, inode)."""

    place: Place
    skip: tuple[int, int] | None
    entries: list[SourceEntry] = field(default_factory=list)
    folders: list[_Folder] = field(default_factory=list)
    links: list[_Folder] = field(default_factory=list)
    entered: set[tuple[int, int]] = field(default_factory=set)

    @property
    def root(self) -> str:
        return os.fspath(self.place.folder or "")

    def enter(self, parts: tuple[str, ...], path: str) -> None:
        try:
            info = Path(path).stat()
            with os.scandir(path) as found:
                children = sorted(found, key=lambda child: os.fsencode(child.name))
        except OSError as error:
            if not parts:
                raise self.place.fault(f"cannot be read ({error.strerror})") from error
            self._add(parts, problem=problem_of(error))
            return
        self.entered.add((info.st_dev, info.st_ino))
        kind = kind_of(Path(path), {child.name for child in children})
        if kind and parts:
            self._add_own(parts, kind)
            return
        if not children and parts and looks_like_picture(parts[-1]):
            self._add(parts, problem=Reason.NOT_AN_IMAGE, detail="an empty folder")
        for child in children:
            if kind == DATASET and child.name in PARTS:
                self._add_own((*parts, child.name), PART)
            else:
                self._visit(child, (*parts, child.name))

    def enter_link(self, parts: tuple[str, ...], path: str) -> None:
        try:
            info = Path(path).stat()
        except OSError as error:
            self._add(parts, problem=problem_of(error))
            return
        if (info.st_dev, info.st_ino) in self.entered:
            self._add(parts, problem=Reason.DUPLICATE, detail="a link to a folder that is listed anyway")
        else:
            self.enter(parts, path)

    def _visit(self, child: os.DirEntry[str], parts: tuple[str, ...]) -> None:
        try:
            info = child.stat()
        except OSError as error:
            self._add(parts, problem=problem_of(error), detail=detail_of(child.path, error))
            return
        if stat.S_ISDIR(info.st_mode):
            if (info.st_dev, info.st_ino) == self.skip:
                return
            (self.links if child.is_symlink() else self.folders).append((parts, child.path))
        elif stat.S_ISREG(info.st_mode):
            self._add(parts, version=version_of(info), length=info.st_size)
        else:
            self._add(parts, problem=Reason.NOT_AN_IMAGE, detail=special_file(info.st_mode))

    def _add_own(self, parts: tuple[str, ...], kind: str) -> None:
        self.entries.append(groundedit_entry(self.place, join(parts), kind))

    def _add(
        self,
        parts: tuple[str, ...],
        *,
        version: str = "",
        length: int = -1,
        problem: Reason | None = None,
        detail: str = "",
    ) -> None:
        self.entries.append(
            entry_of(self.place, join(parts), version=version, length=length, problem=problem, detail=detail)
        )
