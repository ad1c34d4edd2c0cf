"""Downloads of published weights: from the model hub at one commit, or a single file from its address.

Used by the command `groundedit models fetch` alone. A build, and the workers and actors of it, never download weights.
"""

from __future__ import annotations

import hashlib
import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx

from tasks.backends.known_models import KnownModel
from tasks.backends.weights import WEIGHT_SUFFIXES
from tasks.records.errors import ModelUnavailable

CHUNK = 1 << 20

HUB_S = 30.0
"""Longest silence of a hub."""

SINGLE_FILES = (".pt", ".pth", ".txt")
"""Suffixes of weights that are one file; a model in a folder has these beside safetensors only as copies."""


def download(model: KnownModel, path: Path, revision: str = "") -> str:
    """Downloads a model to the place where a profile expects it; what is there already is not downloaded again.

    Args:
        model: with its source.
        path: file or folder.
        revision: branch, tag or commit of the repository; empty: its default branch.

    Returns:
        The revision that was downloaded: a commit of the hub, or the digest that is published for a single file.

    Raises:
        ModelUnavailable: the hub's client is not installed, or the files cannot be had.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if model.repository:
        return _from_hub(model, path, revision)
    _from_address(model, path)
    return f"md5 {model.md5}" if model.md5 else "unstated"


def _from_hub(model: KnownModel, path: Path, revision: str) -> str:
    try:
        from huggingface_hub import HfApi, hf_hub_download  # noqa: PLC0415 - only this command needs it
    except ImportError as error:
        msg = (
            f"{model.repository}: models fetch needs the package huggingface_hub (make setup-torch): {error}"
        )
        raise ModelUnavailable(msg) from error
    # Read now, not when the package was first imported.
    endpoint = os.environ.get("HF_ENDPOINT") or None
    single = path.suffix in SINGLE_FILES
    try:
        info = HfApi(endpoint=endpoint).model_info(model.repository, revision=revision or None, timeout=HUB_S)
        names = _names(model, path, [str(file.rfilename) for file in info.siblings or []], single=single)
        commit = str(info.sha)
        for name in names:
            hf_hub_download(
                model.repository,
                name,
                revision=commit,
                local_dir=path.parent if single else path,
                endpoint=endpoint,
            )
    except ModelUnavailable:
        raise
    except (
        Exception
    ) as error:  # the client's own errors, and those of the HTTP library that it happens to use
        raise ModelUnavailable(_why(model, error)) from error
    return commit


def _names(model: KnownModel, path: Path, there: list[str], *, single: bool) -> list[str]:
    """Files to take from a repository: those at its top that can change an answer, or the one that is the model."""
    if single:
        names = [name for name in there if name == path.name]
    elif model.files:
        names = [name for name in there if any(fnmatch(name, pattern) for pattern in model.files)]
    else:
        suffixes = tuple(suffix for suffix in WEIGHT_SUFFIXES if suffix not in (".pt", ".pth"))
        names = [name for name in there if "/" not in name and name.endswith(suffixes)]
    if not names:
        expected = path.name if single else ", ".join(model.files) or "safetensors and their configuration"
        msg = f"{model.repository}: holds no {expected}"
        raise ModelUnavailable(msg)
    return sorted(names)


def _why(model: KnownModel, error: Exception) -> str:
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    if status in (401, 403) or model.gated:
        how = f"accept the license of {model.repository} on the hub ({model.license}) and set HF_TOKEN"
        return f"{model.repository}: {first}; {how}"
    return f"{model.repository}: {first}; fetch on a machine with a connection and copy the files and the lock files"


def _from_address(model: KnownModel, path: Path) -> None:
    if path.is_file() and (not model.md5 or _md5(path) == model.md5):
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with httpx.stream("GET", model.url, follow_redirects=True, timeout=HUB_S) as response:
            response.raise_for_status()
            with aside.open("wb") as file:
                for part in response.iter_bytes(CHUNK):
                    file.write(part)
        found = _md5(aside)
        if model.md5 and found != model.md5:
            msg = f"{model.url}: the file has MD5 {found}, published is {model.md5}"
            raise ModelUnavailable(msg)
        aside.replace(path)
    except (httpx.HTTPError, OSError) as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        msg = f"{model.url}: {first}; fetch on a machine with a connection and copy the files and the lock files"
        raise ModelUnavailable(msg) from error
    finally:
        aside.unlink(missing_ok=True)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
