"""The editing stage keeps clean removals, and tries more holes and fillings before it gives up."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tasks.backends.generative_offer import GenerativeInpainterOffer
from tasks.imaging.pixels import decode_rgb
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditedSample, EditPlan, EditType
from tasks.records.settings_base import Settings
from tasks.roles.questions import Detection, DetectQuestion, InpaintQuestion
from tasks.stages.editing.redetection import WINDOW_FACTORS
from tasks.stages.editing.settings import RemovalSettings
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.editing.drawn_scene import PAINTS, SHAPE, BlobDetector, disc, shaded
from tests.tasks.stages.editing.planted_stage import (
    RED,
    SETTINGS,
    PlantedInpainter,
    listing,
    only_child,
    replace_gates,
    run,
)


def test_a_removed_ball_is_kept_when_the_ground_continues(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=ground))
    assert child.reason is None, child.detail
    assert isinstance(child.record, EditedSample)
    assert child.record.method == "inpaint"


def test_an_object_that_no_detector_saw_before_cannot_be_verified(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    inpainter = PlantedInpainter(picture, ground)
    outcome = run(picture, plan_for(RED, EditType.REMOVE, label="ghost"), inpainter=inpainter)
    assert outcome.reason is Reason.REMOVAL_UNVERIFIABLE
    assert [m.name for m in outcome.measured] == ["found_before_score"]
    assert inpainter.asked == [], "nothing is filled that nobody could verify"


def test_what_is_found_in_the_whole_picture_only_is_looked_for_there_again(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    seen: list[DetectQuestion] = []

    class FromAfar(BlobDetector):
        async def __call__(self, question: DetectQuestion) -> tuple[Detection, ...]:
            seen.append(question)
            whole = question.picture.rgb.shape[:2] == SHAPE
            return await super().__call__(question) if whole else ()

    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=ground, detector=FromAfar()))
    assert child.reason is None, child.measured
    assert len(seen) == 2 * (len(WINDOW_FACTORS) + 1)
    again = ground.copy()
    shaded(again, disc(160, 120, 15), (185, 20, 25))
    settings = replace_gates(max_novel=1.0)
    plan = plan_for(RED, EditType.REMOVE)
    child = only_child(run(picture, plan, fill=again, detector=FromAfar(), settings=settings))
    assert child.reason is Reason.STILL_THERE


def test_of_two_fillings_that_pass_the_cleaner_is_kept(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    stained = ground.copy()
    blob = disc(160, 120, 7)
    stained[blob] = np.clip(ground[blob].astype(int) + 60, 0, 255)

    def kept(*fills: np.ndarray) -> tuple[np.ndarray, int]:
        def fill(question: InpaintQuestion) -> np.ndarray:
            return PlantedInpainter(picture, fills[question.attempt]).answer(question)

        inpainter = GivenAsk("inpainter", fill)
        plan, loose = plan_for(RED, EditType.REMOVE), replace_gates(max_novel=0.08, max_busy=1.0)
        child = only_child(
            run(picture, plan, inpainter=inpainter, inpainter_offer=TwoFillings(), settings=loose)
        )
        assert child.reason is None, child.measured
        (edited,) = [blob.data for blob in child.blobs if blob.name == "edited.png"]
        return decode_rgb(edited), len(inpainter.asked)

    clean, asked = kept(ground, stained)
    assert asked == 1, "a clean one needs no other"
    again, asked = kept(stained, ground)
    assert asked == 2
    assert np.abs(again.astype(int) - clean)[blob].mean() < 3


def test_a_second_hole_is_tried_and_the_better_filling_is_kept(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    bad = ground.copy()
    shaded(bad, disc(160, 125, 10), PAINTS["blue"])
    fills = iter((bad, ground))

    second_time_lucky = GivenAsk(
        "inpainter", lambda question: PlantedInpainter(picture, next(fills)).answer(question)
    )
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), inpainter=second_time_lucky))
    assert child.reason is None, child.detail


class TwoFillings(GenerativeInpainterOffer):
    """An inpainter with two ways of filling a hole."""

    fillings = 2

    def __init__(self) -> None:
        super().__init__(Settings())


def test_the_other_filling_of_a_hole_is_tried_before_another_hole(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    bad = ground.copy()
    shaded(bad, disc(160, 125, 10), PAINTS["blue"])
    asked: list[InpaintQuestion] = []

    def fill(question: InpaintQuestion) -> np.ndarray:
        asked.append(question)
        return PlantedInpainter(picture, (bad, ground)[question.attempt]).answer(question)

    plan = plan_for(RED, EditType.REMOVE)
    inpainter = GivenAsk("inpainter", fill)
    child = only_child(run(picture, plan, inpainter=inpainter, inpainter_offer=TwoFillings()))
    assert child.reason is None, child.detail
    assert [question.attempt for question in asked] == [0, 1]
    assert np.array_equal(asked[0].hole, asked[1].hole)


def test_a_filling_that_cannot_be_made_leaves_the_other_one(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    def fill(question: InpaintQuestion) -> np.ndarray:
        if question.attempt == 0:
            raise SampleError(Reason.REGION_TOO_LARGE)
        return PlantedInpainter(picture, ground).answer(question)

    def never(question: InpaintQuestion) -> np.ndarray:
        raise SampleError(Reason.REGION_TOO_LARGE)

    plan = plan_for(RED, EditType.REMOVE)
    child = only_child(
        run(picture, plan, inpainter=GivenAsk("inpainter", fill), inpainter_offer=TwoFillings())
    )
    assert child.reason is None, child.detail
    outcome = run(picture, plan, inpainter=GivenAsk("inpainter", never), inpainter_offer=TwoFillings())
    assert outcome.reason is Reason.REGION_TOO_LARGE


def test_the_photograph_is_looked_at_once_however_many_fillings_are_tried(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    bad = ground.copy()
    shaded(bad, disc(160, 125, 10), PAINTS["blue"])
    seen: list[DetectQuestion] = []

    class Counting(BlobDetector):
        async def __call__(self, question: DetectQuestion) -> tuple[Detection, ...]:
            seen.append(question)
            return await super().__call__(question)

    run(picture, plan_for(RED, EditType.REMOVE), fill=bad, detector=Counting())
    assert len(seen) == 3 * len(WINDOW_FACTORS)  # the source, and the result of each try


def test_a_profile_lists_its_gates_and_nobody_is_asked_for_the_others(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = cv2.GaussianBlur(ground, (0, 0), 12)
    settings = listing(SETTINGS.removal, "change", "leak")

    class Silent(BlobDetector):
        async def __call__(self, question: DetectQuestion) -> tuple[Detection, ...]:
            raise AssertionError("nobody looks for what is not measured")

    child = only_child(
        run(picture, plan_for(RED, EditType.REMOVE), fill=fill, detector=Silent(), settings=settings)
    )
    assert child.reason is None, "a smear is refused by a gate that is not listed"
    names = [m.name for m in child.record.gates if not m.name.startswith(("accuracy_", "seamless_"))]
    assert names == ["region_share", "change_inside_delta_e", "raw_leak_delta_e"]


def test_a_gate_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"gates\.0"):
        RemovalSettings(gates=("beauty",))
