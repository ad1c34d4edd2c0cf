"""Fixtures that tests of several rooms share."""

pytest_plugins = (
    "tests.tasks.publishing.drawn_build",
    "tests.tasks.sources.source_pictures",
    "tests.tasks.stages.editing.drawn_pictures",
)
