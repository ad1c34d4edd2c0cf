"""Copies in drawn photographs: whole, with their shadow, on even ground only, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tasks.backends.embedded.painting.copies.copying import add_copy, measured_of, replace_by_copy
from tasks.backends.embedded.painting.copies.evenness import Evenness
from tasks.backends.embedded.painting.copies.patch import patch_at
from tasks.backends.embedded.painting.copies.placements import addition, additions
from tasks.imaging.color_names import dominant_color
from tasks.imaging.geometry import box_of
from tasks.imaging.masks import dilate
from tasks.records.errors import Reason, SampleError
from tests.tasks.backends.embedded.painting.copies.drawn_floor import (
    WIDTH,
    Drawn,
    about,
    floor,
    photograph,
    shade,
)

CUP = Drawn("cup", 320, 250)
RIGHT = addition("cup", "right")


def _changed(before, after):
    return (before != after).any(axis=2)


def _red(image):
    return (image[..., 0] > 140) & (image[..., 1] < 90)


def _telea(image, hole):
    return cv2.inpaint(image, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)


def test_a_copy_stands_on_the_asked_side_with_its_shadow_and_nothing_else_changes():
    image, scene = photograph([CUP])
    edited = add_copy(image, about(scene), RIGHT)
    new = _red(edited) & ~dilate(CUP.mask(), 2)
    box = box_of(cv2.morphologyEx(new.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0)
    assert box.x0 > CUP.x + 30
    assert (box.width, box.height) == pytest.approx((60, 90), abs=3)
    assert box.y1 == pytest.approx(250, abs=15)
    near = dilate(new, 25) & ~dilate(new, 4)
    darker = (edited.mean(axis=2) < image.mean(axis=2) - 12) & near
    assert 0.5 < darker.sum() / ((shade(CUP) < 0.85) & ~CUP.mask()).sum() < 1.6, (
        "as large as its model's shadow"
    )
    assert not (_changed(image, edited) & ~dilate(new, 60)).any()
    assert image.flags.writeable, "the photograph is not written to"


def test_the_rim_of_a_copy_brings_no_old_ground_along():
    """The ground of the model is greenish on its other side; around the copy it is as it was."""
    ground = floor()
    image, scene = photograph([CUP], ground)
    band = dilate(CUP.mask(), 2) & ~CUP.mask()
    image[band & (np.mgrid[0:420, 0:640][0] < 235)] = (60, 200, 60)
    edited = add_copy(image, about(scene), RIGHT)
    green = (edited[..., 1].astype(int) > edited[..., 0].astype(int) + 60) & ~dilate(CUP.mask(), 8)
    assert green.sum() < 12


def test_an_uneven_place_is_refused_with_its_numbers():
    ground = floor()
    ground[:, 395:] = (90, 60, 40)
    image, scene = photograph([CUP], ground)
    with pytest.raises(SampleError) as caught:
        add_copy(image, about(scene), RIGHT)
    assert caught.value.reason is Reason.UNEVEN_GROUND
    assert {"place_alike_share"} <= {m.name for m in caught.value.measured}
    assert any(not m.passed for m in caught.value.measured)


def test_a_gap_between_target_and_copy_is_refused():
    ground = floor()
    ground[:, 356:364] = (30, 25, 20)
    image, scene = photograph([CUP], ground)
    with pytest.raises(SampleError) as caught:
        add_copy(image, about(scene), RIGHT)
    assert caught.value.reason is Reason.UNEVEN_GROUND


def test_a_shadow_that_runs_under_another_thing_cannot_be_copied():
    image, scene = photograph([CUP, Drawn("vase", 392, 250, width=50)])
    dark = image.astype(np.float32)
    dark[240:256, 345:375] *= 0.55
    with pytest.raises(SampleError) as caught:
        add_copy(dark.astype(np.uint8), about(scene), addition("cup", "left"))
    assert caught.value.reason is Reason.UNEVEN_GROUND


def test_what_was_not_offered_is_refused():
    image, scene = photograph([CUP])
    with pytest.raises(SampleError) as caught:
        add_copy(image, about(scene), "another zebra to the left")
    assert caught.value.reason is Reason.BACKEND_ERROR
    with pytest.raises(SampleError) as caught:
        replace_by_copy(image, about(scene), "yellow cup", _telea)
    assert caught.value.reason is Reason.BACKEND_ERROR


def test_a_replaced_thing_is_gone_and_the_other_one_stands_in_its_place():
    narrow = Drawn("vase", 120, 250, width=40, height=70, color="blue")
    image, scene = photograph([CUP, narrow])
    edited = replace_by_copy(image, about(scene), "blue vase", _telea)
    placed = replace(narrow, x=CUP.x).mask()
    assert dominant_color(edited, placed).name == "blue"
    assert not (_red(edited) & dilate(CUP.mask(), 3)).any()
    assert np.array_equal(edited[:, :200], image[:, :200])
    assert np.array_equal(edited[:, 500:], image[:, 500:])


def test_a_replacement_that_leaves_the_old_shadow_is_refused():
    narrow = Drawn("vase", 120, 250, width=40, height=70, color="blue")
    image, scene = photograph([CUP, narrow])

    def without_the_thing(window, hole):
        filled = _telea(window, hole)
        dark = window.mean(axis=2) < 110
        return np.where((dark & ~(window[..., 0] > 140))[..., None], window, filled)

    with pytest.raises(SampleError) as caught:
        replace_by_copy(image, about(scene), "blue vase", without_the_thing)
    assert caught.value.reason is Reason.STILL_THERE
    assert [m.name for m in caught.value.measured] == ["old_shadow_left_share"]


def test_a_place_nearer_by_is_preferred_to_a_hardly_better_one():
    image, scene = photograph([CUP])
    edited = add_copy(image, about(scene), RIGHT)
    nearest = min(additions(about(scene))[RIGHT], key=lambda place: place.x)
    columns = np.flatnonzero(_changed(image, edited).any(axis=0))
    assert columns.max() < nearest.x + 110 < WIDTH


def test_equal_questions_get_equal_pixels():
    image, scene = photograph([CUP])
    assert np.array_equal(add_copy(image, about(scene), RIGHT), add_copy(image, about(scene), RIGHT))


def _desk_before_a_wall() -> np.ndarray:
    """A floor that meets a darker wall 20 rows above the foot line, so that shadow and wall look alike."""
    ground = floor()
    ground[:230] = (ground[:230] * np.array([0.78, 0.76, 0.74])).astype(np.uint8)
    return ground


def test_along_the_edge_of_a_wall_the_thing_is_moved_with_the_ground_around_it():
    image, scene = photograph([CUP], _desk_before_a_wall())
    edited = add_copy(image, about(scene), RIGHT)
    new = _red(edited) & ~dilate(CUP.mask(), 2)
    box = box_of(cv2.morphologyEx(new.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0)
    assert box.y1 == 250, "on its own foot line"
    around = dilate(new, 25) & ~dilate(new, 6)
    off = cv2.GaussianBlur(edited.astype(np.float32) - image, (0, 0), 3)
    lighter = np.linalg.norm(off, axis=2)[around & (np.mgrid[0:420, 0:640][0] < 225)]
    assert np.percentile(lighter, 95) < 8, "the wall behind it goes on"


def test_surroundings_that_differ_are_no_place_for_a_patch():
    ground = _desk_before_a_wall()
    ground[:, 400:] = (90, 60, 40)
    image, _ = photograph([CUP], ground)
    moved = patch_at(image, CUP.mask(), CUP.mask(), 160)
    assert moved is None or not moved.agrees
    same = patch_at(*(photograph([CUP], _desk_before_a_wall())[0], CUP.mask(), CUP.mask()), 160)
    assert same is not None
    assert same.agrees


def test_a_patch_never_covers_another_thing():
    other = Drawn("vase", 470, 250)
    image, _ = photograph([CUP, other])
    assert patch_at(image, CUP.mask(), CUP.mask() | other.mask(), 140) is None


@pytest.mark.parametrize(
    ("label", "distance", "behind", "stands"),
    [
        ("person", 30.0, False, True),
        ("person", 30.0, True, False),
        ("person", 20.0, True, True),
        ("person", 40.0, False, False),
        ("cup", 20.0, False, False),
        ("cup", 10.0, False, True),
    ],
)
def test_who_walks_stands_on_other_ground_but_not_on_a_wall_behind(label, distance, behind, stands):
    _, scene = photograph([Drawn(label, 320, 250)])
    even = Evenness(alike=0.95, distance=distance, edges=0.0, way=1.0)
    measured = measured_of(even, scene.objects[0], behind=behind)
    assert all(each.passed for each in measured) == stands
    assert {each.name for each in measured if not each.passed} <= {"place_ground_delta_e"}
