"""What every backend owes its callers, as functions that a test calls with a `Subject`.

A subject is a configured backend, a way to ask it, and questions of its role: good ones with different answers, and bad
ones with the reason they end with. A local backend is asked directly; for a served one ``ask`` goes through whatever
stands for its server in that test. `check_all` runs the functions that need answers.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import cv2
import numpy as np
import pytest

from prompts import prompt_digests
from tasks.records.errors import ConfigurationError, Reason, SampleError
from tasks.records.records import Measurement, Reasoning, Tag
from tasks.records.settings_base import RoleSettings
from tasks.roles.backend import ServedBackend
from tasks.roles.backends import BackendChoice, choose
from tasks.roles.offers import offer_of
from tasks.roles.questions import (
    ROLES,
    Detection,
    EditScores,
    Question,
    Referents,
    Segmentation,
    TargetVerdict,
    TextVerdict,
    WrittenInstruction,
)

Asker = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A question that cannot be answered well, and the reason of its error; None where a poor answer is right."""

    question: Question
    reason: Reason | None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A backend under test.

    Attributes:
        choice: the configured backend.
        ask: questions to answers or errors, one each, as `LocalBackend.answer`.
        questions: at least two good ones whose answers differ.
        bad: at least one.
    """

    choice: BackendChoice
    ask: Asker
    questions: tuple[Question, ...]
    bad: tuple[Bad, ...]


def check_declarations(choice: BackendChoice) -> None:
    """Everything the class declares exists."""
    backend = choice.backend
    assert choice.role in ROLES
    assert backend.answering <= backend.Options.model_fields.keys()
    assert set(backend.idle) <= backend.Options.model_fields.keys() - backend.answering
    assert isinstance(backend.wire, int)
    assert backend.wire >= 1
    assert isinstance(backend.reproducible, bool)
    assert not (backend.reproducible and issubclass(backend, ServedBackend))
    assert len(set(backend.prompts)) == len(backend.prompts)
    assert tuple(name for name, _ in prompt_digests(backend.prompts)) == backend.prompts


def check_identity(choice: BackendChoice) -> None:
    """Who would answer is said in full, and always alike; the caller sees to it that no model can be had meanwhile."""
    identity = choice.identity
    assert identity == choice.identity
    assert (identity.role, identity.backend) == (choice.role, choice.name)
    assert all((identity.model, identity.revision, identity.digest))
    assert set(choice.material()["options"]) == choice.backend.Options.model_fields.keys() - set(
        choice.backend.idle
    )


def check_options(choice: BackendChoice) -> None:
    """A key that does not exist is refused by its name, before anything is loaded."""
    options = {"no_such_option": 1}
    with pytest.raises(ConfigurationError, match=r"stage\.key\.options\.no_such_option"):
        choose(choice.role, RoleSettings(backend=choice.name, options=options), "stage.key")


def check_answers(subject: Subject, alone: Sequence[Any]) -> None:
    """Each answer has the type, shapes and ranges of its role, and questions with different answers get them."""
    for question, answer in zip(subject.questions, alone, strict=True):
        assert not isinstance(answer, SampleError), answer
        assert_answer(subject.choice, question, answer)
    assert not same(alone[0], alone[1]), "the contract needs questions with different answers"
    assert list(subject.ask([])) == []


def check_neighbors(subject: Subject, alone: Sequence[Any]) -> None:
    """A bad question in a batch gets its own error, alone or among others, and changes no neighbor's answer."""
    for bad in subject.bad:
        first, second = subject.ask([subject.questions[0], bad.question])
        _assert_failed(subject, bad, second)
        _compare(subject, alone[:1], [first])
    batch = [*(bad.question for bad in subject.bad), *subject.questions[1:]]
    answers = list(subject.ask(batch))
    assert len(answers) == len(batch)
    for bad, answer in zip(subject.bad, answers[: len(subject.bad)], strict=True):
        _assert_failed(subject, bad, answer)
    _compare(subject, alone[1:], answers[len(subject.bad) :], subject.questions[1:])


def check_order(subject: Subject, alone: Sequence[Any]) -> None:
    """Backwards, twice in one batch, with another number of OpenCV's threads: the same answers."""
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        answers = list(subject.ask([*subject.questions[::-1], subject.questions[-1]]))
    finally:
        cv2.setNumThreads(threads)
    _compare(subject, [*alone[::-1], alone[-1]], answers, [*subject.questions[::-1], subject.questions[-1]])


def check_travel(subject: Subject, alone: Sequence[Any]) -> None:
    """Questions, answers and errors come through a pickle unchanged: a pool answers in another process."""
    question = subject.questions[-1]
    sent = pickle.loads(pickle.dumps(question))
    assert sent.material() == question.material()
    _compare(subject, alone[-1:], list(subject.ask([sent])), [question])
    for answer in (*alone, *(subject.ask([bad.question])[0] for bad in subject.bad)):
        assert same(pickle.loads(pickle.dumps(answer)), answer)


def check_all(subject: Subject) -> None:
    """All of the above that need answers."""
    alone = [subject.ask([question])[0] for question in subject.questions]
    check_answers(subject, alone)
    check_neighbors(subject, alone)
    check_order(subject, alone)
    check_travel(subject, alone)


def _assert_failed(subject: Subject, bad: Bad, answer: Any) -> None:
    if bad.reason is None:
        assert_answer(subject.choice, bad.question, answer)
    else:
        assert isinstance(answer, SampleError), answer
        assert answer.reason is bad.reason


def _compare(
    subject: Subject,
    expected: Sequence[Any],
    answers: Sequence[Any],
    questions: Sequence[Question] | None = None,
) -> None:
    """Equal to the bit where the backend promises that, else at least right in form."""
    asked = subject.questions[: len(expected)] if questions is None else questions
    for question, before, answer in zip(asked, expected, answers, strict=True):
        if subject.choice.backend.reproducible:
            assert same(before, answer), question.subject
        else:
            assert_answer(subject.choice, question, answer)


def same(a: Any, b: Any) -> bool:
    """Whether two answers or errors are equal to the bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, SampleError):
        return (a.reason, a.detail) == (b.reason, b.detail)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return bool(a == b)


def assert_answer(choice: BackendChoice, question: Any, answer: Any) -> None:
    """The form of an answer: type, shapes, ranges; an inpainter that takes no effects along fills the hole alone."""
    FORMS[choice.role](question, answer)
    if choice.role == "inpainter" and not offer_of(choice).effects:
        assert np.array_equal(answer[~question.hole], question.picture.rgb[~question.hole])


def _tags(question: Any, answer: Any) -> None:
    assert isinstance(answer, tuple)
    assert all(isinstance(tag, Tag) and tag.name and 0 <= tag.score <= 1 for tag in answer)
    assert [t.score for t in answer] == sorted((t.score for t in answer), reverse=True)


def _detections(question: Any, answer: Any) -> None:
    height, width = question.picture.rgb.shape[:2]
    assert isinstance(answer, tuple)
    for found in answer:
        assert isinstance(found, Detection)
        assert 0 <= found.box.x0 < found.box.x1 <= width
        assert 0 <= found.box.y0 < found.box.y1 <= height
        assert 0 < found.score <= 1
    assert [d.score for d in answer] == sorted((d.score for d in answer), reverse=True)


def _segmentations(question: Any, answer: Any) -> None:
    assert isinstance(answer, tuple)
    assert len(answer) == len(question.detections)
    for found in answer:
        assert isinstance(found, Segmentation)
        assert (found.mask.dtype, found.mask.shape) == (np.bool_, question.picture.rgb.shape[:2])
        assert 0 <= found.score <= 1
        assert found.method
        _measured(found.checks)


def _target_verdict(question: Any, answer: Any) -> None:
    assert isinstance(answer, TargetVerdict)
    assert isinstance(answer.precise, bool)
    assert isinstance(answer.hard, bool)
    assert answer.measurements
    _measured(answer.measurements)


def _written(question: Any, answer: Any) -> None:
    assert isinstance(answer, WrittenInstruction)
    assert isinstance(answer.reasoning, Reasoning)
    parts = [getattr(answer.reasoning, field.name) for field in fields(Reasoning)]
    for text in (answer.instruction, answer.edit_type, *parts):
        assert text == text.strip()
        assert text
        assert "\n" not in text
    if question.argument:
        assert answer.argument == question.argument


def _rewritten(question: Any, answer: Any) -> None:
    assert isinstance(answer, str)
    assert answer == answer.strip()
    assert answer
    assert "\n" not in answer


def _referred(question: Any, answer: Any) -> None:
    assert isinstance(answer, Referents)
    assert list(answer.objects) == sorted(set(answer.objects))
    # Numbers beyond the objects stand for the scene's distractors.
    limit = len(question.scene.objects) + len(question.scene.distractors)
    assert all(isinstance(index, int) and 0 <= index < limit for index in answer.objects)
    source = question.scene.source
    for box in answer.boxes:
        assert 0 <= box.x0 < box.x1 <= source.width
        assert 0 <= box.y0 < box.y1 <= source.height


def _text_verdict(question: Any, answer: Any) -> None:
    assert isinstance(answer, TextVerdict)
    assert 0 <= answer.agreement <= 1
    _measured(answer.measurements)


def _edited(question: Any, answer: Any) -> None:
    assert (answer.dtype, answer.shape) == (np.uint8, question.picture.rgb.shape)


def _scores(question: Any, answer: Any) -> None:
    assert isinstance(answer, EditScores)
    assert 1 <= answer.accuracy <= 5
    assert 1 <= answer.seamlessness <= 5
    _measured(answer.measurements)


def _measured(measurements: Any) -> None:
    assert isinstance(measurements, tuple)
    assert all(isinstance(m, Measurement) and m.name and np.isfinite(m.value) for m in measurements)
    assert len({m.name for m in measurements}) == len(measurements)


FORMS: dict[str, Callable[[Any, Any], None]] = {
    "tagger": _tags,
    "detector": _detections,
    "segmenter": _segmentations,
    "target_judge": _target_verdict,
    "instructor": _written,
    "rewriter": _rewritten,
    "referrer": _referred,
    "text_judge": _text_verdict,
    "editor": _edited,
    "inpainter": _edited,
    "edit_judge": _scores,
}
"""Role -> what its answers look like."""
