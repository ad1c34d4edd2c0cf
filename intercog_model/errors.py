"""The error of a wrong configuration, which commands tell in one line, and checks that raise it."""


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


def require_one_of(record: object, name: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigurationError unless the named text is one of those allowed."""
    value = getattr(record, name)
    if value not in allowed:
        raise ConfigurationError(f"{name} {value!r} is not one of {allowed}")
