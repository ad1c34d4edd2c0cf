"""The publish stage by itself: bytes copied, kinds of faults."""

from __future__ import annotations

from functools import partial

import pytest

from tasks.publishing.settings import PublishSettings
from tasks.publishing.shard_format import MEMBERS
from tasks.publishing.splits import REFUSED
from tasks.records.errors import DataFault, Reason, SampleError
from tasks.records.outcomes import BlobRef, StageInput
from tasks.records.records import EditType
from tasks.stages.publish.stage import PICTURES, publish
from tests.tasks.stages.answering import answered


class Pixels:
    """Returns the blob's own path; the path "damaged" raises."""

    def data(self, ref):
        if ref.path == "damaged":
            raise SampleError(Reason.SOURCE_CHANGED, "stored bytes don't fit their digest")
        return ref.path.encode()


def item(drawn, **paths):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    blobs = {
        n: BlobRef(path=paths.get(n, n), offset=0, length=1, sha256="") for n in (*PICTURES, "patch.png")
    }
    return StageInput(id=plan.plan_id, record=drawn.edited_sample(plan), blobs=blobs)


@pytest.fixture
def stage(drawn):
    return partial(publish, settings=PublishSettings(), context=drawn.CONTEXT)


def test_a_sample_becomes_five_blobs_with_the_bytes_it_came_with(stage, drawn):
    (outcome,) = answered(stage, [item(drawn)], Pixels())
    (child,) = outcome.children
    assert sorted(blob.name for blob in child.blobs) == list(MEMBERS)
    assert {b.name: b.data for b in child.blobs if b.name != "json"} == {n: n.encode() for n in PICTURES}


def test_a_refused_sample_is_an_input_row_without_pixels(stage, drawn):
    given = item(drawn)
    (outcome,) = answered(stage, [given], Pixels(), {REFUSED + given.id: "resembles x"})
    assert (outcome.reason, outcome.detail, outcome.children) == (Reason.SPLIT_CONFLICT, "resembles x", ())


def test_a_damaged_picture_fails_its_sample_only(stage, drawn):
    bad = item(drawn, **{"edited.png": "damaged"})
    outcomes = answered(stage, [bad, item(drawn)], Pixels())
    assert [outcome.reason for outcome in outcomes] == [Reason.SOURCE_CHANGED, None]


def test_a_sample_without_its_mask_is_a_fault_of_the_store(stage, drawn):
    given = item(drawn)
    blobs = {name: ref for name, ref in given.blobs.items() if name != "mask.png"}
    with pytest.raises(DataFault, match=r"mask\.png"):
        answered(stage, [StageInput(id=given.id, record=given.record, blobs=blobs)], Pixels())


def test_another_record_than_a_finished_sample_is_refused(stage, drawn):
    with pytest.raises(DataFault, match="SourceImage"):
        answered(stage, [StageInput(id="x", record=drawn.source_image("a"), blobs={})], Pixels())
