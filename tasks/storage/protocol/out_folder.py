"""Where a build may write: a new or empty place, or a dataset; never among other files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tasks.records.errors import ConfigurationError
from tasks.storage.objects.bucket import Bucket
from tasks.storage.objects.infos import ObjectInfo
from tasks.storage.objects.local_listing import top_of
from tasks.storage.objects.uris import DATASET_URIS, BadLocation, local_folder, parse_location, shown
from tasks.storage.protocol.layout import BUILDS, LOGS, PROBE, STAGES, is_of_a_dataset

HARMLESS = frozenset(
    (
        ".DS_Store",
        ".directory",
        ".gitignore",
        ".gitkeep",
        ".snapshot",
        "Thumbs.db",
        "desktop.ini",
        "lost+found",
    )
)
"""Names that systems and people put into folders that they call empty."""

_NAMED = 3
"""Foreign names that a message tells."""

_TRIED = re.compile(rf"{PROBE}/[0-9a-f]{{32}}")

Top = Callable[[str], tuple[Sequence[ObjectInfo], Sequence[str]]]


def check_out(uri: str) -> None:
    """Checks, before anything is made there, that a dataset may be written at ``uri``.

    Raises:
        ConfigurationError: it is no place for one, cannot be looked at, holds other files, or lies inside another
            dataset.
        StorageFault: the object store cannot be reached.
    """
    try:
        folder = _folder_of(uri)
        foreign = _foreign(partial(Bucket(uri).top, pages=1) if folder is None else partial(top_of, folder))
        around = None if folder is None else _dataset_around(folder)
    except BadLocation as error:
        raise ConfigurationError(f"out={shown(uri)!r}: {error}; expected {DATASET_URIS}") from error
    except OSError as error:
        raise ConfigurationError(f"out={uri!r}: cannot be looked at ({error.strerror or error})") from error
    if foreign:
        more = len(foreign) - _NAMED
        names = ", ".join(map(repr, foreign[:_NAMED])) + (f" and {more} more" if more > 0 else "")
        msg = f"out={uri!r}: holds other files ({names}); expected a new or empty place, or a dataset of GroundEdit"
        raise ConfigurationError(msg)
    if around is not None:
        msg = f"out={uri!r}: is inside the dataset {str(around)!r}, which holds nothing else"
        raise ConfigurationError(msg)


def _folder_of(uri: str) -> Path | None:
    """The local folder, None for a prefix in an object store; raises `BadLocation` for anything else."""
    if parse_location(uri).kind == "web":
        raise BadLocation("a web address")
    folder = local_folder(uri)
    for path in (folder, *folder.parents) if folder is not None else ():
        if path.is_symlink() and not path.exists():
            raise BadLocation(f"{path} is a link that leads nowhere")
    return folder


def _foreign(top: Top) -> list[str]:
    """Names there that no build has written, sorted; none in a dataset, where `verify` tells them."""
    objects, folders = top("")
    names = {item.path for item in objects if item.path} | {f"{name}/" for name in folders}
    names = {name for name in names if name.rstrip("/") not in HARMLESS}
    if _is_dataset(top, folders):
        return []
    # A build that was stopped at its very beginning has left no more than these.
    begun = (PROBE, LOGS, STAGES, BUILDS)
    return sorted(n for n in names if n.rstrip("/") not in begun or not _only_begun(top, n.rstrip("/")))


def _is_dataset(top: Top, folders: Sequence[str]) -> bool:
    for part in (STAGES, BUILDS):
        if part in folders:
            objects, below = top(part)
            if any(
                is_of_a_dataset(path) for path in (*(o.path for o in objects), *(f"{f}/x" for f in below))
            ):
                return True
    return False


def _only_begun(top: Top, part: str) -> bool:
    objects, folders = top(part)
    if part == LOGS:
        return not folders and all(item.path.endswith(".log") for item in objects)
    return not folders and all(part == PROBE and _TRIED.fullmatch(item.path) for item in objects)


def _dataset_around(folder: Path) -> Path | None:
    for parent in folder.parents:
        top = partial(top_of, parent)
        if _is_dataset(top, [part for part in (STAGES, BUILDS) if (parent / part).is_dir()]):
            return parent
    return None
