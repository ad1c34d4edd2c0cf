"""A drawn scene: a detector of colored blobs, painting helpers, and plans about its objects."""

from __future__ import annotations

import cv2
import numpy as np

from tasks.imaging.color_names import NAMES, name_indices, to_lab
from tasks.imaging.geometry import box_of, to_rle
from tasks.records.records import (
    Box,
    EditPlan,
    EditType,
    GroundedTarget,
    ModelIdentity,
    Reasoning,
    Scene,
    SceneObject,
    SourceImage,
)
from tasks.roles.questions import Detection, DetectQuestion, Segmentation, SegmentQuestion

SHAPE = (240, 320)
PAINTS = {"red": (205, 30, 35), "blue": (35, 60, 200)}


class BlobDetector:
    """Finds connected blobs of red and blue and calls them balls of that color."""

    identity = ModelIdentity(
        role="detector", backend="blobs", model="colour blobs", revision="1", digest="none"
    )

    prompts = ()

    async def __call__(self, question: DetectQuestion) -> tuple[Detection, ...]:
        return tuple(d for name in PAINTS for d in self._blobs(question.picture.rgb, name))

    @staticmethod
    def _blobs(image: np.ndarray, name: str) -> list[Detection]:
        lab = cv2.GaussianBlur(to_lab(image), (0, 0), 1.0)
        named = (name_indices(lab) == NAMES.index(name)) & (np.hypot(lab[..., 1], lab[..., 2]) > 35)
        count, _, stats, _ = cv2.connectedComponentsWithStats(named.astype(np.uint8))
        return [
            Detection(
                label=f"{name} ball",
                score=0.9,
                box=Box(x0=int(x), y0=int(y), x1=int(x + w), y1=int(y + h)),
            )
            for x, y, w, h, area in stats[1:count]
            if area > 150
        ]


class OutlineSegmenter:
    """The largest piece in the box that differs from the ground around it; certain when there is one."""

    identity = ModelIdentity(
        role="segmenter", backend="outlines", model="difference from the ground", revision="1", digest="none"
    )

    prompts = ()

    async def __call__(self, question: SegmentQuestion) -> tuple[Segmentation, ...]:
        return tuple(self._cut(question.picture.rgb, d.box) for d in question.detections)

    @staticmethod
    def _cut(image: np.ndarray, box: Box) -> Segmentation:
        lab = cv2.GaussianBlur(to_lab(image), (0, 0), 3.0)
        around = np.ones(image.shape[:2], bool)
        around[box.y0 : box.y1, box.x0 : box.x1] = False
        differs = (np.linalg.norm(lab - np.median(lab[around], axis=0), axis=2) > 6) & ~around
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8))
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if len(stats) > 1 else -1
        mask = pieces == largest
        return Segmentation(mask=mask, score=0.9 if mask.any() else 0.0, method="outlines", checks=())


def draw_ground() -> np.ndarray:
    """Grainy gray-green ground, (240, 320, 3) uint8."""
    grain = np.random.default_rng(5).normal(0, 9, SHAPE)[..., None]
    grain = 2 * cv2.GaussianBlur(grain, (0, 0), 0.7)[..., None]
    return np.clip(np.array([118, 126, 112]) + grain, 0, 255).astype(np.uint8)


def disc(x: int, y: int, radius: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A filled circle as a mask."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def shaded(image: np.ndarray, mask: np.ndarray, color: tuple[int, int, int]) -> None:
    """Paints ``mask`` with a color that is lit from above."""
    light = np.linspace(1.15, 0.85, image.shape[0])[:, None, None]
    image[mask] = np.clip(np.broadcast_to(np.array(color) * light, image.shape)[mask], 0, 255)


def make_plan(
    mask: np.ndarray,
    edit_type: EditType,
    argument: str = "none",
    label: str = "red ball",
    others: tuple[tuple[str, np.ndarray], ...] = (("blue ball", disc(225, 125, 18)),),
    box: Box | None = None,
) -> EditPlan:
    """A plan about the first object of a scene; ``others`` are the rest of it."""
    height, width = mask.shape
    objects = tuple(
        SceneObject(
            index=i,
            label=name,
            box=box if box is not None and i == 0 else box_of(m),
            mask=to_rle(m),
            score=0.9,
            mask_score=0.9,
            mask_method="drawn",
            area=int(m.sum()),
            color="mixed",
            color_share=0.5,
            lab=(50.0, 0.0, 0.0),
            checks=(),
            not_a_target="",
        )
        for i, (name, m) in enumerate(((label, mask), *others))
    )
    source = SourceImage(
        sid="a" * 26,
        location="drawn/one.png",
        sha256="0" * 64,
        working_sha256="0" * 64,
        width=width,
        height=height,
        original_format="PNG",
        actions=(),
        license="drawn here",
        hints=(),
        fingerprint="0" * 16,
    )
    scene = Scene(source=source, tags=(), objects=objects, distractors=(), models=())
    target = GroundedTarget(
        target_id="a" * 26 + "-t0", scene=scene, indices=(0,), mask=to_rle(mask), judgement=(), models=()
    )
    reasoning = Reasoning(
        scene_description="s", target_localization="t", editing_description="e", post_edit_description="p"
    )
    return EditPlan(
        plan_id="a" * 26 + "-t0-p0",
        target=target,
        edit_type=edit_type,
        argument=argument,
        instruction="Do it.",
        instruction_before_rewriting="Do it.",
        reasoning=reasoning,
        seed=1,
        gates=(),
        models=(),
        prompts=(),
    )
