"""Gates in plain words, and which of them refused something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks
from tasks.publishing.gate_words import (
    FAULTS,
    GATES,
    bound_words,
    failed_gates,
    gate_words,
    is_said_by,
    object_counts,
)
from tasks.records import Measurement

SEAM = Measurement(name="seam_share", value=0.2, passed=False, threshold="<= 0.15")
FINE = Measurement(name="novel_fill_share", value=0.01, passed=True, threshold="<= 0.06")


def test_a_measured_gate_that_failed_is_named_once_with_value_and_bound():
    (gate,) = failed_gates([FINE, SEAM], "seam_share 0.2 (<= 0.15)")
    assert (gate.name, gate.value, gate.bound) == ("seam_share", 0.2, "at most 0.15")
    assert gate.words == GATES["seam_share"]


def test_what_only_the_detail_names_is_found_there():
    found = failed_gates([FINE], "found_after_score 0.7876 (<= 0.3); new_object_score 0.5 (<= 0.4)")
    assert [(g.name, g.value, g.bound) for g in found] == [
        ("found_after_score", 0.7876, "at most 0.3"),
        ("new_object_score", 0.5, "at most 0.4"),
    ]


def test_a_bound_with_an_explanation_in_brackets_stays_whole():
    bound = "= 1: modest size, and a peer or (not largest, among others)"
    detail = f"salient_share 0.25 (<= 0.2), hard_to_locate 0 ({bound})"
    found = failed_gates([], detail)
    assert [g.name for g in found] == ["salient_share", "hard_to_locate"]
    assert found[1].bound == "exactly 1: modest size, and a peer or (not largest, among others)"
    assert is_said_by(detail, found)


@pytest.mark.parametrize(
    "detail",
    ["no wording fits the cup alone for certain", "starts like a letter", "12 bytes (at most 3)", ""],
)
def test_words_that_name_no_gate_are_left_as_they_are(detail):
    assert failed_gates([], detail) == ()
    assert not is_said_by(detail, ())


def test_a_detail_that_says_more_than_the_gates_is_kept():
    assert not is_said_by("seam_share 0.2 (<= 0.15); and more", failed_gates([SEAM], ""))


def test_counts_of_objects_are_put_into_words():
    assert object_counts("low_score 3, mask_stability 1") == (
        ("detector not sure enough", 3),
        ("mask moves with its threshold", 1),
    )
    assert object_counts("1 entities, 2 needed") == ()
    assert object_counts("") == ()


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (">= 4", "at least 4"),
        ("= 0", "exactly 0"),
        ("== 1", "exactly 1"),
        ("0.005 .. 0.35", "between 0.005 and 0.35"),
        ("informs", "informs"),
        ("1 at 0.4, 5 at 0.02", "1 at 0.4, 5 at 0.02"),
    ],
)
def test_a_bound_is_read_out(threshold, words):
    assert bound_words(threshold) == words


def test_an_unknown_gate_is_said_by_its_name_and_the_judges_points_by_what_they_rest_on():
    assert gate_words("brand_new_gate") == "brand new gate"
    assert gate_words("seamless_seam_share").endswith(GATES["seam_share"])
    assert "colour" not in gate_words("accuracy_asked_colour_share")


def test_no_words_are_kept_for_a_gate_that_is_gone():
    root = Path(tasks.__file__).parent
    sources = [p.read_text() for p in root.rglob("*.py") if p.parent.name != "publishing"]
    named = set(re.findall(r"\w+", " ".join(sources)))
    assert {*GATES, *FAULTS} - named == set()
