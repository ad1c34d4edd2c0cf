"""Rows, tars and commits: the count law, reproducible bytes, correct byte ranges."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import duckdb
import pytest

from tasks.records.canonical import sha256_hex
from tasks.records.errors import DataFault, Reason
from tasks.records.measuring import measure
from tasks.records.outcomes import Blob, BlobRef, Child, Outcome, SourceEntry, StageInput
from tasks.records.records import SCHEMA_VERSION, SourceImage
from tasks.storage.objects.store import Store, open_store
from tasks.storage.objects.unit_tar import pack
from tasks.storage.protocol.commits import Commit, commit_unit, find_commit, read_rows
from tasks.storage.protocol.planning import entry_inputs
from tasks.storage.protocol.units import Unit, make_unit
from tests.tasks.storage.drawn_stages import INGEST

INHERITED = {
    "source.jpg": BlobRef(path="far/away.tar", offset=512, length=3, sha256="0" * 64),
    "mask.png": BlobRef(path="far/away.tar", offset=1536, length=4, sha256="1" * 64),
}


def entry(number: int) -> SourceEntry:
    return SourceEntry(
        location=f"s/{number}",
        source="s",
        path=f"{number}",
        member="",
        offset=0,
        length=1,
        version="1",
        problem="",
    )


def image(number: int) -> SourceImage:
    return SourceImage(
        sid=f"{number:026}", location=f"s/{number}", sha256="", working_sha256="", width=1, height=1,
        original_format="PNG", actions=(), license="", hints=(), fingerprint="",
    )  # fmt: skip


def kept(number: int, *names: str) -> Outcome:
    blobs = tuple(Blob(name=name, data=f"{number}{name}".encode()) for name in names)
    return Outcome(
        input_id=f"s/{number}", children=(Child(id=f"c{number}", record=image(number), blobs=blobs),)
    )


def three() -> tuple[Unit, list[StageInput]]:
    entries = [entry(n) for n in range(3)]
    unit = make_unit(INGEST, entry_inputs(entries))
    return unit, [StageInput(id=e.location, record=e, blobs=INHERITED) for e in entries]


def commit(store: Store, outcomes: list[Outcome]) -> Commit:
    unit, inputs = three()
    return commit_unit(store, INGEST, unit, inputs=inputs, outcomes=outcomes, run={"host": "h"})[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_rows_say_what_became_of_everything(store: Store):
    rejected = Child(id="c1b", record=image(1), reason=Reason.EASY_TARGET, detail="why")
    both = Outcome(input_id="s/1", children=(*kept(1, "mask.png").children, rejected))
    done = commit(
        store, [kept(0), both, Outcome(input_id="s/2", reason=Reason.UNREADABLE, detail="errno 13")]
    )
    rows = read_rows(store, done)
    assert [(r.kind, r.id, r.outcome, r.reason) for r in rows] == [
        ("input", "s/0", "kept", ""),
        ("child", "c0", "kept", ""),
        ("input", "s/1", "kept", ""),
        ("child", "c1", "kept", ""),
        ("child", "c1b", "rejected", "easy_target"),
        ("input", "s/2", "failed", "unreadable"),
    ]
    assert done.counts["inputs_failed"] == 1
    assert done.counts["children_kept"] == 2
    assert done.counts["reasons"] == {"child:easy_target": 1, "input:unreadable": 1}
    assert rows[4].decoded() == image(1)


def test_a_childs_own_blobs_hide_inherited_ones_and_lie_where_the_row_says(store: Store):
    done = commit(store, [kept(0, "mask.png"), kept(1, "patch.png", "mask.png"), kept(2)])
    rows = {row.id: row for row in read_rows(store, done) if row.kind == "child"}
    assert rows["c2"].blobs == INHERITED
    assert rows["c0"].blobs["source.jpg"] == INHERITED["source.jpg"]
    for id_, name in (("c0", "mask.png"), ("c1", "mask.png"), ("c1", "patch.png")):
        ref = rows[id_].blobs[name]
        data = store.get_range(ref.path, ref.offset, ref.length)
        assert data == f"{id_[1]}{name}".encode()
        assert sha256_hex(data) == ref.sha256
    assert done.tar is not None
    with tarfile.open(fileobj=io.BytesIO(store.get(done.tar.path))) as tar:
        assert tar.getnames() == ["c0.mask.png", "c1.mask.png", "c1.patch.png"]


def test_equal_work_has_equal_bytes_and_content_whoever_did_it(tmp_path: Path):
    stores = [open_store(str(tmp_path / name)) for name in ("a", "b")]
    done = [commit(s, [kept(0, "x"), kept(1), kept(2, "y")]) for s in stores]
    assert done[0].content == done[1].content
    assert done[0].rows == done[1].rows
    assert done[0].tar == done[1].tar


@pytest.mark.parametrize(
    "outcomes",
    [
        [kept(0), kept(1)],
        [kept(0), kept(1), kept(1)],
        [kept(0), kept(1), kept(2), kept(3)],
        [kept(0), kept(1), kept(3)],
    ],
    ids=["lost", "twice", "one too many", "another"],
)
def test_outcomes_that_break_the_count_law_store_nothing(store: Store, outcomes: list[Outcome]):
    unit, inputs = three()
    inputs += [StageInput(id="s/3", record=entry(3), blobs={})]
    with pytest.raises((DataFault, ValueError)):
        commit_unit(store, INGEST, unit, inputs=inputs[: len(outcomes)], outcomes=outcomes, run={})
    assert list(store.list()) == []


def test_a_kept_outcome_without_children_cannot_be_made():
    with pytest.raises(ValueError, match="expected children if kept"):
        Outcome(input_id="a")


def test_rows_are_a_table_that_anybody_reads(store: Store):
    done = commit(store, [kept(0, "x"), kept(1), Outcome(input_id="s/2", reason=Reason.TOO_SMALL)])
    assert store.folder is not None
    found = duckdb.connect().execute(
        "SELECT kind, outcome, count(*), max(nullif(record, '')->>'sid') FROM read_parquet(?)"
        " GROUP BY ALL ORDER BY ALL",
        [str(store.folder / done.rows.path)],
    )
    assert found.fetchall() == [
        ("child", "kept", 2, f"{1:026}"),
        ("input", "kept", 2, None),
        ("input", "rejected", 1, None),
    ]


def test_numbers_and_kept_answers_of_a_row_come_back_as_they_were(store: Store):
    unit, inputs = three()
    numbers = (
        measure("seam_share", 0.2, high=0.15),
        measure("fill", 0.5, low=0.1, high=0.9),
        measure("allows_color", 0, decides=False, note="not offered"),
    )
    child = Child(
        id="c1", record=None, reason=Reason.SEAM_VISIBLE, measured=numbers[:1], answers=("k2", "k1")
    )
    outcomes = [
        Outcome(input_id="s/0", reason=Reason.NO_TARGET, measured=numbers, answers=("k0",)),
        Outcome(input_id="s/1", children=(child,)),
        kept(2),
    ]
    commit, _ = commit_unit(store, INGEST, unit, inputs=inputs, outcomes=outcomes, run={})
    rows = {row.id: row for row in read_rows(store, commit)}
    assert (rows["s/0"].measured, rows["s/0"].answers) == (numbers, ("k0",))
    assert (rows["c1"].measured, rows["c1"].answers) == (numbers[:1], ("k2", "k1"))
    assert (rows["c2"].measured, rows["c2"].answers) == ((), ())
    assert {row.schema_version for row in rows.values()} == {SCHEMA_VERSION}


def test_the_answers_a_row_depends_on_do_not_change_its_content_digest(tmp_path: Path):
    digests = []
    for answers in ((), ("k1",)):
        store = open_store(str(tmp_path / f"{len(answers)}"))
        unit, inputs = three()
        child = Child(id="c0", record=image(0), answers=answers)
        outcomes = [Outcome(input_id="s/0", children=(child,)), kept(1), kept(2)]
        commit, _ = commit_unit(store, INGEST, unit, inputs=inputs, outcomes=outcomes, run={})
        digests.append([row.digest for row in read_rows(store, commit)])
    assert digests[0] == digests[1]


def test_a_commit_in_anothers_place_is_a_fault(store: Store):
    done = commit(store, [kept(0), kept(1), kept(2)])
    store.copy(done.path, INGEST.commit_path("f" * 16))
    with pytest.raises(DataFault, match="ffff"):
        find_commit(store, INGEST, "f" * 16)


def test_a_tar_has_fixed_times_owners_and_modes_and_no_name_twice():
    data, members = pack([("b.txt", b"123"), ("a.bin", b"")])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        infos = tar.getmembers()
    assert [(i.name, i.mtime, i.uid, i.gid, i.mode) for i in infos] == [
        ("b.txt", 0, 0, 0, 0o644),
        ("a.bin", 0, 0, 0, 0o644),
    ]
    assert [i.offset_data for i in infos] == [m.offset for m in members]
    with pytest.raises(ValueError, match="twice"):
        pack([("a", b""), ("a", b"")])


def test_bytes_that_lie_elsewhere_already_are_referred_to_and_not_stored_again(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    unit, inputs = three()
    outcomes = [kept(0, "patch.png"), kept(1, "patch.png", "edited.png"), kept(2, "edited.png")]
    elsewhere = {
        sha256_hex(f"{n}patch.png".encode()): BlobRef(
            path=f"answers/{n}", offset=512, length=10, sha256=sha256_hex(f"{n}patch.png".encode())
        )
        for n in (0, 1)
    }
    commit, _ = commit_unit(store, INGEST, unit, inputs=inputs, outcomes=outcomes, run={}, linked=elsewhere)
    children = {row.id: row for row in read_rows(store, commit) if row.kind == "child"}
    assert children["c0"].blobs["patch.png"].path == "answers/0"
    assert children["c1"].blobs["patch.png"].path == "answers/1"
    assert commit.tar is not None
    with tarfile.open(fileobj=io.BytesIO(store.get(commit.tar.path))) as tar:
        assert tar.getnames() == ["c1.edited.png", "c2.edited.png"]


def test_a_unit_of_references_alone_has_no_tar(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    unit, inputs = three()
    outcomes = [kept(n, "patch.png") for n in range(3)]
    elsewhere = {
        (sha := sha256_hex(f"{n}patch.png".encode())): BlobRef(
            path=f"answers/{n}", offset=512, length=10, sha256=sha
        )
        for n in range(3)
    }
    commit, _ = commit_unit(store, INGEST, unit, inputs=inputs, outcomes=outcomes, run={}, linked=elsewhere)
    assert commit.tar is None
    assert {ref.path for row in read_rows(store, commit) for ref in row.blobs.values()} >= {"answers/0"}
