"""The red picture and the boxed picture."""

import numpy as np

from tasks.records.records import Box
from tasks.stages.grounding.red_picture import draw_box, draw_mask_and_box, line_width

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
