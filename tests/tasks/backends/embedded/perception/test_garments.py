"""Garments: each wrong mask is refused by its own check alone; pictures are drawn but for the last tests."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tasks.backends.embedded.perception import garment_measures
from tasks.backends.embedded.perception.garment_measures import between_legs, one_cloth_share
from tasks.backends.embedded.perception.garment_prompts import (
    Body,
    body_of,
    lower_prompt,
    on_wearer,
    upper_prompt,
)
from tasks.backends.embedded.perception.garments import (
    DrawnMask,
    GarmentOptions,
    leg_checks,
    top_checks,
)
from tasks.backends.embedded.perception.person_pose import KEYPOINTS, Pose
from tasks.records.records import Box

pytestmark = pytest.mark.assets

SIZE = (400, 300)
SKIN, BLUE, GRAY, RED = (205, 150, 125), (60, 90, 170), (95, 95, 100), (170, 50, 45)
LIGHT_BLUE = (130, 155, 215)
OPTIONS = GarmentOptions()


def block(*corners):
    """A filled polygon (H, W)."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(mask, [np.array(corners, np.int32)], 1)
    return mask > 0


def rectangle(x0, y0, x1, y1):
    return block((x0, y0), (x1, y0), (x1, y1), (x0, y1))


HEAD = block(*[(150 + 22 * np.cos(t), 62 + 28 * np.sin(t)) for t in np.linspace(0, 6.2, 40)])
HAIR = HEAD & rectangle(90, 30, 210, 48)
NECK = rectangle(142, 86, 158, 104)
TRUNK = rectangle(112, 104, 188, 212)
SLEEVES = rectangle(92, 104, 111, 140) | rectangle(189, 104, 208, 140)
ARMS = rectangle(92, 141, 111, 225) | rectangle(189, 141, 208, 225)
HIPS = rectangle(114, 213, 186, 240)
THIGHS = rectangle(114, 241, 146, 295) | rectangle(154, 241, 186, 295)
SHANKS = rectangle(116, 296, 146, 360) | rectangle(154, 296, 184, 360)
TOP, LEGS, SHORT = TRUNK | SLEEVES, HIPS | THIGHS | SHANKS, HIPS | THIGHS
PERSON = HEAD | NECK | TOP | ARMS | LEGS
NEIGHBOR = rectangle(214, 104, 280, 212)


def picture(*more):
    """A person with a blue top and gray trousers beside somebody else in red; ``more`` are (mask, color) on top."""
    image = np.full((*SIZE, 3), (225, 225, 215), np.uint8)
    colors = [(HEAD | NECK | ARMS, SKIN), (TOP, BLUE), (LEGS, GRAY), (NEIGHBOR, RED)]
    for mask, color in [*colors, *more]:
        image[mask] = color
    noise = np.random.default_rng(0).integers(-3, 4, image.shape)
    return np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)


def pose(**moved):
    places = {
        "nose": (150, 66), "left eye": (158, 58), "right eye": (142, 58), "left ear": (168, 62), "right ear": (132, 62),
        "left shoulder": (185, 112), "right shoulder": (115, 112), "left elbow": (198, 165), "right elbow": (102, 165),
        "left wrist": (198, 215), "right wrist": (102, 215), "left hip": (170, 215), "right hip": (130, 215),
        "left knee": (170, 295), "right knee": (130, 295), "left ankle": (170, 358), "right ankle": (130, 358), **moved,
    }  # fmt: skip
    points = np.array([places[name] for name in KEYPOINTS], np.float64)
    return Pose(points=points, scores=np.full(17, 0.8), doubt=np.ones(17))


def body(**moved) -> Body:
    found = body_of(pose(**moved), Box(x0=90, y0=30, x1=210, y1=370))
    assert found is not None
    return found


def drawn(mask):
    return DrawnMask(mask=mask, quality=0.95, stability=0.95, repeat=0.95, whole=1.0)


def failed(checks):
    return {check.name for check in checks if not check.passed}


def test_a_whole_top_whole_trousers_and_shorts_pass():
    assert failed(top_checks(picture(), drawn(TOP), body(), PERSON, OPTIONS)) == set()
    assert failed(leg_checks(picture(), drawn(LEGS), body(), PERSON, OPTIONS, long=True)) == set()
    bare = picture((SHANKS, SKIN))
    assert failed(leg_checks(bare, drawn(SHORT), body(), PERSON, OPTIONS, long=False)) == set()


LOWER = rectangle(90, 150, 210, 212)
FOREARMS = rectangle(92, 141, 111, 180)
SLEEVE_ENDS = rectangle(92, 135, 111, 140) | rectangle(189, 135, 208, 140)


@pytest.mark.parametrize(
    ("mask", "more", "check"),
    [
        (TOP | NECK, (), "neck_share"),  # neck
        (TOP | FOREARMS, (), "skin_share"),  # a bare arm
        (TOP | HAIR, ((HAIR, BLUE),), "head_share"),  # a hat in the top's color
        (TOP | NEIGHBOR, ((NEIGHBOR, BLUE),), "in_wearer"),  # a neighbor's clothes of the same color
        (TOP & ~LOWER, ((TOP & LOWER, RED),), "covered"),  # half a garment of two colors
        (TRUNK, (), "faint_outline"),  # without its sleeves
        (TOP, ((TOP & LOWER, RED),), "one_cloth"),  # a shirt and what is worn over it
        (
            TOP,
            ((rectangle(132, 104, 168, 212), LIGHT_BLUE),),
            "two_tone_edge",
        ),  # a shirt under an open jacket
        (TOP, ((ARMS | SLEEVE_ENDS, GRAY),), "arms_covered"),  # without its long sleeves
        (TOP | HIPS | THIGHS, ((HIPS | THIGHS, BLUE),), "length"),  # a dress
        (NECK | rectangle(135, 104, 165, 120), ((NECK | TOP, BLUE),), "of_wearer"),  # a collar
    ],
)
def test_a_planted_wrong_top_is_refused_by_its_own_check(mask, more, check):
    found = failed(top_checks(picture(*more), drawn(mask), body(), PERSON, OPTIONS))
    assert f"garment_{check}" in found
    if check != "of_wearer":  # a mere collar is no whole top either
        assert found == {f"garment_{check}"}


@pytest.mark.parametrize(
    ("mask", "more", "long", "check"),
    [
        (
            LEGS | rectangle(140, 213, 160, 360),
            ((rectangle(140, 213, 160, 360), GRAY),),
            True,
            "between_legs",
        ),
        (LEGS | rectangle(114, 160, 186, 212), ((rectangle(114, 160, 186, 212), GRAY),), True, "above_waist"),
        (LEGS & ~rectangle(148, 213, 200, 362), ((rectangle(148, 213, 200, 362), RED),), True, "covered"),
        (SHORT, ((SHANKS, RED),), False, "bare_shanks"),  # boots or pads over long trousers
    ],
)
def test_planted_wrong_trousers_are_refused_by_their_own_check(mask, more, long, check):
    wearer = PERSON | mask
    found = failed(leg_checks(picture(*more), drawn(mask), body(), wearer, OPTIONS, long=long))
    assert found == {f"garment_{check}"}


def test_shorts_that_reach_over_the_shanks_are_refused():
    bare = picture((SHANKS, SKIN), (rectangle(114, 296, 186, 325) & SHANKS, GRAY))
    mask = SHORT | (rectangle(114, 296, 186, 325) & SHANKS)
    assert "garment_on_shanks" in failed(leg_checks(bare, drawn(mask), body(), PERSON, OPTIONS, long=False))


@pytest.mark.parametrize("name", ["quality", "stability", "repeat", "whole"])
def test_a_mask_that_the_network_doubts_is_refused(name):
    doubted = replace(drawn(TOP), **{name: 0.5})
    assert len(failed(top_checks(picture(), doubted, body(), PERSON, OPTIONS))) == 1


def test_legs_seen_from_the_side_are_no_skirt():
    beside = body(
        **{
            "left knee": (152, 295),
            "right knee": (148, 295),
            "left ankle": (152, 358),
            "right ankle": (148, 358),
        }
    )
    one_leg = HIPS | rectangle(135, 241, 165, 360)
    assert between_legs(one_leg, beside, long=True) == 0
    assert between_legs(HIPS | rectangle(114, 241, 186, 360), beside, long=True) == 1


def test_points_lie_on_the_trunk_and_not_on_head_hands_or_legs():
    prompt = upper_prompt(body())
    assert all(TRUNK[round(y), round(x)] for x, y in prompt.inside)
    assert all((HEAD | ARMS | LEGS)[round(y), round(x)] for x, y in prompt.outside)
    legs = lower_prompt(body())
    assert legs is not None
    assert all(LEGS[round(y), round(x)] for x, y in legs.inside)
    assert not any(LEGS[round(y), round(x)] for x, y in legs.outside)


def test_points_on_what_stands_before_the_wearer_are_not_used():
    prompt = upper_prompt(body())
    laptop = rectangle(90, 160, 210, 240)
    left = on_wearer(prompt, PERSON & ~laptop)
    assert left is not None
    assert set(left.inside) == {(x, y) for x, y in prompt.inside if not laptop[round(y), round(x)]}
    assert 0 < len(left.inside) < len(prompt.inside)
    assert left.outside == prompt.outside
    assert on_wearer(prompt, HEAD) is None


def test_cloth_in_deep_shade_is_the_same_cloth_and_another_color_is_not():
    yellow, in_shade, blue = (225, 175, 40), (100, 76, 14), (40, 60, 110)
    lower = TOP & rectangle(90, 175, 210, 212)
    for color, enough in ((in_shade, True), (blue, False)):
        share = one_cloth_share(picture((TOP, yellow), (lower, color)), TOP)
        assert (share >= OPTIONS.min_one_cloth) == enough, color


def test_an_arm_before_a_top_leaves_no_cloth_to_be_covered():
    arm = rectangle(112, 150, 188, 175)
    found = top_checks(picture((arm, SKIN)), drawn(TOP & ~arm), body(), PERSON, OPTIONS)
    assert "garment_covered" not in failed(found)


@pytest.mark.parametrize("change", ["score", "doubt", "outside", "small", "upside down"])
def test_there_is_no_body_without_sure_shoulders(change):
    found, box = pose(), Box(x0=90, y0=30, x1=210, y1=370)
    shoulder = KEYPOINTS.index("left shoulder")
    if change == "score":
        found.scores[shoulder] = 0.1
    elif change == "doubt":
        found.doubt[shoulder] = 60
    elif change == "outside":
        found.points[shoulder] = (250, 112)
    elif change == "small":
        found = replace(found, points=found.points / 10)
        box = Box(x0=9, y0=3, x1=21, y1=37)
    else:
        found = replace(found, points=found.points * [1, -1] + [0, 400])
    assert body_of(found, box) is None


def test_without_hips_the_waist_is_guessed_and_legs_are_not_asked_for():
    found = pose()
    found.scores[KEYPOINTS.index("left hip")] = 0.1
    seated = body_of(found, Box(x0=90, y0=30, x1=210, y1=370))
    assert seated is not None
    assert not seated.hips_seen
    assert seated.waist[1] > seated.neck[1]
    assert lower_prompt(seated) is None


@pytest.mark.parametrize(("says", "failing"), [("trench coat", {"garment_other_name"}), ("jersey", set())])
def test_what_the_classifier_calls_otherwise_is_refused(monkeypatch, says, failing):
    class Says:
        names = ("trench coat", "jersey")

        def scores(self, crop):
            return np.array([0.9 if name == says else 0.1 for name in self.names])

    monkeypatch.setattr(garment_measures, "imagenet_classifier", Says)
    assert failed(top_checks(picture(), drawn(TOP), body(), PERSON, OPTIONS)) == failing
