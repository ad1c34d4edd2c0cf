"""Gates in plain words, and which of them refused something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks
from tasks.gallery.gate_words import (
    CONDITIONS,
    FAULTS,
    GATES,
    bound_words,
    failed_gates,
    gate_words,
    is_said_by,
    object_counts,
    spare_share,
    weakest_gate,
)
from tasks.records.records import Measurement

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


def test_a_bound_with_an_explanation_in_brackets_is_read_whole_and_put_into_words():
    bound = "= 1: modest size, and a peer or (not largest, among others)"
    detail = f"salient_share 0.25 (<= 0.2), hard_to_locate 0 ({bound})"
    found = failed_gates([], detail)
    assert [g.name for g in found] == ["salient_share", "hard_to_locate"]
    assert found[1].bound.startswith("exactly 1 (yes): it fills little of the picture, and ")
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
        ("= 1: words of its own", "exactly 1: words of its own"),
        ("informs", "none"),
        ("information: free", "nothing against it"),
        ("information: not for the kind plant", "not for the kind plant"),
        ("1 at 0.4, 5 at 0.02", "1 point at 0.4, 5 at 0.02"),
        ("words of its own", "words of its own"),
    ],
)
def test_a_bound_is_read_out(threshold, words):
    assert bound_words(threshold) == words


def test_an_unknown_gate_is_said_by_its_name_and_the_judges_points_by_what_they_rest_on():
    assert gate_words("brand_new_gate") == "brand new gate"
    assert gate_words("seamless_seam_share").endswith(GATES["seam_share"])
    assert "colour" not in gate_words("accuracy_asked_colour_share")


@pytest.mark.parametrize(
    ("name", "value", "threshold", "spare"),
    [
        ("seam_share", 0.15, "<= 0.15", 0.0),
        ("seam_share", 0.0, "<= 0.15", 1.0),
        ("label_confidence", 0.925, ">= 0.85", 0.5),
        ("found_before_score", 1.0, ">= 0.4", 1.0),
        ("edge_contrast", 6.0, ">= 4", 0.5),
        ("seamless_quality", 4.25, ">= 4", 0.25),
        ("area_share", 0.3, "0.0 .. 0.4", 0.5),
        ("hard_to_locate", 1.0, "= 1: words", None),
        ("carries_others", 0.0, "= 0", None),
        ("reply_fits_schema", 1.0, ">= 1", None),
        ("edit_types_allowed", 4.0, ">= 1", None),
        ("marking_mentions", 0.0, "<= 0", None),
        ("size_rank", 2.0, "informs", None),
        ("seamless_seam_share", 4.0, "1 at 0.4, 5 at 0.02", None),
    ],
)
def test_how_close_a_value_is_to_its_bound_is_told_on_one_scale(name, value, threshold, spare):
    assert spare_share(name, value, threshold) == (spare if spare is None else pytest.approx(spare))


def test_the_weakest_gate_is_the_one_with_the_least_room_left_whatever_its_unit():
    measured = [
        ("reply_fits_schema", 1.0, ">= 1"),
        ("seam_share", 0.03, "<= 0.15"),
        ("change_inside_delta_e", 5.5, ">= 5"),
        ("seamless_quality", 4.5, ">= 4"),
    ]
    weakest = weakest_gate(measured)
    assert weakest is not None
    assert (weakest.words, weakest.bound) == (GATES["change_inside_delta_e"], "at least 5")
    assert weakest.spare == pytest.approx(0.1)
    assert weakest_gate(measured[:1]) is None


def test_the_scores_of_a_sample_are_not_taken_for_points_by_a_gate():
    assert gate_words("seamless_quality") == "edit judge's score for blending in, 1 to 5"
    assert gate_words("allows_color") == "edit type color would do (1 yes, 0 no)"


def test_no_condition_is_kept_that_no_gate_states():
    root = Path(tasks.__file__).parent
    sources = " ".join(p.read_text() for p in root.rglob("*.py") if p.parent.name != "publishing")
    assert [text for text in CONDITIONS if text not in sources] == []


def test_no_words_are_kept_for_a_gate_that_is_gone():
    root = Path(tasks.__file__).parent
    sources = [p.read_text() for p in root.rglob("*.py") if p.parent.name != "publishing"]
    named = set(re.findall(r"\w+", " ".join(sources)))
    assert {*GATES, *FAULTS} - named == set()
