"""Where results go: standard output, one text at a time."""

from __future__ import annotations

import sys


def tell(text: str) -> None:
    """Prints a result; progress and errors go to standard error instead."""
    sys.stdout.write(f"{text}\n")
