"""Which class of transformers a model folder is for, read from its ``config.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.records.errors import ModelUnavailable


def model_type(folder: Path, known: Mapping[str, Any]) -> str:
    """The folder's ``model_type``.

    Args:
        folder: in the layout of transformers.
        known: types that the backend can run, as keys.

    Raises:
        ModelUnavailable: no configuration, or a type that is not known.
    """
    path = folder / "config.json"
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        found = str(stated["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"{path}: states no model_type ({type(error).__name__}: {error})") from error
    if found not in known:
        raise ModelUnavailable(f"{path}: model_type {found!r} (available: {', '.join(sorted(known))})")
    return found


def transformers_class(name: str, backend: str) -> Any:
    """A class of transformers by name.

    Raises:
        ModelUnavailable: transformers is not installed or is too old.
    """
    try:
        import transformers  # noqa: PLC0415 - heavy, and only these backends need it

        return getattr(transformers, name)
    except (ImportError, AttributeError) as error:
        msg = f"the backend {backend} needs PyTorch and transformers (make setup-torch): {error}"
        raise ModelUnavailable(msg) from error
