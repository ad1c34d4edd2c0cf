"""The trace of a removed shape: its outline found again, above what the bare box agrees with by chance."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tasks.records.records import Box
from tasks.roles.questions import Segmentation, SegmentQuestion
from tasks.stages.editing.removal_trace import trace_gate
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.instruction.example_scenes import scene, thing

SHAPE = (120, 160)
BOX = Box(x0=40, y0=30, x1=120, y1=90)


def _mask(box: Box) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[box.y0 : box.y1, box.x0 : box.x1] = True
    return mask


PHONE = _mask(Box(x0=46, y0=34, x1=114, y1=86))
"""A thing that nearly fills its box."""


def _trace(found: np.ndarray, score: float = 0.9) -> float:
    def segment(question: SegmentQuestion) -> tuple[Segmentation, ...]:
        assert question.detections[0].box == BOX
        return (Segmentation(mask=found, score=score, method="given", checks=()),)

    (phone,) = scene([thing("cell phone", (BOX.x0 + 7, BOX.y0 + 5, BOX.x1 + 7, BOX.y1 + 5))]).objects
    crop = Box(x0=7, y0=5, x1=7 + SHAPE[1], y1=5 + SHAPE[0])
    ask = GivenAsk("segmenter", segment)
    edited = np.zeros((*SHAPE, 3), np.uint8)
    gate = asyncio.run(trace_gate(ask, edited, crop, (phone,), PHONE, 0.25, "sample"))
    assert gate.passed == (gate.measurement.value <= 0.25)
    return gate.measurement.value


def test_the_old_outline_is_a_trace_as_sure_as_the_segmenter() -> None:
    assert _trace(PHONE) == pytest.approx(0.9)
    assert _trace(PHONE, score=0.2) == pytest.approx(0.2)


def test_the_bare_box_is_none_however_well_the_thing_filled_it() -> None:
    assert _trace(_mask(BOX)) == 0
    assert _trace(np.zeros(SHAPE, bool)) == 0


def test_nearly_the_old_outline_is_still_a_trace() -> None:
    assert _trace(_mask(Box(x0=46, y0=34, x1=114, y1=85))) > 0.25
