"""Finds garments of persons: points by the pose, masks by Segment Anything 2, kept only where all is certain."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from pydantic import Field

from tasks.backends.embedded.perception.box_masks import AGAIN, best_answer, corners
from tasks.backends.embedded.perception.cloth_tones import two_tone_edge
from tasks.backends.embedded.perception.garment_measures import (
    above_waist,
    arms_covered,
    bare_share,
    between_legs,
    covered_share,
    faint_outline_share,
    head_share,
    length,
    neck_share,
    one_cloth_share,
    other_name,
    shank_region,
    skin_share,
    thigh_region,
    trunk_region,
    without_skin,
)
from tasks.backends.embedded.perception.garment_prompts import (
    Body,
    GarmentPrompt,
    body_of,
    lower_prompt,
    on_wearer,
    upper_prompt,
)
from tasks.backends.embedded.perception.mask_measures import fill_holes, inner_point
from tasks.backends.embedded.perception.mask_refinement import refine
from tasks.backends.embedded.perception.person_pose import person_pose
from tasks.backends.embedded.perception.sam2 import Features, sam2
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of
from tasks.imaging.masks import large_pieces, mask_iou
from tasks.records.measuring import measure
from tasks.records.records import Box, Measurement
from tasks.records.settings_base import Settings

ASSETS = ("sam2-hiera-tiny", "movenet-lightning", "efficientnet-lite3")
"""Packaged files it loads."""

REMEMBERED = 32
"""Persons whose garments are kept: the detector names them, the segmenter asks for their masks soon after."""

TOP, TROUSERS, SHORTS = "top", "trousers", "shorts"
"""Labels: words that are true of whatever is worn there; a shirt, sweater or jacket is a top."""

LABELS = (TOP, TROUSERS, SHORTS)

LEAST_PIECE = 0.05
"""Share of a garment from which what an arm or a strap cuts off is a piece of it."""

LONG = 0.5
"""Share of the shanks that is covered from which it may be trousers."""


class GarmentOptions(Settings):
    """Bounds within which a mask is one whole garment; set by looking at the masks of many photographs."""

    min_quality: float = Field(default=0.88, ge=0, le=1, description="the network's own estimate of IoU")
    min_stability: float = Field(default=0.88, ge=0, le=1, description="IoU of masks at logits +1 and -1")
    min_repeat_agreement: float = Field(
        default=0.85, ge=0, le=1, description="IoU with the mask of a second prompt"
    )
    min_whole: float = Field(
        default=0.9, ge=0, le=1, description="share of the raw mask in pieces large enough"
    )
    max_head_share: float = Field(default=0.01, ge=0, le=1, description="share in the wearer's head")
    max_skin_share: float = Field(default=0.04, ge=0, le=1, description="share that may be skin")
    max_neck_share: float = Field(
        default=0.15, ge=0, le=1, description="share of the bare throat that a top covers"
    )
    min_in_wearer: float = Field(default=0.93, ge=0, le=1, description="share inside the wearer's mask")
    min_wearer_share: float = Field(
        default=0.06, ge=0, le=1, description="share of the wearer that it covers"
    )
    max_wearer_share: float = Field(default=0.8, ge=0, le=1, description="the same, at most")
    min_one_cloth: float = Field(
        default=0.82, ge=0, le=1, description="share of the main color, shade included"
    )
    max_two_tone_edge: float = Field(
        default=1.5,
        ge=0,
        description="hard edges between two tones of it, in its longer sides: more is a jacket over a shirt",
    )
    max_faint_outline: float = Field(
        default=0.12, ge=0, le=1, description="share of the outline at which the cloth may go on"
    )
    min_covered: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="share of the body's region that it covers: less is half a garment",
    )
    min_arms_covered: float = Field(
        default=0.5, ge=0, le=1, description="share of each sleeve seen that a top covers"
    )
    max_length: float = Field(
        default=1.55,
        ge=0,
        description="reach of a top in trunk lengths from the shoulders: more is a dress or coat",
    )
    max_other_name: float = Field(
        default=0.3, ge=0, le=1, description="the classifier's probability of a garment with another name"
    )
    max_above_waist: float = Field(
        default=0.35,
        ge=0,
        description="reach of trousers above the hips, in trunk lengths: more is a bib or dress",
    )
    max_between_legs: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the line between the legs that is covered: more is a skirt",
    )
    max_on_shanks: float = Field(
        default=0.15, ge=0, le=1, description="share of the shanks that shorts cover: more may be trousers"
    )
    min_bare_shanks: float = Field(
        default=0.6, ge=0, le=1, description="share of the shanks below shorts that may be skin"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Garment:
    """A garment with its mask.

    Attributes:
        label: one of `LABELS`.
        mask: (H, W) bool in the picture's pixels.
        quality, stability, repeat, whole: of the mask, 0..1, as in `tasks.backends.embedded.perception.segmenter`.
        checks: what was measured on it; it is certain where all passed.
    """

    label: str
    mask: Mask
    quality: float
    stability: float
    repeat: float
    whole: float
    checks: tuple[Measurement, ...]

    @property
    def box(self) -> Box:
        """The box of the mask."""
        return box_of(self.mask)

    @property
    def certain(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)


class GarmentFinder:
    """Garments of persons in a picture; one per process, since detector and segmenter ask for the same ones."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, Box, str], tuple[Garment, ...]] = {}

    def garments(self, image: Image, person: Box, options: GarmentOptions) -> tuple[Garment, ...]:
        """What the person in a box wears above and below the waist, as far as it can be told; certain or not."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        key = (digest, person, options.model_dump_json())
        found = self._known.pop(key, None)
        if found is None:
            found = self._find(image, person, options)
        self._known[key] = found
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
        return found

    def _find(self, image: Image, person: Box, options: GarmentOptions) -> tuple[Garment, ...]:
        body = body_of(person_pose().pose(image, person), person)
        if body is None:
            return ()
        features = sam2().encode(image)
        wearer = _wearer(features, person)
        found = [_top(image, features, body, wearer, options), _legs(image, features, body, wearer, options)]
        return tuple(garment for garment in found if garment is not None)


@cache
def garment_finder() -> GarmentFinder:
    """The finder of this process."""
    return GarmentFinder()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnMask:
    """A mask by points, with its measurements as in `tasks.backends.embedded.perception.segmenter`."""

    mask: Mask
    quality: float
    stability: float
    repeat: float
    whole: float


def _top(
    image: Image, features: Features, body: Body, wearer: Mask, options: GarmentOptions
) -> Garment | None:
    prompt = on_wearer(upper_prompt(body), wearer)
    drawn = None if prompt is None else _draw(image, features, prompt, options)
    if drawn is None:
        return None
    doubts = _network_checks(drawn, options)
    if not all(check.passed for check in doubts):  # nothing else can save it, and the rest costs more
        return _garment(TOP, drawn, doubts)
    return _garment(TOP, drawn, top_checks(image, drawn, body, wearer, options))


def _legs(
    image: Image, features: Features, body: Body, wearer: Mask, options: GarmentOptions
) -> Garment | None:
    lower = lower_prompt(body)
    prompt = None if lower is None else on_wearer(lower, wearer)
    drawn = None if prompt is None else _draw(image, features, prompt, options)
    if drawn is None:
        return None
    long = covered_share(drawn.mask, wearer, shank_region(drawn.mask.shape, body)) >= LONG
    checks = _network_checks(drawn, options)
    if all(check.passed for check in checks):
        checks = leg_checks(image, drawn, body, wearer, options, long=long)
    return _garment(TROUSERS if long else SHORTS, drawn, checks)


def top_checks(
    image: Image, drawn: DrawnMask, body: Body, wearer: Mask, options: GarmentOptions
) -> tuple[Measurement, ...]:
    """What tells one whole top from everything else; ``wearer`` is the person's mask (H, W)."""
    mask = drawn.mask
    covered = covered_share(mask, wearer, without_skin(image, trunk_region(mask.shape, body), body))
    return (
        *_common_checks(image, drawn, body, wearer, options),
        measure("garment_neck_share", neck_share(image, mask, body), high=options.max_neck_share),
        measure("garment_covered", covered, low=options.min_covered),
        measure(
            "garment_arms_covered", arms_covered(image, mask, wearer, body), low=options.min_arms_covered
        ),
        measure("garment_length", length(mask, body), high=options.max_length),
        measure("garment_other_name", other_name(image, mask, TOP), high=options.max_other_name),
    )


def leg_checks(
    image: Image, drawn: DrawnMask, body: Body, wearer: Mask, options: GarmentOptions, *, long: bool
) -> tuple[Measurement, ...]:
    """The same for trousers (``long``) and shorts."""
    mask = drawn.mask
    covered = covered_share(mask, wearer, thigh_region(mask.shape, body))
    if long:
        covered = min(covered, covered_share(mask, wearer, shank_region(mask.shape, body)))
    return (
        *_common_checks(image, drawn, body, wearer, options),
        measure("garment_covered", covered, low=options.min_covered),
        measure("garment_above_waist", above_waist(mask, body), high=options.max_above_waist),
        measure("garment_between_legs", between_legs(mask, body, long=long), high=options.max_between_legs),
        measure(
            "garment_other_name",
            other_name(image, mask, TROUSERS if long else SHORTS),
            high=options.max_other_name,
        ),
        *(() if long else _short_checks(image, mask, wearer, body, options)),
    )


def _short_checks(
    image: Image, mask: Mask, wearer: Mask, body: Body, options: GarmentOptions
) -> tuple[Measurement, ...]:
    """The shanks are bare, and not under boots or pads over long trousers."""
    shanks = shank_region(mask.shape, body)
    return (
        measure("garment_on_shanks", covered_share(mask, wearer, shanks), high=options.max_on_shanks),
        measure("garment_bare_shanks", bare_share(image, shanks & wearer, body), low=options.min_bare_shanks),
    )


def _garment(label: str, drawn: DrawnMask, checks: tuple[Measurement, ...]) -> Garment:
    return Garment(
        label=label,
        mask=drawn.mask,
        quality=drawn.quality,
        stability=drawn.stability,
        repeat=drawn.repeat,
        whole=drawn.whole,
        checks=checks,
    )


def _network_checks(drawn: DrawnMask, options: GarmentOptions) -> tuple[Measurement, ...]:
    return (
        measure("mask_quality", drawn.quality, low=options.min_quality),
        measure("mask_stability", drawn.stability, low=options.min_stability),
        measure("mask_repeat_agreement", drawn.repeat, low=options.min_repeat_agreement),
        measure("mask_in_one_piece", drawn.whole, low=options.min_whole),
    )


def _common_checks(
    image: Image, drawn: DrawnMask, body: Body, wearer: Mask, options: GarmentOptions
) -> tuple[Measurement, ...]:
    mask, area = drawn.mask, int(np.count_nonzero(drawn.mask))
    inside = int(np.count_nonzero(mask & wearer))
    share = inside / max(1, int(np.count_nonzero(wearer)))
    reach = max(2, round(0.04 * body.scale))
    return (
        *_network_checks(drawn, options),
        measure("garment_head_share", head_share(mask, body), high=options.max_head_share),
        measure("garment_skin_share", skin_share(image, mask, body), high=options.max_skin_share),
        measure("garment_in_wearer", inside / max(1, area), low=options.min_in_wearer),
        measure("garment_of_wearer", share, low=options.min_wearer_share, high=options.max_wearer_share),
        measure("garment_one_cloth", one_cloth_share(image, mask), low=options.min_one_cloth),
        measure("garment_two_tone_edge", two_tone_edge(image, mask), high=options.max_two_tone_edge),
        measure(
            "garment_faint_outline",
            faint_outline_share(image, mask, wearer, reach),
            high=options.max_faint_outline,
        ),
    )


def _draw(
    image: Image, features: Features, prompt: GarmentPrompt, options: GarmentOptions
) -> DrawnMask | None:
    """The best mask by the points, and its agreement with a second one: its box and a point deep inside, too.

    A mask that the network itself doubts is neither repeated nor refined.
    """
    first = best_answer(features, None, prompt.inside, prompt.outside, points_count=True, again=AGAIN)
    if not first.mask.any():
        return None
    if first.quality < options.min_quality or first.stability < options.min_stability:
        piece, whole = large_pieces(first.mask, LEAST_PIECE)
        return DrawnMask(
            mask=piece, quality=first.quality, stability=first.stability, repeat=0.0, whole=whole
        )
    tight = box_of(first.mask)
    inside = (*prompt.inside, inner_point(first.mask))
    second = best_answer(features, corners(tight), inside, prompt.outside, points_count=True, again=AGAIN)
    piece, whole = large_pieces(refine(image, first.logits), LEAST_PIECE)
    return DrawnMask(
        mask=fill_holes(piece, 0.01),
        quality=first.quality,
        stability=first.stability,
        repeat=mask_iou(first.mask, second.mask),
        whole=whole,
    )


def _wearer(features: Features, person: Box) -> Mask:
    return best_answer(features, corners(person), expected=person, again=AGAIN).mask
