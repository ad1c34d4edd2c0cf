"""The editing stage over a drawn scene, with an editor and an inpainter that answer what a test plants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tasks.backends.embedded.painting.edit_judge import RuleEditJudge
from tasks.backends.embedded.painting.editor import ClassicalEditor
from tasks.records.errors import Reason
from tasks.records.outcomes import BlobRef, Child, Outcome, StageInput
from tasks.records.records import EditedSample, EditPlan, EditType, ModelIdentity
from tasks.roles.questions import EditRequest, InpaintRequest
from tasks.stages.editing.settings import EditingSettings
from tasks.stages.editing.stage import EditingStage
from tests.tasks.stages.editing.drawn_scene import BlobDetector, OutlineSegmenter, disc

RED = disc(160, 120, 26)
ROLE = {"backend": "planted"}
SETTINGS = EditingSettings(editor=ROLE, inpainter=ROLE, judge=ROLE, detector=ROLE, segmenter=ROLE)


@dataclass
class PlantedEditor:
    """Answers with what a test plants."""

    paint: Callable[[np.ndarray, np.ndarray], np.ndarray]
    identity = ModelIdentity(role="editor", backend="planted", model="planted", revision="1", digest="none")
    offers = tuple(EditType)

    def edit(self, requests: Sequence[EditRequest]) -> list[np.ndarray]:
        return [self.paint(r.image, r.mask) for r in requests]


@dataclass
class PlantedInpainter:
    """Fills from a picture that the test gives, at the window's place in the scene."""

    scene: np.ndarray
    answer: np.ndarray
    identity = ModelIdentity(
        role="inpainter", backend="planted", model="planted", revision="1", digest="none"
    )

    def inpaint(self, requests: Sequence[InpaintRequest]) -> list[np.ndarray]:
        filled = []
        for request in requests:
            out = request.image.copy()
            # The window's place is told by its picture: the tests' grounds never repeat.
            match = cv2.matchTemplate(self.scene, request.image, cv2.TM_SQDIFF)
            _, _, (x, y), _ = cv2.minMaxLoc(match)
            cut = self.answer[y : y + out.shape[0], x : x + out.shape[1]]
            out[request.hole] = cut[request.hole]
            filled.append(out)
        return filled


class OnePicture:
    """A pixel reader of one picture."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    def data(self, ref: BlobRef) -> bytes:
        raise NotImplementedError

    def rgb(self, ref: BlobRef) -> np.ndarray:
        del ref
        return self.image


def run(
    image: np.ndarray,
    plan: EditPlan,
    *,
    editor: object | None = None,
    fill: np.ndarray | None = None,
    inpainter: object | None = None,
    detector: BlobDetector | None = None,
    settings: EditingSettings = SETTINGS,
) -> Outcome:
    stage = EditingStage(
        settings=settings,
        seed=3,
        editor=editor or ClassicalEditor(),
        inpainter=inpainter or PlantedInpainter(image, image if fill is None else fill),
        judge=RuleEditJudge(),
        detector=detector or BlobDetector(),
        segmenter=OutlineSegmenter(),
    )
    ref = BlobRef(path="x", offset=0, length=1, sha256="0" * 64)
    (outcome,) = stage.process(
        [StageInput(id=plan.plan_id, record=plan, blobs={"source.jpg": ref})], OnePicture(image)
    )
    return outcome


def only_child(outcome: Outcome) -> Child:
    assert outcome.reason is None, outcome.detail
    (child,) = outcome.children
    return child


def assert_refused_alone(child: Child, reason: Reason) -> None:
    """The reason is the given one, and no other gate failed."""
    assert child.reason is reason, (child.reason, child.measured)
    assert isinstance(child.record, EditedSample)
    failed = [m.name for m in child.record.gates if not m.passed]
    assert len(failed) == 1, child.detail
    assert failed == [m.name for m in child.measured]
    assert {b.name for b in child.blobs} == {"edited.png", "patch.png"}


def replace_gates(**bounds: float) -> EditingSettings:
    return SETTINGS.model_copy(update={"gates": SETTINGS.gates.model_copy(update=bounds)})
