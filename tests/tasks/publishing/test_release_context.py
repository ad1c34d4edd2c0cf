"""What a release says about its build."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tasks.errors import DataFault
from tasks.publishing.funnel import funnel_line
from tasks.publishing.release_context import pixel_libraries, sample_context
from tasks.storage.layout import StageKey
from tasks.storage.stage_end import StageEnd


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


def end(**totals):
    key = StageKey(stage="editing", config8="12345678")
    return StageEnd(key=key, plan="p.g0", totals=totals, commits={}, decisions=None, digest="")


def test_the_funnel_adds_reasons_of_inputs_and_children():
    line = funnel_line(
        end(
            inputs_kept=5,
            inputs_rejected=2,
            inputs_failed=1,
            children_kept=4,
            children_rejected=2,
            reasons={"child:leaked": 2, "input:leaked": 2, "input:crashed": 1},
        )
    )
    assert (line.inputs, line.kept, line.rejected, line.failed) == (8, 5, 2, 1)
    assert (line.children, line.refused) == (4, 2)
    assert line.reasons == (("leaked", 4), ("crashed", 1))


def test_a_funnel_that_does_not_add_up_is_a_fault():
    with pytest.raises(DataFault, match="2 inputs ended, 1 reasons"):
        funnel_line(end(inputs_kept=1, inputs_rejected=2, reasons={"input:leaked": 1}))
