"""Color names: the eleven basic English color terms for CIE Lab values and masked pixels.

Lab is CIE L*a*b* (D65, L 0..100) of sRGB pixels. The borders are set by hand for photographs, where dull warm
tones are wood and skin (brown), weak blues are denim (blue) and only the brightest neutral tones are white.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask

NAMES = ("black", "gray", "white", "red", "orange", "brown", "yellow", "green", "blue", "purple", "pink")
"""The basic terms of Berlin and Kay (1969); an index into this tuple is a color's number."""

NEUTRALS = frozenset({"black", "gray", "white"})
"""Names without a hue: a shade of white is gray."""

SAME_HUE = 25.0
"""Degrees between the hues of a color and its shade, at most."""

MAX_PIXELS = 20_000
"""Pixels sampled for a dominant color; more change no share by a percent."""

BLACK_L, WHITE_L = 24.0, 78.0
"""Neutral tones below and above are black and white: unlit black cloth reads 10-22, lit white paper 80-97."""

CLEAR_L, CLEAR_C, CLEAR_H = 4.0, 2.5, 6.0
"""A color is clear when no step of this size in lightness, chroma or hue (degrees) changes its name."""

(_BLACK, _GRAY, _WHITE, _RED, _ORANGE, _BROWN, _YELLOW, _GREEN, _BLUE, _PURPLE, _PINK) = range(len(NAMES))


@dataclass(frozen=True, slots=True, kw_only=True)
class DominantColor:
    """The most frequent color name of some pixels.

    Attributes:
        name: one of `NAMES`.
        share: share of the pixels that bear this name, 0..1.
        clear_share: share that keeps this name after a just noticeable change of color.
        lab: mean Lab of the pixels with this name.
    """

    name: str
    share: float
    clear_share: float
    lab: tuple[float, float, float]


def to_lab(rgb: Image) -> NDArray[np.float32]:
    """CIE Lab, (H, W, 3) float32 (L 0..100, a and b about -110..110), of an sRGB picture (H, W, 3) uint8."""
    scaled = rgb.astype(np.float32) / np.float32(255)
    return cv2.cvtColor(scaled, cv2.COLOR_RGB2Lab).astype(np.float32, copy=False)


def to_rgb(lab: NDArray[np.float32]) -> Image:
    """The sRGB picture (H, W, 3) uint8 nearest to Lab values (H, W, 3); out-of-gamut channels are clipped."""
    rgb = cv2.cvtColor(np.ascontiguousarray(lab, dtype=np.float32), cv2.COLOR_Lab2RGB)
    return np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)


def name_color(lab: tuple[float, float, float]) -> str:
    """The basic color name of one Lab value."""
    return NAMES[int(name_indices(np.asarray(lab, np.float32)[None])[0])]


def name_indices(lab: NDArray[np.float32]) -> NDArray[np.int64]:
    """Numbers of the names (into `NAMES`) of Lab values (..., 3); the result has the leading shape."""
    a, b = lab[..., 1], lab[..., 2]
    return _name_lch(lab[..., 0], np.hypot(a, b), np.rad2deg(np.arctan2(b, a)) % 360)


def dominant_color(rgb: Image, mask: Mask | None = None) -> DominantColor:
    """The most frequent color name among a picture's pixels, or among those of a mask.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool in the same pixels; None takes all.

    Raises:
        ValueError: the mask is empty.
    """
    pixels = rgb.reshape(-1, 3) if mask is None else rgb[mask]
    if not len(pixels):
        msg = "no pixel to name: the mask is empty"
        raise ValueError(msg)
    # A fixed stride through the mask, in row order, samples every part of it alike and needs no seed.
    pixels = pixels[:: -(-len(pixels) // MAX_PIXELS)]
    lab = to_lab(pixels[None])[0]
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.rad2deg(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    names = _name_lch(lightness, chroma, hue)
    best = int(np.bincount(names, minlength=len(NAMES)).argmax())
    chosen = names == best
    clear = _clearly(best, lightness[chosen], chroma[chosen], hue[chosen])
    mean = lab[chosen].mean(axis=0)
    return DominantColor(
        name=NAMES[best],
        share=float(chosen.mean()),
        clear_share=float(clear.sum() / len(names)),
        lab=(float(mean[0]), float(mean[1]), float(mean[2])),
    )


def share_of_color(rgb: Image, mask: Mask, name: str) -> float:
    """Share of a mask in one color, its own shade included; 0 unless that is the most frequent color.

    Less light on one surface scales L + 16, a and b alike (CIE 15, the cube root of Lab). A pixel darker than those
    that bear the name counts if it bears it in their light: pink in shade is dull purple.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool in the same pixels.
        name: one of `NAMES`.

    Raises:
        ValueError: the mask is empty.
    """
    found = dominant_color(rgb, mask)
    if found.name != name or name in NEUTRALS:
        return found.share if found.name == name else 0.0
    pixels = rgb[mask]
    lab = to_lab(pixels[None, :: -(-len(pixels) // MAX_PIXELS)])[0]
    light = np.maximum(lab[:, :1] + 16, 1)
    lit = lab.copy()
    gain = np.maximum((found.lab[0] + 16) / light, 1)
    lit[:, :1], lit[:, 1:] = light * gain - 16, lab[:, 1:] * gain
    number, hue = NAMES.index(name), np.array(found.lab[1:], np.float32)
    # In more light a dark red would be called pink, too, so the hue must be that of the color as well.
    along = lab[:, 1:] @ hue / np.maximum(np.hypot(lab[:, 1], lab[:, 2]) * np.hypot(*hue), 1e-6)
    shade = (name_indices(lit) == number) & (along > np.cos(np.deg2rad(SAME_HUE)))
    return float(((name_indices(lab) == number) | shade).mean())


def _clearly(
    best: int, light: NDArray[np.float32], chroma: NDArray[np.float32], hue: NDArray[np.float32]
) -> Mask:
    """Which of these pixels keep the name ``best`` under every small step."""
    clear = np.ones(light.shape, dtype=bool)
    for step_l, step_c, step_h in ((CLEAR_L, 0, 0), (0, CLEAR_C, 0), (0, 0, CLEAR_H)):
        for sign in (-1, 1):
            moved = _name_lch(
                np.clip(light + sign * step_l, 0, 100),
                np.maximum(chroma + sign * step_c, 0),
                (hue + sign * step_h) % 360,
            )
            clear &= moved == best
    return clear


def _name_lch(
    light: NDArray[np.float32], chroma: NDArray[np.float32], hue: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Numbers of the names by lightness 0..100, chroma and hue in degrees (red 40, yellow 100, blue 300)."""
    warm = (hue >= 40) & (hue < 115)
    # Cream and paper under a lamp are still white, and a black thing keeps its name in colored light.
    neutral_limit = np.where(light > WHITE_L, np.where(warm, 15.0, 8.0), np.where(warm, 10.0, 8.0))
    neutral = (chroma < neutral_limit) | (light < 4) | ((light < 20) & (chroma < 13))
    gray_name = np.where(light < BLACK_L, _BLACK, np.where(light >= WHITE_L, _WHITE, _GRAY))
    return np.where(neutral, gray_name, _name_hue(light, chroma, hue))


def _name_hue(
    light: NDArray[np.float32], chroma: NDArray[np.float32], hue: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Numbers of the names of chromatic colors, zone by zone around the hue circle."""
    # Lab is not hue-linear in blue: vivid blue and dull purple share a hue, so the border depends on chroma.
    purple_from = np.clip(290 + 0.25 * chroma, 296, 310)
    rose = np.where(
        (light >= 58) | ((light >= 38) & (chroma > 55)), _PINK, np.where(chroma > 38, _RED, _PURPLE)
    )
    pale = (light >= 66) | ((light >= 56) & (hue < 26) & (chroma < 52))
    red = np.where(pale, _PINK, np.where((chroma < 27) | ((hue > 36) & (chroma < 38)), _BROWN, _RED))
    orange = np.where(((chroma >= 50) & (light >= 50)) | ((chroma >= 66) & (light >= 45)), _ORANGE, _BROWN)
    orange = np.where((light >= 80) & (chroma < 50), np.where(hue < 68, _PINK, _WHITE), orange)
    gold = np.where(
        ((light >= 62) & (chroma >= 42)) | ((light >= 70) & (chroma >= 36)),
        _YELLOW,
        np.where(light >= 84, _YELLOW, _BROWN),
    )
    lime = np.where((light >= 70) & (chroma >= 25), _YELLOW, np.where(chroma < 16, _BROWN, _GREEN))
    violet = np.where((light >= 62) & (hue > 318), _PINK, _PURPLE)
    zones = (
        (hue < 12, rose),
        (hue < 48, red),
        (hue < 76, orange),
        (hue < 97, gold),
        (hue < 112, lime),
        (hue < 196, np.full_like(light, _GREEN)),
        (hue < purple_from, np.full_like(light, _BLUE)),
        (hue < 336, violet),
    )
    return np.select([zone for zone, _ in zones], [name for _, name in zones], rose).astype(np.int64)
