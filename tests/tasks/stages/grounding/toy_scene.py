"""A drawn scene of colored blocks and small real roles that see it: each color is a class."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.imaging.geometry import box_of
from tasks.records.records import Box, Measurement, ModelIdentity, SourceImage, Tag
from tasks.roles.questions import Detection, Segmentation, TargetVerdict

COLORS = {"cup": (200, 30, 30), "book": (30, 60, 200), "plant": (30, 150, 40)}


def identity(role):
    return ModelIdentity(role=role, backend="blocks", model="exact colours", revision="1", digest="none")


def paint(blocks, size=(400, 600)):
    """A picture (H, W, 3) with blocks (label, x, y, width, height) on a gray ground with a slight ramp."""
    ramp = np.linspace(170, 190, size[1], dtype=np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], size[0], axis=0), 3, axis=2)
    for label, x, y, w, h in blocks:
        image[y : y + h, x : x + w] = COLORS[label]
    return image


def source(sid="a" * 26, width=600, height=400, hints=()):
    return SourceImage(
        sid=sid, location="blocks/a.jpg", sha256="0" * 64, working_sha256="0" * 64, width=width, height=height,
        original_format="PNG", actions=("encoded",), license="unstated (drawn)", hints=hints, fingerprint="0" * 16,
    )  # fmt: skip


class BlockTagger:
    """Names every color in the picture."""

    identity = identity("tagger")
    prompts = ()

    async def __call__(self, question):
        return tuple(Tag(name=n, score=1.0) for n in COLORS if _pixels(question.picture.rgb, n).any())


class BlockDetector:
    """One box per connected block of an exact color; the score falls with the block's size."""

    identity = identity("detector")
    prompts = ()

    async def __call__(self, question):
        return tuple(d for name in question.names for d in self._find(question.picture.rgb, name))

    def _find(self, image, name):
        count, _, stats, _ = cv2.connectedComponentsWithStats(_pixels(image, name).astype(np.uint8))
        for x, y, w, h, area in stats[1:count]:
            score = 0.95 if area >= 400 else 0.2
            box = Box(x0=int(x), y0=int(y), x1=int(x + w), y1=int(y + h))
            yield Detection(label=name, box=box, score=score)


class BlockSegmenter:
    """The block's own pixels inside the box."""

    identity = identity("segmenter")
    prompts = ()

    def __init__(self):
        self.asked = 0
        self.candidates = []

    async def __call__(self, question):
        self.asked += len(question.detections)
        self.candidates += [question.detections[number].label for number in question.candidates]
        return tuple(self._cut(question.picture.rgb, d) for d in question.detections)

    def _cut(self, image, detection):
        mask = np.zeros(image.shape[:2], bool)
        b = detection.box
        window = _pixels(image, detection.label)[b.y0 : b.y1, b.x0 : b.x1]
        mask[b.y0 : b.y1, b.x0 : b.x1] = window
        assert box_of(mask).area <= b.area
        return Segmentation(mask=mask, score=0.95, method="exact", checks=())


class LeftHalfJudge:
    """Calls targets in the left half hard, and tall thin masks imprecise."""

    identity = identity("target_judge")

    prompts = ()

    async def __call__(self, question):
        box = question.target.objects[0].box
        left, stout = box.x1 <= question.picture.rgb.shape[1] // 2, box.height < 4 * box.width
        return TargetVerdict(
            precise=stout,
            hard=left,
            measurements=(Measurement(name="left", value=float(left), low=1, high=1),),
        )


def _pixels(image, name):
    return (image == np.uint8(COLORS[name])).all(axis=2)
