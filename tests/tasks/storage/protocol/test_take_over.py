"""A dataset starts with another one's ingest: it is copied completely, checked, and existing objects stay."""

from __future__ import annotations

import shutil

import pytest

from tasks.records.errors import DataFault
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.planning import newest_plan
from tasks.storage.protocol.stage_end import find_stage_end, kept_children
from tasks.storage.protocol.take_over import commits_of, recorded_libraries, take_over, take_over_plans
from tasks.storage.reports.auditing import verify
from tests.tasks.storage.drawn_stages import (
    GROUNDING,
    draw_photographs,
    run_pipeline,
    stored_plan,
    stored_retry,
)


@pytest.fixture
def origin(tmp_path):
    draw_photographs(tmp_path / "photographs", 10)
    store = open_store(str(tmp_path / "origin"))
    plans = run_pipeline(store, tmp_path / "photographs")
    shutil.rmtree(tmp_path / "photographs")
    return store, plans


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "new"))


def test_ingest_is_closed_in_the_new_dataset_and_nothing_else_is_there(origin, store):
    source, plans = origin
    assert take_over(source, store, plans[0]) == len(plans[0].units) > 1
    assert find_stage_end(store, plans[0]) == find_stage_end(source, plans[0])
    assert list(kept_children(store, plans[0])) == list(kept_children(source, plans[0]))
    assert not verify(store, deep=True).faults
    assert {item.path.split("/")[1] for item in store.list("stages")} == {plans[0].key.folder.split("/")[1]}


def test_an_interrupted_copy_is_continued(origin, store):
    source, plans = origin
    take_over(source, store, plans[0])
    last = plans[0].key.commit_path(plans[0].units[-1].id)
    end = plans[0].key.stage_end_path(plans[0].plan12, 0)
    for path in (last, end):
        store.delete(path)
    assert take_over(source, store, plans[0]) == 1
    assert take_over(source, store, plans[0]) == 0
    assert store.exists(end)


def test_the_next_stage_is_planned_as_it_was_cut_there(origin, store):
    source, plans = origin
    take_over(source, store, plans[0])
    take_over_plans(source, store, plans[1:])
    inputs = list(kept_children(store, plans[0]))
    assert stored_plan(store, GROUNDING, inputs, unit_size=1, upstream=plans[0].reference) == plans[1]


def test_a_plan_of_a_retry_is_not_taken_over(origin, store):
    source, plans = origin
    following = stored_retry(source, plans[1], [plans[1].units[0].members[0]], 4)
    assert following.generation == 1
    take_over_plans(source, store, [following])
    assert newest_plan(store, GROUNDING, following.plan12) is None


@pytest.mark.parametrize("part", ["/rows/", "/data/"])
def test_a_damaged_object_is_not_taken_over(origin, store, part):
    source, plans = origin
    path = next(item.path for item in source.list(plans[0].key.folder) if part in item.path)
    data = bytearray(source.get(path))
    data[-1] ^= 1
    source.put(path, bytes(data))
    with pytest.raises(DataFault, match=f"^{path}: bytes do not match"):
        take_over(source, store, plans[0])
    assert find_stage_end(store, plans[0]) is None


def test_a_plan_that_is_not_closed_cannot_be_taken_over(origin, store):
    source, plans = origin
    source.delete(plans[0].key.stage_end_path(plans[0].plan12, 0))
    with pytest.raises(DataFault, match="not finished"):
        take_over(source, store, plans[0])


def test_the_libraries_of_all_units_are_known(origin):
    source, plans = origin
    recorded = recorded_libraries(source, plans)
    commits = [commit for plan in plans for commit in commits_of(source, plan)]
    assert commits
    assert recorded == {name: {version} for name, version in commits[0].run["libraries"].items()}
    assert "numpy" in recorded


def test_commits_that_were_removed_tell_no_libraries(origin):
    source, plans = origin
    for commit in list(commits_of(source, plans[-1])):
        source.delete(commit.path)
    assert recorded_libraries(source, plans) == recorded_libraries(source, plans[:1])
