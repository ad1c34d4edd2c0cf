"""Puts an edited crop back: alpha by edit type, tint correction, and a composite exact outside the alpha."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import to_lab
from tasks.imaging.masks import dilate
from tasks.records.edit_types import Region
from tasks.records.errors import DataFault
from tasks.records.records import Box
from tasks.stages.editing.settings import CompositeSettings

Alpha = NDArray[np.float32]
"""Weights (H, W) of the patch, 0..1; exactly 0 where the source must be kept."""


def change_map(source: Image, patch: Image, settings: CompositeSettings) -> Mask:
    """Pixels (H, W) whose blurred Lab differs by more than the threshold, cleaned of specks."""
    delta = np.linalg.norm(_smooth(to_lab(source)) - _smooth(to_lab(patch)), axis=2)
    changed = (delta > settings.change_threshold).astype(np.uint8)
    return cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) > 0


def correct_tint(source: Image, patch: Image, changed: Mask, settings: CompositeSettings) -> Image:
    """Removes the overall tint of ``patch``, estimated on unchanged pixels.

    One gain per channel (median ratio, limited to the maximum); without enough unchanged pixels, or if these are
    equal already, the patch is returned unchanged.
    """
    steady = ~dilate(changed, 5)
    if steady.mean() < 0.05:
        return patch
    before, after = source[steady].astype(np.float32), patch[steady].astype(np.float32)
    if np.array_equal(before, after):
        return patch
    gain = np.median((before + 8) / (after + 8), axis=0)
    gain = np.clip(gain, 1 - settings.max_tint, 1 + settings.max_tint)
    return np.asarray(np.clip(np.rint(patch * gain), 0, 255), dtype=np.uint8)


def effect_of(core: Mask, changed: Mask, settings: CompositeSettings) -> Mask:
    """Pixels (H, W) outside ``core`` that were changed together with it: its shadow, its reflection.

    Those of the `change_map` ``changed`` that are connected with ``core`` and lie within the reach of the settings.
    """
    reach = settings.effect_reach * min(core.shape)
    distance = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    joined = core | (changed & (distance <= reach))
    _, labels = cv2.connectedComponents(joined.astype(np.uint8))
    # Label 0 is the ground; it is no pixel of `joined`.
    ours: Mask = joined & np.isin(labels, np.unique(labels[core])) & ~core
    return ours


def alpha_for(
    mask: Mask, changed: Mask, region: Region, settings: CompositeSettings, effect: Mask | None = None
) -> Alpha:
    """The patch's weights (H, W): 1 where the edit may change the crop, with a feathered ramp around.

    ``mask`` is the target inside the crop and ``changed`` the `change_map` of the patch, both (H, W); ``region`` is
    what an edit of this type may change; ``effect`` (`effect_of`) is allowed as well.
    """
    side = min(mask.shape)
    feather = max(1, round(settings.feather * side))
    if region is Region.CROP:
        return _inset_ramp(mask.shape, max(4, round(settings.border_feather * side)))
    if region is Region.OUTLINE:
        taken = dilate(mask, max(2, round(settings.tight_dilation * side)))
    else:
        kernel = np.ones((9, 9), np.uint8)
        joined = cv2.morphologyEx((mask | changed).astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
        taken = dilate(joined, max(2, round(settings.loose_dilation * side)))
    if effect is not None and effect.any():
        taken = taken | dilate(effect, max(2, round(settings.tight_dilation * side)))
    return feathered(taken, feather)


def exact_alpha(source: Image, patch: Image) -> Alpha:
    """1 on the pixels (H, W) that differ at all: for an editor that changes nothing but what it means to change."""
    return np.asarray((source != patch).any(axis=2), np.float32)


def feathered(region: Mask, width: int) -> Alpha:
    """1 inside ``region`` and a linear ramp to exactly 0 over ``width`` pixels outside it."""
    distance = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(1 - distance / (width + 1), 0, 1).astype(np.float32)


def composite(source: Image, patch: Image, crop: Box, alpha: Alpha) -> tuple[Image, Mask]:
    """Blends ``patch`` into a copy of ``source``; returns (edited picture, allowed pixels), both of source size.

    Pixels with alpha 0 are never written, so they are bit-identical to the source.

    Raises:
        ValueError: shapes of patch, alpha and crop differ.
        DataFault: a pixel outside the allowed region differs (a defect of this function).
    """
    if patch.shape[:2] != (crop.height, crop.width) or alpha.shape != patch.shape[:2]:
        msg = f"patch {patch.shape[:2]} and alpha {alpha.shape} must have the crop's size {crop.height, crop.width}"
        raise ValueError(msg)
    edited = source.copy()
    here = edited[crop.y0 : crop.y1, crop.x0 : crop.x1]
    touched = alpha > 0
    weight = alpha[touched][:, None]
    mixed = weight * patch[touched] + (1 - weight) * here[touched]
    here[touched] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    allowed = np.zeros(source.shape[:2], bool)
    allowed[crop.y0 : crop.y1, crop.x0 : crop.x1] = touched
    if not np.array_equal(edited[~allowed], source[~allowed]):
        msg = "pixels outside the allowed region differ from the source"
        raise DataFault(msg)
    return edited, allowed


def _smooth(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), 1.5), np.float32)


def _inset_ramp(shape: tuple[int, ...], width: int) -> Alpha:
    """1 in the middle, falling linearly to 0 at the border over ``width`` pixels."""
    inside = np.zeros((shape[0] + 2, shape[1] + 2), np.uint8)
    inside[1:-1, 1:-1] = 1
    # Distances are measured from outside the frame, so the outermost row keeps alpha 0.
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1] - 1
    return np.clip(distance / width, 0, 1).astype(np.float32)
