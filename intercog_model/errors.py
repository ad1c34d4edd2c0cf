"""The error of a wrong configuration, which commands tell in one line."""

from pathlib import Path


class ConfigurationError(ValueError):
    """A key or option has a value that cannot be worked with; the message names both."""


def require_writable(out: Path | None) -> None:
    """Raise ConfigurationError where a file of figures, the option --out, would have no place."""
    if out and (out.is_dir() or not out.parent.is_dir()):
        raise ConfigurationError(
            f"--out {out}: {'is a folder' if out.is_dir() else 'its folder is not there'}"
        )
