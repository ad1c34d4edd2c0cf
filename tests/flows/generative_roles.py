"""Backends that do not repeat themselves: drawn blocks seen with a random score, and embedded models counted as served.

The score differs from call to call, so two builds are equal only when the second one uses the answers of the first.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np

from flows.build.answers_only import open_replay
from flows.build.session import open_session
from tasks.backends.embedded.language.instructor import SceneFactsInstructor
from tasks.backends.embedded.language.referrer import GrammarReferrer
from tasks.backends.embedded.language.rewriter import ParaphraseRewriter
from tasks.backends.embedded.painting.edit_judge import RuleEditJudge
from tasks.backends.embedded.painting.editor import ClassicalEditor
from tasks.backends.embedded.painting.patchmatch_inpainter import PatchMatchInpainter
from tasks.publishing.finish_release import Release
from tasks.records.records import Box, ModelIdentity, Tag
from tasks.records.settings_base import Settings
from tasks.roles.backend import LocalBackend
from tasks.roles.backends import BACKENDS
from tasks.roles.questions import Detection, Segmentation, TargetVerdict

COLORS = {"cup": (200, 30, 30), "book": (30, 60, 200), "vase": (30, 150, 40)}
TOLERANCE = 40
"""A photograph is stored as JPEG, so its colors are not exact."""

ASKED: Counter[str] = Counter()
"""Questions by role, in this process."""


class NoOptions(Settings):
    """Nothing to set."""


class Drawn(LocalBackend[Any, Any]):
    """Counts its questions."""

    Options: ClassVar[type[Settings]] = NoOptions
    answering: ClassVar[frozenset[str]] = frozenset()
    reproducible = False
    wire = 1
    role = ""

    def __init__(self, options: Settings) -> None:
        self.options = options

    @classmethod
    def identity_of(cls, options: Any) -> ModelIdentity:
        return ModelIdentity(role=cls.role, backend="drawn", model="blocks", revision="1", digest="none")

    def answer(self, questions: Sequence[Any]) -> list[Any]:
        ASKED[self.role] += len(questions)
        return [self.one(question) for question in questions]

    def one(self, question: Any) -> Any:
        raise NotImplementedError


class DrawnTagger(Drawn):
    """Names every color that is there."""

    role = "tagger"

    def one(self, question: Any) -> Any:
        return tuple(Tag(name=n, score=_jitter()) for n in COLORS if _pixels(question.picture.rgb, n).any())


class DrawnDetector(Drawn):
    """A box for each connected block, with a score of its own in each call."""

    role = "detector"

    def one(self, question: Any) -> Any:
        return tuple(d for name in question.names for d in self._find(question.picture.rgb, name))

    def _find(self, image: Any, name: str) -> list[Detection]:
        if name not in COLORS:
            return []
        count, _, stats, _ = cv2.connectedComponentsWithStats(_pixels(image, name).astype(np.uint8))
        return [
            Detection(
                label=name,
                box=Box(x0=int(x), y0=int(y), x1=int(x + w), y1=int(y + h)),
                score=_jitter(),
            )
            for x, y, w, h, area in stats[1:count]
            if area > 400
        ]


class DrawnSegmenter(Drawn):
    """The block's own pixels inside the box."""

    role = "segmenter"

    def one(self, question: Any) -> Any:
        return tuple(self._cut(question.picture.rgb, d) for d in question.detections)

    def _cut(self, image: Any, detection: Detection) -> Segmentation:
        mask = np.zeros(image.shape[:2], bool)
        b = detection.box
        mask[b.y0 : b.y1, b.x0 : b.x1] = _pixels(image, detection.label)[b.y0 : b.y1, b.x0 : b.x1]
        return Segmentation(mask=mask, score=_jitter(), method="exact", checks=())


class DrawnJudge(Drawn):
    """Takes every target."""

    role = "target_judge"

    def one(self, question: Any) -> Any:
        return TargetVerdict(precise=True, hard=True, measurements=())


class Counting:
    """Makes an embedded model one that does not repeat itself, for all that the build knows."""

    reproducible = False
    counted_as = ""

    def answer(self, questions: Sequence[Any]) -> Any:
        ASKED[self.counted_as] += len(questions)
        return super().answer(questions)  # type: ignore[misc]


class CountedInstructor(Counting, SceneFactsInstructor):
    counted_as = "instructor"


class CountedRewriter(Counting, ParaphraseRewriter):
    counted_as = "rewriter"


class CountedReferrer(Counting, GrammarReferrer):
    counted_as = "referrer"


class CountedEditor(Counting, ClassicalEditor):
    counted_as = "editor"


class CountedInpainter(Counting, PatchMatchInpainter):
    counted_as = "inpainter"


class CountedEditJudge(Counting, RuleEditJudge):
    counted_as = "edit_judge"


CLASSES = {
    "tagger": DrawnTagger,
    "detector": DrawnDetector,
    "segmenter": DrawnSegmenter,
    "target_judge": DrawnJudge,
    "instructor": CountedInstructor,
    "rewriter": CountedRewriter,
    "referrer": CountedReferrer,
    "editor": CountedEditor,
    "inpainter": CountedInpainter,
    "edit_judge": CountedEditJudge,
}

POOLED = {"backend": "counted", "run": "toys"}
SETTINGS: dict[str, Any] = {
    "pools": {"toys": {"holds": list(CLASSES), "max_wait_ms": 0}},
    "grounding.tagger": POOLED,
    "grounding.detector": POOLED,
    "grounding.segmenter": POOLED,
    "grounding.judge": POOLED,
    "grounding.target.max_fill": 1.0,
    "grounding.target.max_targets": 2,
    "instruction.plans_per_target": 1,
    "instruction.instructor": POOLED,
    "instruction.rewriter": POOLED,
    "instruction.referrer": POOLED,
    "instruction.weights": {"Color": 1.0, "Remove": 1.0},
    "editing.editor": POOLED,
    "editing.inpainter": POOLED,
    "editing.judge": POOLED,
    "editing.detector": POOLED,
    "editing.segmenter": POOLED,
    "execution.pool": "in-process",
    "execution.prefect": False,
}
"""Arguments that put every role of the embedded profile into one pool."""


def register(module: str = __name__) -> None:
    """Enter the classes into the table of backends, as ``counted``."""
    for role, backend in CLASSES.items():
        BACKENDS[role]["counted"] = f"{module}:{backend.__name__}"
    ASKED.clear()


def replay(origin: str, out: str) -> Release:
    """A build from the answers of another dataset; fails when anybody is asked."""
    ASKED.clear()
    assignments = ["execution.pool=in-process", "execution.prefect=false"]
    with open_session(open_replay(origin, out, assignments=assignments)) as session:
        session.run_plainly()
        release = session.finish()
    assert not ASKED, ASKED
    return release


def paint(seed: int, size: tuple[int, int] = (400, 600)) -> Any:
    """A picture (H, W, 3) with three blocks on a gray ground with some noise."""
    rng = np.random.default_rng(seed)
    image = rng.integers(165, 185, (*size, 3), np.uint8)
    for n, color in enumerate(COLORS.values()):
        x, y = 40 + 190 * n + int(rng.integers(0, 30)), int(rng.integers(60, 200))
        image[y : y + 110, x : x + 90 + int(rng.integers(0, 20))] = color
    return image


def _jitter() -> float:
    return random.SystemRandom().uniform(0.9, 0.99)


def _pixels(image: Any, name: str) -> Any:
    return (np.abs(image.astype(int) - COLORS[name]) < TOLERANCE).all(axis=2)


if __name__ == "__main__":
    import generative_roles as here  # the module that the table names, and not this one beside it

    here.register("generative_roles")
    here.replay(*sys.argv[1:])
