"""Converts any decoded picture to 8-bit sRGB: bit depth, color profile, transparency."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

from tasks.records.errors import Reason, SampleError

SRGB_TOLERANCE = 1
"""A profile counts as sRGB if it differs by at most this (of 255 levels) on `_GRID_STEPS`**3 colors."""

ProfileKind = Literal["none", "srgb", "other", "unusable"]

_GRID_STEPS = 9
_DEEP_GRAY = ("I;16", "I;16L", "I;16B", "I;16N")
_PROFILE_MODES = ("RGB", "L", "CMYK", "LAB")


def profile_kind(profile: bytes, mode: str) -> ProfileKind:
    """Whether an ICC profile describes sRGB, another space, or does not fit pixels of Pillow's ``mode``."""
    if not profile:
        return "none"
    if mode not in _PROFILE_MODES:
        return "unusable"
    return _profile_kind(profile, mode)


def to_srgb(picture: Pillow.Image, profile: bytes) -> tuple[Pillow.Image, tuple[str, ...]]:
    """Converts a decoded picture of any mode to 8-bit sRGB without alpha; also returns what was done.

    Args:
        picture: pixels in any Pillow mode; orientation does not matter here.
        profile: its ICC profile, ``b""`` if it has none.

    Returns:
        The picture in mode RGB, and actions out of ``depth_reduced``, ``profile_converted``, ``profile_unusable``,
        ``cmyk_without_profile``, ``lab_to_srgb``, ``grey_to_rgb`` and ``composited_on_white``, in the order done.

    Raises:
        SampleError: ``unsupported_format`` for pixels without a stated range (float, 32 bit).
    """
    picture, actions = _to_eight_bits(picture)
    base, alpha = _split_alpha(picture)
    base, done = _apply_profile(base, profile)
    actions += done
    if alpha is not None and np.asarray(alpha).min() < 255:
        base = Pillow.composite(base, Pillow.new("RGB", base.size, (255, 255, 255)), alpha)
        actions.append("composited_on_white")
    return base, tuple(actions)


def _to_eight_bits(picture: Pillow.Image) -> tuple[Pillow.Image, list[str]]:
    if picture.mode in _DEEP_GRAY or (picture.mode == "I" and picture.format in ("PPM", "PNG")):
        # Pillow's own conversion clips at 255 instead of scaling.
        deep = np.asarray(picture).astype(np.uint32)
        return Pillow.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8)), ["depth_reduced"]
    if picture.mode in ("I", "F"):
        raise SampleError(Reason.UNSUPPORTED_FORMAT, f"pixels of mode {picture.mode} have no stated range")
    return picture, []


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


def _apply_profile(base: Pillow.Image, profile: bytes) -> tuple[Pillow.Image, list[str]]:
    kind = profile_kind(profile, base.mode)
    actions = ["profile_unusable"] if kind == "unusable" else []
    if kind == "other":
        return _transform(profile, base.mode).apply(base), ["profile_converted"]
    if base.mode == "CMYK":
        return base.convert("RGB"), [*actions, "cmyk_without_profile"]
    if base.mode == "LAB":
        lab = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )
        return lab.apply(base), [*actions, "lab_to_srgb"]
    if base.mode == "L":
        return base.convert("RGB"), [*actions, "grey_to_rgb"]
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
    levels = np.linspace(0, 255, _GRID_STEPS).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
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
