"""Drawn photographs: colored things on a grainy floor, each with its shadow, and the scene that describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from tasks.imaging.color_names import dominant_color
from tasks.imaging.geometry import box_of, to_rle
from tasks.records.records import GroundedTarget, Scene
from tests.tasks.stages.instruction.example_scenes import scene, target, thing

HEIGHT, WIDTH = 420, 640
FLOOR = (150, 140, 128)
PAINTS = {"red": (200, 40, 40), "blue": (40, 70, 190), "yellow": (225, 200, 50)}


@dataclass(frozen=True)
class Drawn:
    """A thing: its class, the middle of its foot, its size, its color, and whether its shadow is drawn."""

    label: str
    x: int
    foot: int
    width: int = 60
    height: int = 90
    color: str = "red"
    shadow: bool = True

    def mask(self) -> np.ndarray:
        """A body with a round top and a flat foot, (H, W)."""
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
        half = self.width / 2
        inside = np.abs(columns - self.x) < half - 0.5
        top = self.foot - self.height + half
        round_top = (columns - self.x) ** 2 + (rows - top) ** 2 < half**2
        return (inside & (rows >= top) & (rows < self.foot)) | (round_top & (rows < self.foot))


def floor(seed: int = 3) -> np.ndarray:
    """An even, grainy floor, (H, W, 3) uint8."""
    grain = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 10, (HEIGHT, WIDTH)), (0, 0), 0.8)
    return np.clip(np.array(FLOOR) + grain[..., None], 0, 255).astype(np.uint8)


def draw(image: np.ndarray, item: Drawn) -> None:
    """Puts a thing into a picture, its shadow first."""
    if item.shadow:
        image[:] = (image * shade(item)[..., None]).astype(np.uint8)
    mask = item.mask()
    light = np.linspace(1.15, 0.8, HEIGHT)[:, None, None]
    image[mask] = np.clip(np.broadcast_to(np.array(PAINTS[item.color]) * light, image.shape)[mask], 0, 255)


def shade(item: Drawn) -> np.ndarray:
    """Factor (H, W) by which its shadow darkens the floor: a soft patch at the foot, to its right."""
    dark = np.zeros((HEIGHT, WIDTH), np.float32)
    center = (round(item.x + 0.25 * item.width), item.foot)
    cv2.ellipse(dark, center, (round(0.62 * item.width), max(3, round(0.09 * item.height))), 0, 0, 360, 1, -1)
    return 1 - 0.4 * cv2.GaussianBlur(dark, (0, 0), 2)


def photograph(things: Sequence[Drawn], ground: np.ndarray | None = None) -> tuple[np.ndarray, Scene]:
    """The picture and its scene, things in the given order."""
    image = floor() if ground is None else ground.copy()
    for item in things:
        draw(image, item)
    return image, described(image, things)


def described(image: np.ndarray, things: Sequence[Drawn]) -> Scene:
    """The scene that an observer without error would give."""
    whole = scene([thing(item.label, _corners(item), item.color) for item in things])
    objects = []
    for item, found in zip(things, whole.objects, strict=True):
        mask = item.mask()
        color = dominant_color(image, mask)
        objects.append(
            replace(
                found,
                mask=to_rle(mask),
                mask_score=0.95,
                area=int(mask.sum()),
                color=color.name,
                color_share=color.share,
            )
        )
    source = replace(whole.source, width=WIDTH, height=HEIGHT)
    return replace(whole, source=source, objects=tuple(objects))


def about(whole: Scene, index: int = 0) -> GroundedTarget:
    """A thing of the scene as a target."""
    return target(whole, index)


def _corners(item: Drawn) -> tuple[int, int, int, int]:
    box = box_of(item.mask())
    return box.x0, box.y0, box.x1, box.y1
