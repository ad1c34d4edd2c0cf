"""A thing copied with the ground right around it, along its own foot line, where the surroundings repeat themselves.

What lies around the thing is compared with what lies there at the new place. Where the two agree all around, as on a
table before a wall, the outline needs no cutting: shadow, thin parts and soft edges come along.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tasks.backends.embedded.painting.copies.ground import MAX_SHADE_CHROMA, blurred
from tasks.backends.embedded.painting.copies.paste import Layers
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab, to_rgb
from tasks.imaging.geometry import box_of, cropped
from tasks.imaging.masks import dilate
from tasks.imaging.near_colors import Plane
from tasks.records.records import Box

RIM, FEATHER, MARGIN = 0.03, 0.035, 0.3
"""Margin around the outline that is copied whole, width of the soft border beyond, and room for the shadow, in the
thing's longer side."""

SHADE_STEP = 2.5
"""Lab lightness by which a pixel beside the thing must be darker than at the new place to be its shadow."""

MAX_USUAL, MAX_OFF = 2.5, 6.0
"""Largest median and 95th percentile of the Lab distance between the two surroundings."""


FOREIGN, MAX_FOREIGN = 12.0, 0.1
"""Lab distance from which a pixel of the margin is not of the new ground, and the share of such that passes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """A copy with its surroundings.

    Attributes:
        layers: what is put down.
        usual, off: median and 95th percentile of the Lab distance between the two surroundings.
    """

    layers: Layers
    usual: float
    off: float

    @property
    def agrees(self) -> bool:
        """Whether no border will be seen."""
        return self.usual <= MAX_USUAL and self.off <= MAX_OFF


def patch_at(image: Image, mask: Mask, hidden: Mask, shift: int) -> Patch | None:
    """The thing under ``mask`` moved by ``shift`` px to the right, with the ground around it.

    Args:
        image: the photograph.
        mask: the thing, (H, W).
        hidden: pixels (H, W) of all things, with what the thing stands on left out.
        shift: px, negative to the left.

    Returns:
        None where the picture ends or another thing begins before the surroundings do, or where the margin right
        around the thing is not of the new place's ground.
    """
    height, width = mask.shape
    box = box_of(mask)
    size = max(box.width, box.height)
    rim, soft = max(3, round(RIM * size)), max(4, round(FEATHER * size))
    room = round(MARGIN * size) + rim + soft
    window = Box(
        x0=max(0, box.x0 - room, -shift),
        y0=max(0, box.y0 - room),
        x1=min(width, box.x1 + room, width - shift),
        y1=min(height, box.y1 + room),
    )
    there = Box(x0=window.x0 + shift, y0=window.y0, x1=window.x1 + shift, y1=window.y1)
    inside = cropped(mask, window)
    core = dilate(inside, rim)
    taken = cropped(hidden & ~mask, window) | cropped(hidden, there)
    here, new = to_lab(cropped(image, window)), to_lab(cropped(image, there))
    sigma = float(np.clip(0.012 * size, 1.0, 4.0))
    seen = ~inside & ~dilate(taken, 2)
    off = blurred(np.asarray(here - new, np.float32), seen, sigma)
    shade = _shade(off, here, core, box, window, inside)
    if _foreign_rim(here - new, core & ~dilate(inside, 1) & ~shade & seen) > MAX_FOREIGN:
        return None
    core = core | shade
    alpha = _feathered(core, soft)
    if (taken & (alpha > 0)).any() or _touches_border(alpha > 0):
        return None
    ring = (alpha > 0) & (alpha < 1) & seen
    if np.count_nonzero(ring) < 60:
        return None
    distance = np.linalg.norm(off, axis=2)[ring]
    # What is left of a difference in light fades into the copy from its border.
    smooth = blurred(-off, ring, max(4.0, 0.12 * size))
    color = to_rgb(np.asarray(here + np.where(np.abs(smooth) < MAX_OFF, smooth, 0), np.float32))
    tall, wide = inside.shape
    layers = Layers(
        color=color, alpha=alpha, shadow=np.ones((tall, wide), np.float32), x0=there.x0, y0=there.y0
    )
    return Patch(layers=layers, usual=float(np.median(distance)), off=float(np.percentile(distance, 95)))


def _shade(off: Plane, here: Plane, core: Mask, box: Box, window: Box, inside: Mask) -> Mask:
    """Pixels joined to the thing's lower part that are darker here than there, in the same hue: its shadow."""
    hue = np.hypot(off[..., 1], off[..., 2])
    dark = (off[..., 0] < -SHADE_STEP) & (hue < MAX_SHADE_CHROMA) & (here[..., 0] > 5) & ~inside
    dark[: max(0, round(box.y1 - window.y0 - 0.5 * box.height))] = False
    dark = cv2.morphologyEx(np.asarray(dark, np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    count, labels = cv2.connectedComponents(np.asarray(dark, np.uint8))
    if count < 2:
        return np.zeros_like(core)
    touched = np.unique(labels[core & dark])
    joined = np.isin(labels, touched[touched > 0])
    return dilate(joined, 3)


def _foreign_rim(off: Plane, rim: Mask) -> float:
    """Share of the margin's pixels that are unlike the new place: a fringe would come along with the copy."""
    if not rim.any():
        return 0.0
    distance = np.linalg.norm(blurred(np.asarray(off, np.float32), rim, 0.8), axis=2)
    return float((distance[rim] > FOREIGN).mean())


def _feathered(region: Mask, width: int) -> Plane:
    distance = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.clip(1 - distance / (width + 1), 0, 1), np.float32)


def _touches_border(region: Mask) -> bool:
    return bool(region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any())
