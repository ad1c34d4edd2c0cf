"""Splits and shards: stable, of equal size, and near-duplicates on one side."""

from __future__ import annotations

import random

import pytest

from tasks.publishing.settings import PublishSettings
from tasks.publishing.splits import SampleRef, assign_shards, near_duplicate_groups, split_of

SETTINGS = PublishSettings(samples_per_shard=5, validation_share=0.25, near_duplicate_bits=3)


def refs(count, start=0):
    # Random 64-bit numbers are about 32 bits apart, so none of them are near-duplicates.
    rng = random.Random(start)
    return [
        SampleRef(key=f"s{n:05d}-t0-p0", sid=f"s{n:05d}", fingerprint=f"{rng.getrandbits(64):016x}")
        for n in range(start, start + count)
    ]


def placed(plan):
    return {key: shard.split for shard in plan.shards for key in shard.keys}


def test_more_inputs_move_no_sample_to_another_split():
    few, more = assign_shards(refs(40), SETTINGS, 1), assign_shards(refs(40) + refs(60, 40), SETTINGS, 1)
    assert placed(few).items() <= placed(more).items()
    assert len(placed(more)) == 100


def test_the_order_of_inputs_changes_nothing():
    samples = refs(50)
    assert assign_shards(samples[::-1], SETTINGS, 1) == assign_shards(samples, SETTINGS, 1)


def test_another_seed_gives_another_order_and_other_splits():
    assert assign_shards(refs(50), SETTINGS, 1) != assign_shards(refs(50), SETTINGS, 2)


def test_shards_of_a_split_hold_equally_many_but_for_the_last():
    plan = assign_shards(refs(103), SETTINGS, 1)
    for split in ("train", "validation"):
        shards = [shard for shard in plan.shards if shard.split == split]
        assert [shard.number for shard in shards] == list(range(len(shards)))
        assert {len(shard.keys) for shard in shards[:-1]} == {5}
        assert 1 <= len(shards[-1].keys) <= 5


def test_shares_are_about_what_was_asked_for():
    share = sum(split_of(3, f"{n}", 0.1) == "validation" for n in range(5000)) / 5000
    assert 0.08 < share < 0.12
    assert {split_of(3, f"{n}", 0.0) for n in range(100)} == {"train"}


def test_samples_of_one_photograph_share_a_split():
    samples = [
        SampleRef(key=f"{r.sid}-t{t}-p0", sid=r.sid, fingerprint=r.fingerprint)
        for r in refs(30)
        for t in range(3)
    ]
    splits = placed(assign_shards(samples, SETTINGS, 1))
    for ref in refs(30):
        assert len({split for key, split in splits.items() if key.startswith(ref.sid)}) == 1


def test_near_duplicates_across_splits_lose_their_validation_members():
    samples = refs(40)
    train = next(r for r in samples if split_of(1, r.sid, 0.25) == "train")
    held_out = [r for r in samples if split_of(1, r.sid, 0.25) == "validation"]
    bits = int(train.fingerprint, 16)
    twins = {held_out[0].sid: f"{bits ^ 0b111:016x}", held_out[1].sid: f"{bits ^ 0b1111000:016x}"}
    samples = [SampleRef(key=r.key, sid=r.sid, fingerprint=twins.get(r.sid, r.fingerprint)) for r in samples]
    plan = assign_shards(samples, SETTINGS, 1)
    # Three bits apart is a near-duplicate, four bits is another photograph.
    assert plan.conflicts == ((held_out[0].key, f"photograph resembles {train.sid} of the train split"),)
    assert held_out[0].key not in placed(plan)
    assert placed(plan)[held_out[1].key] == "validation"
    assert len(placed(plan)) == 39


def test_resemblance_is_transitive():
    prints = {"a": f"{0:016x}", "b": f"{0b11:016x}", "c": f"{0b1111:016x}", "d": f"{2**60 - 1:016x}"}
    assert near_duplicate_groups(prints, 2) == [("a", "b", "c")]


def test_near_duplicates_within_one_split_stay():
    samples = [r for r in refs(60) if split_of(1, r.sid, 0.25) == "validation"]
    same = [SampleRef(key=r.key, sid=r.sid, fingerprint="0" * 16) for r in samples]
    plan = assign_shards(same, SETTINGS, 1)
    assert plan.conflicts == ()
    assert len(placed(plan)) == len(samples)


def test_no_samples_make_no_shards():
    assert assign_shards([], SETTINGS, 1).shards == ()


@pytest.mark.parametrize("bits", [0, 64])
def test_the_distance_may_be_nothing_or_everything(bits):
    prints = {"a": "0" * 16, "b": "f" * 16, "c": "0" * 16}
    assert near_duplicate_groups(prints, bits) == ([("a", "c")] if bits == 0 else [("a", "b", "c")])
