"""Plans: cut by photograph, reused whole, stored by the first writer, retried in generations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.records.errors import DataFault, Reason
from tasks.records.outcomes import SourceEntry
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.planning import (
    committed_units,
    entry_inputs,
    load_plan,
    pending_units,
    write_stage_config,
)
from tasks.storage.protocol.stage_end import close_stage, failed_inputs, kept_children
from tasks.storage.protocol.units import PlanInput, cut, make_unit, plan_bytes, plan_from
from tests.tasks.storage.drawn_stages import (
    GROUNDING,
    INGEST,
    ReadStage,
    draw_photographs,
    entries_of,
    run_pipeline,
    run_plan,
    stored_plan,
    stored_retry,
)


def some(count: int, suffix: str = "") -> list[PlanInput]:
    return [PlanInput(id=f"{n:026x}{suffix}", digest="d", rows="r") for n in range(count)]


def test_units_hold_every_input_once_and_none_is_too_large():
    groups = cut(some(500), 8)
    assert sorted(i.id for g in groups for i in g) == [i.id for i in some(500)]
    assert max(len(g) for g in groups) <= 8
    assert len(groups) < 150


def test_the_order_of_the_inputs_does_not_matter():
    assert cut(some(50), 4) == cut(list(reversed(some(50))), 4)


def test_later_stages_units_lie_within_or_around_those_before():
    before = [{i.id for i in g} for g in cut(some(200), 4)]
    after = [{i.id.partition("-")[0] for i in g} for g in cut(some(200, "-t0"), 16)]
    assert all(any(small <= large for large in after) for small in before)


def test_ids_of_one_photograph_stay_together_and_are_chunked_when_too_many():
    inputs = [PlanInput(id=f"{'a' * 26}-t{n}", digest="") for n in range(10)]
    assert [len(g) for g in cut(inputs, 4)] == [4, 4, 2]


def test_a_unit_is_another_one_when_content_generation_or_extra_change():
    members = some(2)
    changed = [members[0], PlanInput(id=members[1].id, digest="other")]
    units = [
        make_unit(INGEST, members),
        make_unit(INGEST, changed),
        make_unit(INGEST, members, 1),
        make_unit(INGEST, members, extra={"shard": "1"}),
        make_unit(GROUNDING, members),
    ]
    assert len({u.id for u in units}) == 5


def test_a_plan_survives_the_round_trip_with_odd_names(tmp_path: Path):
    entry = SourceEntry(
        location="drawn/%FFß.jpg", source="drawn", path="\udcffß.jpg", member="", offset=0, length=3, version="1",
        problem="",
    )  # fmt: skip
    plan = stored_plan(open_store(str(tmp_path)), INGEST, entry_inputs([entry]), unit_size=1)
    assert plan.units[0].entries == (entry,)
    assert plan_from(plan_bytes(plan), plan.path) == plan


def test_an_input_given_twice_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="twice"):
        stored_plan(open_store(str(tmp_path)), INGEST, some(1) + some(1), unit_size=4)


def test_drivers_that_cut_differently_use_the_plan_that_was_first(tmp_path: Path):
    store = open_store(str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        plans = list(pool.map(lambda n: stored_plan(store, INGEST, some(30), unit_size=n), range(1, 9)))
    assert len({plan_bytes(plan) for plan in plans}) == 1
    assert plans[0] == stored_plan(store, INGEST, some(30), unit_size=30)


def test_ten_more_photographs_redo_nothing(tmp_path: Path):
    draw_photographs(tmp_path / "in", 24)
    store = open_store(str(tmp_path / "out"))
    run_pipeline(store, tmp_path / "in")
    before = {o.path: o.modified for o in store.list() if "/commits/" in o.path}
    draw_photographs(tmp_path / "in", 10, first=100)
    plans = run_pipeline(store, tmp_path / "in")
    after = {o.path: o.modified for o in store.list() if "/commits/" in o.path}
    assert before.items() <= after.items()
    assert plans[0].inputs == 34
    assert set(before) <= {plan.key.commit_path(u.id) for plan in plans for u in plan.units}
    fresh = [u for plan in plans for u in plan.units if plan.key.commit_path(u.id) not in before]
    assert sum(len(u.members) for u in fresh) <= 20


def test_a_photograph_that_changed_is_read_again_and_so_are_its_neighbors_only(tmp_path: Path):
    draw_photographs(tmp_path / "in", 12)
    store = open_store(str(tmp_path / "out"))
    first = run_pipeline(store, tmp_path / "in")[0]
    (tmp_path / "in" / "p005.png").write_bytes((tmp_path / "in" / "p004.png").read_bytes() + b"\n")
    second = run_pipeline(store, tmp_path / "in")[0]
    old = {u.id for u in first.units}
    redone = [i for u in second.units if u.id not in old for i in u.members]
    assert "drawn/p005.png" in redone
    assert len(redone) <= 4


def test_fewer_photographs_use_the_same_commits(tmp_path: Path):
    draw_photographs(tmp_path / "in", 20)
    store = open_store(str(tmp_path / "out"))
    run_pipeline(store, tmp_path / "in")
    limited = entry_inputs(entries_of(tmp_path / "in"))[:15]
    plan = stored_plan(store, INGEST, limited, unit_size=4)
    done = committed_units(store, INGEST)
    assert plan.inputs == 15
    assert sum(u.id in done for u in plan.units) >= 2


def test_failed_ones_are_retried_in_a_new_generation_whose_rows_count(tmp_path: Path):
    draw_photographs(tmp_path / "in", 6)
    hidden = tmp_path / "in" / "p002.png"
    entries = entry_inputs(entries_of(tmp_path / "in"))
    data = hidden.read_bytes()
    hidden.unlink()
    store = open_store(str(tmp_path / "out"))
    stage = ReadStage(str(tmp_path / "in"))
    plan = stored_plan(store, INGEST, entries, unit_size=4)
    run_plan(store, plan, INGEST, stage)
    assert close_stage(store, plan).totals["reasons"] == {"input:source_missing": 1}
    assert failed_inputs(store, plan) == ["drawn/p002.png"]

    hidden.write_bytes(data)
    again = stored_retry(store, plan, failed_inputs(store, plan), 4)
    assert again.generation == 1
    assert [u.members for u in pending_units(store, again)] == [("drawn/p002.png",)]
    run_plan(store, again, INGEST, stage)
    end = close_stage(store, again)
    assert end.totals == {"inputs_kept": 6, "children_kept": 6, "reasons": {}}
    assert len(list(kept_children(store, again))) == 6
    # The same command without the option continues with the newest generation.
    assert stored_plan(store, INGEST, entries, unit_size=4) == again
    assert stored_retry(store, again, failed_inputs(store, again), 4) == again


def test_what_a_retry_mended_stays_mended_when_photographs_are_added(tmp_path: Path):
    draw_photographs(tmp_path / "in", 6)
    entries = entry_inputs(entries_of(tmp_path / "in"))
    hidden = tmp_path / "in" / "p002.png"
    data = hidden.read_bytes()
    hidden.unlink()
    store = open_store(str(tmp_path / "out"))
    stage = ReadStage(str(tmp_path / "in"))
    plan = stored_plan(store, INGEST, entries, unit_size=4)
    run_plan(store, plan, INGEST, stage)
    hidden.write_bytes(data)
    again = stored_retry(store, plan, failed_inputs(store, plan), 4)
    run_plan(store, again, INGEST, stage)
    draw_photographs(tmp_path / "in", 2, first=50)
    more = stored_plan(store, INGEST, entry_inputs(entries_of(tmp_path / "in")), unit_size=4)
    run_plan(store, more, INGEST, stage)
    assert close_stage(store, more).totals["children_kept"] == 8


def test_a_plan_that_was_changed_is_refused(tmp_path: Path):
    store = open_store(str(tmp_path))
    plan = stored_plan(store, INGEST, some(3), unit_size=2)
    store.put(plan.path, plan_bytes(plan).replace(b"000", b"001", 1))
    with pytest.raises(DataFault, match=plan.plan12):
        load_plan(store, INGEST, plan.plan12, 0)


def test_a_configuration_that_is_another_one_is_refused(tmp_path: Path):
    store = open_store(str(tmp_path))
    write_stage_config(store, INGEST, {"threshold": 1})
    write_stage_config(store, INGEST, {"threshold": 1})
    with pytest.raises(DataFault, match="configuration"):
        write_stage_config(store, INGEST, {"threshold": 2})


def test_duplicates_end_at_the_smallest_location(tmp_path: Path):
    draw_photographs(tmp_path / "in", 3)
    for name in ("a.png", "z.png"):
        (tmp_path / "in" / name).write_bytes((tmp_path / "in" / "p001.png").read_bytes())
    store = open_store(str(tmp_path / "out"))
    plan, following = run_pipeline(store, tmp_path / "in")
    end = close_stage(store, plan)
    assert end.totals["children_rejected"] == 2
    assert end.totals["reasons"] == {f"child:{Reason.DUPLICATE}": 2}
    assert following.inputs == 3
