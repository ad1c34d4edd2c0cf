"""Where ``groundedit gallery`` may write: a new or an empty folder, or a gallery of before; never among other files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.records.errors import ConfigurationError
from tasks.sources.own_folders import GALLERY, kind_of
from tasks.storage.objects.store import Store
from tasks.storage.objects.uris import local_folder


def gallery_folder(store: Store, out: str, to: str) -> Path:
    """The folder for the gallery of the dataset ``out``: ``to``, or a neighbor of it; nothing is left in it.

    Raises:
        ConfigurationError: it is not local, cannot be written to, is part of the dataset, or holds something else.
    """
    folder = local_folder(to) if to else _beside(store, out)
    try:
        fault = "a local folder is wanted" if folder is None else _fault(folder, store.folder)
    except OSError as error:
        fault = f"cannot be written to ({error.strerror or error})"
    if folder is None or fault:
        msg = f"--to={to or str(folder)!r}: {fault}"
        raise ConfigurationError(msg)
    return folder


def _beside(store: Store, out: str) -> Path:
    base = store.folder or Path(out.rstrip("/").rpartition("/")[2] or "dataset").absolute()
    return base.with_name(f"{base.name}-gallery")


def _fault(folder: Path, dataset: Path | None) -> str:
    """What speaks against the folder, or ``""``; an `OSError` does, too."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        return f"{nearest} is a file, a folder is wanted"
    if dataset is not None and folder.resolve().is_relative_to(dataset.resolve()):
        return f"lies in the dataset {dataset}, which holds nothing but itself; a folder outside it is wanted"
    held = {path.name for path in folder.iterdir()} if nearest == folder else set()
    if held and kind_of(folder, held) != GALLERY:
        return "holds something that is no gallery; a new or an empty folder is wanted"
    # Permissions do not tell: a superuser has them all, and a file system may still be read-only.
    with TemporaryDirectory(dir=nearest):
        return ""
