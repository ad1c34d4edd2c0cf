"""Converts any decoded picture to 8-bit sRGB: bit depth, color profile or stated color, transparency."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageCms

from tasks.records.errors import Reason, SampleError
from tasks.sources.actions import Action
from tasks.sources.stated_color import SRGB_TOLERANCE, StatedColor, color_grid, convert, is_srgb
from tasks.sources.stated_color import refuse_high_range as refuse_high_range_code

Deep = npt.NDArray[np.uint16]
"""Values of 16 bits."""

ProfileKind = Literal["none", "srgb", "other", "unusable"]

_DEEP_GRAY = ("I;16", "I;16L", "I;16B", "I;16N")
_PROFILE_MODES = ("RGB", "L", "CMYK", "LAB")


def profile_kind(profile: bytes, mode: str) -> ProfileKind:
    """Whether an ICC profile describes sRGB, another space, or does not fit pixels of Pillow's ``mode``."""
    if not profile:
        return "none"
    if mode not in _PROFILE_MODES:
        return "unusable"
    return _profile_kind(profile, mode)


def refuse_high_range(profile: bytes) -> None:
    """Raises ``unsupported_color`` if a profile says by codes (tag ``cicp``) that the range is high: its tables would
    give a dark picture.
    """
    count = int.from_bytes(profile[128:132], "big")
    for position in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        if profile[position : position + 4] == b"cicp":
            start = int.from_bytes(profile[position + 4 : position + 8], "big")
            codes = profile[start + 8 : start + 12]
            if len(codes) == 4:
                refuse_high_range_code(codes[1])


def to_srgb(
    picture: Pillow.Image,
    profile: bytes,
    stated: StatedColor | None = None,
    deep: Deep | None = None,
) -> tuple[Pillow.Image, tuple[Action, ...]]:
    """Converts a decoded picture of any mode to 8-bit sRGB without alpha; also returns what was done.

    Args:
        picture: pixels in any Pillow mode; orientation does not matter here.
        profile: its ICC profile, ``b""`` if it has none.
        stated: what the file says otherwise about its colors; counts where no profile can be used.
        deep: (H, W, 3) uint16, the colors before they were cut to 8 bits, if they were.

    Returns:
        The picture in mode RGB, and actions in the order done.

    Raises:
        SampleError: ``unsupported_format`` for pixels without a stated range (float, 32 bit).
    """
    picture, deep, actions = _to_eight_bits(picture, deep)
    base, alpha = _split_alpha(picture)
    base, done = _apply_color(base, profile, stated, deep)
    actions += done
    if alpha is not None and np.asarray(alpha).min() < 255:
        base = Pillow.composite(base, Pillow.new("RGB", base.size, (255, 255, 255)), alpha)
        actions.append(Action.COMPOSITED_ON_WHITE)
    return base, tuple(actions)


def _to_eight_bits(
    picture: Pillow.Image, deep: Deep | None
) -> tuple[Pillow.Image, Deep | None, list[Action]]:
    if picture.mode in _DEEP_GRAY or (picture.mode == "I" and picture.format in ("PPM", "PNG")):
        # Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(picture).astype(np.uint32)
        gray = ((values * 255 + 32767) // 65535).astype(np.uint8)
        return Pillow.fromarray(gray), values.astype(np.uint16), [Action.DEPTH_REDUCED]
    if picture.mode in ("I", "F"):
        raise SampleError(Reason.UNSUPPORTED_FORMAT, f"pixels of mode {picture.mode} have no stated range")
    return picture, deep, []


def _split_alpha(picture: Pillow.Image) -> tuple[Pillow.Image, Pillow.Image | None]:
    """The opaque colors (RGB, L, CMYK or LAB) and the alpha channel (L), None if everything is opaque."""
    if picture.mode in ("RGBa", "La"):
        picture = picture.convert(picture.mode.upper())
    if picture.mode == "LA":
        return picture.getchannel("L"), picture.getchannel("A")
    if "transparency" in picture.info or picture.mode in ("RGBA", "PA"):
        full = picture.convert("RGBA")
        return (picture if picture.mode == "L" else full.convert("RGB")), full.getchannel("A")
    if picture.mode == "1":
        return picture.convert("L"), None
    if picture.mode not in _PROFILE_MODES:
        return picture.convert("RGB"), None
    return picture, None


def _apply_color(
    base: Pillow.Image, profile: bytes, stated: StatedColor | None, deep: Deep | None
) -> tuple[Pillow.Image, list[Action]]:
    kind = profile_kind(profile, base.mode)
    actions = [Action.PROFILE_UNUSABLE] if kind == "unusable" else []
    if kind == "other":
        return _transform(profile, base.mode).apply(base), [Action.PROFILE_CONVERTED]
    if base.mode == "CMYK":
        return base.convert("RGB"), [*actions, Action.CMYK_WITHOUT_PROFILE]
    if base.mode == "LAB":
        lab = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )
        return lab.apply(base), [*actions, Action.LAB_TO_SRGB]
    if stated is not None and kind != "srgb":
        actions += stated.noted
        if not is_srgb(stated, len(base.getbands())):
            base = Pillow.fromarray(convert(np.asarray(base) if deep is None else deep, stated))
            actions.append(stated.converted)
    if base.mode == "L":
        return base.convert("RGB"), [*actions, Action.GREY_TO_RGB]
    return base, actions


@lru_cache(maxsize=32)
def _profile_kind(profile: bytes, mode: str) -> ProfileKind:
    """Judges by the profile's effect on a grid of colors, since names and texts in profiles are unreliable."""
    try:
        transform = _transform(profile, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "unusable"
    if mode != "RGB":
        return "other"
    grid = color_grid()
    converted = np.asarray(transform.apply(Pillow.fromarray(grid)))
    difference = np.abs(converted.astype(np.int16) - grid)
    return "srgb" if int(difference.max()) <= SRGB_TOLERANCE else "other"


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.getOpenProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
