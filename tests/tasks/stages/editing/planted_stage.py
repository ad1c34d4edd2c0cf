"""The editing stage over a drawn scene, with an editor and an inpainter whose output a test sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from tasks.backends.embedded.painting.edit_judge import RuleEditJudge
from tasks.backends.embedded.painting.editor import ClassicalEditor
from tasks.records.errors import Reason
from tasks.records.outcomes import BlobRef, Child, Outcome, StageInput
from tasks.records.records import EditedSample, EditPlan
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tasks.roles.offers import Offer, Offers, offer_of
from tasks.roles.questions import InpaintQuestion
from tasks.stages.editing.settings import EditingSettings, RemovalSettings
from tasks.stages.editing.stage import EditingAsks, edit
from tests.tasks.stages.answering import BackendAsk, GivenAsk, answered
from tests.tasks.stages.editing.drawn_scene import BlobDetector, OutlineSegmenter, disc

RED = disc(160, 120, 26)
ROLE = {"backend": "planted"}
OFFERS = Offers(
    editor=offer_of(choose("editor", RoleSettings(backend="classical"), "editor")),
    inpainter=offer_of(choose("inpainter", RoleSettings(backend="patchmatch"), "inpainter")),
)
EVERY_GATE = EditingSettings(editor=ROLE, inpainter=ROLE, judge=ROLE, detector=ROLE, segmenter=ROLE)
OF_THE_GROUND = ("even", "remains")
SETTINGS = EVERY_GATE.model_copy(
    update={
        "removal": RemovalSettings(
            gates=tuple(name for name in EVERY_GATE.removal.gates if name not in OF_THE_GROUND)
        )
    }
)
"""Without the two gates on the ground, which refuse most of what is planted for the others as well."""


def PlantedEditor(paint: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> GivenAsk:
    """Returns the output set by a test."""
    return GivenAsk("editor", lambda question: paint(question.picture.rgb, question.mask))


def PlantedInpainter(scene: np.ndarray, answer: np.ndarray) -> GivenAsk:
    """Fills from a picture given by the test, at the window's position in the scene."""

    def fill(question: InpaintQuestion) -> np.ndarray:
        out = question.picture.rgb.copy()
        # The window's position is found by its pixels, since the tests' grounds never repeat.
        _, _, (x, y), _ = cv2.minMaxLoc(cv2.matchTemplate(scene, question.picture.rgb, cv2.TM_SQDIFF))
        cut = answer[y : y + out.shape[0], x : x + out.shape[1]]
        out[question.hole] = cut[question.hole]
        return out

    return GivenAsk("inpainter", fill)


class OnePicture:
    """A pixel reader of one picture."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    def data(self, ref: BlobRef) -> bytes:
        return b""

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
    judge: object | None = None,
    second_judge: object | None = None,
    settings: EditingSettings = SETTINGS,
    editor_offer: Offer | None = None,
    inpainter_offer: Offer | None = None,
) -> Outcome:
    ask = EditingAsks(
        editor=editor or BackendAsk(ClassicalEditor()),
        inpainter=inpainter or PlantedInpainter(image, image if fill is None else fill),
        judge=judge or BackendAsk(RuleEditJudge()),
        second_judge=second_judge,
        detector=detector or BlobDetector(),
        segmenter=OutlineSegmenter(),
    )
    offers = Offers(editor=editor_offer or OFFERS.editor, inpainter=inpainter_offer or OFFERS.inpainter)
    stage = partial(edit, ask=ask, offers=offers, settings=settings, seed=3)
    ref = BlobRef(path="x", offset=0, length=1, sha256="0" * 64)
    (outcome,) = answered(
        stage, [StageInput(id=plan.plan_id, record=plan, blobs={"source.jpg": ref})], OnePicture(image)
    )
    return outcome


def only_child(outcome: Outcome) -> Child:
    assert outcome.reason is None, outcome.detail
    (child,) = outcome.children
    return child


def assert_refused_alone(child: Child, reason: Reason) -> None:
    """Checks that the reason is the given one, and that no other gate failed."""
    assert child.reason is reason, (child.reason, child.measured)
    assert isinstance(child.record, EditedSample)
    failed = [m.name for m in child.record.gates if not m.passed]
    assert len(failed) == 1, child.measured
    assert failed == [m.name for m in child.measured]
    assert {b.name for b in child.blobs} == {"edited.png", "patch.png"}


def replace_gates(settings: EditingSettings = SETTINGS, **bounds: float) -> EditingSettings:
    return settings.model_copy(update={"gates": settings.gates.model_copy(update=bounds)})


def listing(removal: RemovalSettings, *names: str) -> EditingSettings:
    """These gates alone; the rule judge, which scores by all of them, accepts everything."""
    listed = removal.model_copy(update={"gates": names})
    return SETTINGS.model_copy(update={"removal": listed, "min_accuracy": 1.0, "min_seamlessness": 1.0})
