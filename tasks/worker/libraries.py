"""Versions of what shapes pixels, masks and files in this process, for each commit and so for provenance."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "ai-edge-litert",
    "numpy",
    "obstore",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "pyarrow",
    "pycocotools",
    "pypatchmatch",
    "simplejpeg",
)


def library_versions() -> dict[str, str]:
    """Python's version and those of the installed `LIBRARIES`, by name."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
