"""Gates in plain words, and which of them failed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks
from tasks.gallery.gate_words import (
    CONDITIONS,
    FAULTS,
    GATES,
    failed_gates,
    gate_bound,
    gate_words,
    object_counts,
    spare_share,
    weakest_gate,
)
from tasks.records.measuring import measure
from tasks.records.records import Measurement
from tasks.stages.instruction.words.gates import GATES as WORD_GATES

VERSION_1 = {
    "reply_fits_schema",
    "edit_type_faults",
    "parts_disagreements",
    "marking_mentions",
    "rewriting_fact_changes",
    "reference_mismatches",
}
"""Gates of datasets of version 1, which the gallery still shows."""

SEAM = Measurement(name="seam_share", value=0.2, high=0.15)
FINE = Measurement(name="novel_fill_share", value=0.01, high=0.06)


def test_a_measured_gate_that_failed_is_named_once_with_value_and_bound():
    (gate,) = failed_gates([FINE, SEAM, SEAM])
    assert (gate.name, gate.value, gate.bound) == ("seam_share", 0.2, "at most 0.15")
    assert gate.words == GATES["seam_share"]


def test_a_yes_or_no_gate_says_what_it_asks_for():
    (gate,) = failed_gates([Measurement(name="hard_to_locate", value=0.0, low=1.0, high=1.0)])
    assert gate.bound.startswith("exactly 1 (yes): it fills little of the picture, and ")


def test_counts_of_objects_are_put_into_words():
    counts = [measure("low_score", 3, decides=False), measure("mask_stability", 1, decides=False)]
    assert object_counts(counts) == (("detector not sure enough", 3), ("mask moves with its threshold", 1))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (4, None, "at least 4"),
        (None, 0.06, "at most 0.06"),
        (0, 0, "exactly 0"),
        (0.005, 0.35, "between 0.005 and 0.35"),
        (None, None, ""),
    ],
)
def test_a_bound_is_read_out(low, high, words):
    assert gate_bound(Measurement(name="x", value=1.0, low=low, high=high)) == words


def test_a_number_that_decides_nothing_has_no_bound():
    assert gate_bound(Measurement(name="size_rank", value=2.0, high=1.0, decides=False)) == "none"


def test_an_unknown_gate_is_said_by_its_name_and_the_judges_points_by_what_they_rest_on():
    assert gate_words("brand_new_gate") == "brand new gate"
    assert gate_words("seamless_seam_share").endswith(GATES["seam_share"])
    assert gate_words("accuracy_asked_color_share").endswith(GATES["asked_color_share"])


@pytest.mark.parametrize(
    ("name", "value", "low", "high", "spare"),
    [
        ("seam_share", 0.15, None, 0.15, 0.0),
        ("seam_share", 0.0, None, 0.15, 1.0),
        ("label_confidence", 0.925, 0.85, None, 0.5),
        ("found_before_score", 1.0, 0.4, None, 1.0),
        ("edge_contrast", 6.0, 4, None, 0.5),
        ("seamless_quality", 4.25, 4, None, 0.25),
        ("area_share", 0.3, 0.0, 0.4, 0.5),
        ("hard_to_locate", 1.0, 1, 1, None),
        ("reply_fits_schema", 1.0, 1, None, None),
        ("edit_types_allowed", 4.0, 1, None, None),
        ("marking_mentions", 0.0, None, 0, None),
        ("size_rank", 2.0, None, None, None),
    ],
)
def test_closeness_to_a_bound_is_reported_on_one_scale(name, value, low, high, spare):
    found = spare_share(Measurement(name=name, value=value, low=low, high=high))
    assert found == (spare if spare is None else pytest.approx(spare))


def test_a_number_that_decides_nothing_is_never_close_to_its_bound():
    assert spare_share(Measurement(name="seam_share", value=0.1, high=0.15, decides=False)) is None


def test_the_weakest_gate_is_the_one_with_the_least_room_left_whatever_its_unit():
    measured = [
        Measurement(name="reply_fits_schema", value=1.0, low=1),
        Measurement(name="seam_share", value=0.03, high=0.15),
        Measurement(name="change_inside_delta_e", value=5.5, low=5),
        Measurement(name="seamless_quality", value=4.5, low=4),
    ]
    weakest = weakest_gate(measured)
    assert weakest is not None
    assert (weakest.words, weakest.bound) == (GATES["change_inside_delta_e"], "at least 5")
    assert weakest.spare == pytest.approx(0.1)
    assert weakest_gate(measured[:1]) is None


def test_the_scores_of_a_sample_are_not_taken_for_points_by_a_gate():
    assert gate_words("seamless_quality") == "edit judge's score for blending in, 1 to 5"
    assert gate_words("allows_color") == "edit type color would do (1 yes, 0 no)"


def test_no_condition_is_kept_for_a_gate_that_is_gone():
    assert set(CONDITIONS) <= set(GATES)


def test_no_words_are_kept_for_a_gate_that_is_gone():
    root = Path(tasks.__file__).parent
    sources = [p.read_text() for p in root.rglob("*.py") if p.parent.name not in ("gallery", "publishing")]
    named = set(re.findall(r"\w+", " ".join(sources)))
    of_words = {f"words_{name}" for name in WORD_GATES}
    assert {name for name in GATES if name.startswith("words_")} == of_words
    assert {*GATES, *FAULTS} - named - of_words - VERSION_1 == set()
