"""A build's record names its plans; newest generations are followed from stage to stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.records.errors import DataFault
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.builds import build_plans, link_plan, list_builds, read_build, write_build
from tasks.storage.protocol.units import PlanInput
from tests.tasks.storage.drawn_stages import GROUNDING, INGEST, stored_plan, stored_retry

CHAIN = [INGEST, GROUNDING]


def inputs(count: int) -> list[PlanInput]:
    return [PlanInput(id=f"s/{n}", digest="1") for n in range(count)]


def test_the_same_command_over_the_same_sources_is_the_same_build(tmp_path: Path):
    store = open_store(str(tmp_path))
    plan = stored_plan(store, INGEST, inputs(3), unit_size=2)
    first = write_build(store, {"seed": 1}, CHAIN, plan, {"host": "a"})
    assert write_build(store, {"seed": 1}, CHAIN, plan, {"host": "b"}) == first
    other = write_build(store, {"seed": 2}, CHAIN, plan, {})
    assert {r.build for r in list_builds(store)} == {first.build, other.build}
    assert read_build(store, first.build).config == {"seed": 1}


def test_plans_are_followed_as_far_as_the_build_has_come_and_by_newest_generation(tmp_path: Path):
    store = open_store(str(tmp_path))
    plan = stored_plan(store, INGEST, inputs(3), unit_size=2)
    record = write_build(store, {}, CHAIN, plan, {})
    assert build_plans(store, record) == [plan]
    following = stored_plan(store, GROUNDING, inputs(2), unit_size=2, upstream=plan.reference)
    link_plan(store, record, following, plan.reference)
    assert build_plans(store, record) == [plan, following]
    again = stored_retry(store, plan, ["s/1"], 2)
    link_plan(store, record, again, "")
    assert build_plans(store, record) == [again]
    link_plan(store, record, following, again.reference)
    assert build_plans(store, record) == [again, following]


def test_a_record_under_another_name_is_a_fault(tmp_path: Path):
    store = open_store(str(tmp_path))
    record = write_build(store, {}, CHAIN, stored_plan(store, INGEST, inputs(1), unit_size=1), {})
    store.copy(record.path, "builds/000000000000.json")
    with pytest.raises(DataFault, match="000000000000"):
        list_builds(store)
