"""What leaves the picture with the target: shadow, belongings, parts; and what inpainters may change around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tasks.backends.generative_offer import GenerativeInpainterOffer
from tasks.imaging.geometry import from_rle
from tasks.imaging.masks import dilate
from tasks.imaging.pixels import decode_rgb
from tasks.records.errors import Reason
from tasks.records.records import Box, EditedSample, EditPlan, EditType, GroundedTarget
from tasks.records.settings_base import Settings
from tasks.roles.questions import InpaintQuestion
from tests.tasks.stages.answering import GivenAsk
from tests.tasks.stages.editing.drawn_scene import PAINTS, SHAPE, disc, shaded
from tests.tasks.stages.editing.planted_stage import (
    RED,
    SETTINGS,
    assert_refused_alone,
    listing,
    only_child,
    replace_gates,
    run,
)


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
    settings = listing(SETTINGS.removal, "change")
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
    settings = listing(SETTINGS.removal, "change")
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
    settings = listing(SETTINGS.removal, "change")
    child = only_child(run(picture, plan, fill=ground, settings=settings, inpainter_offer=offer))
    assert isinstance(child.record, EditedSample)
    assert from_rle(child.record.allowed)[120:150, 185:205].all()


class AlongOffer(GenerativeInpainterOffer):
    """The second object of the scene goes with the target."""

    def __init__(self) -> None:
        super().__init__(Settings())

    def taken_along(self, target: GroundedTarget) -> tuple[int, ...]:
        return (1,)


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
    settings = listing(removal, "change", "gone")
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
