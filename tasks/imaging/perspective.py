"""How large a thing is at another foot line: from the sizes of several of its class, or unchanged on the same line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.records.records import Scene, SceneObject

SAME_LINE = 0.15
"""Distance of two foot lines, in heights of the thing, up to which its size hardly differs."""

MIN_SCORE = 0.5
"""Score from which a thing's size is trusted."""

MIN_SPREAD = 0.8
"""Spread of the foot lines of a class, in mean heights, from which sizes show the perspective."""

MAX_MISFIT, MEAN_MISFIT = 0.3, 0.17
"""Largest and root mean square deviation of heights from the fitted line, as shares of it: people also bend."""


def scale_at(thing: SceneObject, foot: float, scene: Scene) -> float | None:
    """Size at foot line ``foot`` over its size now; None where the photograph does not show it."""
    horizon = horizon_of(scene, thing.label)
    if horizon is not None and horizon < min(foot, thing.box.y1) - 0.25 * thing.box.height:
        return (foot - horizon) / (thing.box.y1 - horizon)
    return 1.0 if abs(foot - thing.box.y1) <= SAME_LINE * thing.box.height else None


def horizon_of(scene: Scene, label: str) -> float | None:
    """Row at which things of the class would vanish, from heights that grow with the foot line; None if unknown."""
    width, height = scene.source.width, scene.source.height
    things = [
        o for o in scene.objects if o.label == label and o.score >= MIN_SCORE and _whole(o, width, height)
    ]
    if len(things) < 3:
        return None
    feet = np.array([o.box.y1 for o in things], float)
    heights = np.array([o.box.height for o in things], float)
    if np.ptp(feet) < MIN_SPREAD * heights.mean():
        return None
    return _vanishing(feet, heights)


def _vanishing(feet: Sequence[float] | np.ndarray, heights: Sequence[float] | np.ndarray) -> float | None:
    slope, start = np.polyfit(feet, heights, 1)
    if slope <= 0.02:
        return None
    fitted = slope * np.asarray(feet) + start
    off = np.abs(np.asarray(heights) - fitted) / np.maximum(fitted, 1.0)
    if (fitted <= 0).any() or off.max() > MAX_MISFIT or np.sqrt((off**2).mean()) > MEAN_MISFIT:
        return None
    return float(-start / slope)


def _whole(thing: SceneObject, width: int, height: int) -> bool:
    box = thing.box
    return box.x0 > 2 and box.y0 > 2 and box.x1 < width - 2 and box.y1 < height - 2
