"""The planner of publish with the real worker: shards in order, conflicts as rows."""

from __future__ import annotations

import pytest

from tasks.publishing.plan_release import SHARD, draft_retry_shards, read_fingerprints, sid_of
from tasks.publishing.splits import split_of
from tasks.records.errors import DataFault
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.commits import read_rows
from tasks.storage.protocol.planning import store_plan
from tasks.storage.protocol.stage_end import failed_inputs, find_stage_end, plan_commits


def test_a_units_members_are_the_shards_samples_in_order(built):
    store, plans = built
    units = {unit.id: unit for unit in plans[-1].units}
    for commit in plan_commits(store, plans[-1]):
        rows = [row for row in read_rows(store, commit) if row.kind == "child"]
        assert [row.id for row in rows] == list(units[commit.unit].members)
        assert units[commit.unit].extra[SHARD].endswith(".tar")


def test_near_duplicates_across_splits_are_rejected_rows_and_counted(drawn, tmp_path):
    # "a~b" is drawn with the fingerprint of "a": a near-duplicate whose split another name decides.
    seed, share = drawn.CONTEXT.seed, drawn.SETTINGS.validation_share
    splits = {n: split_of(seed, drawn.sid(f"shots/twin{n}.jpg"), share) for n in range(20)}
    first = next(n for n, split in splits.items() if split == "train")
    names = [f"shots/twin{first}.jpg", *(f"shots/twin{first}.jpg~{n}" for n in range(6))]
    held_out = [n for n in names if split_of(seed, drawn.sid(n), share) == "validation"]
    assert held_out
    store = open_store(str(tmp_path))
    plans = drawn.publish(store, drawn.build_up_to_editing(store, names), drawn.SETTINGS)
    end = find_stage_end(store, plans[-1])
    assert end.totals["inputs_rejected"] == len(held_out)
    assert end.totals["reasons"] == {"input:near_duplicate_across_splits": len(held_out)}
    release = drawn.finish(store, plans, "b")
    assert release.manifest["samples"] == {"train": len(names) - len(held_out), "validation": 0}


def test_a_photograph_that_ingest_did_not_keep_is_named(built):
    store, plans = built
    with pytest.raises(DataFault, match="no photograph zzz"):
        read_fingerprints(store, plans[0], {"zzz"})


def test_a_shard_with_a_failed_sample_is_made_again_as_a_whole(drawn, tmp_path):
    store = open_store(str(tmp_path))
    plans = drawn.build_up_to_editing(store, drawn.LOCATIONS)
    editing = sorted((tmp_path / plans[-1].key.folder / "data").rglob("*.tar"))[0]
    whole = editing.read_bytes()
    editing.write_bytes(whole.replace(b"IDAT", b"IDAX", 1))
    plans = drawn.publish(store, plans, drawn.SETTINGS)
    failed = failed_inputs(store, plans[-1])
    assert len(failed) == 1
    editing.write_bytes(whole)
    again = store_plan(store, draft_retry_shards(plans[-1], failed))
    drawn.run_publish(store, again, drawn.SETTINGS)
    release = drawn.finish(store, [*plans[:-1], again], "b")
    other = open_store(str(tmp_path / "other"))
    plain = drawn.publish(other, drawn.build_up_to_editing(other, drawn.LOCATIONS), drawn.SETTINGS)
    undisturbed = drawn.finish(other, plain, "b")
    assert release.manifest["files"] == undisturbed.manifest["files"]


def test_without_failures_a_retry_is_the_same_plan(built):
    _, plans = built
    assert draft_retry_shards(plans[-1], []) is plans[-1]


def test_the_photographs_id_is_the_first_part_of_a_key():
    assert sid_of("abc-t0-p1") == "abc"
