"""A crop on its canvas and back, at whatever size the answer comes."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.served.edit_canvas import Canvas, fixed_canvas, free_canvas
from tasks.roles.chat import BadReply

OPENAI = ((1024, 1024), (1024, 1536), (1536, 1024))


def _free(height: int, width: int, **changes: int) -> Canvas:
    limits = {"min_side": 512, "max_side": 1024, "max_pixels": 1_048_576, "multiple": 16}
    return free_canvas((height, width), **{**limits, **changes})


def _halves(height: int, width: int) -> np.ndarray:
    """Black at the left, white at the right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 255
    return image


@pytest.mark.parametrize(
    ("crop", "size"),
    [
        ((256, 256), (512, 512)),  # a small crop is enlarged
        ((512, 1024), (512, 1024)),
        ((300, 1200), (256, 1024)),  # the longer side's limit comes first
        ((2000, 2000), (1024, 1024)),
        ((701, 522), (704, 528)),
    ],
)
def test_a_free_canvas_has_the_crops_proportions_within_the_limits(
    crop: tuple[int, int], size: tuple[int, int]
) -> None:
    canvas = _free(*crop)
    assert (canvas.size, canvas.content, canvas.at) == (size, size, (0, 0))


def test_a_free_canvas_keeps_to_the_servers_picture_size() -> None:
    height, width = _free(1000, 1000, max_pixels=400_000).size
    assert 380_000 < height * width <= 410_000


@pytest.mark.parametrize(
    ("crop", "size", "content", "at"),
    [
        ((300, 300), (1024, 1024), (1024, 1024), (0, 0)),
        ((300, 450), (1024, 1536), (1024, 1536), (0, 0)),
        ((400, 200), (1536, 1024), (1536, 768), (0, 128)),
        ((100, 300), (1024, 1536), (512, 1536), (256, 0)),
    ],
)
def test_a_fixed_canvas_is_the_one_that_the_crop_fills_best(
    crop: tuple[int, int], size: tuple[int, int], content: tuple[int, int], at: tuple[int, int]
) -> None:
    canvas = fixed_canvas(crop, OPENAI)
    assert (canvas.size, canvas.content, canvas.at) == (size, content, at)


def test_padding_is_white_outside_the_mask_and_cut_off_again() -> None:
    canvas = fixed_canvas((100, 300), OPENAI)
    placed = canvas.placed(np.zeros((100, 300, 3), np.uint8))
    mask = canvas.placed_mask(np.ones((100, 300), bool))
    assert (placed[:256] == 255).all()
    assert (placed[256:768] == 0).all()
    assert mask.sum() == 512 * 1536
    assert not canvas.cut(placed).any()


@pytest.mark.parametrize("crop", [(300, 300), (400, 200), (100, 300), (257, 511)])
@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("fixed", [True, False])
def test_what_lies_where_stays_there(crop: tuple[int, int], scale: float, fixed: bool) -> None:
    canvas = fixed_canvas(crop, OPENAI) if fixed else _free(*crop)
    answer = canvas.placed(_halves(*crop))
    rows, columns = (round(side * scale) for side in canvas.size)
    answer = answer[np.arange(rows) * canvas.size[0] // rows][
        :, np.arange(columns) * canvas.size[1] // columns
    ]
    back = canvas.cut(answer)
    assert back.shape == (*crop, 3)
    middle, rim = crop[1] // 2, 3
    assert not back[:, : middle - rim].any()
    assert (back[:, middle + rim :] == 255).all()


def test_an_answer_of_another_shape_is_no_answer() -> None:
    with pytest.raises(BadReply, match="other_shape: 512 x 512, asked for 1024 x 512"):
        _free(512, 1024).cut(np.zeros((512, 512, 3), np.uint8))
