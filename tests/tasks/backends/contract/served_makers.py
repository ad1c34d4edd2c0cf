"""The chat backends for the contract test: each request is answered by a script instead of a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.records.errors import Reason, SampleError
from tasks.records.settings_base import RoleSettings
from tasks.roles.backend import ServedBackend
from tasks.roles.backends import BackendChoice, choose
from tasks.roles.chat import BadReply, ChatReply
from tests.tasks.backends.served.asked import SERVED, questions
from tests.tasks.roles.contract import Bad, Subject
from tests.tasks.roles.role_questions import damaged

WRITTEN = {
    "Editing_Type": "Color",
    "Editing_Instruction": "Change the left cup to blue.",
    "Editing_Argument": "blue",
    "CoT": {
        "1_Scene_Description": "A desk with two cups and a book.",
        "2_Target_Localization": "The target is the left one of two red cups.",
        "3_Editing_Description": "The cup becomes blue.",
        "4_Post_Edit_Description": "The left cup is now blue.",
    },
}

REPLIES: dict[str, tuple[str, str]] = {
    "target_judge": ("1", "0"),
    "instructor": (
        json.dumps(WRITTEN),
        json.dumps(WRITTEN | {"Editing_Instruction": "Paint the left cup blue."}),
    ),
    "rewriter": ("Please make the left cup blue.", "Could you turn the left cup blue?"),
    "referrer": ('{"matches": [1]}', '{"matches": [1, 2]}'),
    "text_judge": ("1", "0"),
    "edit_judge": (
        '{"RegionEditAccuracy": 4.5, "SeamlessQuality": 4.0}',
        '{"RegionEditAccuracy": 2.0, "SeamlessQuality": 3.5}',
    ),
}
"""Role -> two good replies."""

UNREADABLE = ""
"""An empty reply: no role's parser accepts it."""

PICTURES = {
    "target_judge": "marked",
    "instructor": "boxed",
    "referrer": "numbered",
    "text_judge": "marked",
    "edit_judge": "edited_boxed",
}
"""Role -> field of the picture that is sent; the rewriter sees none."""


def served_choice(role: str, options: Mapping[str, Any] | None = None) -> BackendChoice:
    """The chat backend of a role, on a server."""
    settings = RoleSettings(backend="chat", options=dict(options or {}), run="server")
    return choose(role, settings, role, served=SERVED)


def served(role: str) -> Callable[[Path], Subject]:
    """The maker of a role's chat backend."""

    def make(folder: Path) -> Subject:
        del folder
        choice = served_choice(role)
        question = questions()[role]
        good = tuple(replace(question, subject=str(number)) for number in range(len(REPLIES[role])))
        bad = [Bad(question=replace(question, subject="unreadable"), reason=Reason.BAD_REPLY)]
        if role in PICTURES:
            closed: Any = replace(question, subject="0", **{PICTURES[role]: damaged()})
            bad.append(Bad(question=closed, reason=Reason.SOURCE_CHANGED))
        return Subject(choice=choice, ask=_scripted(choice), questions=good, bad=tuple(bad))

    return make


def _scripted(choice: BackendChoice) -> Callable[[Sequence[Any]], list[Any]]:
    """Requests are built, answered by the subject of their question, and read; a bad reply becomes an error."""
    backend = choice.load()
    assert isinstance(backend, ServedBackend)

    def answer(question: Any) -> Any:
        try:
            request = backend.request(question)
            text = REPLIES[choice.role][int(question.subject)] if question.subject.isdigit() else UNREADABLE
            return backend.read(ChatReply(text=text), request)
        except SampleError as error:
            return error
        except BadReply as error:
            return SampleError(Reason.BAD_REPLY, error.code)

    return lambda asked: [answer(question) for question in asked]
