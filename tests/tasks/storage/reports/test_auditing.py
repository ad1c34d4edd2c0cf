"""Every flipped byte is reported; repair and the next build restore the same digests."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tasks.records.canonical import seal, sha256_hex
from tasks.records.errors import ConfigurationError, StorageFault
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.builds import link_plan, write_build
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.stage_end import StageEnd, close_stage
from tasks.storage.reports.auditing import UNFINISHED, Fault, verify
from tasks.storage.reports.repairing import Repair, collect_garbage, repair
from tests.tasks.storage.drawn_stages import (
    GROUNDING,
    INGEST,
    draw_photographs,
    run_pipeline,
)


def build_dataset(tmp_path: Path) -> tuple[Store, list[StageEnd]]:
    """A complete dataset: two stages, a decision, a build, a release, and an attempt left by a worker."""
    draw_photographs(tmp_path / "in", 7)
    (tmp_path / "in" / "twin.png").write_bytes((tmp_path / "in" / "p003.png").read_bytes())
    store = open_store(str(tmp_path / "out"))
    return store, build_again(store, tmp_path)


def build_again(store: Store, tmp_path: Path) -> list[StageEnd]:
    plans = run_pipeline(store, tmp_path / "in")
    record = write_build(store, {"name": "drawn"}, [INGEST, GROUNDING], plans[0], {"host": "here"})
    link_plan(store, record, plans[1], plans[0].reference)
    ends = [close_stage(store, plan) for plan in plans]
    release(store, ends, record.build)
    return ends


def release(store: Store, ends: list[StageEnd], build: str) -> None:
    pages = {"gallery/index.html": b"<p>gallery</p>", "README.md": b"# drawn"}
    for name, page in pages.items():
        store.put(f"releases/drawn-1/{name}", page)
    chain = [
        {"stage": e.key.stage, "config8": e.key.config8, "plan": e.plan, "digest": e.digest} for e in ends
    ]
    files = [{"name": n, "bytes": len(page), "sha256": sha256_hex(page)} for n, page in pages.items()]
    run = {"release": "releases/drawn-1", "chain": chain, "build": build}
    store.put("releases/drawn-1/RUN.json", seal(run))
    store.put_if_absent("releases/drawn-1/MANIFEST.json", seal({"schema_version": 2, "files": files}))
    store.put_if_absent("releases/drawn-1.json", seal({"release": "releases/drawn-1"}))


def test_a_sound_dataset_has_no_fault(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    audit = verify(store, deep=True)
    assert audit.faults == []
    assert audit.notes == []
    assert audit.checked == len(list(store.list()))


def test_one_flipped_bit_in_any_file_is_named(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    files = sorted(p for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert len(files) > 20
    for file in files:
        data = file.read_bytes()
        for position in {0, len(data) // 3, len(data) // 2, len(data) - 1}:
            flipped = bytearray(data)
            flipped[position] ^= 1
            file.write_bytes(flipped)
            path = file.relative_to(tmp_path / "out").as_posix()
            assert path in [f.path for f in verify(store, deep=True).faults], (path, position)
        file.write_bytes(data)
    assert verify(store, deep=True).faults == []


def test_a_missing_or_shortened_file_is_named_without_reading_it(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    for kind in ("*.tar", "*.parquet", "MANIFEST.json", "index.html"):
        file = sorted((tmp_path / "out").rglob(kind))[0]
        path = file.relative_to(tmp_path / "out").as_posix()
        data = file.read_bytes()
        file.write_bytes(data[:-1])
        assert [f.path for f in verify(store, deep=False).faults] == [path]
        file.unlink()
        assert [f.path for f in verify(store, deep=False).faults] == [path]
        file.write_bytes(data)


@pytest.mark.parametrize(
    "kind",
    [
        "releases/*/MANIFEST.json",
        "releases/*/RUN.json",
        "stages/ingest-*/config.json",
        "stages/grounding-*/config.json",
        "builds/*.json",
        "builds/*/ingest.*.json",
        "builds/*/grounding.*.json",
    ],
)
def test_a_referenced_object_that_is_gone_is_named_and_made_again_after_a_repair(tmp_path: Path, kind: str):
    store, _ = build_dataset(tmp_path)
    (file,) = (tmp_path / "out").glob(kind)
    data = file.read_bytes()
    path = file.relative_to(tmp_path / "out").as_posix()
    file.unlink()
    assert [f.path for f in verify(store, deep=False).faults] == [path]
    done = repair(store)
    assert done.missing == (path,)
    # A finished build is only reported, so if its manifest stayed nothing would be made again.
    assert not store.exists("releases/drawn-1/MANIFEST.json")
    build_again(store, tmp_path)
    if kind != "builds/*.json":  # it contains the build's start time
        assert file.read_bytes() == data
    assert verify(store, deep=True).faults == []


def test_a_repaired_release_is_unfinished_until_the_next_build(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    store.put("releases/drawn-1/gallery/index.html", b"<p>smudged</p>")
    assert repair(store).moved == (
        "releases/drawn-1.json",
        "releases/drawn-1/MANIFEST.json",
        "releases/drawn-1/RUN.json",
        "releases/drawn-1/gallery/index.html",
    )
    audit = verify(store, deep=True)
    assert audit.faults == []
    assert Fault(path="releases/drawn-1", problem=UNFINISHED) in audit.notes
    assert repair(store) == Repair()


def test_a_release_without_manifest_is_unfinished_unless_it_was_noted_to_be_finished(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    store.delete("releases/drawn-1/MANIFEST.json")
    audit = verify(store, deep=False)
    assert [f.path for f in audit.faults] == ["releases/drawn-1/MANIFEST.json"]
    store.delete("releases/drawn-1.json")
    audit = verify(store, deep=False)
    assert (audit.faults, audit.notes) == ([], [Fault(path="releases/drawn-1", problem=UNFINISHED)])


def test_a_note_about_another_release_is_a_fault(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    store.put("releases/drawn-2.json", seal({"release": "releases/drawn-1"}))
    assert [f.path for f in verify(store, deep=False).faults] == ["releases/drawn-2.json"]


def test_a_link_is_missed_by_the_one_that_follows_it(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    for path in [o.path for o in store.list("releases")]:
        store.delete(path)
    (path,) = [o.path for o in store.list("builds") if "/ingest." in o.path]
    store.delete(path)
    assert [f.path for f in verify(store, deep=False).faults] == [path]


def test_attempts_are_not_audited_as_promises(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    for path in [o.path for o in store.list() if "/attempts/" in o.path]:
        store.delete(path)
    audit = verify(store, deep=True)
    assert (audit.faults, audit.notes) == ([], [])


def test_a_store_that_holds_no_dataset_is_refused(tmp_path: Path):
    draw_photographs(tmp_path / "stages" / "builds", 2)
    for look in (partial(verify, deep=False), repair):
        with pytest.raises(ConfigurationError, match="holds no build"):
            look(open_store(str(tmp_path)))


@pytest.mark.parametrize(
    "kind", ["ingest-*/data", "ingest-*/rows", "grounding-*/commits", "*/plans", "*/decisions", "*/stage-*"]
)
def test_repair_and_the_same_build_bring_back_the_same_digests(tmp_path: Path, kind: str):
    store, ends = build_dataset(tmp_path)
    file = (
        next(p for p in sorted((tmp_path / "out" / "stages").glob(f"{kind}/**/*")) if p.is_file())
        if ("stage-" not in kind)
        else next((tmp_path / "out" / "stages").glob(f"{kind}.json"))
    )
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    moved = repair(store).moved
    assert file.relative_to(tmp_path / "out").as_posix() in moved
    again = build_again(store, tmp_path)
    assert [e.digest for e in again] == [e.digest for e in ends]
    audit = verify(store, deep=True)
    assert audit.faults == []
    assert {note.problem for note in audit.notes} == {"set aside"}


def test_a_unit_with_a_wrong_row_count_breaks_the_law(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    path = next(o.path for o in store.list() if "/commits/" in o.path)
    body = json.loads(store.get(path))
    body["counts"]["inputs"] += 1
    store.put(path, seal(body))
    assert path in [f.path for f in verify(store, deep=True).faults]


def test_garbage_is_what_no_commit_names_and_old_enough(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    key = StageKey(stage="ingest", config8=INGEST.config8)
    stranger = key.tar_path("ab" * 8, "c" * 64)
    store.put(stranger, b"left by a lost race")
    half = f"{key.plan_path('ab' * 6, 0)}#1"
    (tmp_path / "out" / half).write_bytes(b"{")
    assert [n.path for n in verify(store, deep=True).notes] == [stranger]
    assert collect_garbage(store, timedelta(hours=1)) == []
    assert collect_garbage(store, timedelta(seconds=-5)) == sorted([stranger, half])
    assert verify(store, deep=True).notes == []


FOREIGN_NAMES = [
    "notes.txt",
    "nl\nx.json",
    os.fsdecode(b"\xff.json"),
    "%00",
    "stage-x.json",
    "..x",
    " ",
    "photo#1",
]
FOREIGN_FOLDERS = [
    *(
        "",
        "holiday",
        "builds",
        "stages",
        "runs",
        "logs",
        "answers",
        "answers/ab/abc",
        "releases",
        "aside",
        "probe",
    ),
    *(
        f"builds/{'ab' * 6}",
        f"{INGEST.folder}",
        f"{INGEST.plans}",
        f"{INGEST.commits}/ab",
        f"{INGEST.folder}/data/ab",
    ),
    *(
        f"{INGEST.folder}/rows/ab",
        f"{INGEST.folder}/attempts/ab/abc",
        f"{INGEST.folder}/decisions",
        "a/../b//c",
    ),
]


def test_foreign_files_of_any_name_are_told_and_left_alone(tmp_path: Path):
    store, ends = build_dataset(tmp_path)
    sound, out = verify(store, deep=True), tmp_path / "out"
    placed = {}
    for folder in FOREIGN_FOLDERS:
        for name in FOREIGN_NAMES:
            path = out / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"foreign")
            placed[path.resolve().relative_to(out.resolve()).as_posix() if ".." not in folder else ""] = path
    (out / "holiday" / "circle").symlink_to("..")
    (out / "stages" / "self").symlink_to("self")
    os.mkfifo(out / "builds" / "pipe")
    audit = verify(store, deep=True)
    assert audit.faults == []
    assert audit.checked == sound.checked
    told = {note.path for note in audit.notes}
    seen = {path for path in placed if path and not path.startswith(("logs/", "runs/")) and "#" not in path}
    assert seen | {"holiday/circle", "stages/self", "builds/pipe"} <= told
    assert repair(store) == Repair()
    removed = collect_garbage(store, timedelta(hours=0))
    assert all(
        path.endswith("#1") and not path.startswith(("stages/", "builds/", "holiday/")) for path in removed
    )
    assert sorted(store.top()[0], key=lambda item: item.path)
    assert [end.digest for end in build_again(store, tmp_path)] == [end.digest for end in ends]
    (out / "holiday" / "photo#1").read_bytes()
    (out / "notes.txt").read_bytes()


def test_damage_is_still_repaired_beside_foreign_files(tmp_path: Path):
    store, ends = build_dataset(tmp_path)
    for folder in ("stages", "builds", "releases", "releases/drawn-1", INGEST.commits):
        (tmp_path / "out" / folder / "nl\nx").write_bytes(b"foreign")
    (tar,) = [o.path for o in store.list(f"{INGEST.folder}/data")][:1]
    store.put(tar, b"damaged")
    assert [fault.path for fault in verify(store, deep=True).faults] == [tar]
    assert tar in repair(store).moved
    assert [end.digest for end in build_again(store, tmp_path)] == [end.digest for end in ends]
    assert verify(store, deep=True).faults == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_foreign_folder_that_cannot_be_read_is_told_and_a_part_of_the_dataset_is_a_fault(tmp_path: Path):
    store, _ = build_dataset(tmp_path)
    for name, is_part in (("lost+found", False), ("aside", True)):
        (tmp_path / "out" / name).mkdir(mode=0)
        if is_part:
            with pytest.raises(StorageFault, match="Permission"):
                verify(store, deep=False)
        else:
            assert [note.path for note in verify(store, deep=False).notes] == [name]
