"""Backends behind ``/v1/images/edits`` for the contract test, with a scripted server that paints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.records.errors import Reason
from tasks.records.records import EditType
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tests.serving.image_server import Asked, ImageServer, Reply, painted
from tests.tasks.backends.contract.served_makers import MODEL, UNREADABLE, asker
from tests.tasks.roles import role_questions as ask
from tests.tasks.roles.contract import Bad, Subject


def _script(asked: Asked) -> Reply:
    """Another color for another prompt or seed; no picture from a certain seed on."""
    if int(asked.fields["seed"]) >= UNREADABLE:
        return Reply(data=[])
    shade = (len(asked.fields["prompt"]) + int(asked.fields["seed"])) % 200
    return Reply(picture=painted(asked, (shade, 60, 200)))


def _subject(role: str, *questions, bad: tuple[Bad, ...]) -> Subject:
    choice = choose(role, RoleSettings(backend="image-edits", run="test"), role, MODEL)
    first = questions[0]
    unreadable = Bad(question=replace(first, seed=UNREADABLE), reason=Reason.BAD_REPLY)
    closed = Bad(question=replace(first, picture=ask.damaged()), reason=Reason.SOURCE_CHANGED)
    return Subject(
        choice=choice,
        ask=asker(choice, _script, make_server=ImageServer),
        questions=questions,
        bad=(unreadable, closed, *bad),
    )


def image_editor(folder: Path) -> Subject:
    """The editor; see `tests.tasks.backends.contract.makers`."""
    del folder
    nothing = np.zeros((90, 120), bool)
    bad = (
        Bad(question=ask.edit_question(mask=nothing), reason=Reason.BACKEND_ERROR),
        Bad(question=ask.edit_question(EditType.REMOVE, "none"), reason=Reason.BACKEND_ERROR),
    )
    return _subject("editor", *ask.edit_questions(), bad=bad)


def image_inpainter(folder: Path) -> Subject:
    """The inpainter; see `tests.tasks.backends.contract.makers`."""
    del folder
    questions = [replace(question, label="cup") for question in ask.inpaint_questions()]
    nothing = replace(questions[0], hole=np.zeros_like(questions[0].hole))
    return _subject("inpainter", *questions, bad=(Bad(question=nothing, reason=Reason.BACKEND_ERROR),))
