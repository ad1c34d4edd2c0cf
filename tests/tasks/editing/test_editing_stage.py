"""The editing stage keeps good edits, and each gate alone refuses a sample planted for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from tasks.backends.embedded.edit_judge import RuleEditJudge
from tasks.backends.embedded.editor import ClassicalEditor
from tasks.editing.editing_stage import EditingStage
from tasks.editing.settings import EditingSettings
from tasks.errors import Reason, SampleError
from tasks.geometry import from_rle
from tasks.outcomes import BlobRef, Child, Outcome, StageInput
from tasks.pixels import decode_rgb
from tasks.records import Box, EditedSample, EditPlan, EditType, ModelIdentity
from tasks.roles.protocols import EditRequest, InpaintRequest
from tests.tasks.editing.drawn_scene import PAINTS, SHAPE, BlobDetector, OutlineSegmenter, disc, shaded

RED, BLUE = disc(160, 120, 26), disc(225, 125, 18)
ROLE = {"backend": "planted"}
SETTINGS = EditingSettings(editor=ROLE, inpainter=ROLE, judge=ROLE, detector=ROLE, segmenter=ROLE)


@dataclass
class PlantedEditor:
    """Answers with what a test plants."""

    paint: Callable[[np.ndarray, np.ndarray], np.ndarray]
    identity = ModelIdentity(role="editor", backend="planted", model="planted", revision="1", digest="none")
    offers = tuple(EditType)

    def edit(self, requests: Sequence[EditRequest]) -> list[np.ndarray]:
        return [self.paint(r.image, r.mask) for r in requests]


@dataclass
class PlantedInpainter:
    """Fills from a picture that the test gives, at the window's place in the scene."""

    scene: np.ndarray
    answer: np.ndarray
    identity = ModelIdentity(
        role="inpainter", backend="planted", model="planted", revision="1", digest="none"
    )

    def inpaint(self, requests: Sequence[InpaintRequest]) -> list[np.ndarray]:
        filled = []
        for request in requests:
            out = request.image.copy()
            # The window's place is told by its picture: the tests' grounds never repeat.
            match = cv2.matchTemplate(self.scene, request.image, cv2.TM_SQDIFF)
            _, _, (x, y), _ = cv2.minMaxLoc(match)
            cut = self.answer[y : y + out.shape[0], x : x + out.shape[1]]
            out[request.hole] = cut[request.hole]
            filled.append(out)
        return filled


class OnePicture:
    """A pixel reader of one picture."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    def data(self, ref: BlobRef) -> bytes:
        raise NotImplementedError

    def rgb(self, ref: BlobRef) -> np.ndarray:
        del ref
        return self.image


def run(
    image: np.ndarray,
    plan: EditPlan,
    *,
    editor: object | None = None,
    fill: np.ndarray | None = None,
    inpainter: object | None = None,
    settings: EditingSettings = SETTINGS,
) -> Outcome:
    stage = EditingStage(
        settings=settings,
        seed=3,
        editor=editor or ClassicalEditor(),
        inpainter=inpainter or PlantedInpainter(image, image if fill is None else fill),
        judge=RuleEditJudge(),
        detector=BlobDetector(),
        segmenter=OutlineSegmenter(),
    )
    ref = BlobRef(path="x", offset=0, length=1, sha256="0" * 64)
    (outcome,) = stage.process(
        [StageInput(id=plan.plan_id, record=plan, blobs={"source.jpg": ref})], OnePicture(image)
    )
    return outcome


def only_child(outcome: Outcome) -> Child:
    assert outcome.reason is None, outcome.detail
    (child,) = outcome.children
    return child


def assert_refused_alone(child: Child, reason: Reason) -> None:
    """The reason is the given one, and no other gate failed."""
    assert child.reason is reason, (child.reason, child.detail)
    assert isinstance(child.record, EditedSample)
    failed = [m.name for m in child.record.gates if not m.passed]
    assert len(failed) == 1, child.detail
    assert failed[0] in child.detail
    assert {b.name for b in child.blobs} == {"edited.png", "patch.png"}


def test_a_recoloured_ball_is_kept_and_exact_outside(
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


def test_a_removed_ball_is_kept_when_the_ground_goes_on(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=ground))
    assert child.reason is None, child.detail
    assert isinstance(child.record, EditedSample)
    assert child.record.method == "inpaint"


def test_a_faint_edit_is_refused_as_not_changed(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    editor = PlantedEditor(lambda image, mask: np.where(mask[..., None], image // 2 * 2, image))
    child = only_child(run(picture, plan_for(RED, EditType.APPEARANCE, "sepia"), editor=editor))
    assert_refused_alone(child, Reason.NOT_CHANGED)


def test_an_editor_that_touches_the_surroundings_is_refused_as_leaking(
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


def test_another_colour_than_the_asked_one_is_refused(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    editor = PlantedEditor(lambda image, mask: np.where(mask[..., None], np.uint8([150, 60, 190]), image))
    child = only_child(run(picture, plan_for(RED, EditType.COLOR, "green"), editor=editor))
    assert_refused_alone(child, Reason.WRONG_COLOUR)


def test_a_target_that_fills_the_picture_ends_early(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    outcome = run(picture, plan_for(disc(160, 120, 110), EditType.COLOR, "green"))
    assert outcome.reason is Reason.REGION_TOO_LARGE
    assert not outcome.children


def test_an_object_that_no_detector_saw_before_cannot_be_verified(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE, label="ghost"), fill=ground))
    assert_refused_alone(child, Reason.REMOVAL_UNVERIFIABLE)


def test_a_filling_that_shows_the_object_again_is_refused_as_still_there(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    twin = disc(225, 125, 18)
    image = ground.copy()
    shaded(image, RED, PAINTS["red"])
    shaded(image, twin, (185, 20, 25))
    fill = ground.copy()
    shaded(fill, disc(160, 120, 15), (185, 20, 25))
    plan = plan_for(RED, EditType.REMOVE, others=(("red ball", twin),))
    assert_refused_alone(only_child(run(image, plan, fill=fill)), Reason.STILL_THERE)


def test_a_neighbour_of_the_same_class_is_not_taken_for_the_removed_one(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    twin = disc(225, 125, 18)
    image = ground.copy()
    shaded(image, RED, PAINTS["red"])
    shaded(image, twin, PAINTS["red"])
    plan = plan_for(RED, EditType.REMOVE, others=(("red ball", twin),))
    assert only_child(run(image, plan, fill=ground)).reason is None


def test_a_filling_with_another_object_is_refused(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    shaded(fill, disc(160, 125, 10), PAINTS["blue"])
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill))
    assert_refused_alone(child, Reason.NEW_OBJECT_APPEARED)


def test_a_filling_that_does_not_meet_its_surroundings_is_refused_for_its_seam(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    lighter = np.clip(ground.astype(int) + 40, 0, 255).astype(np.uint8)
    image = ground.copy()
    image[:, 204:] = lighter[:, 204:]
    shaded(image, RED, PAINTS["red"])
    fill = image.copy()
    fill[:, :204] = lighter[:, :204]
    child = only_child(run(image, plan_for(RED, EditType.REMOVE, others=()), fill=fill))
    assert_refused_alone(child, Reason.SEAM_VISIBLE)


def test_a_smear_on_grainy_ground_is_refused_as_flat(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = cv2.GaussianBlur(ground, (0, 0), 12)
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill))
    assert_refused_alone(child, Reason.FLAT_FILL)


def test_a_patch_of_a_colour_from_nowhere_is_refused_as_foreign(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    blob = disc(160, 120, 20)
    fill[blob] = np.clip(ground[blob].astype(int) - 70, 0, 255)
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill))
    assert_refused_alone(child, Reason.FOREIGN_FILL)


def test_a_ghost_of_the_removed_thing_is_refused_by_its_outline(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    fill[RED] = np.clip(ground[RED].astype(int) + 24, 0, 255)
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill))
    assert_refused_alone(child, Reason.STILL_THERE)
    assert "trace_of_shape" in child.detail


def test_a_second_hole_is_tried_and_the_better_filling_is_kept(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    bad = ground.copy()
    shaded(bad, disc(160, 125, 10), PAINTS["blue"])
    fills = iter((bad, ground))

    class SecondTimeLucky(PlantedInpainter):
        def inpaint(self, requests: Sequence[InpaintRequest]) -> list[np.ndarray]:
            return PlantedInpainter(picture, next(fills)).inpaint(requests)

    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), inpainter=SecondTimeLucky(picture, bad)))
    assert child.reason is None, child.detail


def test_a_class_that_carries_other_things_is_not_removed(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    outcome = run(picture, plan_for(RED, EditType.REMOVE, label="dining table"), fill=ground)
    assert outcome.reason is Reason.ENTANGLED
    assert "carries_others" in outcome.detail


def test_a_target_behind_another_object_is_not_removed(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    front = disc(160, 135, 14)
    outcome = run(picture, plan_for(RED & ~front, EditType.REMOVE, others=(("cup", front),)), fill=ground)
    assert outcome.reason is Reason.ENTANGLED
    assert "hole_other_objects_share" in outcome.detail


def test_structures_that_run_into_the_hole_from_all_sides_are_refused_as_entangled(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    angle = np.arctan2(*(np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]] - np.array([120, 160])[:, None, None]))
    rays = np.clip(ground.astype(int) + 40 * np.sin(9 * angle)[..., None], 0, 255).astype(np.uint8)
    image = rays.copy()
    shaded(image, RED, PAINTS["red"])
    settings = replace_gates(max_ragged=0.2)
    child = only_child(run(image, plan_for(RED, EditType.REMOVE, others=()), fill=rays, settings=settings))
    assert_refused_alone(child, Reason.ENTANGLED)
    assert "ragged_border_share" in child.detail


def test_a_handle_outside_the_box_is_refused_as_left_over(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    image = ground.copy()
    image[104:136, 180:198] = (60, 90, 60)
    shaded(image, RED, PAINTS["red"])
    settings = replace_gates(max_ragged=1.0, max_strange=0.1)
    child = only_child(run(image, plan_for(RED, EditType.REMOVE, others=()), fill=ground, settings=settings))
    assert_refused_alone(child, Reason.ENTANGLED)
    assert "strange_border_share" in child.detail


def replace_gates(**bounds: float) -> EditingSettings:
    return SETTINGS.model_copy(update={"gates": SETTINGS.gates.model_copy(update=bounds)})


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
        child = only_child(
            run(picture, plan_for(cut, EditType.COLOR, "green"), settings=replace_gates(max_seam_share=0.5))
        )
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


def test_the_same_plan_gives_the_same_bytes(picture: np.ndarray, plan_for: Callable[..., EditPlan]) -> None:
    plan = plan_for(RED, EditType.COLOR, "yellow")
    first, second = (only_child(run(picture, plan)) for _ in range(2))
    assert first == second


def test_another_record_than_a_plan_is_a_type_error(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    plan = plan_for(RED, EditType.COLOR, "green")
    stage = EditingStage(
        settings=SETTINGS,
        seed=0,
        editor=ClassicalEditor(),
        inpainter=PlantedInpainter(picture, picture),
        judge=RuleEditJudge(),
        detector=BlobDetector(),
        segmenter=OutlineSegmenter(),
    )
    item = StageInput(id="x", record=plan.target, blobs={})
    with pytest.raises(TypeError, match="EditPlan"):
        stage.process([item], OnePicture(picture))


def test_every_gate_of_a_kept_sample_says_its_bound(
    picture: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    child = only_child(run(picture, plan_for(RED, EditType.COLOR, "green")))
    assert isinstance(child.record, EditedSample)
    assert all(m.threshold for m in child.record.gates)
    assert replace(child.record) == child.record
    assert isinstance(child.record.crop, Box)
