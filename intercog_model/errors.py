"""The error of a wrong configuration, which commands tell in one line, and checks that raise it."""

from pathlib import Path

SEEDS = "[-9223372036854775808, 9223372036854775807]"  # what PyTorch takes


class ConfigurationError(ValueError):
    """A key or option has a value that cannot be worked with; the message names both."""


def require_within(record: object, interval: str, *names: str) -> None:
    """Raise ConfigurationError unless the named numbers lie in an interval such as "[0, 1)"; NaN lies in none."""
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    for name in names:
        value = getattr(record, name)
        above = value >= low if interval[0] == "[" else value > low
        below = value <= high if interval[-1] == "]" else value < high
        if not (above and below):
            raise ConfigurationError(f"{name} {value!r} is outside {interval}")


def require_options(options: object, interval: str, *names: str) -> None:
    """The same of options of a command, which are told as they are written there; None is no number to check."""
    for name in names:
        if getattr(options, name) is not None:
            try:
                require_within(options, interval, name)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')}{str(error).removeprefix(name)}"
                ) from error


def require_one_of(record: object, name: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigurationError unless the named text is one of those allowed."""
    value = getattr(record, name)
    if value not in allowed:
        raise ConfigurationError(f"{name} {value!r} is not one of {allowed}")


def require_writable(out: Path | None) -> None:
    """Raise ConfigurationError where a file of figures, the option --out, would have no place."""
    if out and (out.is_dir() or not out.parent.is_dir()):
        raise ConfigurationError(
            f"--out {out}: {'is a folder' if out.is_dir() else 'its folder is not there'}"
        )
