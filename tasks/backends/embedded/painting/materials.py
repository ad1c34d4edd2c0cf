"""Materials that a thing may be turned into: metals by their tones, fabrics, others by the style of a texture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.backends.embedded.painting.effects import longest_side
from tasks.backends.embedded.painting.fabrics import FABRICS, Fabric
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab

Plane = NDArray[np.float32]

GOLD = (
    (0, (24, 10, 2)),
    (30, (104, 62, 10)),
    (55, (190, 134, 34)),
    (78, (246, 204, 92)),
    (100, (255, 246, 206)),
)
"""Tones of polished gold: lightness 0..100 of the shading and the sRGB color that it turns into."""

COPPER = (
    (0, (18, 5, 3)),
    (30, (82, 32, 18)),
    (55, (158, 74, 44)),
    (78, (226, 142, 98)),
    (100, (255, 240, 224)),
)
"""Tones of polished copper."""

STEEL = (
    (0, (6, 7, 8)),
    (28, (44, 46, 49)),
    (52, (118, 121, 125)),
    (76, (204, 207, 210)),
    (100, (255, 255, 255)),
)
"""Tones of polished steel."""

CAST = frozenset(
    {"accessory", "device", "fixture", "fruit", "screen", "tableware", "thing", "toy", "vehicle"}
)
"""Kinds that may be all of metal: no people, animals, food, cloth or leaves, whose fine detail would melt, nor laptops,
whose lids would seem to bulge."""

CARVED = frozenset({"accessory", "fixture", "fruit", "tableware", "thing", "toy", "vehicle"})
"""Kinds that may be carved of wood or stone; not furniture, whose folds and seams come through and look like bark,
nor devices and laptops, whose gloss and keys do."""

UPHOLSTERED = frozenset({"bag", "furniture"})
"""Kinds that may be covered with leather."""

WORN = frozenset({"garment"})
"""Kinds that may be sewn of another fabric."""

GLOSS, SHINING = 1.5, 90.0
"""Gain of highlights, and the percentile of the thing's lightness from which a pixel is one."""

Tones = tuple[tuple[float, tuple[int, int, int]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One material.

    Attributes:
        kinds: kinds of noun that may be made of it.
        tints: colors of things that may already look like this material.
        tones: of a metal; empty for others.
        texture: whose style a thing takes on, one of `tasks.backends.embedded.painting.textures.TEXTURES`; ``""`` for a
            metal.
        fabric: that a garment is sewn of, or None.
    """

    kinds: frozenset[str]
    tints: frozenset[str]
    tones: Tones = ()
    texture: str = ""
    fabric: Fabric | None = None


def metal(image: Image, mask: Mask, tones: Tones, *, grainy: bool = True) -> Image:
    """The picture in the tones of a polished metal: its own shading, stretched, on a body that bulges.

    A ``grainy`` surface loses its grain first; planks and panels are as faint and stay, so vehicles are not grainy.
    """
    size = longest_side(mask)
    own = _light(image)
    plain = _without_grain(own, size) if grainy else cv2.bilateralFilter(own, 7, 12, 3)
    light = 0.62 * _stretched(np.asarray(plain, np.float32), mask) + 0.38 * _bulge(mask)
    # Polished metal mirrors bright and dark areas in turn; a monotonic ramp looks like colored plaster.
    smooth = cv2.GaussianBlur(light, (0, 0), max(1.5, 0.015 * size))
    level = 100 * (light + 0.14 * np.sin(4.4 * np.pi * smooth + 0.6))
    if mask.any():  # what shines on the thing shines more on metal
        level = level + GLOSS * np.clip(own - np.percentile(own[mask], SHINING), 0, None)
    level = np.clip(level, 0, 100)
    stops = np.array([at for at, _ in tones], np.float32)
    curve = np.array([rgb for _, rgb in tones], np.float32)
    channels = [np.interp(level, stops, curve[:, c]) for c in range(3)]
    return np.asarray(np.clip(np.rint(np.stack(channels, axis=2)), 0, 255), np.uint8)


MATERIALS: dict[str, Material] = {
    "gold": Material(kinds=CAST, tints=frozenset({"yellow", "orange", "brown"}), tones=GOLD),
    "copper": Material(kinds=CAST, tints=frozenset({"orange", "brown", "red"}), tones=COPPER),
    "polished steel": Material(kinds=CAST, tints=frozenset({"gray", "white", "black"}), tones=STEEL),
    "oak wood": Material(kinds=CARVED, tints=frozenset({"orange", "brown", "yellow"}), texture="oak"),
    "walnut wood": Material(kinds=CARVED, tints=frozenset({"orange", "brown", "red"}), texture="walnut"),
    "granite": Material(kinds=CARVED, tints=frozenset({"gray", "white", "black"}), texture="granite"),
    "sandstone": Material(kinds=CARVED, tints=frozenset({"brown", "gray", "white"}), texture="sandstone"),
    "brown leather": Material(
        kinds=UPHOLSTERED, tints=frozenset({"brown", "orange", "red", "black"}), texture="leather"
    ),
    **{name: Material(kinds=WORN, tints=frozenset(), fabric=fabric) for name, fabric in FABRICS.items()},
}
"""Material by its name; the name is the plan's argument for Material."""

MADE = frozenset().union(*(material.kinds for material in MATERIALS.values()))
"""Kinds that may be made of some other material."""


def _light(image: Image) -> Plane:
    return np.asarray(to_lab(image)[..., 0], np.float32)


def _without_grain(light: Plane, size: float) -> Plane:
    """Lightness (H, W) without speckles and grain, which make metal look rusty; edges of the thing stay.

    ``size`` is the thing's longer side, pixels.
    """
    reach = max(2.0, 0.012 * size)
    for step in (14, 10):
        light = np.asarray(cv2.bilateralFilter(light, 0, step, reach), np.float32)
    return light


def _stretched(light: Plane, mask: Mask) -> Plane:
    """Lightness (H, W) with the object's 3rd to 97th percentile stretched to 0.08..0.95."""
    low, high = np.percentile(light[mask], (3, 97)) if mask.any() else (0.0, 100.0)
    # Faint shading of a plain object may be amplified, but not until it looks stained.
    span = max(float(high - low), 34.0)
    return np.asarray(np.clip(0.5 + 0.87 * (light - (low + high) / 2) / span, 0, 1), np.float32)


def _bulge(mask: Mask) -> Plane:
    """Light (H, W), 0..1, from the upper left on a body that bulges out of the mask."""
    size = longest_side(mask)
    distance = np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    reach = max(2.0, 0.22 * size)
    near = np.clip(distance / reach, 0, 1)
    height = np.asarray(reach * np.sqrt(np.clip(1 - (1 - near) ** 2, 0, 1)), np.float32)
    height = np.asarray(cv2.GaussianBlur(height, (0, 0), max(1.5, 0.035 * size)), np.float32)
    dx, dy = (
        np.asarray(cv2.Sobel(height, cv2.CV_32F, *d, ksize=3), np.float32) / 8 for d in ((1, 0), (0, 1))
    )
    length = np.sqrt(dx * dx + dy * dy + 1)
    toward = (0.42 * dx + 0.55 * dy + 0.72) / length
    return np.asarray(np.clip(0.15 + 0.75 * toward, 0, 1), np.float32)
