"""Pictures are reduced by a stated rule, and named without being made."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from tasks.backends.served.pictures import SizeRule
from tasks.records.errors import Reason, SampleError
from tasks.roles.picture import Picture

NOISE = np.random.default_rng(3).integers(0, 255, (300, 400, 3)).astype(np.uint8)


def opened(data: bytes) -> Pillow.Image:
    return Pillow.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("most", "size"), [(120_000, (400, 300)), (119_999, (399, 299)), (30_000, (200, 150))]
)
def test_a_picture_is_reduced_only_where_it_is_too_large_and_keeps_its_shape(most, size):
    sent = SizeRule.of(most, "jpeg").encoded(Picture.of_pixels(NOISE))
    assert opened(sent.data).size == size
    assert sent.media_type == "image/jpeg"


def test_png_keeps_every_pixel():
    sent = SizeRule.of(1_000_000, "png").encoded(Picture.of_pixels(NOISE))
    assert sent.media_type == "image/png"
    assert (np.asarray(opened(sent.data)) == NOISE).all()


def test_equal_pictures_are_sent_as_equal_bytes():
    rule = SizeRule.of(50_000, "jpeg")
    assert rule.encoded(Picture.of_pixels(NOISE)).data == rule.encoded(Picture.of_pixels(NOISE.copy())).data


def test_the_recipe_changes_with_size_encoding_and_picture():
    pictures = Picture.of_blob("a" * 64, lambda: NOISE), Picture.of_blob("b" * 64, lambda: NOISE)
    rules = SizeRule.of(50_000, "jpeg"), SizeRule.of(50_001, "jpeg"), SizeRule.of(50_000, "png")
    recipes = [rule.recipe(picture) for picture in pictures for rule in rules]
    assert all(recipes.count(recipe) == 1 for recipe in recipes)


def test_what_no_vision_model_takes_is_a_row():
    with pytest.raises(SampleError) as caught:
        SizeRule.of(50_000, "jpeg").encoded(Picture.of_pixels(NOISE[:20]))
    assert caught.value.reason is Reason.TOO_SMALL
    assert caught.value.detail == "400 x 20 px for a model that needs 28"
