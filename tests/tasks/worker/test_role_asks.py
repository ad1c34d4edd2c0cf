"""What a routed ask records for its sample: keys of stored answers, including errors, and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tasks.records.errors import AnswerMissing, MissingAnswer, Reason, SampleError
from tasks.records.outcomes import Outcome, StageInput
from tasks.records.records import EditType, ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.backend import Backend, ServedBackend
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Answered, Route
from tasks.roles.questions import RewriteQuestion
from tasks.worker.engine import Engine
from tasks.worker.role_asks import RoutedAsk
from tests.tasks.storage.drawn_stages import draw_photographs, entries_of


class Served(ServedBackend[Any, str]):
    Options = Settings
    answering = frozenset()
    wire = 1

    def __init__(self, options: Settings) -> None:
        del options

    @classmethod
    def identity_of(cls, options: Settings) -> ModelIdentity:
        return ModelIdentity(role="rewriter", backend="s", model="m", revision="1", digest="none")

    def request(self, question: Any) -> Any:
        if question.instruction == "too long":
            raise SampleError(Reason.BACKEND_ERROR, "cannot be put")
        return question

    def read(self, reply: Any, request: Any) -> str:
        raise NotImplementedError


class Repeating(Served):
    reproducible: ClassVar[bool] = True


class Client:
    """Has no kept answers; answers, declines, or is a replay."""

    def __init__(self, trouble: Exception | None = None, *, replay: bool = False) -> None:
        self.trouble, self.replay, self.asked = trouble, replay, 0

    async def kept(self, route: str, key: str, sid: str) -> Answered | None:
        if self.replay:
            raise AnswerMissing([MissingAnswer("rewriter", sid, key)])
        return None

    async def ask(self, call: Any) -> Answered:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return Answered(answer="words", key=call.key, kept=False)


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def outcome(engine: Engine, tmp_path, client: Client, text: str, backend: type[Backend] = Served) -> Outcome:
    choice = BackendChoice(role="rewriter", name="s", backend=backend, options=Settings(), prompts=())
    route = Route(name="rewriter", role="rewriter", choice=choice, run="s")
    ask = RoutedAsk(choice, route, engine, client)

    async def stage(item, bench):
        await ask(RewriteQuestion(subject="ab-t0", instruction=text, edit_type=EditType.COLOR))
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    draw_photographs(tmp_path, 1)
    (entry,) = entries_of(tmp_path)
    (found,) = engine.answer(stage, [StageInput(id=entry.location, record=entry, blobs={})], None)
    return found


def test_an_answer_is_noted(engine, tmp_path):
    assert len(outcome(engine, tmp_path, Client(), "paint it").answers) == 1


def test_an_error_that_was_given_is_stored_and_noted_as_well(engine, tmp_path):
    found = outcome(engine, tmp_path, Client(SampleError(Reason.BAD_REPLY)), "paint it")
    assert (found.reason, len(found.answers)) == (Reason.BAD_REPLY, 1)


def test_a_question_that_cannot_be_asked_depends_on_nothing(engine, tmp_path):
    client = Client()
    found = outcome(engine, tmp_path, client, "too long")
    assert (found.reason, found.answers, client.asked) == (Reason.BACKEND_ERROR, (), 0)


def test_a_replay_does_not_miss_the_answer_to_a_question_that_cannot_be_put(engine, tmp_path):
    found = outcome(engine, tmp_path, Client(replay=True), "too long")
    assert (found.reason, found.answers) == (Reason.BACKEND_ERROR, ())
    with pytest.raises(AnswerMissing):
        outcome(engine, tmp_path, Client(replay=True), "paint it")


def test_answers_that_repeat_themselves_are_not_kept_and_not_noted(engine, tmp_path):
    assert outcome(engine, tmp_path, Client(), "paint it", Repeating).answers == ()
