"""Correct texts pass every gate, and one planted error is rejected for its own reason.

`figures` and `rules` must be right without exception. The held-out corpora were measured before anything was mended
by them; what they showed then stands in their first lines. Here all of them guard what has been reached.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from copy import deepcopy
from typing import Any

import pytest
import yaml

from tasks.stages.instruction.words.gate_names import NAMES
from tasks.stages.instruction.words.json_line import check_line
from tests.tasks.stages.instruction.words.corpus import (
    FOLDER,
    Case,
    line_of,
    right_cases,
    samples,
    wrong_cases,
)

EXACT = ("figures", "rules")
FREE = (
    "varied",
    "held_out",
    "held_out_terse",
    "held_out_long",
    "held_out_plain",
    "held_out_last",
    "held_out_two",
    "held_out_three",
    "held_out_four",
    "held_out_five",
    "held_out_six",
    "held_out_seven",
    "held_out_eight",
    "held_out_nine",
    "parts",
    "looks",
    "parts_two",
)
MIRRORED = ("instruction", "rewritten", "scene", "localization", "editing", "result")
MAX_FALSE_SHARE = 0.05
MIN_CAUGHT_SHARE = 0.95


def named(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", [c for corpus in EXACT for c in right_cases(corpus)], ids=named)
def test_right_texts_pass_all_gates(case: Case) -> None:
    verdict = check_line(case.line)
    assert [gate for gate in verdict["gates"] if not gate["passed"]] == []
    assert verdict["refused"] is None
    assert [gate["name"] for gate in verdict["gates"]] == list(NAMES)


@pytest.mark.parametrize("case", [c for corpus in EXACT for c in wrong_cases(corpus)], ids=named)
def test_a_planted_error_is_refused_for_its_own_reason(case: Case) -> None:
    verdict = check_line(case.line)
    assert verdict["refused"] in case.reasons
    assert verdict["detail"]


def test_no_gate_refuses_more_than_one_in_twenty_right_texts() -> None:
    cases = [case for corpus in FREE for case in right_cases(corpus)]
    refused = Counter(
        gate["name"] for case in cases for gate in check_line(case.line)["gates"] if not gate["passed"]
    )
    assert len(cases) >= 90
    assert {name: count for name, count in refused.items() if count > MAX_FALSE_SHARE * len(cases)} == {}


def test_nearly_all_planted_errors_are_refused_for_their_own_reason() -> None:
    cases = [case for corpus in FREE for case in wrong_cases(corpus)]
    missed = [case.name for case in cases if check_line(case.line)["refused"] not in case.reasons]
    assert len(cases) >= 300
    assert len(missed) <= (1 - MIN_CAUGHT_SHARE) * len(cases), missed


@pytest.mark.parametrize("corpus", ["parts", "looks", "parts_two"])
def test_false_words_about_parts_clothes_and_looks_are_refused_by_one_gate_alone(corpus: str) -> None:
    missed = []
    for case in wrong_cases(corpus):
        alone = {name for name in NAMES if check_line(case.line, (name,))["refused"] in case.reasons}
        if not alone:
            missed.append(case.name)
    assert len(missed) <= 1, missed


def test_right_rewritings_contradict_nothing() -> None:
    rewritings = yaml.safe_load((FOLDER / "rewritings.yaml").read_text(encoding="utf-8"))
    by_id = {sample["id"]: sample for corpus in (*EXACT, *FREE) for sample in samples(corpus)}
    refused = []
    for key, texts in rewritings.items():
        for text in texts:
            verdict = check_line(json.dumps(line_of(by_id[key] | {"rewritten": text})))
            if verdict["refused"] is not None:
                refused.append((key, text, verdict["refused"], verdict["detail"]))
    assert refused == []


def test_right_texts_stay_right_when_picture_and_words_are_mirrored() -> None:
    for corpus in (*EXACT, *FREE):
        for sample in samples(corpus):
            text = " ".join(str(sample.get(part, "")) for part in MIRRORED)
            if re.search(r"\b(?:are|is|gap) left\b", text):  # what is left is not on the left
                continue
            assert check_line(json.dumps(line_of(mirrored(sample))))["refused"] is None, sample["id"]


def mirrored(sample: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(sample)
    for thing in changed["objects"]:
        x0, y0, x1, y1 = thing[1]
        thing[1] = [sample["size"][0] - x1, y0, sample["size"][0] - x0, y1]
    for part in MIRRORED:
        if part in changed:
            words = re.sub(r"\b(left|right)(most)?\b(?! (?:next|behind|in front))", other_side, changed[part])
            changed[part] = words
    return changed


def other_side(match: re.Match[str]) -> str:
    return {"left": "right", "right": "left"}[match.group(1)] + (match.group(2) or "")


def test_every_gate_refuses_something_and_decides_something() -> None:
    verdicts = [check_line(case.line) for corpus in (*EXACT, *FREE) for case in wrong_cases(corpus)]
    refusing = {gate["name"] for verdict in verdicts for gate in verdict["gates"] if not gate["passed"]}
    assert refusing == set(NAMES)


def test_verdicts_are_json_and_repeat_themselves() -> None:
    for case in wrong_cases("figures")[:10]:
        assert json.dumps(check_line(case.line)) == json.dumps(check_line(case.line))
