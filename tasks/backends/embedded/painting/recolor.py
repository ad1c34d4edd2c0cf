"""Recoloring in CIE Lab with the object's shading, highlights and texture kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab, to_rgb
from tasks.imaging.surfaces import clear_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """A color as paint: range of its lightness, and its chroma.

    Attributes:
        low, high: mean lightness (0..100) within which the name is certain.
        a, b: Lab chroma at the middle of that range.
    """

    low: float
    high: float
    a: float
    b: float


PAINTS: dict[str, Paint] = {
    "red": Paint(low=36, high=50, a=58, b=38),
    "orange": Paint(low=58, high=68, a=36, b=62),
    "yellow": Paint(low=74, high=84, a=0, b=66),
    "green": Paint(low=36, high=56, a=-42, b=32),
    "blue": Paint(low=32, high=52, a=6, b=-46),
    "purple": Paint(low=30, high=48, a=38, b=-38),
    "pink": Paint(low=66, high=76, a=38, b=-2),
    "brown": Paint(low=28, high=40, a=15, b=26),
    "white": Paint(low=87, high=93, a=0, b=2),
    "black": Paint(low=11, high=15, a=0, b=0),
    "gray": Paint(low=46, high=60, a=0, b=0),
}
"""Paint by color name."""

BODY_CHROMA = 24.0
"""Lab a/b distance from the object's main color within which a pixel is of the same material."""

MAX_LIFT = 40.0
"""Largest increase of mean lightness; more looks as if the object glowed."""

DARK_TRIM_L = 30.0
"""Neutral parts this dark on a colored object (tires, soles) are another material."""


def recolor(image: Image, mask: Mask, name: str, *, whole: bool = False) -> Image:
    """``image`` with everything painted like the material under ``mask``; the caller blends by alpha.

    Where one surface is clearly told from the rest of the object, it alone takes the paint; else everything but parts
    of clearly different color (a label, a tire). Lightness is scaled like a change of albedo under the same light;
    highlights stay.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, of the object.
        name: of the color, a key of `PAINTS`.
        whole: that no surface is painted alone: of cloth with dark folds, of a case with keys.

    Raises:
        KeyError: no such paint.
    """
    paint = PAINTS[name]
    lab = to_lab(image)
    part = None if whole else clear_part(image, mask)
    inside = lab[mask] if part is None else lab[mask & (part > 0.5)]
    keep = _other_material(lab, inside, np.median(inside, axis=0)) if part is None else 1 - part
    main = np.median(inside, axis=0)
    painted = _painted(lab, main, _spread(inside[:, 0]), paint)
    return to_rgb(keep[..., None] * lab + (1 - keep[..., None]) * painted)


def _painted(
    lab: NDArray[np.float32], main: NDArray[np.float32], spread: float, paint: Paint
) -> NDArray[np.float32]:
    light = lab[..., 0]
    goal = min(float(np.clip(main[0], paint.low, paint.high)), float(main[0]) + MAX_LIFT)
    # L + 16 is proportional to the cube root of luminance, so scaling it is a change of albedo.
    gain = (goal + 16) / (float(main[0]) + 16)
    # Brightening a dark object would amplify noise and clipped shadows, so contrast grows less than lightness.
    contrast = float(np.clip(gain, 0.55, 1.25))
    offset = light - main[0]
    span = max(8.0, 3 * spread)
    # Lightness beyond the usual shading is compressed instead of clipped, so that neither white nor black goes flat.
    offset = np.where(
        np.abs(offset) > span, np.sign(offset) * (span + 0.75 * (np.abs(offset) - span)), offset
    )
    new = np.clip(goal + offset * contrast, 0.6 * np.minimum(light, goal), 99.0)
    shine = _shine(lab, main, spread)
    new = (1 - shine) * new + shine * np.maximum(new, light)
    # Chroma is proportional to the light on the paint, and fades near white and black.
    strength = np.clip(new / goal, 0.25, 1.12) * np.clip((100 - new) / 14, 0.0, 1.0) * (1 - 0.85 * shine)
    grain = 0.25 * (lab[..., 1:] - main[1:])
    result = np.empty_like(lab)
    result[..., 0] = new
    result[..., 1] = paint.a * strength + np.clip(grain[..., 0], -5, 5) * (np.hypot(paint.a, paint.b) > 5)
    result[..., 2] = paint.b * strength + np.clip(grain[..., 1], -5, 5) * (np.hypot(paint.a, paint.b) > 5)
    return result


def _spread(light: NDArray[np.float32]) -> float:
    low, high = np.percentile(light, (16, 84))
    return float(high - low) / 2


def _shine(lab: NDArray[np.float32], main: NDArray[np.float32], spread: float) -> NDArray[np.float32]:
    """Weight 0..1 of specular highlights: much lighter than the material and nearly neutral."""
    over = lab[..., 0] - (main[0] + max(22.0, 2.5 * spread))
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    shine = np.clip(over / 12, 0, 1) * np.clip((26 - chroma) / 12, 0, 1) * (lab[..., 0] > 72)
    return np.asarray(shine, np.float32)


def _other_material(
    lab: NDArray[np.float32], inside: NDArray[np.float32], main: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weight 0..1 of pixels that are not the main material, by chroma distance scaled for dark shading."""
    main_chroma = float(np.hypot(main[1], main[2]))
    within = np.linalg.norm(inside[:, 1:] - main[1:], axis=1)
    limit = max(BODY_CHROMA, 2.0 * float(np.median(within)) + 8)
    # Chroma falls with lightness in shade, so the main color is scaled before comparing.
    scale = np.clip((lab[..., 0] + 6) / (float(main[0]) + 6), 0.15, 1.1)[..., None]
    distance = np.linalg.norm(lab[..., 1:] - main[1:] * scale, axis=2)
    other = np.clip((distance - limit) / 10, 0, 1)
    if main_chroma > 28:
        chroma = np.hypot(lab[..., 1], lab[..., 2])
        trim = np.clip((9 - chroma) / 4, 0, 1) * np.clip((DARK_TRIM_L - lab[..., 0]) / 8, 0, 1)
        other = np.maximum(other, trim)
    return np.asarray(other, dtype=np.float32)
