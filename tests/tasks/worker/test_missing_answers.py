"""A sample without its kept answer prevents its unit's commit, but other samples still look for theirs."""

from __future__ import annotations

import pytest

from tasks.records.errors import AnswerMissing, EnvironmentFault, MissingAnswer, Reason
from tasks.records.outcomes import Outcome, StageInput
from tasks.worker.engine import Engine
from tests.tasks.storage.drawn_stages import draw_photographs, entries_of


@pytest.fixture
def inputs(tmp_path):
    draw_photographs(tmp_path, 5)
    return [StageInput(id=e.location, record=e, blobs={}) for e in entries_of(tmp_path)]


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def missing(item: StageInput) -> MissingAnswer:
    return MissingAnswer("editor", item.id, "0" * 64)


def test_all_samples_tell_what_they_lack_before_the_unit_is_given_up(engine, inputs):
    ended = []

    async def stage(item, bench):
        if item in inputs[:3]:
            raise AnswerMissing([missing(item)])
        ended.append(item.id)
        return Outcome(input_id=item.id, reason=Reason.NO_TARGET)

    with pytest.raises(AnswerMissing) as raised:
        engine.answer(stage, inputs, None)
    assert set(raised.value.missing) == {missing(item) for item in inputs[:3]}
    assert set(ended) == {item.id for item in inputs[3:]}


def test_another_fault_still_ends_the_unit_at_once(engine, inputs):
    async def stage(item, bench):
        if item is inputs[0]:
            raise AnswerMissing([missing(item)])
        raise EnvironmentFault("away")

    with pytest.raises(EnvironmentFault, match="away"):
        engine.answer(stage, inputs, None)
