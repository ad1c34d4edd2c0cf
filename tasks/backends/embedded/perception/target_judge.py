"""The embedded target judge: rules over geometry and measured pixels, each recorded with its bound."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field

from tasks.backends.assets import asset_table
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.perception.imagenet_classifier import CLASSIFIER
from tasks.backends.embedded.perception.label_witness import ImageNetWitness, LabelWitness
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import iou
from tasks.records.measuring import measure
from tasks.records.records import GroundedTarget, Measurement, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import TargetQuestion, TargetVerdict

LABEL_CONFIDENCES = {"chair": 0.9, "microwave": 0.9}
"""Labels that detectors give to other things (knees, large leaves, ovens) with some confidence, but not with much."""


class TargetJudgeOptions(Settings):
    """Bounds of the two questions; numbers are shares of the picture unless stated otherwise."""

    max_salient_share: float = Field(default=0.25, ge=0, le=1, description="larger targets are easy")
    max_largest_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="the same for the largest object of a scene, where no other one is of its class",
    )
    min_entities: int = Field(
        default=3,
        ge=1,
        description="objects of the scene among which a target of a class of its own may be hard",
    )
    min_label_confidence: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="joint confidence of detector and classifier in the label",
    )
    label_confidences: dict[str, float] = Field(
        default=LABEL_CONFIDENCES, description="the same for single labels"
    )
    max_label_objection: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="the classifier's probability of another class",
    )
    min_edge_contrast: float = Field(default=4.0, ge=0, description="mean Lab step across the mask's outline")


class RuleTargetJudge(OneByOne[TargetQuestion, TargetVerdict]):
    """Answers both parts of the paper's question (Figure 19): precise mask, and hard to locate.

    *Precise*: the outline lies on a color edge, detector and classifier jointly support the label, and the
    classifier does not object. *Hard*: there is another instance of its class, or it is one of several objects and no
    large one that stands out. A garment is hard where there is somebody else than its wearer, too.
    """

    Options: ClassVar[type[Settings]] = TargetJudgeOptions
    answering = frozenset(TargetJudgeOptions.model_fields)
    reproducible = True
    wire = 1
    prompts = (NOUNS,)

    def __init__(
        self, options: TargetJudgeOptions | None = None, witness: LabelWitness | None = None
    ) -> None:
        self.options = options or TargetJudgeOptions()
        self._witness = witness or ImageNetWitness()

    @classmethod
    def identity_of(cls, options: TargetJudgeOptions) -> ModelIdentity:
        """The rules of this file and the packaged classifier."""
        del options
        asset = asset_table()[CLASSIFIER]
        return ModelIdentity(
            role="target_judge",
            backend="rules",
            model="geometry and contrast rules + EfficientNet-Lite3 (ImageNet)",
            revision=f"rules 8 + {asset.revision}",
            digest=asset.digest,
        )

    def answer_one(self, question: TargetQuestion) -> TargetVerdict:
        """Both parts of the verdict, with every measurement that led to it; the marked picture is not used."""
        precise = self._precision(question)
        hard = self._hardness(question.target)
        return TargetVerdict(
            precise=all(m.passed for m in precise),
            hard=hard[-1].passed,
            measurements=(*precise, *hard),
        )

    def _precision(self, question: TargetQuestion) -> tuple[Measurement, ...]:
        options = self.options
        objects, image = question.target.objects, question.picture.rgb
        step = edge_contrast(image, question.mask)
        least = options.label_confidences.get(question.target.label, options.min_label_confidence)
        sure = min(label_confidence(o.score, self._witness.support(image, o.label, o.box)) for o in objects)
        against = max(self._witness.objection(image, o.label, o.box) for o in objects)
        return (
            measure("edge_contrast", step, digits=3, low=options.min_edge_contrast),
            measure("label_confidence", sure, digits=3, low=least),
            measure("label_objection", against, digits=3, high=options.max_label_objection),
        )

    def _hardness(self, target: GroundedTarget) -> tuple[Measurement, ...]:
        scene, options = target.scene, self.options
        own = target.objects
        things = [o for o in scene.objects if o.part_of is None]
        others = [o for o in things if o.index not in target.indices]
        alike = [o for o in scene.objects if o.index not in target.indices and o.label == target.label]
        if target.whole is not None:
            # A garment is found by its wearer: anybody else may be taken for them, whatever he wears. That the wearer
            # is larger says nothing of how hard either is to find.
            others = [o for o in others if o.index != target.whole.index]
            alike = [o for o in alike if o.part_of != target.whole.index]
            alike = [*alike, *(o for o in others if o.label == target.whole.label)]
        named = [(o.label, o.box) for o in (*own, *((target.whole,) if target.whole else ()))]
        peers = len(alike) + sum(
            any(d.label == label for label, _ in named) and all(iou(d.box, box) < 0.3 for _, box in named)
            for d in scene.distractors
        )
        total = scene.source.width * scene.source.height
        share = sum(o.area for o in own) / total
        rank = 1 + sum(o.area > max(o.area for o in own) for o in others)
        cx, cy = own[0].box.center
        diagonal = float(np.hypot(scene.source.width, scene.source.height))
        offset = float(np.hypot(cx - scene.source.width / 2, cy - scene.source.height / 2)) / diagonal
        modest = measure("salient_share", share, high=options.max_salient_share)
        outstanding = rank == 1 and share > options.max_largest_share
        hidden = not outstanding and len(things) >= options.min_entities
        hard = modest.passed and (peers >= 1 or hidden)
        # The parts inform; the last one decides, since each alone may fail a hard target.
        return (
            measure("same_class_others", peers, decides=False),
            measure("size_rank", rank, decides=False),
            measure("center_offset", offset, digits=3, decides=False),
            modest,
            measure("hard_to_locate", hard, low=1, high=1),
        )


def label_confidence(score: float, support: float) -> float:
    """Joint confidence of two independent sources: 1 - (1 - score) (1 - support), all in 0..1."""
    return 1 - (1 - score) * (1 - support)


def edge_contrast(image: Image, mask: Mask) -> float:
    """Mean CIE Lab distance between the pixels 3 px inside and 3 px outside a mask's outline, over the outline.

    Returns 0 for an empty mask or one that fills the picture.
    """
    inside = mask.astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    inner_band = (inside > 0) & (cv2.erode(inside, kernel) == 0)
    outer_band = (cv2.dilate(inside, kernel) > 0) & (inside == 0)
    if not inner_band.any() or not outer_band.any():
        return 0.0
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    window = (9, 9)
    means = []
    for band in (inner_band, outer_band):
        weight = band.astype(np.float32)
        total = cv2.blur(lab * weight[..., None], window)
        count = cv2.blur(weight, window)
        means.append((total / np.maximum(count, 1e-6)[..., None], count > 1e-3))
    (inner, has_inner), (outer, has_outer) = means
    line = inner_band & has_inner & has_outer
    return float(np.linalg.norm(inner - outer, axis=2)[line].mean()) if line.any() else 0.0
