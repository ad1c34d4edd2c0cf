"""Where copies are offered: whole things, free places, sizes of the perspective."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.backends.embedded.painting.copies.placements import addition, additions, replacements, room_for
from tasks.records.records import Box, Distractor, EditType
from tests.tasks.backends.embedded.painting.copies.drawn_floor import HEIGHT, WIDTH, Drawn, about, photograph

LEFT, RIGHT = addition("cup", "left"), addition("cup", "right")
CUP = Drawn("cup", 320, 250)


def _scene(*things, **changes):
    return replace(photograph(things)[1], **changes)


def test_a_thing_on_its_own_can_have_another_on_either_side_on_its_foot_line():
    found = additions(about(_scene(CUP)))
    assert (LEFT, RIGHT) == ("another cup to the left", "another cup to the right")
    assert set(found) == {LEFT, RIGHT}
    for argument, sign in ((LEFT, -1), (RIGHT, 1)):
        for place in found[argument]:
            box = place.box(about(_scene(CUP)).scene)
            assert sign * (place.x - 320) > 60, "beside it, and not on it"
            assert abs(place.foot - 250) <= 0.15 * 90
            assert (box.x0 > 0, box.x1 < WIDTH, box.y0 > 0, box.y1 < HEIGHT) == (True,) * 4


@pytest.mark.parametrize("x", [70, 570])
def test_beside_the_border_there_is_no_room_for_a_whole_copy(x):
    assert len(additions(about(_scene(Drawn("cup", x, 250))))) == 1


def test_another_thing_in_the_way_takes_the_place():
    vases = [Drawn("vase", x, 250, width=80) for x in (410, 500, 590)]
    assert set(additions(about(_scene(CUP, *vases)))) == {LEFT, addition("vase", "left")}


def test_a_weak_detection_takes_the_place_as_well():
    weak = Distractor(label="cell phone", box=Box(x0=370, y0=160, x1=630, y1=300), score=0.35)
    assert set(additions(about(_scene(CUP, distractors=(weak,))))) == {LEFT}


def test_a_thing_whose_mask_failed_a_check_is_no_model():
    whole = _scene(CUP)
    doubtful = replace(whole.objects[0], not_a_target="mask_contested_share")
    assert additions(about(replace(whole, objects=(doubtful,)))) == {}


def test_what_touches_another_thing_is_not_whole():
    assert additions(about(_scene(CUP, Drawn("vase", 378, 250)))) == {}


@pytest.mark.parametrize("label", ["drinking glass", "dining table", "kite", "traffic light"])
def test_see_through_carrying_flying_and_hanging_things_are_not_copied(label):
    assert additions(about(_scene(replace(CUP, label=label)))) == {}


def test_a_person_is_never_put_beside_the_same_person():
    assert additions(about(_scene(replace(CUP, label="person")))) == {}
    two = _scene(replace(CUP, label="person", x=150), replace(CUP, label="person", x=500))
    found = additions(about(two))
    assert found
    assert all(place.index == 1 for places in found.values() for place in places)


def test_sizes_follow_the_perspective_that_several_of_a_class_show():
    near, middle, far = (
        Drawn("person", 120, 380, width=60, height=150),
        Drawn("person", 520, 280, width=40, height=100),
        Drawn("person", 320, 180, width=20, height=50),
    )
    found = additions(about(_scene(middle, near, far)))
    sizes = {place.index: place.scale for places in found.values() for place in places}
    assert sizes[1] == pytest.approx(100 / 150, abs=0.12)


def test_a_thing_of_another_foot_line_is_not_used_where_nothing_shows_the_perspective():
    two = _scene(replace(CUP, label="person", x=150), replace(CUP, label="person", x=500, foot=360))
    assert additions(about(two)) == {}


def test_a_thing_is_replaced_by_one_of_another_color_or_class_from_such_a_place():
    whole = _scene(CUP, Drawn("cup", 120, 250, color="yellow"), Drawn("vase", 520, 250, color="blue"))
    found = replacements(about(whole))
    assert {argument: place.index for argument, place in found.items()} == {"yellow cup": 1, "blue vase": 2}
    assert all((round(place.x), place.foot) == (320, 250) for place in found.values())


def test_a_thing_is_not_replaced_by_one_that_looks_the_same_or_does_not_belong_there():
    assert replacements(about(_scene(CUP, Drawn("cup", 120, 250)))) == {}
    assert replacements(about(_scene(CUP, Drawn("car", 120, 250, color="blue")))) == {}


def test_a_person_is_told_by_the_color_of_the_clothes():
    people = _scene(replace(CUP, label="person"), Drawn("person", 120, 250, color="yellow"))
    assert list(replacements(about(people))) == ["person in yellow"]


def test_the_window_holds_target_and_copy_and_belongs_to_these_edits_alone():
    grounded = about(_scene(CUP))
    room = room_for(EditType.ADD, grounded, RIGHT)
    assert room is not None
    for place in additions(grounded)[RIGHT]:
        box = place.box(grounded.scene)
        assert room.x0 <= 290
        assert box.x1 <= room.x1
    assert room_for(EditType.COLOR, grounded, "red") is None
    assert room_for(EditType.ADD, grounded, "another zebra to the left") is None


def test_a_person_that_no_color_tells_is_a_different_one():
    alike = _scene(replace(CUP, label="person"), Drawn("person", 120, 250))
    assert list(replacements(about(alike))) == ["different person"]
    herd = _scene(replace(CUP, label="sheep"), Drawn("sheep", 120, 250))
    assert list(replacements(about(herd))) == ["different sheep"]
