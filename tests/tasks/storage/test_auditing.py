"""Every flipped byte is named; repair and the next build bring the same digests back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.canonical import seal, sha256_hex
from tasks.storage.auditing import verify
from tasks.storage.builds import write_build
from tasks.storage.layout import StageKey
from tasks.storage.planning import write_stage_config
from tasks.storage.repairing import collect_garbage, repair
from tasks.storage.stage_end import StageEnd, close_stage
from tasks.storage.store import Store, open_store
from tests.tasks.storage.drawn_stages import (
    GROUNDING,
    INGEST,
    draw_photographs,
    run_pipeline,
)


def build_dataset(tmp_path: Path) -> tuple[Store, list[StageEnd]]:
    """A dataset with everything in it: two stages, a decision, a build, a release, and a worker's left note."""
    draw_photographs(tmp_path / "in", 7)
    (tmp_path / "in" / "twin.png").write_bytes((tmp_path / "in" / "p003.png").read_bytes())
    store = open_store(str(tmp_path / "out"))
    return store, build_again(store, tmp_path)


def build_again(store: Store, tmp_path: Path) -> list[StageEnd]:
    for key in (INGEST, GROUNDING):
        write_stage_config(store, key, {"stage": key.stage})
    plans = run_pipeline(store, tmp_path / "in")
    write_build(store, {"name": "drawn"}, [INGEST, GROUNDING], plans[0], {"host": "here"})
    ends = [close_stage(store, plan) for plan in plans]
    release(store, ends)
    return ends


def release(store: Store, ends: list[StageEnd]) -> None:
    page = b"<p>gallery</p>"
    store.put("releases/drawn-1/gallery/index.html", page)
    chain = [
        {"stage": e.key.stage, "config8": e.key.config8, "plan": e.plan, "digest": e.digest} for e in ends
    ]
    files = [{"name": "gallery/index.html", "bytes": len(page), "sha256": sha256_hex(page)}]
    store.put_if_absent("releases/drawn-1/MANIFEST.json", seal({"files": files, "chain": chain}))


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
        if kind != "MANIFEST.json":
            file.unlink()
            assert [f.path for f in verify(store, deep=False).faults] == [path]
        file.write_bytes(data)


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
    moved = repair(store)
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
    half = tmp_path / "out" / "stages" / "half.json#1"
    half.write_bytes(b"{")
    assert [n.path for n in verify(store, deep=True).notes] == [stranger]
    assert collect_garbage(store, timedelta(hours=1)) == []
    assert collect_garbage(store, timedelta(seconds=-5)) == sorted([stranger, "stages/half.json#1"])
    assert verify(store, deep=True).notes == []
