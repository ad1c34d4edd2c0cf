"""The embedded detector: three small networks over the whole picture and four overlapping quarters, fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from tasks.backends.assets import AssetCache, asset_table, default_cache_folder
from tasks.backends.embedded.nouns import DATA as NOUNS
from tasks.backends.embedded.perception.box_fusion import Candidate, Voucher, fuse
from tasks.backends.embedded.perception.closer_detection import DOUBTFUL, confirmed
from tasks.backends.embedded.perception.closer_windows import plan_windows
from tasks.backends.embedded.perception.coco_detectors import EfficientDet, SsdMobilenet
from tasks.backends.embedded.perception.garment_detection import find_garments
from tasks.backends.embedded.perception.garments import ASSETS as GARMENT_ASSETS
from tasks.backends.embedded.perception.garments import GarmentOptions
from tasks.backends.embedded.perception.label_witness import ImageNetWitness
from tasks.backends.embedded.perception.open_images_detector import ASSET as OPEN_IMAGES
from tasks.backends.embedded.perception.open_images_detector import OWN_LABELS, OpenImagesSsd
from tasks.backends.embedded.perception.raw_boxes import RawBox, RawDetector
from tasks.backends.embedded.perception.second_opinion import review_labels
from tasks.backends.embedded.perception.vessels import name_glasses
from tasks.backends.one_by_one import OneByOne
from tasks.imaging.arrays import Image
from tasks.imaging.geometry import cropped, quarter_views
from tasks.records.records import Box, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.questions import Detection, DetectQuestion

ASSETS = ("ssd-mobilenet-v2", "efficientdet-lite0", OPEN_IMAGES, *GARMENT_ASSETS)
"""Packaged files it loads."""


VERSION = 16
"""Raised when fusing boxes or reviewing labels changes the output."""


class DetectorOptions(Settings):
    """Options of the embedded detector."""

    low_score: float = Field(
        default=0.2, ge=0, le=1, description="boxes that a network scores lower are ignored"
    )
    same_iou: float = Field(
        default=0.5, ge=0, le=1, description="IoU from which two boxes of one class are one object"
    )
    nested_share: float = Field(
        default=0.85,
        ge=0,
        le=1,
        description="share of a box inside another of its class from which they are one object",
    )
    lone_discount: float = Field(
        default=0.7, ge=0, le=1, description="factor on the score of a box that only one network found"
    )
    voucher_weight: float = Field(
        default=0.3, ge=0, le=1, description="factor on scores of the Open Images network where COCO decides"
    )
    tile_share: float = Field(
        default=0.6, gt=0.5, lt=1, description="side of a quarter view as a share of the picture's"
    )
    tiles_from_px: int = Field(
        default=640, ge=1, description="longer side from which the quarter views are used as well"
    )
    max_windows: int = Field(
        default=4, ge=0, description="parts of the picture in which doubtful boxes are looked at closer"
    )
    garments: GarmentOptions = GarmentOptions()


class FusedDetector(OneByOne[DetectQuestion, tuple[Detection, ...]]):
    """The 80 classes of COCO, glasses apart from cups, shoes, and garments.

    SSD-MobileNet-v2 and EfficientDet-Lite0 find; an SSD for Open Images vouches, and a classifier reviews the labels.
    Of the names asked for only garments matter: the networks always name every class they know.
    """

    Options: ClassVar[type[Settings]] = DetectorOptions
    answering = frozenset(DetectorOptions.model_fields)
    reproducible = True
    wire = 1
    prompts = (NOUNS,)

    def __init__(self, options: DetectorOptions) -> None:
        self.options = options
        assets = AssetCache(default_cache_folder())
        assets.fetch(ASSETS)
        self._networks: tuple[tuple[str, RawDetector], ...] = (
            ("ssd", SsdMobilenet(assets)),
            ("efficientdet", EfficientDet(assets)),
            (OPEN_IMAGES, OpenImagesSsd(assets)),
        )
        self._voucher = Voucher(network=OPEN_IMAGES, weight=options.voucher_weight, own_labels=OWN_LABELS)
        self._witness = ImageNetWitness()

    @classmethod
    def identity_of(cls, options: DetectorOptions) -> ModelIdentity:
        """The networks' packages and digests."""
        del options
        used = [asset_table()[name] for name in ASSETS]
        return ModelIdentity(
            role="detector",
            backend="fused",
            model="SSD-MobileNet-v2 + EfficientDet-Lite0 (COCO) + SSD-MobileNet-v2 (Open Images), "
            "labels reviewed by EfficientNet-Lite3, garments by MoveNet + Segment Anything 2",
            revision=" + ".join((f"fusion {VERSION}", *(a.revision for a in used))),
            digest="+".join(a.digest for a in used),
        )

    def answer_one(self, question: DetectQuestion) -> tuple[Detection, ...]:
        """All boxes scored at least ``low_score``, best first, in pixels of the picture."""
        image = question.picture.rgb
        found = self._detect(image)
        worn = find_garments(image, found, question.names, self.options.garments)
        return tuple(sorted((*found, *worn), key=lambda d: -d.score))

    def _detect(self, image: Image) -> tuple[Detection, ...]:
        height, width = image.shape[:2]
        whole = Box(x0=0, y0=0, x1=width, y1=height)
        views = [whole]
        if max(height, width) >= self.options.tiles_from_px:
            views += quarter_views(width, height, self.options.tile_share)
        found = [candidate for view in views for candidate in self._look(image, view)]
        fused = fuse(
            found,
            same_iou=self.options.same_iou,
            nested_share=self.options.nested_share,
            lone_discount=self.options.lone_discount,
            voucher=self._voucher,
        )
        fused = self._closer(image, fused)
        return review_labels(image, name_glasses(image, fused, self._witness), self._witness)

    def _look(self, image: Image, view: Box) -> list[Candidate]:
        """What every network finds in a part of the picture, in picture pixels."""
        whole = Box(x0=0, y0=0, x1=image.shape[1], y1=image.shape[0])
        seen = cropped(image, view)
        return [
            candidate
            for network, model in self._networks
            for raw in model.boxes(seen, self.options.low_score)
            if (candidate := _place(raw, view, whole, network)) is not None
        ]

    def _closer(self, image: Image, fused: Sequence[Detection]) -> list[Detection]:
        """The detections, with the scores of doubtful ones raised that are confirmed in a window around them."""
        height, width = image.shape[:2]
        low, high = DOUBTFUL
        doubtful = {n: d.box for n, d in enumerate(fused) if low <= d.score < high}
        chosen = list(fused)
        for window, numbers in plan_windows(doubtful, width, height, self.options.max_windows).items():
            seen = self._look(image, window)
            for number in numbers:
                chosen[number] = confirmed(fused[number], seen, self.options.same_iou)
        return sorted(chosen, key=lambda d: -d.score)


def _place(raw: RawBox, view: Box, whole: Box, network: str) -> Candidate | None:
    """The box in picture pixels; None when a view's inner border cuts it (another view has it whole)."""
    cut = 0.02
    if (
        (raw.x0 < cut and view.x0 > whole.x0)
        or (raw.y0 < cut and view.y0 > whole.y0)
        or (raw.x1 > 1 - cut and view.x1 < whole.x1)
        or (raw.y1 > 1 - cut and view.y1 < whole.y1)
    ):
        return None
    box = Box(
        x0=view.x0 + round(raw.x0 * view.width),
        y0=view.y0 + round(raw.y0 * view.height),
        x1=view.x0 + round(raw.x1 * view.width),
        y1=view.y0 + round(raw.y1 * view.height),
    )
    return Candidate(network=network, label=raw.label, box=box, score=raw.score) if box.area else None
