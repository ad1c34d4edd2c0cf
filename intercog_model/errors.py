"""The error of a wrong configuration, which commands tell in one line before any work."""


class ConfigurationError(ValueError):
    """A key or option has a value that cannot be worked with; the message names both."""
