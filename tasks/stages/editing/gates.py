"""Measured gates of an edit; each has a number, a bound and its own reason for rejection."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.color_names import NEUTRALS, share_of_color, to_lab
from tasks.imaging.masks import clear_of_frame, dilate, erode
from tasks.records.errors import Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.records import Measurement
from tasks.stages.editing.settings import GateSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One measurement, and the reason for rejection if it fails."""

    measurement: Measurement
    reason: Reason

    @property
    def passed(self) -> bool:
        """Whether the value is within its bounds."""
        return self.measurement.passed


def gate(
    name: str, value: float, reason: Reason, *, low: float | None = None, high: float | None = None
) -> Gate:
    """A gate over one number (`tasks.records.measuring.measure`) that rejects with ``reason``."""
    return Gate(measurement=measure(name, value, low=low, high=high), reason=reason)


def require(gate: Gate) -> None:
    """Raises the gate's reason as a `SampleError` if it failed."""
    if not gate.passed:
        raise SampleError(gate.reason, measured=(gate.measurement,))


def region_gate(mask: Mask, settings: GateSettings) -> Gate:
    """The share of the picture that will be filled or changed."""
    return gate("region_share", float(mask.mean()), Reason.REGION_TOO_LARGE, high=settings.max_region_share)


def overlap_gate(share: float, bound: float) -> Gate:
    """The share of a removal's hole that belongs to other objects, which are in front of or behind it."""
    return gate("hole_other_objects_share", share, Reason.ENTANGLED, high=bound)


def things_gate(around: Mask, thing: Mask, bound: float) -> Gate:
    """Share of the hole ``around`` the object that is another thing and would be removed with it."""
    value = float(thing[around].mean()) if around.any() else 0.0
    return gate("hole_unnamed_things_share", value, Reason.ENTANGLED, high=bound)


def change_gate(source: Image, edited: Image, mask: Mask, least: float) -> Gate:
    """Mean Lab distance between before and after under the mask; at least ``least`` counts as an edit."""
    value = float(_delta(source, edited)[mask].mean()) if mask.any() else 0.0
    return gate("change_inside_delta_e", value, Reason.NOT_CHANGED, low=least)


def leak_gate(source: Image, raw: Image, allowed: Mask, settings: GateSettings) -> Gate:
    """Mean Lab distance outside the allowed region on the editor's raw patch, before compositing."""
    outside = ~allowed
    value = float(_delta(source, raw)[outside].mean()) if outside.any() else 0.0
    return gate("raw_leak_delta_e", value, Reason.LEAKED, high=settings.max_leak)


def effect_gate(effect: Mask, core: Mask, settings: GateSettings) -> Gate:
    """Area of what changed together with target or hole ``core``, outside it, in areas of ``core``."""
    value = float(effect.sum()) / max(1, int(core.sum()))
    return gate("effect_share", value, Reason.LEAKED, high=settings.max_effect_area)


def similar_gate(count: int, most: int) -> Gate:
    """Other things of the target's class and size in the crop: an editor of it cannot tell which one is meant."""
    return gate("similar_in_crop", count, Reason.AMBIGUOUS_REFERENCE, high=most)


def color_gate(edited: Image, mask: Mask, name: str, settings: GateSettings, *, least: float) -> Gate:
    """Share of the mask in the requested color after the edit, its shade included; it must also be the most frequent.

    ``least`` is the bound, except for neutral colors, which have their own.
    """
    bound = settings.min_neutral_share if name in NEUTRALS else least
    return gate("asked_color_share", share_of_color(edited, mask, name), Reason.WRONG_COLOR, low=bound)


def seam_gate(
    source: Image,
    edited: Image,
    region: Mask,
    settings: GateSettings,
    *,
    most: float | None = None,
    outline: bool = False,
) -> Gate:
    """Share of the region's border where the edit made a step that the source does not have.

    A correct recoloring has its steps where the object's outline already was one. A mask that cuts through a surface,
    or a fill that does not match its environment, makes new ones.
    ``most`` overrides the bound ``max_seam_share`` of the settings. With ``outline`` the border is an object's, and a
    thin dark line between two similar sides counts as an edge of the source; a hole's border lies in the ground, whose
    grain must not count.
    """
    bound = settings.max_seam_share if most is None else most
    line, before, after = border_steps(source, edited, region)
    if not line.any():
        return gate("seam_share", 0.0, Reason.SEAM_VISIBLE, high=bound)
    # Visual masking: on a textured surface a step must be larger to be seen.
    seen = settings.seam_step + settings.seam_masking * local_deviation(source)
    # The step must also be new: clearly larger than the source's own, and not on an existing edge.
    excess = (after > seen) & (after > before + 2.0) & (before < settings.edge_step)
    if outline:
        excess &= steepest(source, 2) < settings.edge_slope
    return gate("seam_share", float(excess[line].mean()), Reason.SEAM_VISIBLE, high=bound)


def border_steps(
    source: Image, edited: Image, region: Mask
) -> tuple[Mask, NDArray[np.float32], NDArray[np.float32]]:
    """The region's border line and the Lab step across it before and after, each (H, W).

    The step is the distance between the mean colors just inside and just outside, 2-5 px off the line.
    """
    reach = int(np.clip(round(0.012 * max(region.shape)), 2, 12))
    inner, outer = region & ~erode(region, reach), dilate(region, reach) & ~region
    # Near the frame one of the two bands would be missing.
    line = (region & ~erode(region, 1)) & clear_of_frame(region.shape, reach + 1)
    steps = []
    for picture in (source, edited):
        lab = to_lab(picture)
        steps.append(np.linalg.norm(_band_mean(lab, inner, reach) - _band_mean(lab, outer, reach), axis=2))
    return line, steps[0], steps[1]


def steepest(image: Image, reach: int) -> NDArray[np.float32]:
    """The steepest slope (Lab per pixel) within ``reach`` px of each pixel, (H, W), so that thin edges count."""
    lab = cv2.GaussianBlur(to_lab(image), (0, 0), 0.8)
    # The response of a 3 x 3 Sobel filter is 8 times the slope per pixel.
    slopes = [cv2.Sobel(lab, cv2.CV_32F, dx, 1 - dx, ksize=3) / 8 for dx in (1, 0)]
    slope = np.asarray(np.sqrt((slopes[0] ** 2 + slopes[1] ** 2).sum(axis=2)), np.float32)
    size = 2 * reach + 1
    return np.asarray(cv2.dilate(slope, np.ones((size, size), np.uint8)), np.float32)


def _delta(a: Image, b: Image) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(to_lab(a) - to_lab(b), axis=2), np.float32)


def _band_mean(lab: NDArray[np.float32], band: Mask, reach: int) -> NDArray[np.float32]:
    # A mean over the band's pixels alone: filtered sum over filtered count.
    weight = band.astype(np.float32)
    size = (4 * reach + 1, 4 * reach + 1)
    total = cv2.boxFilter(lab * weight[..., None], -1, size, normalize=False)
    count = cv2.boxFilter(weight, -1, size, normalize=False)
    return np.asarray(total / np.maximum(count, 1e-3)[..., None], np.float32)


def local_deviation(image: Image) -> NDArray[np.float32]:
    """Local deviation of lightness, (H, W) in L units over 7 x 7 px."""
    light = to_lab(image)[..., 0]
    mean = cv2.blur(light, (7, 7))
    # Rounding may make the variance of a flat area slightly negative.
    return np.asarray(np.sqrt(np.maximum(cv2.blur(light * light, (7, 7)) - mean * mean, 0)), np.float32)
