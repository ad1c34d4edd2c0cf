"""`verify` finds damaged answers, `repair` sets them aside with the units that depend on them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.records.outcomes import Blob, Child, Outcome, SourceEntry, StageInput
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import AnswerFile, Asked, Kind, answer_bytes, blob_refs
from tasks.storage.protocol.commits import commit_unit
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.units import PlanInput, make_unit
from tasks.storage.reports.answers_audit import AnswersAudit, answers_below
from tasks.storage.reports.auditing import verify
from tasks.storage.reports.repairing import repair
from tests.tasks.storage.drawn_stages import draw_photographs, run_pipeline

EDITING = StageKey(stage="editing", config8="0" * 8)
UNIT = (EDITING, "1" * 16)
SOURCE = SourceEntry(
    location="s/x", source="s", path="x", member="", offset=0, length=1, version="1", problem=""
)


def drawn(sid="ab" + "c" * 24, role="editor", round_=0, kind=Kind.ANSWER):
    asked = Asked(at=datetime(2026, 1, 1, tzinfo=UTC), run="vlm")
    return AnswerFile(
        sid=sid, role=role, key="0" * 64, round=round_, kind=kind, asked=asked, blobs={"answer.png": b"png"}
    )


def put(store, file):
    store.put(file.path, answer_bytes(file))
    return file.path


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "out"))


@pytest.fixture
def built(tmp_path, store):
    draw_photographs(tmp_path / "photographs", 4)
    run_pipeline(store, tmp_path / "photographs")
    return store


def test_answers_are_checked_folder_by_folder_and_are_not_strangers(built):
    before = verify(built, deep=True)
    for sid in ("aa11", "ab22", "ab33"):
        put(built, drawn(sid=sid))
    after = verify(built, deep=True)
    assert (after.faults, after.notes) == (before.faults, before.notes)
    assert after.checked == before.checked + 3


def test_a_flipped_bit_is_found_by_a_deep_look_and_repaired(built):
    good, bad = put(built, drawn(sid="aa11")), put(built, drawn(sid="ab22"))
    data = bytearray(built.get(bad))
    data[1030] ^= 1
    built.put(bad, bytes(data))
    assert not verify(built, deep=False).faults
    (fault,) = verify(built, deep=True).faults
    assert (fault.path, fault.problem) == (bad, "bytes do not match their own digest")
    done = repair(built)
    assert (done.moved, done.missing) == ((bad,), ())
    assert built.exists(good)
    assert not built.exists(bad)
    assert [o.path.split("/", 2)[2] for o in built.list("aside")] == [bad]
    assert not verify(built, deep=True).faults


def test_an_object_that_is_not_an_answer_is_noted(built):
    built.put("answers/ab/notes.txt", b"")
    (note,) = [n for n in verify(built, deep=False).notes if n.path.startswith("answers/")]
    assert (note.path, note.problem) == ("answers/ab/notes.txt", "not part of a dataset")


def test_an_answer_that_a_unit_is_made_of_may_not_be_missing_or_short(store):
    there, short = put(store, drawn(sid="aa11")), put(store, drawn(sid="ab22"))
    audit = AnswersAudit()
    audit.refer(there, 10, "x", UNIT)
    audit.refer(short, 10**6, "y", UNIT)
    audit.refer("answers/zz/zz99/editor-" + "0" * 24 + ".r0.tar", 1, "z", UNIT)
    found = audit.walk(store, deep=False)
    assert sorted(found.faults.values()) == ["ends before what y names", "is missing; named by z"]
    assert audit.resting_on(short) == {UNIT}
    assert audit.resting_on("answers/other") == set()


def test_answers_are_walked_in_order(store):
    names = {put(store, drawn(sid=sid, round_=r)) for sid in ("ab22", "aa11") for r in (0, 1)}
    assert [item.path for _, item in answers_below(store)] == sorted(names)


def edited(store, file):
    """A unit whose single blob is the image of an answer."""
    (ref,) = blob_refs(file).values()
    child = Child(id="x-t0-p0", record=None, blobs=(Blob(name="patch.png", data=file.blobs["answer.png"]),))
    unit = make_unit(EDITING, [PlanInput(id="x-t0", digest="1")])
    item = StageInput(id="x-t0", record=SOURCE, blobs={})
    outcome = Outcome(input_id="x-t0", children=(child,))
    return commit_unit(
        store, EDITING, unit, inputs=[item], outcomes=[outcome], run={}, linked={ref.sha256: ref}
    )[0]


@pytest.mark.parametrize("harm", ["flip", "delete", "cut"])
def test_a_unit_that_is_made_of_a_damaged_answer_is_set_aside_with_it(built, harm):
    file = drawn()
    put(built, file)
    commit = edited(built, file)
    data = built.get(file.path)
    assert not verify(built, deep=True).faults
    if harm == "delete":
        built.delete(file.path)
    else:
        built.put(file.path, data[:1024] if harm == "cut" else data[:1030] + b"x" + data[1031:])
    (fault,) = verify(built, deep=True).faults
    assert fault.path == file.path
    done = repair(built)
    expected = {commit.path, commit.rows.path} | ({file.path} if harm != "delete" else set())
    assert set(done.moved) == expected
    assert done.missing == ((file.path,) if harm == "delete" else ())
    assert not verify(built, deep=True).faults
