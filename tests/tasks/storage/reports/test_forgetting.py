"""Forgetting answers also removes the units whose rows name them, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from tasks.records.errors import DataFault
from tasks.records.outcomes import Child, Outcome, SourceEntry, StageInput
from tasks.roles.answers import KeptAnswers
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.commits import commit_unit, find_commit
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import newest_plan, pending_units, write_stage_config
from tasks.storage.protocol.stage_end import close_stage, find_stage_end
from tasks.storage.protocol.units import PlanInput
from tasks.storage.reports.auditing import verify
from tasks.storage.reports.forgetting import AnswerCount, count_answers, forget
from tasks.storage.reports.repairing import repair
from tests.tasks.storage.drawn_stages import stored_plan

STAGE = StageKey(stage="grounding", config8="0" * 8)
SIDS = ["ab" + letter * 24 for letter in "cdef"]
SOURCE = SourceEntry(
    location="s/x", source="s", path="x", member="", offset=0, length=1, version="1", problem=""
)


def key(n: int) -> str:
    return f"{n:x}" * 64


@pytest.fixture
def store(tmp_path):
    """Four photographs in four units; each depends on a detector's answer, the first also on the judge's."""
    store = open_store(str(tmp_path / "out"))

    async def answer(kept):
        for n, sid in enumerate(SIDS):
            await kept.put(sid, "detector", key(n), (), run="perception")
        await kept.put(SIDS[0], "rewriter", key(9), "words", run="vlm")

    with KeptAnswers(store) as kept:
        asyncio.run(answer(kept))
    write_stage_config(store, STAGE, {"stage": "grounding"})
    plan = stored_plan(store, STAGE, [PlanInput(id=sid, digest="1") for sid in SIDS], unit_size=1)
    for unit in plan.units:
        n = SIDS.index(unit.members[0])
        answers = (key(n), key(9)) if n == 0 else (key(n),)
        child = Child(id=f"{SIDS[n]}-t0", record=None)
        outcome = Outcome(input_id=SIDS[n], children=(child,), answers=answers)
        item = StageInput(id=SIDS[n], record=SOURCE, blobs={})
        commit_unit(store, STAGE, unit, inputs=[item], outcomes=[outcome], run={})
    close_stage(store, plan)
    return store


def plan_of(store):
    (item,) = store.list(STAGE.plans)
    return newest_plan(store, STAGE, item.path.rpartition("/")[2].partition(".")[0])


def test_answers_are_counted(store):
    counts = count_answers(store)
    assert [(c.role, c.kind, c.round, c.answers) for c in counts] == [
        ("detector", "answer", 0, 4),
        ("rewriter", "answer", 0, 1),
    ]
    assert count_answers(store, "rewriter") == [
        AnswerCount(role="rewriter", kind="answer", round=0, answers=1, bytes=counts[1].bytes)
    ]


def test_units_whose_rows_name_a_forgotten_answer_are_open_again(store):
    plan = plan_of(store)
    done = forget(store, role="rewriter")
    assert [path.split("/")[3].partition("-")[0] for path in done.answers] == ["rewriter"]
    ((stage, unit),) = done.units
    assert stage == STAGE
    assert [u.members for u in pending_units(store, plan)] == [(SIDS[0],)]
    assert pending_units(store, plan)[0].id == unit
    assert find_stage_end(store, plan) is None
    assert not verify(store, deep=True).faults


def test_nothing_is_deleted(store):
    before = {item.path: store.get(item.path) for item in store.list()}
    done = forget(store, role="detector", key=key(1))
    after = {item.path: store.get(item.path) for item in store.list()}
    aside = {path.split("/", 2)[2]: data for path, data in after.items() if path.startswith("aside/")}
    assert aside == {path: before[path] for path in done.moved}
    assert {**aside, **{p: d for p, d in after.items() if not p.startswith("aside/")}} == before


def test_one_key_takes_one_unit_with_it(store):
    done = forget(store, role="detector", key=key(1)[:10])
    assert len(done.answers) == len(done.units) == 1
    assert len(pending_units(store, plan_of(store))) == 1


def test_a_role_takes_all_units_with_it(store):
    done = forget(store, role="detector", server="perception")
    assert (len(done.answers), len(done.units)) == (4, 4)
    assert count_answers(store) == count_answers(store, "rewriter")


def test_nothing_moves_when_no_answer_fits(store):
    before = sorted(item.path for item in store.list())
    assert forget(store, role="detector", server="vlm").moved == ()
    assert sorted(item.path for item in store.list()) == before


def test_a_damaged_row_file_is_reported_before_anything_moves(store):
    commit = find_commit(store, STAGE, plan_of(store).units[0].id)
    store.put(commit.rows.path, b"no parquet")
    before = sorted(item.path for item in store.list())
    with pytest.raises(DataFault):
        forget(store, role="detector")
    assert sorted(item.path for item in store.list()) == before


def test_a_command_that_was_killed_can_be_given_again(store, monkeypatch):
    expected = set(forget_in_a_copy(store))
    deleted = []

    def killed(path):
        if len(deleted) == 7:
            raise KeyboardInterrupt
        deleted.append(path)
        Store.delete(store, path)

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            forget(store, role="detector")
    repair(store)
    forget(store, role="detector")
    assert count_answers(store) == count_answers(store, "rewriter")
    assert expected.isdisjoint(item.path for item in store.list())


def forget_in_a_copy(store):
    """The paths that are moved if nothing interferes."""
    copy = open_store(f"{store.uri}-copy")
    for item in store.list():
        copy.put(item.path, store.get(item.path))
    return forget(copy, role="detector").moved
