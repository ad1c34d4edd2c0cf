"""List a local folder: every file becomes an entry, and whatever can't be one a row with its reason."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from tasks.records.errors import Reason
from tasks.records.outcomes import SourceEntry
from tasks.sources.formats import looks_like_picture
from tasks.sources.locations import is_too_long, join, location_of
from tasks.sources.own_folders import DATASET, PART, PARTS_OF_A_DATASET, kind_of
from tasks.sources.places import Place


def list_folder(place: Place, skip: Path | None = None) -> list[SourceEntry]:
    """All files below the folder, hidden ones and files without a picture's name too (they end as
    ``not_an_image``), in no particular order.

    Links are followed; each folder is entered once, under its own name if it lies below the root. A link to a
    folder that is listed anyway is a ``duplicate``, a link that leads nowhere ``source_missing``, a folder that
    can't be read ``unreadable``; sockets, pipes and devices are ``not_an_image``.

    So is a folder that GroundEdit wrote (another dataset, a release or a gallery, see `own_folders`): one row stands
    for it and nothing in it is taken. Where the source itself is the folder of another dataset, each part of that
    dataset is such a row and the files beside them are listed; a release or gallery given as the source is meant.

    Args:
        place: the source.
        skip: a folder that is passed over (the output), whether it exists or not.

    Raises:
        ConfigurationError: the source can't be read, or is the very folder to skip.
    """
    walk = _Walk(place, _identity(skip) if skip and skip.is_dir() else None)
    if walk.skip and place.folder and _identity(place.folder) == walk.skip:
        raise place.fault("is the folder of the output")
    walk.enter((), os.fspath(walk.root))
    while walk.folders or walk.links:
        # Real folders first: a link that sorts before its goal must not take the files over.
        if walk.folders:
            walk.enter(*walk.folders.pop())
        else:
            walk.enter_link(*walk.links.pop(0))
    return walk.entries


def version_of(info: os.stat_result) -> str:
    """What changes when a local file's bytes do."""
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


def own_entry(place: Place, path: str, kind: str) -> SourceEntry:
    """The entry that stands for a whole folder of GroundEdit's; ``kind`` by `own_folders`."""
    detail = f"{kind} of GroundEdit, left out as a whole"
    return entry_of(place, path, problem=Reason.NOT_AN_IMAGE, detail=detail)


def problem_of(error: OSError) -> Reason:
    """The reason for a file system's refusal."""
    if error.errno == errno.ENAMETOOLONG:
        return Reason.BAD_NAME
    nowhere = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return Reason.SOURCE_MISSING if error.errno in nowhere else Reason.UNREADABLE


def detail_of(path: str, error: OSError) -> str:
    """What a refused path is: a link that leads nowhere or in a circle; ``""`` for all else."""
    if error.errno == errno.ELOOP:
        return "a link that leads in a circle"
    missing = problem_of(error) is Reason.SOURCE_MISSING
    return "a link that leads nowhere" if missing and Path(path).is_symlink() else ""


def special_file(mode: int) -> str:
    """What it is that is neither file nor folder, by its mode."""
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
    """A walk under way: what was found, which folders are left, which were entered (device, inode)."""

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
                raise self.place.fault(f"can't be read ({error.strerror})") from error
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
            if kind == DATASET and child.name in PARTS_OF_A_DATASET:
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
        self.entries.append(own_entry(self.place, join(parts), kind))

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
