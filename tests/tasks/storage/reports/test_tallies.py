"""A stage's two lines, from its end or from the ledger: each adds up, with its own reasons."""

from __future__ import annotations

import pytest

from tasks.records.errors import DataFault
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.stage_end import StageEnd
from tasks.storage.reports.ledger import FunnelRow
from tasks.storage.reports.tallies import Tally, tally_of_end, tally_of_row


def end(**totals: object) -> StageEnd:
    key = StageKey(stage="editing", config8="12345678")
    return StageEnd(key=key, plan="p.g0", totals=totals, commits={}, decisions=None, digest="")


EDITING = end(
    inputs_kept=16,
    inputs_rejected=1,
    children_kept=6,
    children_rejected=9,
    children_failed=1,
    reasons={"child:leaked": 4, "child:still_there": 5, "child:timed_out": 1, "input:leaked": 1},
)


def test_a_reason_of_inputs_is_not_counted_with_that_of_outputs() -> None:
    tally = tally_of_end(EDITING)
    assert tally.inputs == Tally(count=17, kept=16, rejected=1, failed=0, reasons=(("leaked", 1),))
    assert tally.outputs.reasons == (("still_there", 5), ("leaked", 4), ("timed_out", 1))
    assert [what for what, _ in tally.sides] == ["inputs", "outputs"]


def test_the_ledgers_rows_and_the_stages_end_make_the_same_lines() -> None:
    row = FunnelRow(
        stage="editing",
        inputs=17,
        kept=16,
        rejected=1,
        failed=0,
        open=0,
        children=16,
        children_kept=6,
        reasons=(("leaked", 5), ("still_there", 5), ("timed_out", 1)),
        children_rejected=9,
        children_failed=1,
        input_reasons=(("leaked", 1),),
        child_reasons=(("still_there", 5), ("leaked", 4), ("timed_out", 1)),
    )
    assert tally_of_row(row) == tally_of_end(EDITING)


@pytest.mark.parametrize(("kind", "plural"), [("input", "inputs"), ("child", "children")])
def test_counts_that_do_not_add_up_to_their_reasons_are_a_fault(kind: str, plural: str) -> None:
    totals = {f"{plural}_kept": 1, f"{plural}_rejected": 2, "reasons": {f"{kind}:leaked": 1}}
    with pytest.raises(DataFault, match=f"editing: 2 {plural} ended, 1 reasons"):
        tally_of_end(end(**totals))
