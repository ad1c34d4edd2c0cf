"""The embedded segmenter: Segment Anything 2 prompted with boxes; masks are refined, separated and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tasks.backends.assets import AssetCache, asset_table, default_cache_folder
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.nouns import noun
from tasks.backends.embedded.perception.box_masks import AGAIN, BoxMask, better, draw, draw_in_window
from tasks.backends.embedded.perception.closer_windows import plan_windows
from tasks.backends.embedded.perception.garments import ASSETS, garment_finder
from tasks.backends.embedded.perception.mask_bounds import (
    SegmenterOptions,
    is_sure,
    least_box_agreement,
    nearly_passes,
)
from tasks.backends.embedded.perception.mask_measures import color_distance, edge_ratio, slenderness, solidity
from tasks.backends.embedded.perception.person_pose import person_pose
from tasks.backends.embedded.perception.sam2 import Features, sam2
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import box_of, containment, iou
from tasks.imaging.masks import dilate
from tasks.imaging.surfaces import SURFACE_SHARE, UNCLEAR_SHARE, main_surface
from tasks.records.measuring import measure
from tasks.records.records import Measurement, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import Detection, Segmentation, SegmentQuestion

VERSION = 16
"""Raised when making or checking masks changes the output."""

METHOD = "sam2-box"
"""``mask_method`` of its masks."""

CONVEX = frozenset({"bowl", "drinking glass", "sports ball"})
"""Classes of convex outline, whose solidity is checked."""

PERSON, CUP = "person", "cup"

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """One object's mask before overlaps are removed, and the checks of its own kind."""

    detection: Detection
    found: BoxMask
    more: tuple[Measurement, ...] = ()


class Sam2Segmenter(OneByOne[SegmentQuestion, tuple[Segmentation, ...]]):
    """Box-prompted masks. Each picture is encoded once; each box is prompted twice, to compare.

    Masks of candidates for targets are given back to the network, which improves them.
    """

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
        return self._segment(question)

    def _segment(self, question: SegmentQuestion) -> tuple[Segmentation, ...]:
        image, detections = question.picture.rgb, question.detections
        features = self._model.encode(image)
        drawn = [
            self._garment(image, d, detections)
            or self._draw(image, features, d, AGAIN if number in question.candidates else 0)
            for number, d in enumerate(detections)
        ]
        drawn = self._closer(image, drawn, question.candidates)
        masks = self._parted(drawn)
        return tuple(self._measure(image, i, drawn, masks) for i in range(len(drawn)))

    def _closer(self, image: Image, drawn: Sequence[_Drawn], candidates: Sequence[int]) -> list[_Drawn]:
        """The candidates that nearly pass are drawn again in windows around them, and the better mask is kept."""
        height, width = image.shape[:2]
        masks = self._parted(drawn)
        doubtful = {
            number: drawn[number].detection.box
            for number in candidates
            if not drawn[number].more and nearly_passes(self._measure(image, number, drawn, masks).checks)
        }
        chosen = list(drawn)
        planned = plan_windows(doubtful, width, height, self.options.max_windows)
        for window, numbers in planned.items():
            boxes = {number: doubtful[number] for number in numbers}
            for number, found in draw_in_window(image, window, boxes, self.options.max_hole_share).items():
                chosen[number] = replace(
                    drawn[number], found=better(drawn[number].found, found, doubtful[number])
                )
        return chosen

    def _parted(self, drawn: Sequence[_Drawn]) -> list[Mask]:
        labels = [d.detection.label for d in drawn]
        return part_masks([d.found.mask for d in drawn], labels, self.options.in_front_share)

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
        found_mask = BoxMask(
            mask=best.mask,
            quality=best.quality,
            stability=best.stability,
            repeat=best.repeat,
            whole=best.whole,
        )
        return _Drawn(detection=detection, found=found_mask, more=best.checks)

    def _draw(self, image: Image, features: Features, detection: Detection, again: int) -> _Drawn:
        found = draw(image, features, detection.box, self.options.max_hole_share, again=again)
        return _Drawn(detection=detection, found=found)

    def _measure(
        self, image: Image, index: int, drawn: Sequence[_Drawn], masks: Sequence[Mask]
    ) -> Segmentation:
        own, mask, limits = drawn[index], masks[index], self.options
        found, label, box = own.found, own.detection.label, own.detection.box
        area = int(np.count_nonzero(mask))
        others = np.zeros_like(mask)
        for i, other in enumerate(masks):
            if i != index and not _are_parts(own.detection, drawn[i].detection):
                others |= other
        tight = box_of(mask)
        inside = containment(tight, box) >= limits.min_in_box
        contested = int(np.count_nonzero(mask & others)) / area if area else 1.0
        checks: tuple[Measurement, ...] = (
            measure("mask_quality", found.quality, low=limits.min_quality),
            measure("mask_stability", found.stability, low=limits.min_stability),
            measure(
                "mask_box_agreement", iou(tight, box), low=least_box_agreement(found, label, inside, limits)
            ),
            measure("mask_repeat_agreement", found.repeat, low=limits.min_repeat_agreement),
            measure("mask_in_one_piece", found.whole, low=limits.min_whole),
            measure("mask_edge_ratio", edge_ratio(image, mask, tight), low=limits.min_edge_ratio),
            measure("mask_color_distance", color_distance(image, mask, tight), low=limits.min_color_distance),
            measure("mask_contested_share", contested, high=limits.max_contested),
        )
        shared = own_kind_share(masks, [d.detection.label for d in drawn], index, limits.own_kind_px)
        most = limits.max_sure_own_kind_share if is_sure(found, limits) else limits.max_own_kind_share
        checks = (*checks, measure("mask_own_kind_share", shared, low=0, high=most))
        if found.agreement is not None:
            checks = (*checks, measure("mask_looks_agreement", found.agreement, decides=False))
        if own.more:  # a garment's own bounds stand for the general ones
            checks = tuple({check.name: check for check in (*checks, *own.more)}.values())
        if own.detection.label in CONVEX:
            checks = (*checks, measure("mask_solidity", solidity(mask), low=limits.min_solidity))
        if label == CUP:
            checks = (*checks, measure("cup_slenderness", slenderness(mask), high=limits.max_cup_slenderness))
        if area:
            surface = main_surface(image, mask)
            checks = (
                *checks,
                measure(SURFACE_SHARE, surface.share, decides=False),
                measure(UNCLEAR_SHARE, surface.unclear, decides=False),
            )
        if own.detection.label == PERSON:
            head = self._pose.head_score(image, own.detection.box)
            checks = (*checks, measure("person_head_score", head, low=limits.min_head_score))
        return Segmentation(mask=mask, score=round(found.quality, 4), method=METHOD, checks=checks)


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
