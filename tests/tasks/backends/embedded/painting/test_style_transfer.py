"""A thing dressed in a material: the texture's color and structure, the thing's own shading, equal every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.backends.embedded.painting.editor import ClassicalEditor
from tasks.backends.embedded.painting.style_transfer import StyleTransfer
from tasks.backends.embedded.painting.textures import TEXTURES
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.records.records import Box, EditType
from tasks.roles.picture import Picture
from tasks.roles.questions import EditQuestion
from tests.tasks.stages.instruction.example_scenes import cups, target


@pytest.fixture(scope="module")
def style() -> StyleTransfer:
    return StyleTransfer(AssetCache(default_cache_folder()))


def drawn_bowl(center: tuple[int, int] = (150, 110)) -> tuple[Image, Mask]:
    """A blue body, lit from the left, before gray; and its mask."""
    mask = np.zeros((220, 300), np.uint8)
    cv2.ellipse(mask, center, (80, 60), 0, 0, 360, 1, -1)
    light = np.linspace(1.0, 0.35, 300)[None, :, None]
    body = (np.array([60, 90, 210]) * light).astype(np.uint8)
    picture = np.where(mask[..., None] > 0, body, np.full((220, 300, 3), 120, np.uint8))
    return np.ascontiguousarray(picture), mask.astype(bool)


def test_textures_are_bright_or_dark_and_equal_every_time() -> None:
    light = {}
    for name, draw in TEXTURES.items():
        picture = draw()
        assert picture.shape == (256, 256, 3)
        assert np.array_equal(picture, draw())
        light[name] = float(to_lab(picture)[..., 0].mean())
    assert light["walnut"] < light["leather"] < light["oak"]


@pytest.mark.parametrize("texture", sorted(TEXTURES))
def test_the_thing_takes_the_textures_color_and_keeps_its_light(style: StyleTransfer, texture: str) -> None:
    picture, mask = drawn_bowl()
    dressed = style.dress(picture, mask, texture)
    assert dressed.shape == picture.shape
    lab = to_lab(dressed)
    wanted, found, before = (
        np.median(each.reshape(-1, 3)[:, 1:], axis=0)
        for each in (to_lab(TEXTURES[texture]()), lab[mask], to_lab(picture)[mask])
    )
    assert np.linalg.norm(found - wanted) < 0.5 * np.linalg.norm(before - wanted)
    lit, shaded = mask.copy(), mask.copy()
    lit[:, 130:] = False
    shaded[:, :170] = False
    assert lab[..., 0][lit].mean() > lab[..., 0][shaded].mean() + 4
    assert np.array_equal(dressed, style.dress(picture, mask, texture))


def test_a_thing_at_the_border_and_an_empty_mask_are_no_trouble(style: StyleTransfer) -> None:
    picture, mask = drawn_bowl(center=(10, 210))
    assert style.dress(picture, mask, "oak").shape == picture.shape
    assert np.array_equal(style.dress(picture, np.zeros_like(mask), "oak"), picture)


def test_the_editor_changes_the_mask_and_its_rim_alone() -> None:
    picture, mask = drawn_bowl()
    question = EditQuestion(
        subject="x",
        picture=Picture.of_pixels(picture),
        label="bowl",
        mask=mask,
        edit_type=EditType.MATERIAL,
        argument="walnut wood",
        instruction="Do it.",
        source=Picture.of_pixels(picture),
        crop=Box(x0=0, y0=0, x1=picture.shape[1], y1=picture.shape[0]),
        target=target(cups(), 1),
    )
    edited = ClassicalEditor().answer_one(question)
    away = cv2.dilate(mask.astype(np.uint8), np.ones((25, 25), np.uint8)) == 0
    assert np.array_equal(edited[away], picture[away])
    assert np.linalg.norm(to_lab(edited) - to_lab(picture), axis=2)[mask].mean() > 15
