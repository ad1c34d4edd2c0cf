"""What holds for all tests: shared fixtures, and Ctrl-C works here and in every process that a test starts."""

from __future__ import annotations

import signal

pytest_plugins = (
    "tests.tasks.publishing.drawn_build",
    "tests.tasks.sources.source_pictures",
    "tests.tasks.stages.editing.drawn_pictures",
)


def pytest_configure() -> None:
    """Take SIGINT back where whoever started the tests in the background had it ignored.

    An ignored signal stays ignored in children, and a child could neither be interrupted nor, like Prefect's worker,
    interrupt itself; a handler becomes the default of each child.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
