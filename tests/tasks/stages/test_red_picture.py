"""The red picture and the boxed picture."""

import numpy as np

from tasks.records.records import Box
from tasks.stages.red_picture import (
    draw_box,
    draw_mask_and_box,
    draw_numbers,
    line_width,
    number_marks,
)
from tests.tasks.stages.instruction.example_scenes import HEIGHT, WIDTH, scene, thing

BOX = Box(x0=20, y0=30, x1=60, y1=80)


def test_the_mask_is_half_red_and_the_rest_is_untouched():
    image = np.full((120, 160, 3), 100, np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[45:60, 35:50] = True
    marked = draw_mask_and_box(image, mask, [BOX])
    assert tuple(marked[50, 40]) == (178, 50, 50)  # 100 and 255 half and half, rounded to even
    assert tuple(marked[40, 30]) == (100, 100, 100)
    assert (image == 100).all()


def test_the_box_is_pure_red_on_its_border_pixels():
    marked = draw_box(np.zeros((120, 160, 3), np.uint8), [BOX])
    for x, y in ((20, 30), (59, 30), (20, 79), (59, 79)):
        assert tuple(marked[y, x]) == (255, 0, 0)
    assert tuple(marked[55, 40]) == (0, 0, 0)


def test_lines_grow_with_the_picture():
    assert line_width(200, 200) == 2
    assert line_width(1500, 2250) == 5


def test_each_object_gets_a_plate_of_its_own_even_in_one_place():
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    same = [thing("cup", (100, 100, 300, 300))] * 3
    black = [int((draw_numbers(image, scene(same[:n]).objects) == 0).all(axis=2).sum()) for n in (1, 2, 3)]
    assert black[1] - black[0] > 300  # the frames coincide, so only plates are added
    assert black[2] - black[1] > 300
    assert (image == 128).all()


def test_numbers_add_no_color_and_stay_in_the_picture():
    edge = [thing("cup", (WIDTH - 12, HEIGHT - 12, WIDTH, HEIGHT)), thing("cup", (0, 0, 8, 8))]
    drawn = draw_numbers(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), scene(edge).objects)
    assert (drawn.max(axis=2) == drawn.min(axis=2)).all()
    assert (drawn[-40:, -40:] == 0).all(axis=2).sum() > 100


def test_the_marks_say_which_number_stands_where():
    marks = number_marks(scene([thing("cup", (10, 20, 30, 40)), thing("cup", (50, 60, 70, 80))]).objects)
    assert marks == {"numbers": [[1, 10, 20, 30, 40], [2, 50, 60, 70, 80]]}
