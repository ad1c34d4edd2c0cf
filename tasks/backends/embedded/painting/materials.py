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
"""Kinds that may be all of metal: no people, animals, food or cloth, nor laptops, whose lids would seem to bulge."""

CHASED = CAST | {"plant"}
"""Kinds that may be all of a metal with a color of its own; in gray, leaves look painted."""

CARVED = frozenset({"accessory", "fixture", "fruit", "furniture", "tableware", "thing", "toy", "vehicle"})
"""Kinds that may be carved of wood."""

HEWN = CARVED - {"furniture"}
"""Kinds that may be hewn of stone; the folds and grain of furniture come through, and look like cloth or bark."""

PANELED = CARVED | {"device"}
"""Kinds that may have a case of wood; not laptops, whose keys would melt into it."""

UPHOLSTERED = frozenset({"bag", "furniture"})
"""Kinds that may be covered with leather."""

WORN = frozenset({"garment"})
"""Kinds that may be sewn of another fabric."""

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


def metal(image: Image, mask: Mask, tones: Tones) -> Image:
    """The picture in the tones of a polished metal: its own shading stretched, on a body that bulges."""
    light = 0.66 * _stretched(image, mask) + 0.34 * _bulge(mask)
    # Polished metal mirrors bright and dark areas in turn; a monotonic ramp looks like colored plaster.
    smooth = cv2.GaussianBlur(light, (0, 0), max(1.5, 0.01 * longest_side(mask)))
    level = np.clip(100 * (light + 0.16 * np.sin(4.4 * np.pi * smooth + 0.6)), 0, 100)
    stops = np.array([at for at, _ in tones], np.float32)
    curve = np.array([rgb for _, rgb in tones], np.float32)
    channels = [np.interp(level, stops, curve[:, c]) for c in range(3)]
    return np.asarray(np.clip(np.rint(np.stack(channels, axis=2)), 0, 255), np.uint8)


MATERIALS: dict[str, Material] = {
    "gold": Material(kinds=CHASED, tints=frozenset({"yellow", "orange", "brown"}), tones=GOLD),
    "copper": Material(kinds=CHASED, tints=frozenset({"orange", "brown", "red"}), tones=COPPER),
    "polished steel": Material(kinds=CAST, tints=frozenset({"gray", "white", "black"}), tones=STEEL),
    "oak wood": Material(kinds=PANELED, tints=frozenset({"orange", "brown", "yellow"}), texture="oak"),
    "walnut wood": Material(kinds=PANELED, tints=frozenset({"orange", "brown", "red"}), texture="walnut"),
    "granite": Material(kinds=HEWN, tints=frozenset({"gray", "white", "black"}), texture="granite"),
    "sandstone": Material(kinds=HEWN, tints=frozenset({"brown", "gray", "white"}), texture="sandstone"),
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


def _stretched(image: Image, mask: Mask) -> Plane:
    """Lightness (H, W) with the object's 3rd to 97th percentile stretched to 0.08..0.95, a little smoothed."""
    light = np.asarray(cv2.bilateralFilter(_light(image), 7, 12, 3), np.float32)
    low, high = np.percentile(light[mask], (3, 97)) if mask.any() else (0.0, 100.0)
    # Faint shading of a plain object may be amplified, but not its noise.
    span = max(float(high - low), 24.0)
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
