"""Records and samples of schema version 2, written by the program of that version, are read in today's shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.shard_format import parse_meta
from tasks.records.codec import decode_record, encode_record
from tasks.records.records import SCHEMA_VERSION, EditedSample, EditType
from tasks.storage.protocol.rows import Row
from tests.tasks.publishing import drawn_build

DATA = Path(__file__).parents[2] / "data" / "version-2"
RECORD, SAMPLE = (DATA / "record.json").read_text(), (DATA / "sample.json").read_bytes()


@pytest.fixture(scope="module")
def today() -> EditedSample:
    """The drawn sample as it was before objects could be parts of others."""
    target = drawn_build.target(drawn_build.source_image("shots/a.jpg"))
    objects = tuple(replace(thing, part_of=None) for thing in target.scene.objects)
    target = replace(target, scene=replace(target.scene, objects=objects))
    return drawn_build.edited_sample(drawn_build.edit_plan(target, EditType.COLOR))


def test_a_record_of_version_2_has_objects_of_their_own(today):
    assert '"part_of"' not in RECORD
    assert decode_record(RECORD, version=2) == today
    assert '"part_of":null' in encode_record(today)


def test_a_row_of_version_2_is_decoded(today):
    row = Row(
        id=today.plan.plan_id, kind="child", parent="p", outcome="kept", reason="", detail="", edit_type="Color",
        digest="", record=RECORD, blobs={}, schema_version=2,
    )  # fmt: skip
    assert row.decoded() == today


def test_a_sample_of_version_2_is_read_in_the_shape_of_today(today):
    meta = parse_meta(SAMPLE, today.plan.plan_id)
    assert meta == describe_sample(today, "train", drawn_build.CONTEXT, drawn_build.LIBRARIES)
    assert meta.schema_version == SCHEMA_VERSION
    assert {thing.part_of for thing in meta.objects} == {-1}
