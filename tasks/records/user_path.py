"""Paths as users type them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(text: str) -> Path:
    """The path with ``~`` or ``~user`` at its very start expanded as a shell does; nothing else is.

    ``./~x`` is a file named ``~x``, and so is ``~x`` unless there is such a user. Environment variables stay as typed.
    """
    # Path(text).expanduser() would drop the "./" first, and then take "~x" for a user's home.
    return Path(os.path.expanduser(text))  # noqa: PTH111
