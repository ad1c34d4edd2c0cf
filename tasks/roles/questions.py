"""The ten roles: one batched method each, over records and numpy arrays.

An ``Image`` is (H, W, 3) uint8 RGB, a ``Mask`` (H, W) bool, both in the pixels of the picture they belong to.
Batches are a convenience for hardware: no answer may depend on what else is in the batch, on its order, on the
worker or on the number of threads. Randomness comes only from the ``seed`` in a request.

Errors: a backend raises `tasks.records.errors.SampleError` for trouble with one sample only when called with a batch of
one, and `tasks.records.errors.EnvironmentFault` for trouble with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.records.records import (
    Box,
    EditPlan,
    EditType,
    GroundedTarget,
    MaskHint,
    Measurement,
    ModelIdentity,
    Scene,
    Tag,
)

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Role(Protocol):
    """What every backend has."""

    @property
    def identity(self) -> ModelIdentity:
        """Who answers; goes into provenance and the stage's digest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A labelled box in pixels of the picture asked about; score in 0..1."""

    label: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """A mask for one box, the backend's own quality estimate 0..1, its method and named checks."""

    mask: Mask
    score: float
    method: str
    checks: tuple[Measurement, ...]


class Tagger(Role, Protocol):
    """Names what may be in the picture."""

    def tag(self, images: Sequence[Image]) -> list[tuple[Tag, ...]]:
        """Tags of each picture, best first."""
        ...


class Detector(Role, Protocol):
    """Finds boxes for names."""

    def detect(self, images: Sequence[Image], tags: Sequence[Sequence[str]]) -> list[tuple[Detection, ...]]:
        """All boxes over the backend's low threshold after its own suppression, best first."""
        ...


class Segmenter(Role, Protocol):
    """Draws a mask for each box."""

    def segment(
        self,
        images: Sequence[Image],
        detections: Sequence[Sequence[Detection]],
        hints: Sequence[Sequence[MaskHint]],
    ) -> list[tuple[Segmentation, ...]]:
        """One segmentation a detection, in the same order; a mask may be empty."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetQuestion:
    """The target judge's question: the source with the red mask and box (Figure 19, lower part)."""

    image: Image
    marked: Image
    mask: Mask
    target: GroundedTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVerdict:
    """Both must hold to keep the target: the mask is precise, and the target is hard to locate."""

    precise: bool
    hard: bool
    measurements: tuple[Measurement, ...]


class TargetJudge(Role, Protocol):
    """Drops imprecise masks and trivial targets."""

    def judge_targets(self, questions: Sequence[TargetQuestion]) -> list[TargetVerdict]:
        """One verdict a question."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InstructionRequest:
    """The instructor's question: the source with the box only (Figure 19, upper part) and the edit type."""

    image: Image
    boxed: Image
    target: GroundedTarget
    edit_type: EditType
    argument: str
    prompt: str
    seed: int


class Instructor(Role, Protocol):
    """Writes the instruction and the four-part reasoning."""

    def write(self, requests: Sequence[InstructionRequest]) -> list[str]:
        """Raw replies: JSON text under the paper's keys; parsing and gates are the caller's."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteRequest:
    """The rewriter sees the instruction and the prompt, nothing else."""

    instruction: str
    edit_type: EditType
    prompt: str
    seed: int


class Rewriter(Role, Protocol):
    """Says the same instruction in other words."""

    def rewrite(self, requests: Sequence[RewriteRequest]) -> list[str]:
        """One instruction a request."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferralRequest:
    """Find the target from the words alone: the scene is given, the target is not."""

    image: Image
    instruction: str
    scene: Scene


class Referrer(Role, Protocol):
    """Resolves an instruction to objects, independently of the instructor's facts."""

    def refer(self, requests: Sequence[ReferralRequest]) -> list[tuple[int, ...]]:
        """Indices of the scene's objects that fit the words; several or none mean the words are ambiguous."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditRequest:
    """A crop to edit, in the crop's own pixels; ``mask`` is the target inside the crop."""

    image: Image
    mask: Mask
    edit_type: EditType
    argument: str
    instruction: str
    seed: int


class Editor(Role, Protocol):
    """Edits a crop."""

    @property
    def offers(self) -> tuple[EditType, ...]:
        """Edit types it can do convincingly, in the enum's order; Remove belongs to the inpainter."""
        ...

    def edit(self, requests: Sequence[EditRequest]) -> list[Image]:
        """The edited crop, same size as the request's image."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InpaintRequest:
    """A window and the hole to fill (True = fill), in the window's own pixels.

    ``avoid`` marks pixels of other objects, which no filling should be copied from (a trained network may ignore it).
    """

    image: Image
    hole: Mask
    seed: int
    avoid: Mask | None = None


class Inpainter(Role, Protocol):
    """Fills a hole from its surroundings."""

    def inpaint(self, requests: Sequence[InpaintRequest]) -> list[Image]:
        """The window with the hole filled, same size."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditQuestion:
    """The edit judge's question: both pictures with the box, and the instruction (Figure 20)."""

    source: Image
    edited: Image
    plan: EditPlan
    crop: Box
    mask: Mask
    gates: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditScores:
    """RegionEditAccuracy and SeamlessQuality, 1..5, with what they rest on."""

    accuracy: float
    seamlessness: float
    measurements: tuple[Measurement, ...]


class EditJudge(Role, Protocol):
    """Scores a finished edit."""

    def judge_edits(self, questions: Sequence[EditQuestion]) -> list[EditScores]:
        """One pair of scores a question."""
        ...
