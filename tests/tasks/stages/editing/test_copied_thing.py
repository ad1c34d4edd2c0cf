"""Copies in a drawn photograph: a good one passes every gate, and each wrong one is refused by its own gate alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.imaging.geometry import cropped
from tasks.imaging.masks import dilate
from tasks.records.errors import Reason
from tasks.records.records import Box, EditPlan, EditType
from tasks.records.settings_base import Settings
from tasks.roles.offers import Offer, Offered
from tests.tasks.backends.embedded.painting.copies.drawn_floor import (
    HEIGHT,
    WIDTH,
    Drawn,
    draw,
    floor,
    photograph,
)
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.editing.drawn_scene import BlobDetector, make_plan
from tests.tasks.stages.editing.planted_stage import assert_refused_alone, only_child, run

CUP = Drawn("red ball", 200, 250)
VASE = Drawn("blue ball", 480, 250, color="blue")
COPY = replace(CUP, x=330)


class CopyOffer(Offer):
    """Copies of the ball whose label it is given, anywhere in the picture."""

    name = "copies"
    version = 1
    edit_types = frozenset(EditType)

    def __init__(self, label: str) -> None:
        super().__init__(Settings())
        self.label = label

    def offer(self, edit_type, target):
        return Offered()

    def accepts(self, edit_type, target, argument):
        return ""

    def copied(self, edit_type, target, argument):
        return self.label

    def window(self, edit_type, target, argument):
        return Box(x0=0, y0=60, x1=WIDTH, y1=HEIGHT)


def _edit(
    edited, image, scene, edit_type=EditType.ADD, argument="another red ball to the right", label="red ball"
):
    """The stage's child for an editor that answers with ``edited``."""
    mask = CUP.mask()
    plan: EditPlan = make_plan(mask, edit_type, argument)
    plan = replace(plan, target=replace(plan.target, scene=scene))
    crop = Box(x0=0, y0=60, x1=WIDTH, y1=HEIGHT)
    editor = GivenAsk("editor", lambda question: cropped(edited, crop))
    outcome = run(image, plan, editor=editor, editor_offer=CopyOffer(label), detector=BlobDetector())
    return only_child(outcome)


@pytest.fixture
def before():
    """Two balls, each with its shadow, and the scene."""
    return photograph([CUP, VASE])


def _with(image, *things):
    edited = image.copy()
    for item in things:
        draw(edited, item)
    return edited


def _values(child):
    return {m.name: m.value for m in child.record.gates}


def test_a_copy_beside_the_target_passes_and_changes_nothing_else(before):
    image, scene = before
    edited = _with(image, COPY)
    child = _edit(edited, image, scene)
    assert child.reason is None, (child.reason, child.measured)
    assert child.record.method == "copy"
    assert set(_values(child)) >= {
        "copy_found_score",
        "copy_over_things_share",
        "copy_frame_px",
        "copy_shape_iou",
        "copy_scale_ratio",
        "copy_foot_step",
        "copy_contact_loss",
        "copy_gap_share",
        "copy_halo_share",
        "copy_stray_share",
    }


def test_a_replaced_thing_passes(before):
    image, scene = before
    edited = _with(floor(), VASE, replace(VASE, x=200))
    child = _edit(edited, image, scene, EditType.REPLACE, "blue ball", "blue ball")
    assert child.reason is None, (child.reason, child.measured)
    assert _values(child)["old_thing_left_share"] < 0.05
    assert _values(child)["asked_color_share"] > 0.8


def test_a_copy_that_nobody_finds_is_refused(before):
    image, scene = before
    child = _edit(image.copy(), image, scene)
    assert_refused_alone(child, Reason.NOT_FOUND_AGAIN)


def test_a_copy_that_floats_above_the_ground_is_refused(before):
    image, scene = before
    assert_refused_alone(_edit(_with(image, replace(COPY, foot=215)), image, scene), Reason.FLOATING)


def test_a_copy_without_the_shadow_that_its_model_has_is_refused(before):
    image, scene = before
    assert_refused_alone(_edit(_with(image, replace(COPY, shadow=False)), image, scene), Reason.FLOATING)


def test_a_copy_cut_by_the_border_is_refused(before):
    image, scene = before
    left = _with(image, replace(COPY, x=18))
    assert_refused_alone(_edit(left, image, scene), Reason.CUT_OFF)


def test_half_a_copy_is_refused(before):
    image, scene = before
    edited = _with(image, COPY)
    half = COPY.mask()
    half[:, : COPY.x] = False
    half &= np.mgrid[0:HEIGHT, 0:WIDTH][0] < 225
    edited[half] = floor()[half]
    assert_refused_alone(_edit(edited, image, scene), Reason.CUT_OFF)


def test_a_copy_over_another_thing_is_refused():
    near = Drawn("plate", 375, 252, width=70, height=30, color="yellow", shadow=False)
    image, scene = photograph([CUP, VASE, near])
    assert_refused_alone(_edit(_with(image, COPY), image, scene), Reason.ENTANGLED)


@pytest.mark.parametrize("size", [0.65, 1.45])
def test_a_copy_of_another_size_on_the_same_line_is_refused(before, size):
    image, scene = before
    wrong = replace(COPY, width=round(60 * size), height=round(90 * size))
    assert_refused_alone(_edit(_with(image, wrong), image, scene), Reason.WRONG_SCALE)


def test_a_copy_with_a_fringe_of_its_old_ground_is_refused(before):
    image, scene = before
    edited = _with(image, COPY)
    ring = dilate(COPY.mask(), 8) & ~dilate(COPY.mask(), 1)
    ring &= np.mgrid[0:HEIGHT, 0:WIDTH][0] < 235
    edited[ring] = np.clip(edited[ring] + np.array([16, 18, 6]), 0, 255).astype(np.uint8)
    assert_refused_alone(_edit(edited, image, scene), Reason.SEAM_VISIBLE)


def test_a_copy_whose_shadow_took_in_the_dark_of_another_place_is_refused(before):
    image, scene = before
    edited = _with(image, COPY)
    smudge = np.s_[262:300, 240:330]
    edited[smudge] = (edited[smudge] * 0.7).astype(np.uint8)
    assert_refused_alone(_edit(edited, image, scene), Reason.LEAKED)


def test_a_deep_shadow_on_colored_ground_is_no_fringe():
    brown = np.clip(floor().astype(int) + np.array([10, -40, -75]), 0, 255).astype(np.uint8)
    image, scene = photograph([CUP, VASE], brown)
    edited = _with(image, COPY)
    foot = dilate(COPY.mask(), 10) & ~COPY.mask()
    foot &= np.mgrid[0:HEIGHT, 0:WIDTH][0] > 175
    edited[foot] = (edited[foot] * 0.3).astype(np.uint8)
    child = _edit(edited, image, scene)
    (halo,) = [m for m in child.record.gates if m.name == "copy_halo_share"]
    assert halo.passed, halo


def test_a_copy_that_runs_into_the_target_is_refused(before):
    image, scene = before
    assert_refused_alone(_edit(_with(image, replace(CUP, x=263)), image, scene), Reason.REPEATED)


def test_a_replacement_that_leaves_parts_of_the_old_thing_is_refused():
    narrow = replace(VASE, width=36, height=84)
    image, scene = photograph([CUP, narrow])
    edited = _with(floor(), narrow, replace(narrow, x=200))
    rest = CUP.mask() & ~dilate(replace(narrow, x=200).mask(), 1)
    edited[rest] = image[rest]
    child = _edit(edited, image, scene, EditType.REPLACE, "blue ball", "blue ball")
    assert_refused_alone(child, Reason.STILL_THERE)


def test_a_replacement_in_another_color_than_asked_is_refused(before):
    image, scene = before
    edited = _with(floor(), VASE, replace(VASE, x=200))
    child = _edit(edited, image, scene, EditType.REPLACE, "yellow ball", "blue ball")
    assert_refused_alone(child, Reason.WRONG_COLOR)
