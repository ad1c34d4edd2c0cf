"""The key of a kept answer moves exactly when something else is sent, for every role that a server can answer."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tasks.records.records import Box, EditType, Reasoning
from tasks.records.settings_base import RoleSettings
from tasks.roles.answer_keys import answer_key
from tasks.roles.backends import BackendChoice, choose
from tasks.roles.chat_http import chat_body
from tasks.roles.picture import Picture
from tasks.roles.placement import ServedModel
from tasks.roles.questions import Question
from tests.serving.scripts import ROLES
from tests.tasks.backends.served.asked import DESK, SERVED, SOURCE, questions
from tests.tasks.stages.instruction.example_scenes import scene, target, thing

OTHER = Picture.of_pixels(SOURCE // 3)
CHANGES: dict[str, Any] = {
    "subject": "another",
    "seed": 8,
    "picture": OTHER,
    "marked": OTHER,
    "boxed": OTHER,
    "numbered": OTHER,
    "source": OTHER,
    "edited": OTHER,
    "source_boxed": OTHER,
    "edited_boxed": OTHER,
    "mask": np.ones(SOURCE.shape[:2], np.bool_),
    "target": target(DESK, 2),
    "scene": scene([thing("cup", (100, 400, 200, 520), "red"), thing("cup", (400, 400, 500, 520), "red")]),
    "edit_type": EditType.MATERIAL,
    "argument": "green",
    "instruction": "Turn the right cup blue.",
    "refusals": ("The reply names the box.",),
    "along": (1,),
    "reasoning": Reasoning(
        scene_description="a", target_localization="b", editing_description="c", post_edit_description="d"
    ),
    "crop": Box(x0=0, y0=0, x1=300, y1=600),
    "gates": (),
}
LOOKS = {"target_judge": ("whole", "whole_and_crop"), "edit_judge": ("whole", "whole_and_crop")}
OTHERS: dict[Any, Any] = {
    "vllm": "openai",
    "jpeg": "png",
    "whole": "whole_and_crop",
    "whole_and_crop": "whole",
    "one": "two",
    "marks": "boxes",
    "": "pixels",
    None: 40_000,
}
"""Another value of an option that is no number."""

CASES = [(role, look) for role in ROLES for look in LOOKS.get(role, ("",))]


def choice(role: str, look: str, served: ServedModel = SERVED, **options: Any) -> BackendChoice:
    options |= {"look": look} if look else {}
    return choose(role, RoleSettings(backend="chat", run="s", options=options), role, served)


def sent(chosen: BackendChoice, question: Question, served: ServedModel = SERVED) -> bytes:
    backend: Any = chosen.load()
    return chat_body(served.id, backend.request(question))


@pytest.mark.parametrize(("role", "look"), CASES)
def test_a_field_of_the_question_moves_the_key_when_it_is_sent(role: str, look: str) -> None:
    chosen, question = choice(role, look), questions()[role]
    key, body = answer_key(chosen, SERVED, question), sent(chosen, question)
    for field in fields(question):
        if field.name == "attempt":
            continue  # the pipeline asks for another answer: the key moves though the words are the same
        changed = replace(question, **{field.name: CHANGES[field.name]})
        moved = answer_key(chosen, SERVED, changed) != key
        assert moved == (sent(chosen, changed) != body), field.name
    assert answer_key(chosen, SERVED, replace(question, attempt=1)) != key


@pytest.mark.parametrize(("role", "look"), CASES)
def test_an_option_moves_the_key_when_it_changes_what_is_sent(role: str, look: str) -> None:
    chosen, question = choice(role, look), questions()[role]
    key, body = answer_key(chosen, SERVED, question), sent(chosen, question)
    others: dict[type, Any] = {float: lambda v: v + 0.5, int: lambda v: v + 1, bool: lambda v: not v}
    for name, value in chosen.options:
        if name == "served":
            continue
        other = OTHERS[value] if value in OTHERS else others[type(value)](value)
        update = {name: other, "frame": "pixels"} if name in ("by", "frame") else {name: other}
        changed = replace(chosen, options=chosen.options.model_copy(update=update))
        moved = answer_key(changed, SERVED, question) != key
        assert moved == (sent(changed, question) != body), name


@pytest.mark.parametrize(("role", "look"), CASES)
def test_every_field_of_the_servers_model_moves_the_key(role: str, look: str) -> None:
    question = questions()[role]
    key = answer_key(choice(role, look), SERVED, question)
    values = {str: "another", int: 12_345, tuple[str, ...]: ("lora",)}
    for name, field in ServedModel.model_fields.items():
        other = SERVED.model_copy(update={name: values[field.annotation]})
        assert answer_key(choice(role, look, other), other, question) != key, name
