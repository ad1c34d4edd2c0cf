"""What a release states about its build."""

from __future__ import annotations

from tasks.publishing.release_context import sample_context


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
