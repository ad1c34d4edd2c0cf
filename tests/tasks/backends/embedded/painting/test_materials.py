"""Materials look like what they are called: metals by hue and sheen; shape stays to be seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tasks.backends.embedded.painting.materials import MATERIALS, metal
from tasks.backends.embedded.painting.textures import TEXTURES
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab

METALS = sorted(name for name, material in MATERIALS.items() if material.tones)


def cast(name: str, picture: Image, mask: Mask) -> Image:
    return metal(picture, mask, MATERIALS[name].tones)


def _drawn_cup() -> tuple[np.ndarray, np.ndarray]:
    """A blue body, lit from the left, before a gray wall; and its mask."""
    picture = np.full((140, 160, 3), 120, np.uint8)
    mask = np.zeros((140, 160), np.uint8)
    cv2.ellipse(mask, (80, 70), (45, 55), 0, 0, 360, 1, -1)
    light = np.linspace(1.0, 0.35, 160)[None, :, None]
    picture = np.where(mask[..., None] > 0, (np.array([60, 90, 210]) * light).astype(np.uint8), picture)
    return picture, mask.astype(bool)


@pytest.mark.parametrize("name", METALS)
def test_a_material_is_seen_and_keeps_size_and_determinism(name: str) -> None:
    picture, mask = _drawn_cup()
    result = cast(name, picture, mask)
    assert result.shape == picture.shape
    assert result.dtype == np.uint8
    assert np.linalg.norm(to_lab(result) - to_lab(picture), axis=2)[mask].mean() > 15
    assert (result == cast(name, picture, mask)).all()


@pytest.mark.parametrize(("name", "redder"), [("gold", False), ("copper", True)])
def test_gold_is_yellow_and_copper_reddish(name: str, redder: bool) -> None:
    picture, mask = _drawn_cup()
    a, b = np.median(to_lab(cast(name, picture, mask))[mask][:, 1:], axis=0)
    assert b > 20
    assert (a > 20) == redder


def test_steel_has_hardly_a_color() -> None:
    picture, mask = _drawn_cup()
    lab = to_lab(cast("polished steel", picture, mask))[mask]
    assert np.hypot(lab[:, 1], lab[:, 2]).max() < 8


def test_metal_has_more_contrast_than_what_it_replaces() -> None:
    picture, mask = _drawn_cup()
    before, after = (to_lab(p)[mask][:, 0].std() for p in (picture, cast("polished steel", picture, mask)))
    assert after > before


def test_the_objects_own_shading_is_kept() -> None:
    picture, mask = _drawn_cup()
    for name in METALS:
        light = to_lab(cast(name, picture, mask))[..., 0]
        lit, shaded = mask.copy(), mask.copy()
        lit[:, 70:] = False
        shaded[:, :95] = False
        assert light[lit].mean() > light[shaded].mean() + 4, name


@pytest.mark.parametrize("name", METALS)
def test_a_plain_thing_and_an_empty_mask_are_no_trouble(name: str) -> None:
    plain = np.full((40, 50, 3), 200, np.uint8)
    for mask in (np.zeros((40, 50), bool), np.ones((40, 50), bool)):
        assert np.isfinite(cast(name, plain, mask)).all()


def test_every_material_is_a_metal_a_fabric_or_has_a_texture() -> None:
    ways = ((m.tones, m.texture, m.fabric) for m in MATERIALS.values())
    assert all(sum(map(bool, each)) == 1 for each in ways)
    assert {m.texture for m in MATERIALS.values() if m.texture} == set(TEXTURES)


def test_no_living_thing_plant_or_food_is_made_of_something_else_and_no_furniture_carved() -> None:
    never = {"person", "animal", "plant", "food", "sign", "glassware", "computer"}
    assert not any(material.kinds & never for material in MATERIALS.values())
    assert {name for name, m in MATERIALS.items() if "furniture" in m.kinds} == {"brown leather"}
    assert all((material.kinds == {"garment"}) == bool(material.fabric) for material in MATERIALS.values())


@pytest.mark.parametrize("name", METALS)
def test_speckles_of_pottery_do_not_become_rust(name: str) -> None:
    picture, mask = _drawn_cup()
    grain = np.random.default_rng(1).normal(0, 6, picture.shape[:2])
    rough = np.clip(picture + grain[..., None], 0, 255).astype(np.uint8)

    def speckled(image: Image) -> float:
        light = to_lab(image)[..., 0]
        return float(np.abs(light - cv2.GaussianBlur(light, (0, 0), 2))[mask].mean())

    assert speckled(rough) > 1.5 * speckled(picture)
    assert speckled(cast(name, rough, mask)) < 1.5 * speckled(cast(name, picture, mask))


def test_planks_of_a_vehicle_are_no_grain() -> None:
    picture, mask = _drawn_cup()
    picture = picture.copy()
    for row in range(10, 130, 8):
        picture[row : row + 2] = (picture[row : row + 2] * 0.8).astype(np.uint8)
    kept, lost = (
        metal(picture, mask, MATERIALS["polished steel"].tones, grainy=grainy) for grainy in (False, True)
    )

    def lined(image: Image) -> float:
        light = to_lab(image)[..., 0]
        return float((light[14:126:8] - light[10:122:8])[:, 70:90].mean())

    assert lined(kept) > lined(lost) + 1


def test_a_highlight_is_brighter_on_metal() -> None:
    picture, mask = _drawn_cup()
    shiny = picture.copy()
    cv2.ellipse(shiny, (62, 55), (5, 9), 0, 0, 360, (235, 240, 250), -1)
    spot = np.zeros(mask.shape, np.uint8)
    cv2.ellipse(spot, (62, 55), (3, 6), 0, 0, 360, 1, -1)
    before, after = (
        to_lab(cast("polished steel", p, mask))[..., 0][spot > 0].mean() for p in (picture, shiny)
    )
    assert after > before + 5
