"""What a release says about its build."""

from __future__ import annotations

from importlib.metadata import version

from tasks.publishing.release_context import pixel_libraries, sample_context


def test_the_libraries_that_shape_pixels_are_named_with_their_versions():
    assert dict(pixel_libraries())["numpy"] == version("numpy")


def test_the_chain_is_in_the_order_of_the_stages():
    digests = dict.fromkeys(("publish", "editing", "ingest", "instruction", "grounding"), "12345678")
    context = sample_context(1, digests, 4.0, 3.0)
    assert [stage for stage, _ in context.stages] == [
        "ingest",
        "grounding",
        "instruction",
        "editing",
        "publish",
    ]
