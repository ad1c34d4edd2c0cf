"""The estimated chance that an instance was overlooked follows what was seen."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.language.reference_risk import CLEAR, overlooked_chance
from tasks.backends.embedded.language.scene_facts import FactLimits, gather_facts
from tests.tasks.stages.instruction.example_scenes import scene, target, thing

LIMITS = FactLimits(weak=0.2, named=0.55, color_share=0.7)


def _chance(*scores, weak=()):
    things = [thing("person", (40 + 200 * n, 200, 120 + 200 * n, 500), score=s) for n, s in enumerate(scores)]
    return overlooked_chance(gather_facts(target(scene(things, weak), 0), LIMITS))


def test_fewer_are_overlooked_where_all_that_are_seen_are_seen_clearly():
    assert _chance(0.95, 0.95) == pytest.approx(CLEAR * _chance(0.95, 0.8))


def test_many_make_overlooked_ones_likely_but_where_all_are_seen_clearly():
    assert _chance(0.95, 0.95, 0.95, 0.8) > _chance(0.95, 0.8)
    assert _chance(*[0.95] * 4) == _chance(0.95, 0.95)


def test_a_weak_detection_makes_no_scene_clear():
    weak = (("person", (850, 200, 930, 500), 0.3),)
    assert _chance(0.95, 0.95, weak=weak) > _chance(0.95, 0.85)


def test_a_lone_one_may_hide_another_however_clearly_it_is_seen():
    assert _chance(0.99) == _chance(0.8)
