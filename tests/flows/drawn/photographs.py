"""Drawn photographs: colored things on a plain table, each scene with its own ground, all of it known."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from tasks.imaging.arrays import Image
from tasks.records.records import Box
from tests.serving.scene_eyes import KnownObject, KnownScene

WIDTH, HEIGHT = 480, 360

PAINTS = {
    ("cup", "red"): (200, 30, 30),
    ("cup", "blue"): (40, 60, 200),
    ("plant", "green"): (40, 140, 50),
    ("book", "yellow"): (235, 205, 40),
}
"""Label and color of everything that is drawn, with its RGB; no two things of a scene have the same."""


@cache
def known_scene(number: int) -> KnownScene:
    """The scene of that number: four things side by side in an order, at heights and sizes of its own."""
    draw = np.random.default_rng(number)
    image = _ground(number, draw)
    things = []
    for place, kind in enumerate(draw.permutation(len(PAINTS))):
        label, color = list(PAINTS)[kind]
        center = (66 + 116 * place, int(draw.integers(130, 230)))
        axes = (int(draw.integers(24, 36)), int(draw.integers(30, 44)))
        cv2.ellipse(image, center, axes, 0, 0, 360, PAINTS[label, color], cv2.FILLED)
        box = Box(
            x0=center[0] - axes[0],
            y0=center[1] - axes[1],
            x1=center[0] + axes[0] + 1,
            y1=center[1] + axes[1] + 1,
        )
        things.append(KnownObject(label=label, box=box, color=color))
    return KnownScene(image=image, objects=tuple(things))


def known_scenes(count: int) -> list[KnownScene]:
    """The first scenes."""
    return [known_scene(number) for number in range(count)]


def lay_out(folder: Path, count: int, first: int = 0) -> Path:
    """Writes scenes as ``scene-000.png`` and up."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        data = cv2.imencode(".png", cv2.cvtColor(known_scene(number).image, cv2.COLOR_RGB2BGR))[1]
        (folder / f"scene-{number:03d}.png").write_bytes(data.tobytes())
    return folder


def _ground(number: int, draw: np.random.Generator) -> Image:
    """Gray with a tint, a slope and a grain."""
    slope = np.linspace(0, 40, WIDTH)[None, :] * (1 if number % 2 else -1)
    tint = draw.integers(120, 165, 3)
    grain = cv2.GaussianBlur(draw.normal(0, 14, (HEIGHT, WIDTH)), (0, 0), 1.5)
    ground = np.clip(tint + (slope + grain)[..., None], 60, 215)
    return np.ascontiguousarray(ground.astype(np.uint8))
