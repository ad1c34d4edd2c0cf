"""The table printed at the end of a build and by `groundedit status` adds up."""

from __future__ import annotations

import re

from flows.cli.funnel_table import funnel_table, reason_lines
from tasks.records.errors import Reason
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.stage_end import StageEnd
from tasks.storage.reports.tallies import FUNNEL_EXPLAINED, tally_of_end


def end(stage: str, **totals: object) -> StageEnd:
    key = StageKey(stage=stage, config8="12345678")
    return StageEnd(key=key, plan="p.g0", totals=totals, commits={}, decisions=None, digest="")


INGEST = end(
    "ingest",
    inputs_kept=18,
    inputs_rejected=1,
    children_kept=17,
    children_rejected=1,
    reasons={"child:duplicate": 1, "input:empty_file": 1},
)
EDITING = end(
    "editing",
    inputs_kept=16,
    inputs_rejected=1,
    children_kept=6,
    children_rejected=9,
    children_failed=1,
    reasons={"child:leaked": 4, "child:still_there": 5, "child:timed_out": 1, "input:region_too_large": 1},
)


def lines(text: str) -> list[list[str]]:
    """Words of each line between the header and the explanation, parted where two spaces are."""
    header, *rows, explained = text.splitlines()
    assert explained == FUNNEL_EXPLAINED
    assert header.split() == ["stage", "what", "count", "kept", "rejected", "failed", "seconds", "because"]
    return [re.split(r"  +", row.strip()) for row in rows]


def test_every_line_adds_up_and_its_reasons_are_its_own() -> None:
    table = funnel_table([tally_of_end(INGEST), tally_of_end(EDITING)], {"seconds": ["1.5", "before"]})
    assert lines(table) == [
        ["ingest", "inputs", "19", "18", "1", "0", "1.5", "empty_file 1"],
        ["outputs", "18", "17", "1", "0", "duplicate 1"],
        ["editing", "inputs", "17", "16", "1", "0", "before", "region_too_large 1"],
        ["outputs", "16", "6", "9", "1", "still_there 5, leaked 4, timed_out 1"],
    ]


def test_all_reasons_there_are_fit_a_terminal_of_120_columns() -> None:
    reasons = {f"child:{reason.value}": 1234 for reason in Reason}
    crowded = end("instruction", children_rejected=1234 * len(Reason), reasons=reasons)
    more = {"left": ["123456"], "units": ["1234/12345"], "inputs/s": ["1234.56"]}
    text = funnel_table([tally_of_end(crowded)], more)
    assert max(len(line) for line in text.splitlines()) <= 120
    for reason in Reason:
        assert f"{reason.value} 1234" in text


def test_a_table_without_reasons_is_no_wider_than_its_counts() -> None:
    quiet = end("publish", inputs_kept=2, children_kept=2, reasons={})
    header, *rows, _ = funnel_table([tally_of_end(quiet)], {"seconds": ["0.1"]}).splitlines()
    assert max(len(row) for row in rows) < len(header) < 70


def test_reasons_are_wrapped_between_them_never_before_their_count() -> None:
    reasons = (("no_target", 3), ("easy_target", 2), ("mask_not_precise", 1))
    assert reason_lines(reasons, 22) == ["no_target 3,", "easy_target 2,", "mask_not_precise 1"]
    assert reason_lines(reasons, 80) == ["no_target 3, easy_target 2, mask_not_precise 1"]
    assert reason_lines((), 80) == [""]
