"""Color that a file states without an ICC profile: primaries, white point and curve; conversion to sRGB.

Values are decoded to linear light by the stated curve, taken from the stated primaries and white point to those of
sRGB (Bradford adaptation), cut to 0..1 and encoded by the curve of sRGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tasks.records.errors import Reason, SampleError
from tasks.sources.actions import Action

SRGB_TOLERANCE = 1
"""A statement or profile counts as sRGB if it differs by at most this (of 255 levels) on `GRID_STEPS`**3 colors."""

GRID_STEPS = 9

_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
_LINEAR_STEPS = 1 << 16
_BAND_PIXELS = 1 << 20
_FIELDS = 4

_Levels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_XY = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Primaries:
    """CIE 1931 chromaticities (x, y) of red, green, blue and white."""

    red: _XY
    green: _XY
    blue: _XY
    white: _XY

    def usable(self) -> bool:
        """Whether they span a color space: within the diagram's bounds, and not on one line."""
        points = (self.red, self.green, self.blue, self.white)
        if not all(0 <= x <= 1 and 0 <= y <= 1 for x, y in points) or self.white[1] < 0.01:
            return False
        (rx, ry), (gx, gy), (bx, by) = points[:3]
        area = abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry)) / 2
        # The real spaces have areas above 0.1; what is left here are numbers that no screen or camera has.
        return area > 0.005 and bool((_scaled(self) > 0).all())


_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
SRGB_PRIMARIES = Primaries(red=(0.64, 0.33), green=(0.30, 0.60), blue=(0.15, 0.06), white=_D65)
ADOBE_RGB_PRIMARIES = Primaries(red=(0.64, 0.33), green=(0.21, 0.71), blue=(0.15, 0.06), white=_D65)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedColor:
    """What the values of a file mean.

    Attributes:
        primaries: and white point.
        gamma: exponent from values to linear light; None: the curve of sRGB.
        tables: instead of ``gamma``, linear light (0..1) by value, for one channel or for each of three.
        converted: noted when a conversion changes colors.
        noted: noted in any case.
    """

    primaries: Primaries = SRGB_PRIMARIES
    gamma: float | None = None
    tables: tuple[tuple[float, ...], ...] = ()
    converted: Action = Action.PRIMARIES_TO_SRGB
    noted: tuple[Action, ...] = ()


SRGB = StatedColor()
"""A plain statement of sRGB."""

ADOBE_RGB = StatedColor(primaries=ADOBE_RGB_PRIMARIES, gamma=563 / 256, converted=Action.ADOBE_RGB_TO_SRGB)

UNUSABLE = StatedColor(noted=(Action.COLOR_UNUSABLE,))
"""A statement that could not be read: taken as sRGB, and noted."""

_CODED_PRIMARIES = {
    1: SRGB_PRIMARIES,
    4: Primaries(red=(0.67, 0.33), green=(0.21, 0.71), blue=(0.14, 0.08), white=_C),
    5: Primaries(red=(0.64, 0.33), green=(0.29, 0.60), blue=(0.15, 0.06), white=_D65),
    6: Primaries(red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070), white=_D65),
    7: Primaries(red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070), white=_D65),
    8: Primaries(red=(0.681, 0.319), green=(0.243, 0.692), blue=(0.145, 0.049), white=_C),
    9: Primaries(red=(0.708, 0.292), green=(0.170, 0.797), blue=(0.131, 0.046), white=_D65),
    11: Primaries(red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060), white=(0.314, 0.351)),
    12: Primaries(red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060), white=_D65),
    22: Primaries(red=(0.630, 0.340), green=(0.295, 0.605), blue=(0.155, 0.077), white=_D65),
}
"""By ColourPrimaries of ITU-T H.273."""

_UNSPECIFIED = 2
_HDR = {16: "PQ", 18: "HLG"}
_VIDEO = (1, 6, 7, 14, 15)
_GAMMAS: dict[int, float | None] = {4: 2.2, 5: 2.8, 8: 1.0, 13: None}
_CODED_ACTIONS = {
    1: Action.GAMMA_TO_SRGB,
    11: Action.P3_TO_SRGB,
    12: Action.P3_TO_SRGB,
    9: Action.BT2020_TO_SRGB,
}


def refuse_high_range(transfer: int) -> None:
    """Raises `SampleError` (``unsupported_color``) for the curves of high dynamic range, PQ and HLG."""
    if transfer in _HDR:
        raise SampleError(Reason.UNSUPPORTED_COLOR, f"high dynamic range ({_HDR[transfer]})")


def from_codes(primaries: int, transfer: int) -> StatedColor:
    """What codes of ITU-T H.273 (CICP) say; unspecified ones mean sRGB.

    Raises:
        SampleError: ``unsupported_color`` for high dynamic range (PQ, HLG) and for codes that are not converted here.
    """
    refuse_high_range(transfer)
    space = SRGB_PRIMARIES if primaries == _UNSPECIFIED else _CODED_PRIMARIES.get(primaries)
    if space is None:
        raise SampleError(Reason.UNSUPPORTED_COLOR, f"primaries of code {primaries}")
    converted = _CODED_ACTIONS.get(1 if primaries == _UNSPECIFIED else primaries, Action.PRIMARIES_TO_SRGB)
    if transfer in _VIDEO:
        return StatedColor(primaries=space, converted=converted, noted=(Action.VIDEO_CURVE_AS_SRGB,))
    if transfer == _UNSPECIFIED:
        return StatedColor(primaries=space, converted=converted)
    if transfer not in _GAMMAS:
        raise SampleError(Reason.UNSUPPORTED_COLOR, f"a transfer curve of code {transfer}")
    return StatedColor(primaries=space, gamma=_GAMMAS[transfer], converted=converted)


def from_numbers(gamma: float | None, chromaticities: Sequence[float]) -> StatedColor:
    """What a gamma and chromaticities stated in numbers say.

    Args:
        gamma: exponent from values to linear light, None if none is stated.
        chromaticities: white x, y, then red, green and blue; empty if none are stated.
    """
    numbers = tuple(chromaticities) or _numbers(SRGB_PRIMARIES)
    white, red, green, blue = ((numbers[i], numbers[i + 1]) for i in range(0, 2 * _FIELDS, 2))
    primaries = Primaries(red=red, green=green, blue=blue, white=white)
    if not primaries.usable() or (gamma is not None and not 0.1 <= gamma <= 10):
        return UNUSABLE
    plain = is_srgb(StatedColor(primaries=primaries))
    # Files in sRGB state the nearest gamma, 1/2.2, since a number cannot state the curve itself.
    if plain and gamma is not None and abs(gamma / 2.2 - 1) <= 0.01:
        return SRGB
    action = Action.GAMMA_TO_SRGB if plain else Action.PRIMARIES_TO_SRGB
    return StatedColor(primaries=primaries, gamma=gamma, converted=action)


@lru_cache(maxsize=64)
def is_srgb(color: StatedColor, channels: int = 3) -> bool:
    """Whether conversion changes no color by more than `SRGB_TOLERANCE`; ``channels`` 1 compares grays only."""
    grid = color_grid() if channels == 3 else color_grid()[..., 0]
    difference = np.abs(convert(grid, color).astype(np.int16) - grid)
    return int(difference.max()) <= SRGB_TOLERANCE


def color_grid() -> npt.NDArray[np.uint8]:
    """(1, `GRID_STEPS`**3, 3) uint8: colors from all over the cube."""
    levels = np.linspace(0, 255, GRID_STEPS).round().astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)


def convert(pixels: _Levels, color: StatedColor) -> npt.NDArray[np.uint8]:
    """Values to 8-bit sRGB.

    Args:
        pixels: (H, W) gray or (H, W, 3) color, uint8 or uint16 (whole range).
        color: what they mean.

    Returns:
        uint8 of the same shape.
    """
    levels = 256 if pixels.dtype == np.uint8 else 1 << 16
    curves = [_decoding(color, levels, channel) for channel in range(3 if pixels.ndim == 3 else 1)]
    encode = _encoding()
    if pixels.ndim == 2:
        # A gray stays a gray: only its curve matters.
        return encode[_steps(curves[0])][pixels]
    matrix = linear_matrix(color.primaries).astype(np.float32)
    result = np.empty(pixels.shape, np.uint8)
    rows = max(1, _BAND_PIXELS // max(1, pixels.shape[1]))
    for top in range(0, pixels.shape[0], rows):
        band = pixels[top : top + rows]
        linear = np.stack([curve[band[..., channel]] for channel, curve in enumerate(curves)], axis=-1)
        result[top : top + rows] = encode[_steps(linear @ matrix.T)]
    return result


def linear_matrix(primaries: Primaries) -> npt.NDArray[np.float64]:
    """(3, 3): linear light in these primaries to linear sRGB, white to white."""
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(_cone(_D65) / _cone(primaries.white)) @ _BRADFORD
    return np.asarray(np.linalg.inv(_to_xyz(SRGB_PRIMARIES)) @ adapt @ _to_xyz(primaries))


def _to_xyz(primaries: Primaries) -> npt.NDArray[np.float64]:
    return _columns(primaries) * _scaled(primaries)


def _scaled(primaries: Primaries) -> npt.NDArray[np.float64]:
    """How much of each primary makes white."""
    return np.asarray(np.linalg.solve(_columns(primaries), _xyz(primaries.white)))


def _columns(primaries: Primaries) -> npt.NDArray[np.float64]:
    points = (primaries.red, primaries.green, primaries.blue)
    return np.array([(x, y, 1 - x - y) for x, y in points]).T


def _xyz(white: _XY) -> npt.NDArray[np.float64]:
    x, y = white
    return np.array((x / y, 1.0, (1 - x - y) / y))


def _cone(white: _XY) -> npt.NDArray[np.float64]:
    return np.asarray(_BRADFORD @ _xyz(white))


def _numbers(primaries: Primaries) -> tuple[float, ...]:
    return (*primaries.white, *primaries.red, *primaries.green, *primaries.blue)


def _decoding(color: StatedColor, levels: int, channel: int) -> npt.NDArray[np.float32]:
    """(levels,) float32: linear light by value."""
    values = np.linspace(0, 1, levels)
    linear: npt.NDArray[np.float64]
    if color.tables:
        table = np.asarray(color.tables[channel if len(color.tables) > 1 else 0])
        linear = np.interp(values, np.linspace(0, 1, len(table)), table)
    elif color.gamma is not None:
        linear = values**color.gamma
    else:
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _steps(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    return (np.clip(linear, 0, 1) * (_LINEAR_STEPS - 1) + 0.5).astype(np.uint16)


@lru_cache(maxsize=1)
def _encoding() -> npt.NDArray[np.uint8]:
    """(65536,) uint8: sRGB level by linear light."""
    linear = np.linspace(0, 1, _LINEAR_STEPS)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)
