"""Questions about one photograph for every role of a profile, each built from the answers before it.

Where a role gave no answer a plain stand-in is used, so that the later roles are tried nevertheless: a box in the
middle of the photograph, its rectangle as the mask, an instruction without reasoning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.imaging.arrays import Image, Mask
from tasks.imaging.geometry import from_rle, to_rle
from tasks.imaging.pixels import fingerprint
from tasks.records.edit_types import EDIT_TYPES, NO_ARGUMENT, Maker, spec_of
from tasks.records.errors import ConfigurationError, SampleError
from tasks.records.records import Box, EditType, GroundedTarget, Reasoning, Scene, SourceImage, Tag
from tasks.roles.offers import Offers
from tasks.roles.picture import Picture
from tasks.roles.questions import (
    Detection,
    DetectQuestion,
    EditJudgeQuestion,
    EditQuestion,
    InpaintQuestion,
    InstructQuestion,
    Question,
    ReferQuestion,
    RewriteQuestion,
    Segmentation,
    SegmentQuestion,
    TagQuestion,
    TargetQuestion,
    TextQuestion,
    WrittenInstruction,
)
from tasks.sources.reading import source_id
from tasks.sources.working_source import make_working_source
from tasks.stages.config import BuildConfig
from tasks.stages.editing.crop import edit_crop
from tasks.stages.grounding.scene import describe_objects, union_mask
from tasks.stages.grounding.suppression import Entity, split_detections
from tasks.stages.grounding.targets import choose_targets
from tasks.stages.instruction.choose import choose_edit_type
from tasks.stages.red_picture import marked_with_boxes, marked_with_mask, numbered

OBJECT = "object"

INPAINTED = next(row.edit_type for row in EDIT_TYPES if row.maker is Maker.INPAINTER)
"""A type that the inpainter makes."""


@dataclass(slots=True)
class TrialQuestions:
    """Builds the questions in the order of the pipeline; `record` takes each role's answer.

    Attributes:
        notes: which stand-ins were used.
    """

    config: BuildConfig
    offers: Offers
    source: SourceImage
    image: Image
    notes: list[str] = field(default_factory=list)
    _answers: dict[str, Any] = field(default_factory=dict)
    _target: GroundedTarget | None = None

    @classmethod
    def of_file(cls, path: Path, config: BuildConfig, offers: Offers) -> TrialQuestions:
        """Questions about the photograph in a file.

        Raises:
            ConfigurationError: it cannot be read, or is not a usable photograph.
        """
        try:
            data = path.read_bytes()
            working = make_working_source(data, config.ingest)
        except OSError as error:
            msg = f"PHOTO={str(path)!r}: {error.strerror or error}"
            raise ConfigurationError(msg) from error
        except SampleError as error:
            msg = f"PHOTO={str(path)!r}: {error}"
            raise ConfigurationError(msg) from error
        height, width = working.rgb.shape[:2]
        source = SourceImage(
            sid=source_id(data),
            location=f"tried/{path.name}",
            sha256=hashlib.sha256(data).hexdigest(),
            working_sha256=hashlib.sha256(working.jpeg).hexdigest(),
            width=width,
            height=height,
            original_format=working.original_format,
            actions=working.actions,
            license="unstated (tried)",
            hints=(),
            fingerprint=fingerprint(working.rgb),
        )
        return cls(config=config, offers=offers, source=source, image=working.rgb)

    def record(self, role: str, answer: Any) -> None:
        """Stores the answer of a role; None if it gave none."""
        if answer is not None:
            self._answers[role] = answer

    def question(self, role: str) -> Question:
        """The question for a role."""
        made: Question = getattr(self, f"_for_{role}")()
        return made

    # Grounding

    def _for_tagger(self) -> Question:
        return TagQuestion(subject=self.source.sid, picture=self._picture)

    def _for_detector(self) -> Question:
        tags: Sequence[Tag] = self._answers.get("tagger", ())
        names = tuple(tag.name for tag in tags) or (OBJECT,)
        return DetectQuestion(subject=self.source.sid, picture=self._picture, names=names)

    def _for_segmenter(self) -> Question:
        detections = tuple(entity.detection for entity in self._entities())
        return SegmentQuestion(subject=self.source.sid, picture=self._picture, detections=detections)

    def _for_target_judge(self) -> Question:
        target = self._grounded()
        return TargetQuestion(
            subject=target.target_id,
            picture=self._picture,
            marked=marked_with_mask(self._picture, target),
            mask=from_rle(target.mask),
            target=target,
        )

    # Instruction

    def _for_instructor(self) -> Question:
        target = self._grounded()
        edit_type, argument = self._chosen()
        return InstructQuestion(
            subject=self._plan_id,
            picture=self._picture,
            boxed=marked_with_boxes(self._picture, [thing.box for thing in target.objects]),
            target=target,
            edit_type=edit_type,
            argument=argument,
        )

    def _for_rewriter(self) -> Question:
        return RewriteQuestion(
            subject=self._plan_id, instruction=self._written().instruction, edit_type=self._chosen()[0]
        )

    def _for_referrer(self) -> Question:
        scene = self._grounded().scene
        return ReferQuestion(
            subject=self._plan_id,
            picture=self._picture,
            numbered=numbered(self._picture, scene.objects),
            instruction=self._instruction(),
            scene=scene,
        )

    def _for_text_judge(self) -> Question:
        written = self._written()
        return TextQuestion(
            subject=self._plan_id,
            marked=marked_with_mask(self._picture, self._grounded()),
            instruction=self._instruction(),
            reasoning=written.reasoning,
            edit_type=self._chosen()[0],
            argument=written.argument,
        )

    # Editing

    def _for_editor(self) -> Question:
        edit_type, argument = self._editable()
        crop = self._crop(edit_type, argument)
        return EditQuestion(
            subject=self._plan_id,
            picture=self._picture.crop(crop),
            mask=self._inside(crop),
            label=self._grounded().label,
            edit_type=edit_type,
            argument=argument,
            instruction=self._instruction(),
            source=self._picture,
            crop=crop,
            target=self._grounded(),
        )

    def _for_inpainter(self) -> Question:
        crop = self._crop(INPAINTED)
        return InpaintQuestion(
            subject=self._plan_id,
            picture=self._picture.crop(crop),
            hole=self._inside(crop),
            label=self._grounded().label,
        )

    def _for_edit_judge(self) -> Question:
        edit_type, argument = self._editable()
        patch, crop = self._answers.get("editor"), self._crop(edit_type, argument)
        if patch is None and (patch := self._answers.get("inpainter")) is not None:
            edit_type, argument, crop = INPAINTED, NO_ARGUMENT, self._crop(INPAINTED)
        edited = self.image.copy()
        if patch is None:
            self._note("no edit was made: the judge sees the photograph unchanged")
        else:
            self._note(
                "the edit is pasted without blending and without measured gates, so its scores say little"
            )
            edited[crop.y0 : crop.y1, crop.x0 : crop.x1] = patch
        boxes = [thing.box for thing in self._grounded().objects]
        after = Picture.of_pixels(edited)
        return EditJudgeQuestion(
            subject=self._plan_id,
            source=self._picture,
            edited=after,
            source_boxed=marked_with_boxes(self._picture, boxes),
            edited_boxed=marked_with_boxes(after, boxes),
            instruction=self._instruction(),
            edit_type=edit_type,
            argument=argument,
            crop=crop,
            mask=from_rle(self._grounded().mask),
        )

    # Steps between the roles

    @property
    def _picture(self) -> Picture:
        return Picture.of_blob(self.source.working_sha256, lambda: self.image)

    @property
    def _plan_id(self) -> str:
        return f"{self._grounded().target_id}-p0"

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _entities(self) -> list[Entity]:
        settings = self.config.grounding
        entities, _ = split_detections(
            self._answers.get("detector", ()),
            width=self.source.width,
            height=self.source.height,
            object_score=settings.object_score,
            nms_iou=settings.nms_iou,
            max_box_share=settings.max_box_share,
            max_objects=settings.max_objects,
            label_scores=settings.label_scores,
            not_mistaken=settings.not_mistaken,
            parts=settings.parts.tables,
        )
        if entities:
            return entities
        self._note("no object was found: using a box in the middle of the photograph instead")
        width, height = self.source.width, self.source.height
        middle = Box(x0=width // 3, y0=height // 3, x1=2 * width // 3, y1=2 * height // 3)
        detection = Detection(label=OBJECT, box=middle, score=1.0)
        return [Entity(detection=detection, rival="", rival_score=0.0, group=False)]

    def _segmented(self, entities: Sequence[Entity]) -> Sequence[Segmentation]:
        found: Sequence[Segmentation] | None = self._answers.get("segmenter")
        if found is not None and len(found) == len(entities):
            return found
        self._note("no masks were returned: using rectangles instead")
        return [
            Segmentation(mask=self._rectangle(e.detection.box), score=1.0, method="rectangle", checks=())
            for e in entities
        ]

    def _rectangle(self, box: Box) -> Mask:
        mask = np.zeros(self.image.shape[:2], bool)
        mask[box.y0 : box.y1, box.x0 : box.x1] = True
        return mask

    def _grounded(self) -> GroundedTarget:
        """The target; chosen when the first role needs it, then fixed."""
        if self._target is not None:
            return self._target
        entities = self._entities()
        objects = describe_objects(entities, self._segmented(entities), self.image, self.config.grounding)
        chosen = choose_targets(
            objects, sid=self.source.sid, seed=self.config.seed, max_targets=1, groups=False
        )
        if not chosen:
            best = max(objects, key=lambda thing: (thing.area > 0, thing.score))
            self._note(
                f"no object qualifies as a target ({best.label}: {best.not_a_target}); trying it anyway"
            )
            chosen = [(best.index,)]
        scene = Scene(
            source=self.source,
            tags=tuple(self._answers.get("tagger", ())),
            objects=objects,
            distractors=(),
            models=(),
        )
        self._target = GroundedTarget(
            target_id=f"{self.source.sid}-t0",
            scene=scene,
            indices=chosen[0],
            mask=to_rle(union_mask([objects[index].mask for index in chosen[0]])),
            judgement=(),
            models=(),
        )
        return self._target

    def _chosen(self) -> tuple[EditType, str]:
        weights = self.config.instruction.weights
        chosen = choose_edit_type(self._grounded(), self.offers, weights, self.config.seed, self._plan_id, [])
        return (chosen.edit_type, chosen.argument) if chosen else self._editable()

    def _editable(self) -> tuple[EditType, str]:
        """An edit that the editor offers: the chosen one, else the first for the target, else the first of all."""
        target = self._grounded()
        chosen = choose_edit_type(
            target, self.offers, self.config.instruction.weights, self.config.seed, self._plan_id, []
        )
        written: WrittenInstruction | None = self._answers.get("instructor")
        if chosen is not None and spec_of(chosen.edit_type).maker is Maker.EDITOR:
            return chosen.edit_type, chosen.argument or (written.argument if written else "")
        made = [row.edit_type for row in EDIT_TYPES if row.maker is Maker.EDITOR]
        for edit_type in made:
            offered = self.offers.of(edit_type).offer(edit_type, target)
            if not offered.why_not:
                return edit_type, (offered.arguments or ("",))[0]
        return next(kind for kind in made if kind in self.offers.edit_types or kind is made[-1]), "red"

    def _written(self) -> WrittenInstruction:
        written: WrittenInstruction | None = self._answers.get("instructor")
        if written is not None:
            return written
        self._note("no instruction was written: using plain words instead")
        edit_type, argument = self._chosen()
        words = f"{edit_type.value} the {self._grounded().label}."
        return WrittenInstruction(
            edit_type=edit_type.value,
            instruction=words,
            argument=argument,
            reasoning=Reasoning(
                scene_description=words,
                target_localization=words,
                editing_description=words,
                post_edit_description=words,
            ),
        )

    def _instruction(self) -> str:
        return str(self._answers.get("rewriter") or self._written().instruction)

    def _crop(self, edit_type: EditType, argument: str = NO_ARGUMENT) -> Box:
        offer = self.offers.of(edit_type)
        return edit_crop(self._grounded(), edit_type, argument, offer, self.config.editing.crop)

    def _inside(self, crop: Box) -> Mask:
        mask = from_rle(self._grounded().mask)[crop.y0 : crop.y1, crop.x0 : crop.x1]
        return np.ascontiguousarray(mask)
