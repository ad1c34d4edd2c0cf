"""The embedded segmenter: Segment Anything 2 prompted with boxes; masks are refined, separated and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tasks.backends.assets import AssetCache, asset_table, default_cache_folder
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.perception.garments import ASSETS, GarmentOptions, garment_finder
from tasks.backends.embedded.perception.mask_measures import (
    color_distance,
    edge_ratio,
    fill_holes,
    inner_point,
    solidity,
    stability,
)
from tasks.backends.embedded.perception.mask_refinement import refine
from tasks.backends.embedded.perception.person_pose import person_pose
from tasks.backends.embedded.perception.sam2 import Features, sam2
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, containment, iou
from tasks.imaging.masks import dilate, largest_piece, mask_iou
from tasks.records.measuring import measure
from tasks.records.records import Box, Measurement, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import Detection, Segmentation, SegmentQuestion

VERSION = 9
"""Raised when making or checking masks changes the output."""

METHOD = "sam2-box"
"""``mask_method`` of its masks."""

VESSELS = frozenset({"tableware", "glassware"})
"""Kinds of noun whose mask should fill the detector's box."""

CONVEX = frozenset({"bowl", "drinking glass", "sports ball"})
"""Classes of convex outline, whose solidity is checked."""

PERSON = "person"

PARTS = frozenset(
    {
        (PERSON, "shoe"),
        (PERSON, "tie"),
        ("laptop", "keyboard"),
        ("laptop", "mouse"),
        ("potted plant", "vase"),
        ("vase", "potted plant"),
    }
)
"""(whole, part): pairs of classes whose smaller mask is part of the larger thing, not something in front; so are
garments of a person."""

GARMENT = "garment"
"""Kind of noun whose masks come from the person's pose."""

GARMENT_INSIDE = 0.8
"""Share of a garment's box inside the box of its wearer."""


class SegmenterOptions(Settings):
    """Bounds of the checks, set by inspecting masks of the demo photographs."""

    min_quality: float = Field(default=0.8, ge=0, le=1, description="the network's own estimate of IoU")
    min_stability: float = Field(default=0.92, ge=0, le=1, description="IoU of masks at logits +1 and -1")
    min_sure_stability: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="the same for masks of at least ``sure_quality`` whose second prompt's mask is as stable",
    )
    sure_quality: float = Field(
        default=0.92,
        ge=0,
        le=1,
        description="the network's estimate from which a soft outline (thin legs, blur) is no doubt of its extent",
    )
    min_box_agreement: float = Field(
        default=0.72, ge=0, le=1, description="IoU of the mask's box with the prompt box"
    )
    min_laptop_agreement: float = Field(
        default=0.82, ge=0, le=1, description="the same for laptops, where the screen alone may be segmented"
    )
    min_vessel_agreement: float = Field(
        default=0.86,
        ge=0,
        le=1,
        description="the same for cups, glasses, bowls, where a saucer or leaf may join",
    )
    min_solidity: float = Field(
        default=0.965,
        ge=0,
        le=1,
        description="area over hull of glasses, bowls, balls; lower: another object joined",
    )
    own_kind_px: int = Field(
        default=3,
        ge=0,
        description="two masks of one class this close have an ambiguous boundary",
    )
    max_own_kind_share: float = Field(
        default=0.002, ge=0, le=1, description="share of a mask that close; more than a point of contact"
    )
    min_repeat_agreement: float = Field(
        default=0.85, ge=0, le=1, description="IoU with the mask of a second prompt"
    )
    min_whole: float = Field(default=0.9, ge=0, le=1, description="share of the raw mask in one piece")
    min_edge_ratio: float = Field(
        default=1.15, ge=0, description="color step at the outline over the mean around it"
    )
    min_color_distance: float = Field(
        default=0.3, ge=0, le=1, description="distance of colors inside and outside the outline"
    )
    max_contested: float = Field(default=0.15, ge=0, le=1, description="share that other masks cover as well")
    max_hole_share: float = Field(default=0.01, ge=0, le=1, description="smaller holes are filled")
    min_head_score: float = Field(
        default=0.3, ge=0, le=1, description="head keypoint score of a person; hands alone stay below"
    )
    garments: GarmentOptions = GarmentOptions()
    in_front_share: float = Field(
        default=0.75, ge=0, le=1, description="share of a mask inside another from which it is in front"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """One object's mask before overlaps are removed, with its measurements."""

    detection: Detection
    mask: Mask
    quality: float
    stability: float
    repeat: float
    whole: float
    second_stability: float = 0.0
    more: tuple[Measurement, ...] = ()


class Sam2Segmenter(OneByOne[SegmentQuestion, tuple[Segmentation, ...]]):
    """Box-prompted masks. Each picture is encoded once; each box is prompted twice, to compare."""

    Options: ClassVar[type[Settings]] = SegmenterOptions
    answering = frozenset(SegmenterOptions.model_fields)
    reproducible = True
    wire = 1
    prompts = (NOUNS,)

    def __init__(self, options: SegmenterOptions) -> None:
        self.options = options
        AssetCache(default_cache_folder()).fetch(ASSETS)
        self._model = sam2()
        self._pose = person_pose()

    @classmethod
    def identity_of(cls, options: SegmenterOptions) -> ModelIdentity:
        """Both networks' packages and digests."""
        del options
        used = [asset_table()[name] for name in ASSETS]
        return ModelIdentity(
            role="segmenter",
            backend="sam2-tiny",
            model="Segment Anything 2, Hiera-tiny (+ MoveNet Lightning for a check of persons)",
            revision=" + ".join((f"checks {VERSION}", *(a.revision for a in used))),
            digest="+".join(a.digest for a in used),
        )

    def answer_one(self, question: SegmentQuestion) -> tuple[Segmentation, ...]:
        """One segmentation per detection, in order; masks have the picture's size (H, W).

        Hints are not used. A mask depends on the other detections of the question, since what stands in front of a
        thing is taken off its mask.
        """
        if not question.detections:
            return ()
        return self._segment(question.picture.rgb, question.detections)

    def _segment(self, image: Image, detections: Sequence[Detection]) -> tuple[Segmentation, ...]:
        features = self._model.encode(image)
        drawn = [self._garment(image, d, detections) or self._draw(image, features, d) for d in detections]
        masks = part_masks(
            [d.mask for d in drawn], [d.detection.label for d in drawn], self.options.in_front_share
        )
        return tuple(self._measure(image, i, drawn, masks) for i in range(len(drawn)))

    def _garment(self, image: Image, detection: Detection, detections: Sequence[Detection]) -> _Drawn | None:
        """The garment by its wearer's pose; None for other things, and where the pose shows no such garment."""
        if noun(detection.label).kind != GARMENT:
            return None
        least = self.options.min_box_agreement
        found = [
            garment
            for other in detections
            if other.label == PERSON and containment(detection.box, other.box) >= GARMENT_INSIDE
            for garment in garment_finder().garments(image, other.box, self.options.garments)
            if garment.label == detection.label and iou(garment.box, detection.box) >= least
        ]
        if not found:
            return None
        best = max(found, key=lambda garment: iou(garment.box, detection.box))
        return _Drawn(
            detection=detection,
            mask=best.mask,
            quality=best.quality,
            stability=best.stability,
            repeat=best.repeat,
            whole=best.whole,
            more=best.checks,
        )

    def _draw(self, image: Image, features: Features, detection: Detection) -> _Drawn:
        """Prompt with the box, then with the mask's own box and a point deep inside it, and compare both masks."""
        box = detection.box
        first = self._ask(features, (box.x0, box.y0, box.x1, box.y1), None, box)
        mask = first.mask
        if mask.any():
            tight = box_of(mask)
            again = self._ask(features, (tight.x0, tight.y0, tight.x1, tight.y1), inner_point(mask), tight)
            repeat, second = mask_iou(mask, again.mask), again.stability
        else:
            repeat = second = 0.0
        piece, whole = largest_piece(refine(image, first.logits))
        return _Drawn(
            detection=detection,
            mask=fill_holes(piece, self.options.max_hole_share),
            quality=first.quality,
            stability=first.stability,
            repeat=repeat,
            whole=whole,
            second_stability=second,
        )

    def _ask(
        self,
        features: Features,
        prompt: tuple[float, float, float, float],
        inside: tuple[float, float] | None,
        expected: Box,
    ) -> _Answer:
        """The best of the three proposals by the network's own estimate, stability and fit to the expected box."""
        proposals = self._model.propose(features, prompt, () if inside is None else (inside,))
        answers = []
        for logits, quality in zip(proposals.logits, proposals.quality, strict=True):
            mask = _full_size(logits, features.height, features.width) > 0
            fit, firm = iou(box_of(mask), expected), stability(logits)
            answers.append(
                _Answer(
                    mask=mask,
                    logits=logits,
                    quality=float(np.clip(quality, 0, 1)),
                    stability=firm,
                    rank=float(quality) * firm * (0.5 + 0.5 * fit),
                )
            )
        return max(answers, key=lambda a: a.rank)

    def _measure(
        self, image: Image, index: int, drawn: Sequence[_Drawn], masks: Sequence[Mask]
    ) -> Segmentation:
        own, mask, limits = drawn[index], masks[index], self.options
        area = int(np.count_nonzero(mask))
        others = np.zeros_like(mask)
        for i, other in enumerate(masks):
            if i != index and not _are_parts(own.detection, drawn[i].detection):
                others |= other
        tight = box_of(mask)
        contested = int(np.count_nonzero(mask & others)) / area if area else 1.0
        checks: tuple[Measurement, ...] = (
            measure("mask_quality", own.quality, low=limits.min_quality),
            measure(
                "mask_stability",
                own.stability,
                low=least_stability(own.quality, own.second_stability, limits),
            ),
            measure(
                "mask_box_agreement",
                iou(tight, own.detection.box),
                low=_least_box_agreement(own.detection.label, limits),
            ),
            measure("mask_repeat_agreement", own.repeat, low=limits.min_repeat_agreement),
            measure("mask_in_one_piece", own.whole, low=limits.min_whole),
            measure("mask_edge_ratio", edge_ratio(image, mask, tight), low=limits.min_edge_ratio),
            measure("mask_color_distance", color_distance(image, mask, tight), low=limits.min_color_distance),
            measure("mask_contested_share", contested, high=limits.max_contested),
        )
        shared = own_kind_share(masks, [d.detection.label for d in drawn], index, limits.own_kind_px)
        checks = (*checks, measure("mask_own_kind_share", shared, low=0, high=limits.max_own_kind_share))
        if own.more:  # a garment's own bounds stand for the general ones
            checks = tuple({check.name: check for check in (*checks, *own.more)}.values())
        if own.detection.label in CONVEX:
            checks = (*checks, measure("mask_solidity", solidity(mask), low=limits.min_solidity))
        if own.detection.label == PERSON:
            head = self._pose.head_score(image, own.detection.box)
            checks = (*checks, measure("person_head_score", head, low=limits.min_head_score))
        return Segmentation(mask=mask, score=round(own.quality, 4), method=METHOD, checks=checks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answer:
    mask: Mask
    logits: NDArray[np.float32]
    quality: float
    stability: float
    rank: float


def part_masks(masks: Sequence[Mask], labels: Sequence[str], in_front_share: float) -> list[Mask]:
    """Each mask without the masks in front of it.

    A mask that lies in another by ``in_front_share`` is in front (the cup on the table, the person on the
    couch), unless its class is a part of the other's.
    """
    areas = [int(np.count_nonzero(m)) for m in masks]
    parted = []
    for i, mask in enumerate(masks):
        rest = mask
        for j, other in enumerate(masks):
            if i == j or not areas[j] or areas[j] >= areas[i] or is_part(labels[i], labels[j]):
                continue
            if labels[i] != labels[j] and np.count_nonzero(mask & other) >= in_front_share * areas[j]:
                rest = rest & ~other
        parted.append(rest)
    return parted


def is_part(whole: str, part: str) -> bool:
    """Whether the smaller mask of the second class is part of the larger one of the first."""
    return (whole, part) in PARTS or (whole == PERSON and noun(part).kind == GARMENT)


def _are_parts(own: Detection, other: Detection) -> bool:
    """Whether the other one claims nothing of the own: a part of it, or the wearer of a garment."""
    if is_part(own.label, other.label):
        return True
    worn = is_part(other.label, own.label) and noun(own.label).kind == GARMENT
    return worn and containment(own.box, other.box) >= GARMENT_INSIDE


def own_kind_share(masks: Sequence[Mask], labels: Sequence[str], index: int, reach_px: int) -> float:
    """Share 0..1 of a mask that lies within ``reach_px`` of another mask of its class."""
    own = masks[index]
    same = [m for i, m in enumerate(masks) if i != index and labels[i] == labels[index] and m.any()]
    if not same or not own.any():
        return 0.0
    near = dilate(np.logical_or.reduce(same), reach_px)
    return int(np.count_nonzero(own & near)) / int(np.count_nonzero(own))


def least_stability(quality: float, second: float, limits: SegmenterOptions) -> float:
    """The bound of a mask's stability, 0..1; less for sure masks, whose outlines may be blurred or long and thin.

    ``quality`` is the network's own estimate, ``second`` the stability of the second prompt's mask.
    """
    sure = quality >= limits.sure_quality and second >= limits.min_sure_stability
    return limits.min_sure_stability if sure else limits.min_stability


def _least_box_agreement(label: str, limits: SegmenterOptions) -> float:
    if label == "laptop":
        return limits.min_laptop_agreement
    return limits.min_vessel_agreement if noun(label).kind in VESSELS else limits.min_box_agreement


def _full_size(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
