"""Environments of their own for real servers, made by uv once per list of requirements, in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from tasks.backends.assets import default_cache_folder

REQUIREMENTS = Path(__file__).parents[2] / "deploy/requirements"


def environment(
    name: str,
    *options: str,
    without: Sequence[str] = (),
    also: Sequence[Path] = (),
    finish: Callable[[Path], None] = lambda packages: None,
) -> Path:
    """The interpreter of an environment.

    Args:
        name: of it, and of its file of requirements.
        options: for ``uv pip install``.
        without: packages that are taken out again.
        also: files on which the environment depends.
        finish: called with its folder of packages.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    made_of = hashlib.sha256(b"".join(path.read_bytes() for path in (requirements, *also))).hexdigest()[:12]
    folder = default_cache_folder() / "environments" / f"{name}-{made_of}"
    python = folder / "bin/python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--quiet", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--quiet", "--python", str(python), *options, "-r", str(requirements))
            if without:
                _uv("pip", "uninstall", "--quiet", "--python", str(python), *without)
            finish(next((folder / "lib").glob("python*/site-packages")))
            (folder / "complete").touch()
    return python


def _uv(*words: str) -> None:
    # uv does not read pip's configuration; see the Makefile.
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, *words], env={**os.environ, "UV_FIND_LINKS": links}, check=True)
