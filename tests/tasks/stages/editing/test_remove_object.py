"""The editing stage keeps clean removals, and each gate alone rejects a fill planted for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tasks.backends.generative_offer import GenerativeInpainterOffer
from tasks.imaging.geometry import from_rle
from tasks.imaging.masks import dilate
from tasks.imaging.pixels import decode_rgb
from tasks.records.errors import Reason, SampleError
from tasks.records.records import Box, EditedSample, EditPlan, EditType, GroundedTarget
from tasks.records.settings_base import Settings
from tasks.roles.questions import Detection, DetectQuestion, InpaintQuestion
from tasks.stages.editing.redetection import WINDOW_FACTORS
from tasks.stages.editing.settings import EditingSettings, RemovalSettings
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.editing.drawn_scene import PAINTS, SHAPE, BlobDetector, disc, shaded
from tests.tasks.stages.editing.planted_stage import (
    RED,
    SETTINGS,
    PlantedInpainter,
    assert_refused_alone,
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


def test_a_neighbor_of_the_same_class_is_not_taken_for_the_removed_one(
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


def test_a_fill_that_does_not_match_its_environment_is_refused_for_its_seam(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    lighter = np.clip(ground.astype(int) + 40, 0, 255).astype(np.uint8)
    image = ground.copy()
    image[:, 204:] = lighter[:, 204:]
    shaded(image, RED, PAINTS["red"])
    fill = image.copy()
    fill[:, :204] = lighter[:, :204]
    settings = replace_gates(max_shadow_left=9.0, max_cut=1.0)
    plan = plan_for(RED, EditType.REMOVE, others=())
    assert_refused_alone(only_child(run(image, plan, fill=fill, settings=settings)), Reason.SEAM_VISIBLE)


def test_a_smear_on_grainy_ground_is_refused_as_flat(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = cv2.GaussianBlur(ground, (0, 0), 12)
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill))
    assert_refused_alone(child, Reason.FLAT_FILL)


def test_a_patch_of_a_color_from_nowhere_is_refused_as_foreign(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    blob = disc(160, 120, 20)
    fill[blob] = np.clip(ground[blob].astype(int) + 70, 0, 255)
    settings = replace_gates(max_busy=1.0)
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill, settings=settings))
    assert_refused_alone(child, Reason.FOREIGN_FILL)


def test_scraps_with_more_contrast_than_anything_around_are_refused_as_foreign(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    scrap = fill[112:124, 152:168].astype(int)
    stripes = np.where(np.arange(16) % 4 < 2, 28, -28)[None, :, None]  # the ground's own tone on the whole
    fill[112:124, 152:168] = np.clip(scrap + stripes, 0, 255)
    plan = plan_for(RED, EditType.REMOVE)
    child = only_child(run(picture, plan, fill=fill, settings=replace_gates(max_novel=1.0)))
    assert_refused_alone(child, Reason.FOREIGN_FILL)
    assert [m.name for m in child.measured] == ["busy_fill_share"]


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


def test_a_ghost_of_the_removed_thing_is_refused_by_its_outline(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    fill[RED] = np.clip(ground[RED].astype(int) + 24, 0, 255)
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill))
    assert_refused_alone(child, Reason.STILL_THERE)
    assert "trace_of_shape" in [m.name for m in child.measured]


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


def test_a_target_behind_another_object_is_not_removed(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    front = disc(160, 135, 14)
    outcome = run(picture, plan_for(RED & ~front, EditType.REMOVE, others=(("cup", front),)), fill=ground)
    assert outcome.reason is Reason.ENTANGLED
    assert "hole_other_objects_share" in [m.name for m in outcome.measured]


def test_structures_that_run_into_the_hole_from_all_sides_are_refused_as_entangled(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    angle = np.arctan2(*(np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]] - np.array([120, 160])[:, None, None]))
    rays = np.clip(ground.astype(int) + 40 * np.sin(9 * angle)[..., None], 0, 255).astype(np.uint8)
    image = rays.copy()
    shaded(image, RED, PAINTS["red"])
    settings = replace_gates(max_busy=1.0, max_ragged=0.2)
    child = only_child(run(image, plan_for(RED, EditType.REMOVE, others=()), fill=rays, settings=settings))
    assert_refused_alone(child, Reason.ENTANGLED)
    assert "ragged_border_share" in [m.name for m in child.measured]


def test_a_structure_that_the_filling_does_not_continue_is_refused(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    striped = ground.copy()
    striped[:, 148:172] = np.clip(ground[:, 148:172].astype(int) + 45, 0, 255)
    image, fill = striped.copy(), striped.copy()
    shaded(image, RED, PAINTS["red"])
    fill[84:156] = ground[84:156]
    plan = plan_for(RED, EditType.REMOVE, others=())
    loose = replace_gates(max_seam_share=1.0, max_shadow_left=9.0, max_trace=1.0)
    settings = loose.model_copy(update={"min_seamlessness": 1.0})
    child = only_child(run(image, plan, fill=fill, settings=settings))
    assert_refused_alone(child, Reason.ENTANGLED)
    assert [m.name for m in child.measured] == ["cut_structures_share"]
    assert only_child(run(image, plan, fill=striped, settings=settings)).reason is None, "the same, continued"


def test_a_handle_outside_the_box_is_refused_as_left_over(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    image = ground.copy()
    image[104:136, 180:198] = (190, 170, 60)
    shaded(image, RED, PAINTS["red"])
    settings = replace_gates(max_ragged=1.0, max_cut=1.0, max_seam_share=1.0, max_strange=0.08)
    child = only_child(run(image, plan_for(RED, EditType.REMOVE, others=()), fill=ground, settings=settings))
    assert_refused_alone(child, Reason.ENTANGLED)
    assert "strange_border_share" in [m.name for m in child.measured]


def test_a_shadow_beside_the_object_goes_with_it(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    image = ground.copy()
    shade = disc(178, 134, 22)
    image[shade] = (image[shade] * 0.72).astype(np.uint8)
    shaded(image, RED, PAINTS["red"])
    child = only_child(run(image, plan_for(RED, EditType.REMOVE, others=()), fill=ground))
    assert child.reason is None, child.detail
    (edited,) = [b for b in child.blobs if b.name == "edited.png"]
    after = cv2.imdecode(np.frombuffer(edited.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    assert np.abs(after - ground.astype(int))[shade].mean() < 6


def test_a_shadow_that_is_left_behind_is_refused(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    image = ground.copy()
    shade = disc(196, 144, 22)
    image[shade] = (image[shade] * 0.72).astype(np.uint8)
    shaded(image, RED, PAINTS["red"])
    kept = SETTINGS.removal.model_copy(update={"shadow_reach": 0.0})
    settings = replace_gates(max_cut=1.0, max_seam_share=1.0).model_copy(update={"removal": kept})
    plan = plan_for(RED, EditType.REMOVE, others=())
    assert_refused_alone(only_child(run(image, plan, fill=ground, settings=settings)), Reason.SHADOW_LEFT)
    assert only_child(run(image, plan, fill=ground)).reason is None, "the same with its shadow"


def test_half_a_thing_that_stays_is_refused(ground: np.ndarray, plan_for: Callable[..., EditPlan]) -> None:
    image = ground.copy()
    shaded(image, RED, PAINTS["red"])
    half = RED.copy()
    half[:, 160:] = False
    settings = replace_gates(max_seam_share=1.0, max_strange=1.0, max_novel=1.0, max_cut=1.0)
    plan = plan_for(half, EditType.REMOVE, others=())
    assert_refused_alone(only_child(run(image, plan, fill=ground, settings=settings)), Reason.STILL_THERE)


def test_what_goes_along_is_taken_out_with_the_target(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    offer = AlongOffer()
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=ground, inpainter_offer=offer))
    assert child.reason is None, child.measured
    edited = decode_rgb({b.name: b.data for b in child.blobs}["edited.png"])
    blue = disc(225, 125, 18)
    assert np.abs(edited[blue].astype(int) - ground[blue].astype(int)).mean() < 3


def test_something_that_should_have_gone_along_and_is_still_there_is_refused(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    shaded(fill, disc(225, 125, 18), PAINTS["blue"])
    settings = replace_gates(max_trace=1.0, max_shadow_left=9.0, max_novel=1.0, max_busy=1.0)
    child = only_child(
        run(
            picture,
            plan_for(RED, EditType.REMOVE),
            fill=fill,
            settings=settings,
            inpainter_offer=AlongOffer(),
        )
    )
    assert_refused_alone(child, Reason.STILL_THERE)


def test_the_hole_reaches_into_what_the_target_stands_on_and_spares_other_things(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    table = np.zeros(SHAPE, bool)
    table[140:, :] = True
    plan = plan_for(RED & ~table, EditType.REMOVE, others=(("table", table),))
    settings = _listing(SETTINGS.removal, "change")
    reach = {}
    for offer in (OnTableOffer(), GenerativeInpainterOffer(Settings())):
        child = only_child(run(picture, plan, fill=ground, settings=settings, inpainter_offer=offer))
        assert isinstance(child.record, EditedSample)
        reach[type(offer)] = (from_rle(child.record.allowed) & table).any()
    assert reach == {OnTableOffer: True, GenerativeInpainterOffer: False}


class OnTableOffer(GenerativeInpainterOffer):
    """The second object of the scene is what the target stands on."""

    def __init__(self) -> None:
        super().__init__(Settings())

    def ground_of(self, target: GroundedTarget) -> tuple[int, ...]:
        return (1,)


def test_of_what_goes_along_with_a_doubtful_mask_the_whole_box_is_filled(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    corner = np.zeros(SHAPE, bool)
    corner[150:153, 120:200] = True  # the mask is one edge of a box of 30 px height
    plan = plan_for(RED, EditType.REMOVE, others=(("board", corner),))
    scene = plan.target.scene
    settings = _listing(SETTINGS.removal, "change")
    filled = {}
    for score in (0.9, 0.6):
        box = Box(x0=120, y0=150, x1=200, y1=180)
        things = (scene.objects[0], replace(scene.objects[1], box=box, mask_score=score))
        told = replace(plan, target=replace(plan.target, scene=replace(scene, objects=things)))
        child = only_child(run(picture, told, fill=ground, settings=settings, inpainter_offer=AlongOffer()))
        assert isinstance(child.record, EditedSample)
        filled[score] = bool(from_rle(child.record.allowed)[178, 125:195].all())
    assert filled == {0.9: False, 0.6: True}


def test_a_box_that_goes_along_is_filled(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    class BoxOffer(GenerativeInpainterOffer):
        def boxes_along(self, target: GroundedTarget) -> tuple[Box, ...]:
            return (Box(x0=185, y0=120, x1=205, y1=150),)

    plan, offer = plan_for(RED, EditType.REMOVE), BoxOffer(Settings())
    settings = _listing(SETTINGS.removal, "change")
    child = only_child(run(picture, plan, fill=ground, settings=settings, inpainter_offer=offer))
    assert isinstance(child.record, EditedSample)
    assert from_rle(child.record.allowed)[120:150, 185:205].all()


class AlongOffer(GenerativeInpainterOffer):
    """The second object of the scene goes with the target."""

    def __init__(self) -> None:
        super().__init__(Settings())

    def taken_along(self, target: GroundedTarget) -> tuple[int, ...]:
        return (1,)


def test_an_undetected_thing_close_to_the_object_is_not_removed_with_it(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    image = ground.copy()
    image[88:152, 184:200] = (40, 70, 210)
    shaded(image, RED, PAINTS["red"])
    wide = SETTINGS.removal.model_copy(update={"outline": "hull", "box_share": 0.7})
    settings = SETTINGS.model_copy(update={"removal": wide})
    outcome = run(image, plan_for(RED, EditType.REMOVE, others=()), fill=ground, settings=settings)
    assert outcome.reason is Reason.ENTANGLED
    assert "hole_unnamed_things_share" in [m.name for m in outcome.measured]


class EffectOffer(GenerativeInpainterOffer):
    """An inpainter that takes shadows along."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.effects = True


def _eraser(ground: np.ndarray, *regions: np.ndarray) -> GivenAsk:
    """Shows the ground in the hole and in ``regions`` of the picture, and all a little brighter."""

    def erase(question: InpaintQuestion) -> np.ndarray:
        x0, y0, x1, y1 = question.picture.recipe["crop"]
        shown = question.hole.copy()
        for region in regions:
            shown |= region[y0:y1, x0:x1]
        out = np.where(shown[..., None], ground[y0:y1, x0:x1], question.picture.rgb)
        return np.clip(out * 1.02 + 0.5, 0, 255).astype(np.uint8)

    return GivenAsk("inpainter", erase)


def _listing(removal: RemovalSettings, *names: str) -> EditingSettings:
    """These gates alone; the rule judge, which scores by all of them, accepts everything."""
    listed = removal.model_copy(update={"gates": names})
    return SETTINGS.model_copy(update={"removal": listed, "min_accuracy": 1.0, "min_seamlessness": 1.0})


def test_an_inpainter_that_takes_the_shadow_along_may_change_it_and_nothing_else(
    ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    image = ground.copy()
    shade, far = disc(196, 150, 20), disc(60, 60, 15)
    image[shade] = (image[shade] * 0.6).astype(np.uint8)
    image[far] = (image[far] * 0.6).astype(np.uint8)
    shaded(image, RED, PAINTS["red"])
    removal = SETTINGS.removal.model_copy(
        update={"outline": "mask", "box_share": 0.0, "shadow": 0.0, "shadow_reach": 0.0, "window_margin": 2.0}
    )
    settings = _listing(removal, "change", "gone")
    plan = plan_for(RED, EditType.REMOVE, others=())
    record = {}
    for offer in (EffectOffer(), GenerativeInpainterOffer(Settings())):
        child = only_child(
            run(image, plan, inpainter=_eraser(ground, shade, far), settings=settings, inpainter_offer=offer)
        )
        assert child.reason is None, child.measured
        record[offer.effects] = child.record
        edited = decode_rgb({b.name: b.data for b in child.blobs}["edited.png"])
        allowed = from_rle(child.record.allowed)
        assert np.array_equal(edited[~allowed], image[~allowed])
        middle = disc(196, 150, 15)
        if offer.effects:
            assert allowed[middle].all()
            assert np.abs(edited[middle].astype(int) - ground[middle].astype(int)).mean() < 3, (
                "without the tint"
            )
        else:
            assert not allowed[middle & ~disc(160, 120, 40)].any()
        assert not allowed[far].any()
    assert (record[True].method, record[False].method) == ("inpaint_effects", "inpaint")
    names = [m.name for m in record[True].gates if not m.name.startswith(("accuracy_", "seamless_"))]
    assert names == [
        "region_share",
        "change_inside_delta_e",
        "effect_share",
        "found_after_score",
    ]


def test_a_profile_lists_its_gates_and_nobody_is_asked_for_the_others(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = cv2.GaussianBlur(ground, (0, 0), 12)
    settings = _listing(SETTINGS.removal, "change", "leak")

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


@pytest.mark.parametrize("worn", [True, False])
def test_what_is_part_of_the_target_goes_with_it(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan], worn: bool
) -> None:
    # Its mask reaches a little beyond the target's, as that of a shirt may.
    shirt = dilate(RED, 4)
    plan = plan_for(RED, EditType.REMOVE, others=(("shirt", shirt),))
    person, part = plan.target.scene.objects
    objects = (person, replace(part, part_of=0 if worn else None))
    target = replace(plan.target, scene=replace(plan.target.scene, objects=objects))
    outcome = run(picture, replace(plan, target=target), fill=ground)
    refused = outcome.reason or outcome.children[0].reason
    assert refused == (None if worn else Reason.ENTANGLED)
