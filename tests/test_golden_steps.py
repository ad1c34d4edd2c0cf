"""What the steps give for drawn pictures: when a digest changes, so must the stage's `STEP_VERSIONS`."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from tasks.records.codec import encode_record
from tasks.records.measuring import measured_words
from tasks.records.records import EditPlan, EditType
from tasks.stages.editing.stage import STEP_VERSIONS as EDITING
from tasks.stages.grounding.stage import STEP_VERSIONS as GROUNDING
from tasks.stages.instruction.stage import STEP_VERSIONS as INSTRUCTION
from tests.tasks.stages.answering import answered
from tests.tasks.stages.editing.drawn_scene import PAINTS, draw_ground, make_plan, shaded
from tests.tasks.stages.editing.planted_stage import EVERY_GATE, RED, PlantedEditor, run
from tests.tasks.stages.grounding.test_stage import SCENE, Pictures, item, stage
from tests.tasks.stages.instruction.example_scenes import cups, desk, street, target
from tests.tasks.stages.instruction.test_stage import NoPixels, _input, _stage

GOLDEN = {
    "grounding": ("{'scene': 6, 'targets': 3, 'red_picture': 1}", "0c65c252229b0aec"),
    "editing": ("{'crop': 1, 'edit': 2, 'removal': 10, 'compositing': 1, 'gates': 13}", "d6eb5f42d847334c"),
    "instruction": ("{'draw': 4, 'ask': 2, 'rewrite': 2, 'gates': 3}", "2fd78001daf9ac6e"),
}
"""Stage -> versions of its steps, and the digest of what they gave. Raise the step's version, then write both anew."""


def digest(outcomes) -> str:
    whole = hashlib.sha256()
    for outcome in outcomes:
        for child in outcome.children:
            said = f"{child.detail} {measured_words(child.measured)}"
            whole.update(f"{child.id} {child.reason} {said}\n".encode())
            if isinstance(child.record, EditPlan):
                # Prompts are in the stage's digest by themselves; only the steps' own doing counts here.
                whole.update(encode_record(replace(child.record, models=(), prompts=())).encode())
            elif child.record is not None:
                whole.update(encode_record(child.record).encode())
            for blob in child.blobs:
                whole.update(blob.name.encode() + blob.data)
    return whole.hexdigest()[:16]


def test_grounding_gives_what_its_versions_stand_for():
    outcomes = answered(stage(target={"max_targets": 5}), [item("p")], Pictures(p=SCENE))
    assert (str(GROUNDING), digest(outcomes)) == GOLDEN["grounding"]


def test_instruction_gives_what_its_versions_stand_for():
    scenes = (cups(), desk(), street())
    outcomes = answered(_stage(plans_per_target=3), [_input(target(s, 1)) for s in scenes], NoPixels())
    assert (str(INSTRUCTION), digest(outcomes)) == GOLDEN["instruction"]


def test_editing_gives_what_its_versions_stand_for():
    ground = draw_ground()
    picture = ground.copy()
    shaded(picture, RED, PAINTS["red"])
    darker = PlantedEditor(lambda image, mask: np.where(mask[..., None], image // 2, image))
    outcomes = [
        run(picture, make_plan(RED, EditType.REMOVE), fill=ground, editor=darker, settings=EVERY_GATE),
        run(picture, make_plan(RED, EditType.APPEARANCE, argument="sepia"), editor=darker),
    ]
    assert (str(EDITING), digest(outcomes)) == GOLDEN["editing"]
