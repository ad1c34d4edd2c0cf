"""One question per chat role about a small drawn scene, and a server that could answer them."""

from __future__ import annotations

import numpy as np

from tasks.records.records import Box, EditType, Reasoning
from tasks.roles.picture import Picture
from tasks.roles.placement import ServedModel
from tasks.roles.questions import (
    EditJudgeQuestion,
    InstructQuestion,
    Question,
    ReferQuestion,
    RewriteQuestion,
    TagQuestion,
    TargetQuestion,
    TextQuestion,
)
from tasks.stages.red_picture import draw_box, draw_numbers, number_marks
from tests.tasks.stages.instruction.example_scenes import HEIGHT, WIDTH, scene, target, thing

SERVED = ServedModel(id="Qwen/Qwen2.5-VL-7B-Instruct", revision="cc594898", max_pixels=200_000)

DESK = scene(
    [
        thing("cup", (100, 400, 200, 520), "red"),
        thing("cup", (400, 400, 500, 520), "red"),
        thing("book", (600, 420, 800, 560), "green"),
    ]
)
WORDS = Reasoning(
    scene_description="A desk with two cups and a book.",
    target_localization="The target is the left one of two red cups.",
    editing_description="The cup becomes blue, and nothing else changes.",
    post_edit_description="The left cup is now blue.",
)
SOURCE = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
SOURCE[400:520, 100:200] = (200, 30, 30)


def questions(**changes) -> dict[str, Question]:
    """Role -> question; ``changes`` replace fields of those that have them."""
    goal = target(DESK, 0)
    boxes = [goal.objects[0].box]
    source = Picture.of_blob("ab" * 32, lambda: SOURCE)
    boxed = source.marked({"boxes": [[100, 400, 200, 520]]}, lambda image: draw_box(image, boxes))
    edited = Picture.of_pixels(SOURCE // 2)
    common = {"subject": "s", "seed": 7}
    words = {"instruction": "Turn the left cup blue.", "edit_type": EditType.COLOR, "argument": "blue"}
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    fields = {
        "tagger": (TagQuestion, {"picture": source}),
        "target_judge": (TargetQuestion, {"picture": source, "marked": boxed, "mask": mask, "target": goal}),
        "instructor": (
            InstructQuestion,
            {
                "picture": source,
                "boxed": boxed,
                "target": goal,
                "edit_type": EditType.COLOR,
                "argument": "",
                "refusals": (),
            },
        ),
        "rewriter": (
            RewriteQuestion,
            {"instruction": words["instruction"], "edit_type": EditType.COLOR, "refusals": ()},
        ),
        "referrer": (
            ReferQuestion,
            {
                "picture": source,
                "numbered": source.marked(
                    number_marks(DESK.objects), lambda image: draw_numbers(image, DESK.objects)
                ),
                "instruction": words["instruction"],
                "scene": DESK,
            },
        ),
        "text_judge": (TextQuestion, {"marked": boxed, "reasoning": WORDS, **words}),
        "edit_judge": (
            EditJudgeQuestion,
            {
                "source": source,
                "edited": edited,
                "source_boxed": boxed,
                "edited_boxed": edited.marked({"boxes": []}, lambda image: draw_box(image, boxes)),
                "crop": Box(x0=50, y0=350, x1=250, y1=570),
                "mask": mask,
                **words,
            },
        ),
    }
    return {
        role: kind(**common | {k: changes.get(k, v) for k, v in values.items()})
        for role, (kind, values) in fields.items()
    }
