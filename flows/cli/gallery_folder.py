"""Where ``groundedit gallery`` may write: a new or empty folder or an earlier gallery, never among other files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.records.errors import ConfigurationError
from tasks.sources.groundedit_folders import GALLERY, kind_of
from tasks.storage.objects.store import Store
from tasks.storage.objects.uris import local_folder


def gallery_folder(store: Store, out: str, to: str) -> Path:
    """The folder for the gallery of the dataset ``out``: ``to``, or one beside it; it is emptied.

    Raises:
        ConfigurationError: it is not local, is not writable, is part of the dataset, or holds other files.
    """
    folder = local_folder(to) if to else _beside(store, out)
    try:
        fault = "expected a local folder" if folder is None else _fault(folder, store.folder)
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
    """Why the folder cannot be used, or ``""``; may also raise `OSError`."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        return f"{nearest} is a file; expected a folder"
    if dataset is not None and folder.resolve().is_relative_to(dataset.resolve()):
        return f"is inside the dataset {dataset}, which holds nothing else; expected a folder outside it"
    held = {path.name for path in folder.iterdir()} if nearest == folder else set()
    if held and kind_of(folder, held) != GALLERY:
        return "holds files that are not a gallery; expected a new or empty folder"
    # Try to write, since permission bits are not conclusive: root passes them all, a file system may be read-only.
    with TemporaryDirectory(dir=nearest):
        return ""
