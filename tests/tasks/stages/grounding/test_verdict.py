"""A threshold on the target judge's probabilities decides in place of its words, if there are any."""

from __future__ import annotations

import pytest

from tasks.records.measuring import measure
from tasks.roles.questions import TargetVerdict
from tasks.stages.grounding.verdict import with_threshold


def verdict(word: bool, together: bool = False, **probabilities: float) -> TargetVerdict:
    measured = tuple(measure(name, value, decides=False) for name, value in probabilities.items())
    return TargetVerdict(precise=word, hard=word, measurements=measured, together=together)


@pytest.mark.parametrize(("least", "kept"), [(None, True), (0.5, True), (0.6, True), (0.61, False)])
def test_one_answer_to_both_conditions(least, kept):
    found = with_threshold(verdict(True, together=True, keep_probability=0.6), least)
    assert (found.precise, found.hard) == (kept, kept)
    assert [m.passed for m in found.measurements] == [kept]
    assert found.measurements[0].decides == (least is not None)


def test_a_low_threshold_keeps_what_the_digit_refuses():
    found = with_threshold(verdict(False, together=True, keep_probability=0.4), 0.3)
    assert found.precise
    assert found.hard


def test_each_of_two_answers_has_to_reach_it():
    found = with_threshold(verdict(True, precise_probability=0.9, hard_probability=0.4), 0.5)
    assert (found.precise, found.hard) == (True, False)
    assert [m.name for m in found.measurements if not m.passed] == ["hard_probability"]


@pytest.mark.parametrize("word", [True, False])
def test_the_words_stand_where_no_probability_is_known(word):
    unknown = verdict(word, together=True, keep_probability_unknown=float(word))
    assert with_threshold(unknown, 0.9) == unknown
    rules = verdict(word, label_confidence=0.2)
    assert with_threshold(rules, 0.9) == rules
