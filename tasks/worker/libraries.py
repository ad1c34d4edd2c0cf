"""Versions of libraries that affect pixels, masks and files in this process; stored in each commit."""

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
    """Versions of Python and of the installed `LIBRARIES`, by name."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
