"""The embedded tagger: ImageNet labels of the picture and its quarters, and COCO classes of a small detector."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from tasks.backends.assets import AssetCache, asset_table, default_cache_folder
from tasks.backends.embedded.perception.coco_detectors import EfficientDet
from tasks.backends.embedded.perception.garment_detection import PERSON
from tasks.backends.embedded.perception.garments import LABELS
from tasks.backends.embedded.perception.imagenet_classifier import imagenet_classifier
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image
from tasks.imaging.geometry import quarter_views
from tasks.records.records import Box, ModelIdentity, Tag
from tasks.records.settings_base import Settings
from tasks.roles.questions import TagQuestion

ASSETS = ("efficientnet-lite3", "efficientdet-lite0")
"""Packaged files it loads."""


VERSION = 2
"""Raised when other tags are given."""


class TaggerOptions(Settings):
    """Options of the embedded tagger."""

    min_score: float = Field(default=0.2, ge=0, le=1, description="labels below are dropped")
    max_tags: int = Field(default=20, ge=1, description="number of tags kept")
    view_share: float = Field(
        default=0.6, gt=0.5, lt=1, description="side of a quarter view as a share of the picture's"
    )


class EfficientNetTagger(OneByOne[TagQuestion, tuple[Tag, ...]]):
    """EfficientNet-Lite3 (1000 ImageNet classes) and EfficientDet-Lite0 (80 COCO classes)."""

    Options: ClassVar[type[Settings]] = TaggerOptions
    answering = frozenset(TaggerOptions.model_fields)
    reproducible = True
    wire = 1

    def __init__(self, options: TaggerOptions) -> None:
        self.options = options
        assets = AssetCache(default_cache_folder())
        assets.fetch(ASSETS)
        self._classifier = imagenet_classifier()
        self._detector = EfficientDet(assets)

    @classmethod
    def identity_of(cls, options: TaggerOptions) -> ModelIdentity:
        """Both networks' packages and digests."""
        del options
        used = [asset_table()[name] for name in ASSETS]
        return ModelIdentity(
            role="tagger",
            backend="efficientnet-lite3",
            model="EfficientNet-Lite3 (ImageNet) + EfficientDet-Lite0 (COCO) classes",
            revision=" + ".join((f"tags {VERSION}", *(a.revision for a in used))),
            digest="+".join(a.digest for a in used),
        )

    def answer_one(self, question: TagQuestion) -> tuple[Tag, ...]:
        """Tags, best first; a tag's score is its best over the whole picture and its quarters."""
        return self._tag(question.picture.rgb)

    def _tag(self, image: Image) -> tuple[Tag, ...]:
        height, width = image.shape[:2]
        best: dict[str, float] = {}
        whole = Box(x0=0, y0=0, x1=width, y1=height)
        for view in (whole, *quarter_views(width, height, self.options.view_share)):
            scores = self._classifier.scores(image[view.y0 : view.y1, view.x0 : view.x1])
            for number in np.flatnonzero(scores >= self.options.min_score):
                _keep_best(best, self._classifier.names[int(number)], float(scores[number]))
        for raw in self._detector.boxes(image, self.options.min_score):
            _keep_best(best, raw.label, raw.score)
        if (
            PERSON in best
        ):  # whoever is there wears something, which the detector looks for when it is asked to
            for label in LABELS:
                _keep_best(best, label, best[PERSON])
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[: self.options.max_tags]
        return tuple(Tag(name=name, score=round(score, 4)) for name, score in ranked)


def _keep_best(best: dict[str, float], name: str, score: float) -> None:
    best[name] = max(score, best.get(name, 0.0))
