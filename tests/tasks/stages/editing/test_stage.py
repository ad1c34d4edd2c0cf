"""The editing stage keeps good recolorings and effects, and each gate alone rejects a sample planted for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tasks.backends.generative_offer import GenerativeInpainterOffer
from tasks.backends.torch.lama.offer import LamaOffer
from tasks.imaging.geometry import from_rle
from tasks.imaging.pixels import decode_rgb
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import bound_words
from tasks.records.outcomes import StageInput
from tasks.records.records import Box, EditedSample, EditPlan, EditType
from tasks.records.settings_base import Settings
from tasks.stages.editing.settings import EditingSettings
from tasks.stages.editing.stage import edit
from tests.tasks.stages.answering import answered
from tests.tasks.stages.editing.drawn_scene import disc
from tests.tasks.stages.editing.planted_stage import (
    OFFERS,
    RED,
    SETTINGS,
    OnePicture,
    PlantedEditor,
    PlantedInpainter,
    assert_refused_alone,
    only_child,
    replace_gates,
    run,
)


def test_a_recolored_ball_is_kept_and_exact_outside(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    child = only_child(run(picture, plan_for(RED, EditType.COLOR, "green")))
    assert child.reason is None, child.detail
    edited = decode_rgb({b.name: b.data for b in child.blobs}["edited.png"])
    record = child.record
    assert isinstance(record, EditedSample)
    allowed = from_rle(record.allowed)
    assert np.array_equal(edited[~allowed], picture[~allowed])
    assert record.accuracy >= 4
    assert record.seamlessness >= 4
    patch = decode_rgb({b.name: b.data for b in child.blobs}["patch.png"])
    assert patch.shape[:2] == (record.crop.height, record.crop.width)


def test_a_faint_edit_is_refused_as_not_changed(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    editor = PlantedEditor(lambda image, mask: np.where(mask[..., None], image // 2 * 2, image))
    child = only_child(run(picture, plan_for(RED, EditType.APPEARANCE, "sepia"), editor=editor))
    assert_refused_alone(child, Reason.NOT_CHANGED)


def test_an_editor_that_changes_the_environment_is_refused_as_leaking(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    def leaking(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        out = image + np.uint8(14)
        out[mask] = (40, 150, 60)
        return out

    child = only_child(run(picture, plan_for(RED, EditType.COLOR, "green"), editor=PlantedEditor(leaking)))
    assert_refused_alone(child, Reason.LEAKED)


def test_a_mask_that_cuts_through_a_surface_is_refused_for_its_seam(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    half = RED.copy()
    half[:, 160:] = False
    child = only_child(run(picture, plan_for(half, EditType.COLOR, "green")))
    assert_refused_alone(child, Reason.SEAM_VISIBLE)


def test_another_color_than_the_asked_one_is_refused(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    editor = PlantedEditor(lambda image, mask: np.where(mask[..., None], np.uint8([150, 60, 190]), image))
    child = only_child(run(picture, plan_for(RED, EditType.COLOR, "green"), editor=editor))
    assert_refused_alone(child, Reason.WRONG_COLOR)


def test_a_target_that_fills_the_picture_ends_early(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    outcome = run(picture, plan_for(disc(160, 120, 110), EditType.COLOR, "green"))
    assert outcome.reason is Reason.REGION_TOO_LARGE
    assert not outcome.children


def test_paint_beyond_the_outline_has_a_bound_of_its_own(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    cut = RED.copy()
    cut[:, 174:] = False
    settings = replace_gates(max_seam_share=0.5)
    child = only_child(run(picture, plan_for(cut, EditType.COLOR, "green"), settings=settings))
    assert child.reason is Reason.SEAM_VISIBLE
    other = only_child(run(picture, plan_for(cut, EditType.APPEARANCE, "pixelated"), settings=settings))
    assert other.reason is not Reason.SEAM_VISIBLE


@pytest.mark.parametrize(
    ("bound", "reason"),
    [("min_accuracy", Reason.LOW_ACCURACY), ("min_seamlessness", Reason.LOW_SEAMLESSNESS)],
)
def test_a_low_score_refuses_what_all_gates_let_pass(
    picture: np.ndarray, plan_for: Callable[..., EditPlan], bound: str, reason: Reason
) -> None:
    def half_done(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Two thirds of the ball green, the rest dark red: enough for the gate, too little for the judge."""
        out = image.copy()
        rows = np.flatnonzero(mask.any(axis=1))
        upper = mask.copy()
        upper[rows[0] + round(0.62 * len(rows)) :] = False
        out[upper] = (40, 150, 60)
        out[mask & ~upper] = (120, 20, 25)
        return out

    plan = plan_for(RED, EditType.COLOR, "green")
    if reason is Reason.LOW_ACCURACY:
        child = only_child(run(picture, plan, editor=PlantedEditor(half_done)))
    else:
        cut = RED.copy()
        cut[:, 174:] = False
        loose = replace_gates(max_seam_share=0.5, max_color_seam_share=0.5)
        child = only_child(run(picture, plan_for(cut, EditType.COLOR, "green"), settings=loose))
    del bound
    assert child.reason is reason, (
        child.reason,
        child.detail,
        child.record.accuracy,
        child.record.seamlessness,
    )
    assert all(m.passed for m in child.record.gates)


def test_trouble_with_one_sample_becomes_its_outcome(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    def failing(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        raise SampleError(Reason.BACKEND_ERROR, "no answer")

    outcome = run(picture, plan_for(RED, EditType.COLOR, "green"), editor=PlantedEditor(failing))
    assert (outcome.reason, outcome.detail) == (Reason.BACKEND_ERROR, "no answer")


def _tries(count: int) -> EditingSettings:
    return SETTINGS.model_copy(update={"tries": count})


def _second_time_lucky(*colors: tuple[int, int, int]) -> PlantedEditor:
    left = list(colors)
    return PlantedEditor(lambda image, mask: np.where(mask[..., None], np.uint8(left.pop(0)), image))


def test_a_refused_edit_is_tried_with_another_seed_and_the_tries_are_counted(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    editor = _second_time_lucky((150, 60, 190), (40, 150, 60), (0, 0, 0))
    plan = plan_for(RED, EditType.COLOR, "green")
    child = only_child(run(picture, plan, editor=editor, settings=_tries(3)))
    assert child.reason is None
    assert [question.attempt for question in editor.asked] == [0, 1]
    assert editor.asked[0].seed != editor.asked[1].seed
    tries = child.record.gates[-1]
    assert (tries.name, tries.value, tries.decides, tries.note) == ("tries", 2, False, "wrong_color")


def test_a_sample_that_no_try_saves_says_how_often_it_was_tried(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    editor = _second_time_lucky((150, 60, 190), (205, 30, 35))
    plan = plan_for(RED, EditType.COLOR, "green")
    child = only_child(run(picture, plan, editor=editor, settings=_tries(2)))
    assert child.reason is Reason.NOT_CHANGED
    tries = child.record.gates[-1]
    assert (tries.value, tries.note) == (2, "wrong_color, not_changed")


def test_a_removal_by_a_network_that_draws_nothing_is_tried_once(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    removal = SETTINGS.removal.model_copy(update={"second_dilation": 0.0})
    settings = _tries(3).model_copy(update={"removal": removal})
    asked = {}
    for offer in (LamaOffer(Settings()), GenerativeInpainterOffer(Settings())):
        inpainter = PlantedInpainter(picture, np.full_like(ground, 128))
        child = only_child(
            run(
                picture,
                plan_for(RED, EditType.REMOVE),
                inpainter=inpainter,
                settings=settings,
                inpainter_offer=offer,
            )
        )
        assert child.reason is not None
        asked[type(offer)] = len(inpainter.asked)
        assert child.record.gates[-1].value == len(inpainter.asked)
    assert asked == {LamaOffer: 1, GenerativeInpainterOffer: 3}


def test_the_same_plan_gives_the_same_bytes(picture: np.ndarray, plan_for: Callable[..., EditPlan]) -> None:
    plan = plan_for(RED, EditType.COLOR, "yellow")
    first, second = (only_child(run(picture, plan)) for _ in range(2))
    assert first == second


def test_another_record_than_a_plan_is_a_crash_of_that_sample(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    plan = plan_for(RED, EditType.COLOR, "green")
    item = StageInput(id="x", record=plan.target, blobs={})
    stage = partial(edit, ask=None, offers=OFFERS, settings=SETTINGS, seed=0)
    (outcome,) = answered(stage, [item], OnePicture(picture))
    assert (outcome.reason, outcome.detail) == (Reason.CRASHED, "TypeError")


def test_every_gate_of_a_kept_sample_says_its_bound(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    child = only_child(run(picture, plan_for(RED, EditType.COLOR, "green")))
    assert isinstance(child.record, EditedSample)
    assert all(bound_words(*m.bounds) or m.note for m in child.record.gates)
    assert replace(child.record) == child.record
    assert isinstance(child.record.crop, Box)
