"""Data of version 1 is read in the current shapes."""

from __future__ import annotations

import json

import pytest

from tasks.records import version_1
from tasks.records.canonical import canonical_json
from tasks.records.codec import decode_record, encode_record
from tasks.records.errors import DataFault, Reason
from tests.tasks.records.test_codec import sample


@pytest.mark.parametrize(
    ("threshold", "low", "high", "decides", "note"),
    [
        (">= 0.2", 0.2, None, True, ""),
        ("<= 1e-05", None, 1e-05, True, ""),
        ("= 0", 0.0, 0.0, True, ""),
        ("== 1", 1.0, 1.0, True, ""),
        ("0.005 .. 0.35", 0.005, 0.35, True, ""),
        ("= 1: modest size, and a peer or (not largest, among others)", 1.0, 1.0, True, ""),
        ("informs", None, None, False, ""),
        ("information: free", None, None, False, ""),
        ("information: not for the kind plant", None, None, False, "not for the kind plant"),
        ("1 at 0.4, 5 at 0.02", None, None, False, "1 at 0.4, 5 at 0.02"),
        ("none", None, None, False, ""),
    ],
)
def test_a_bound_as_text_becomes_numbers(threshold, low, high, decides, note):
    assert version_1.bounds_of(threshold) == {"low": low, "high": high, "decides": decides, "note": note}


def test_the_numbers_of_a_detail_are_found_and_the_rest_is_kept():
    detail = "seam_share 0.2 (<= 0.15); asked_colour_share 0.1 (>= 0.5), hard_to_locate 0 (= 1: a, or (b))"
    rest, numbers = version_1.numbers_of(detail)
    assert rest == ""
    assert [(n["name"], n["value"], n["low"], n["high"]) for n in numbers] == [
        ("seam_share", 0.2, None, 0.15),
        ("asked_color_share", 0.1, 0.5, None),
        ("hard_to_locate", 0.0, 1.0, 1.0),
    ]
    assert version_1.numbers_of("starts like a letter") == ("starts like a letter", [])
    assert version_1.numbers_of("12 bytes (at most 3)") == ("12 bytes (at most 3)", [])


def test_counts_of_objects_are_noted_and_refuse_nothing():
    rest, numbers = version_1.numbers_of("low_score 3, group_box 1")
    assert rest == ""
    assert [(n["name"], n["value"], n["decides"]) for n in numbers] == [
        ("low_score", 3.0, False),
        ("group_box", 1.0, False),
    ]


def old_text() -> str:
    """The sample of the codec's test as version 1 spelled it."""

    def older(tree):
        if isinstance(tree, list):
            return [older(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if "decides" in tree:
            return {"name": tree["name"], "value": tree["value"], "passed": True, "threshold": ">= 0.2"}
        names = {"license": "licence"}
        gone = () if "plan_id" in tree else ("prompts",)
        return {names.get(k, k): older(v) for k, v in tree.items() if k not in gone}

    return canonical_json(older(json.loads(encode_record(sample())))).decode()


def test_a_record_of_version_1_equals_the_one_of_today():
    assert "threshold" in old_text()
    assert decode_record(old_text(), version=1) == sample()


def test_a_record_of_an_unknown_version_is_refused():
    with pytest.raises(DataFault, match="schema version 4"):
        decode_record(encode_record(sample()), version=4)


def test_every_old_reason_leads_to_one_of_today_and_is_none_itself():
    codes = {reason.value for reason in Reason}
    assert set(version_1.REASONS.values()) <= codes
    assert codes.isdisjoint(version_1.REASONS)


def test_counts_are_given_under_the_reasons_of_today():
    counts = {"inputs": 2, "reasons": {"child:wrong_colour": 1, "input:crashed": 1}}
    assert version_1.counts_of(counts) == {
        "inputs": 2,
        "reasons": {"child:wrong_color": 1, "input:crashed": 1},
    }
