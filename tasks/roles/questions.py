"""The eleven roles: what each is asked and what it answers.

    tagger         what may be in the picture                       TagQuestion       tuple[Tag, ...]
    detector       boxes for names                                  DetectQuestion    tuple[Detection, ...]
    segmenter      a mask for each box                              SegmentQuestion   tuple[Segmentation, ...]
    target_judge   is the mask precise, the target hard to find     TargetQuestion    TargetVerdict
    instructor     instruction and four-part reasoning              InstructQuestion  WrittenInstruction
    rewriter       the instruction in other words                   RewriteQuestion   str
    referrer       which objects the words mean                     ReferQuestion     Referents
    text_judge     do the words agree with the picture              TextQuestion      TextVerdict
    editor         an edited crop                                   EditQuestion      Image
    inpainter      a filled hole                                    InpaintQuestion   Image
    edit_judge     scores of a finished edit                        EditJudgeQuestion EditScores

Every question says what its answer may depend on (`Question.material`): pictures by recipe, masks by digest, words,
seed and try. Records travel along for backends that work on measured facts (the embedded ones); a backend that uses
more of a record than the material holds must be reproducible. Coordinates are pixels of the picture asked about.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.imaging.arrays import Image, Mask
from tasks.records.records import (
    Box,
    EditType,
    GroundedTarget,
    MaskHint,
    Measurement,
    Reasoning,
    Scene,
    Tag,
)
from tasks.roles.picture import Picture, array_digest

ROLES = (
    "tagger",
    "detector",
    "segmenter",
    "target_judge",
    "instructor",
    "rewriter",
    "referrer",
    "text_judge",
    "editor",
    "inpainter",
    "edit_judge",
)
"""Names of the roles, in the order of the pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question(ABC):
    """What every question has.

    Attributes:
        subject: id of the sample it is about, for messages and logs; no part of the answer.
        seed: for whatever the backend draws at random.
        attempt: 0 for the first try of this question, counted up when the pipeline asks for another answer.
    """

    subject: str
    seed: int = 0
    attempt: int = 0

    @abstractmethod
    def material(self) -> Mapping[str, Any]:
        """Everything the answer may depend on besides the backend, seed and attempt, as JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TagQuestion(Question):
    """Names for what may be in the picture; answered with `Tag`s, best first."""

    picture: Picture

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {"picture": self.picture.recipe}


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A labeled box in pixels of the picture asked about; score in 0..1."""

    label: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectQuestion(Question):
    """Boxes for names: all above the backend's low threshold after its own suppression, best first."""

    picture: Picture
    names: tuple[str, ...]

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {"picture": self.picture.recipe, "names": list(self.names)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """A mask for one box, the backend's own quality estimate 0..1, its method and named checks."""

    mask: Mask
    score: float
    method: str
    checks: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentQuestion(Question):
    """A mask for each box; answered with one `Segmentation` per detection, in order. A mask may be empty.

    Attributes:
        candidates: numbers of the detections that may become targets, whose masks are worth more work; the others are
            context.
    """

    picture: Picture
    detections: tuple[Detection, ...]
    hints: tuple[MaskHint, ...] = ()
    candidates: tuple[int, ...] = ()

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {
            "picture": self.picture.recipe,
            "boxes": [[d.label, *_corners(d.box)] for d in self.detections],
            "hints": [[*_corners(h.box), h.mask.counts] for h in self.hints],
            "candidates": list(self.candidates),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetQuestion(Question):
    """Is this a precise mask and a target that takes thought to find (paper Figure 19, lower part).

    Attributes:
        picture: the source.
        marked: the source with red mask (opacity 0.5) and red box.
        mask: the target's pixels, (H, W).
    """

    picture: Picture
    marked: Picture
    mask: Mask
    target: GroundedTarget

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {"marked": self.marked.recipe}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVerdict:
    """Both must hold to keep the target: the mask is precise, and the target is hard to locate.

    Attributes:
        together: one answer was given to both, as in the paper, so that a no may be about either.
    """

    precise: bool
    hard: bool
    measurements: tuple[Measurement, ...]
    together: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InstructQuestion(Question):
    """Instruction and reasoning for an edit of the target (paper Figure 19, upper part).

    Attributes:
        picture: the source; ``boxed``: the source with the target's red box and nothing else.
        argument: what the edit turns the target into, or ``""`` where the instructor chooses.
        refusals: sentences on what was wrong with earlier tries, sent back with the question.
        along: indices of objects of the scene that a removal takes out with the target, of which nothing may say that
            they stay. No part of the material: only reproducible instructors of offers that have any use it.
    """

    picture: Picture
    boxed: Picture
    target: GroundedTarget
    edit_type: EditType
    argument: str
    refusals: tuple[str, ...] = ()
    along: tuple[int, ...] = ()

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {
            "boxed": self.boxed.recipe,
            "edit_type": self.edit_type.value,
            "argument": self.argument,
            "refusals": list(self.refusals),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenInstruction:
    """What an instructor wrote, after parsing and before any gate.

    Attributes:
        edit_type: as the instructor says, unchecked.
        argument: what the target is to become, ``""`` where the reply does not say.
    """

    edit_type: str
    instruction: str
    argument: str
    reasoning: Reasoning


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RewriteQuestion(Question):
    """The same instruction in other words; the rewriter sees nothing but these."""

    instruction: str
    edit_type: EditType
    refusals: tuple[str, ...] = ()

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {
            "instruction": self.instruction,
            "edit_type": self.edit_type.value,
            "refusals": list(self.refusals),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferQuestion(Question):
    """Which objects of the scene the words may mean; the target is not told.

    Attributes:
        picture: the source; ``numbered``: the same with the number of each object of the scene drawn on it.
        scene: the objects.
    """

    picture: Picture
    numbered: Picture
    instruction: str
    scene: Scene

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {"numbered": self.numbered.recipe, "instruction": self.instruction}


@dataclass(frozen=True, slots=True, kw_only=True)
class Referents:
    """What an instruction may mean; several or nothing: ambiguous words.

    Attributes:
        objects: indices of ``scene.objects``, ascending, each once; those beyond are its distractors, in their order.
        boxes: in pixels of the source, of a referrer that points by boxes; the stage says which objects they are.
    """

    objects: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextQuestion(Question):
    """Do instruction and reasoning agree with the marked target and with each other; asked last, of another model.

    Attributes:
        marked: the source with the target's red mask and box.
    """

    marked: Picture
    instruction: str
    reasoning: Reasoning
    edit_type: EditType
    argument: str

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        parts = self.reasoning
        return {
            "marked": self.marked.recipe,
            "instruction": self.instruction,
            "reasoning": [
                parts.scene_description,
                parts.target_localization,
                parts.editing_description,
                parts.post_edit_description,
            ],
            "edit_type": self.edit_type.value,
            "argument": self.argument,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVerdict:
    """Probability 0..1 that words and picture agree, with what it rests on; the stage applies the threshold."""

    agreement: float
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditQuestion(Question):
    """A crop to edit; answered with an image of the same size.

    Attributes:
        picture: the crop; ``mask``: the target in it, (H, W) of the crop.
        instruction: final instruction of the plan, written for the whole picture.
        source: the whole picture; ``crop``: position of ``picture`` in it.
        target: the record of what is edited, with its scene, in pixels of ``source``.
        similar: how many other things of the target's class and size the crop shows; the instruction alone may then
            not say which one is meant. 0 where the crop is the whole picture.

    ``source``, ``crop`` and ``target`` are no part of the material: a backend that looks beyond the crop, or at the
    scene, must be reproducible.
    """

    picture: Picture
    mask: Mask
    label: str
    edit_type: EditType
    argument: str
    instruction: str
    source: Picture
    crop: Box
    target: GroundedTarget
    similar: int = 0

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        material = {
            "picture": self.picture.recipe,
            "mask": array_digest(self.mask),
            "label": self.label,
            "edit_type": self.edit_type.value,
            "argument": self.argument,
            "instruction": self.instruction,
        }
        # Left out where there are none, so that answers kept before the number existed are found.
        return {**material, "similar": self.similar} if self.similar else material


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InpaintQuestion(Question):
    """A window with a hole; answered with the window filled, same size.

    Attributes:
        hole: True = fill, (H, W) of the window.
        avoid: pixels of other objects that no filling should be copied from, or None; a network may ignore it.
        label: class noun of what is removed, for models that are told in words.
    """

    picture: Picture
    hole: Mask
    avoid: Mask | None = None
    label: str = ""

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        avoid = "" if self.avoid is None else array_digest(self.avoid)
        return {
            "picture": self.picture.recipe,
            "hole": array_digest(self.hole),
            "avoid": avoid,
            "label": self.label,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EditJudgeQuestion(Question):
    """Scores for a finished edit (paper Figure 20).

    Attributes:
        source, edited: whole pictures, before and after.
        source_boxed, edited_boxed: the same with the target's red box.
        crop: the window that was edited; ``mask``: the target, (H, W) of the source.
        gates: measurements made so far, for backends that score by them.
    """

    source: Picture
    edited: Picture
    source_boxed: Picture
    edited_boxed: Picture
    instruction: str
    edit_type: EditType
    argument: str
    crop: Box
    mask: Mask
    gates: tuple[Measurement, ...] = field(default=())

    def material(self) -> Mapping[str, Any]:
        """See `Question`."""
        return {
            "source": self.source_boxed.recipe,
            "edited": self.edited_boxed.recipe,
            "instruction": self.instruction,
            "edit_type": self.edit_type.value,
            "argument": self.argument,
            "crop": list(_corners(self.crop)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EditScores:
    """RegionEditAccuracy and SeamlessQuality, 1..5, with what they rest on."""

    accuracy: float
    seamlessness: float
    measurements: tuple[Measurement, ...]


Answer = (
    tuple[Tag, ...]
    | tuple[Detection, ...]
    | tuple[Segmentation, ...]
    | TargetVerdict
    | WrittenInstruction
    | str
    | Referents
    | TextVerdict
    | Image
    | EditScores
)
"""Any role's answer."""


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.x0, box.y0, box.x1, box.y1
