"""Each gate of a removal alone refuses what was planted for it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from tasks.records.errors import Reason
from tasks.records.records import EditPlan, EditType
from tests.tasks.stages.editing.drawn_scene import PAINTS, SHAPE, disc, shaded
from tests.tasks.stages.editing.planted_stage import (
    RED,
    SETTINGS,
    assert_refused_alone,
    only_child,
    replace_gates,
    run,
)


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


def test_a_ghost_of_the_removed_thing_is_refused_by_its_outline(
    picture: np.ndarray, ground: np.ndarray, plan_for: Callable[..., EditPlan]
) -> None:
    fill = ground.copy()
    fill[RED] = np.clip(ground[RED].astype(int) + 24, 0, 255)
    child = only_child(run(picture, plan_for(RED, EditType.REMOVE), fill=fill))
    assert_refused_alone(child, Reason.STILL_THERE)
    assert "trace_of_shape" in [m.name for m in child.measured]


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
