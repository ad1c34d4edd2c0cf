"""A sample's row names the answers it rests on; a question that cannot be put lacks no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.records.edit_types import EditType
from tasks.records.errors import AnswerMissing, MissingAnswer, Reason, SampleError
from tasks.records.outcomes import Outcome, SourceEntry, StageInput
from tasks.records.records import ModelIdentity
from tasks.records.settings_base import Settings
from tasks.roles.answer_keys import answer_key
from tasks.roles.backend import ServedBackend
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Answered, Route
from tasks.roles.chat import ChatRequest
from tasks.roles.questions import RewriteQuestion
from tasks.worker.engine import Engine
from tasks.worker.role_asks import RoutedAsk


class Options(Settings):
    pass


class ShortOnly(ServedBackend[Any, Any]):
    """Puts short questions alone."""

    Options = Options
    answering = frozenset()
    wire = 1

    def __init__(self, options):
        del options

    @classmethod
    def identity_of(cls, options):
        return ModelIdentity(role="rewriter", backend="short", model="m", revision="1", digest="none")

    def request(self, question):
        if len(question.instruction) > 10:
            raise SampleError(Reason.ENDPOINT_REFUSED, "too long")
        return ChatRequest(parts=(question.instruction,), sampling={}, seed=0)

    def read(self, reply, request):
        return reply.text


class Client:
    """A router that knows nothing, or refuses, or answers."""

    def __init__(self, kept=None, asked=None):
        self._kept, self._asked = kept, asked

    async def kept(self, route, key, sid):
        return self._result(self._kept, key)

    async def ask(self, call):
        return self._result(self._asked, call.key)

    def _result(self, given, key):
        if isinstance(given, type):
            raise AnswerMissing([MissingAnswer("rewriter", "a", key)])
        if isinstance(given, Exception):
            raise given
        return None if given is None else Answered(answer=given, key=key, kept=False)


CHOICE = BackendChoice(role="rewriter", name="short", backend=ShortOnly, options=Options(), prompts=())
ROUTE = Route(name="r", role="rewriter", choice=CHOICE, run="llm", served=None)
REFUSED = SampleError(Reason.BAD_REPLY, "not_json")


def outcome(client: Client, instruction: str = "short", route: Route = ROUTE) -> Outcome:
    """What becomes of a sample that asks one question, and ends without a target where it is answered."""
    engine = Engine()
    ask = RoutedAsk(route.choice, route, engine, client)

    async def stage(item, bench):
        await ask(question(instruction))
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    entry = SourceEntry(
        location="s/a", source="s", path="a", member="", offset=0, length=1, version="1", problem=""
    )
    try:
        return engine.answer(stage, [StageInput(id="s/a", record=entry, blobs={})], None)[0]
    finally:
        engine.close()


def question(instruction: str) -> RewriteQuestion:
    return RewriteQuestion(subject="a-t0", instruction=instruction, edit_type=EditType.COLOR)


@pytest.mark.parametrize(
    "client", [Client(kept="w"), Client(asked="w"), Client(kept=REFUSED), Client(asked=REFUSED)]
)
def test_a_row_names_the_answer_it_rests_on_and_a_refusal_as_well(client):
    assert outcome(client).answers == (answer_key(CHOICE, None, question("short")),)


def test_a_missing_answer_is_told():
    with pytest.raises(AnswerMissing):
        outcome(Client(kept=AnswerMissing))


def test_a_question_that_cannot_be_put_lacks_no_answer():
    ended = outcome(Client(kept=AnswerMissing), "much too long for it")
    assert ended.reason is Reason.ENDPOINT_REFUSED
    assert ended.answers == ()


class Repeating(ShortOnly):
    """Answers the same each time."""

    reproducible = True


def test_what_is_not_kept_is_not_named():
    route = replace(ROUTE, choice=replace(CHOICE, backend=Repeating))
    assert outcome(Client(asked="w"), route=route).answers == ()
