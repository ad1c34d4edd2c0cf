"""Photographs that change behind an unchanged size and time: a recheck finds them, and later builds remember."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.build.plans import Build, open_build, plan, source_notes
from flows.cli.main import main
from tasks.records.outcomes import STAGES
from tasks.sources.reading import source_id
from tasks.stages.config import load_config
from tasks.stages.registry import SPECS
from tasks.storage.protocol.rechecks import Mark, mark_changed, read_marks
from tasks.storage.protocol.stage_end import close_stage, kept_children
from tests.tasks.sources.source_pictures import Pictures
from tests.tasks.storage.drawn_stages import worker

INGEST = STAGES[0]
Replace = Callable[[str, int], bytes]


@pytest.fixture
def replace(tmp_path: Path) -> Replace:
    """Writes a photograph with a shade of its own; size and time of the file are always the same."""

    def write(name: str, shade: int) -> bytes:
        picture = Pictures.draw()
        picture[:50, :50] = shade
        data = Pictures.save(picture, "BMP")
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        return data

    return write


def opened(tmp_path: Path, *, recheck: bool = False) -> Build:
    arguments = {"sources": [{"uri": str(tmp_path / "in")}], "out": str(tmp_path / "out"), "name": "n"}
    return open_build(load_config("embedded", (), arguments), recheck=recheck)


def ingested(build: Build) -> set[str]:
    """Runs the open units of ingest; the ids of the photographs that the next stage gets."""
    planned = plan(build, INGEST)
    done = {info.path for info in build.store.list(planned.key.commits)}
    with worker(build.store, planned.key, SPECS[INGEST].build(build.config, {}, build.digests)) as at_work:
        for unit in planned.units:
            if planned.key.commit_path(unit.id) not in done:
                at_work.run(unit)
    close_stage(build.store, planned)
    return {child.id for child in kept_children(build.store, planned)}


def test_only_a_recheck_sees_a_change_that_size_and_time_hide(tmp_path: Path, replace: Replace) -> None:
    old, same = replace("a.bmp", 10), replace("b.bmp", 20)
    assert ingested(opened(tmp_path)) == {source_id(old), source_id(same)}
    new = replace("a.bmp", 30)
    assert ingested(opened(tmp_path)) == {source_id(old), source_id(same)}
    again = opened(tmp_path, recheck=True)
    assert ingested(again) == {source_id(new), source_id(same)}
    assert source_notes(again) == ("recheck: 2 photographs read, 1 changed",)


def test_builds_after_a_recheck_keep_to_what_it_found(tmp_path: Path, replace: Replace) -> None:
    replace("a.bmp", 10)
    ingested(opened(tmp_path))
    new = replace("a.bmp", 30)
    first = opened(tmp_path, recheck=True)
    assert ingested(first) == {source_id(new)}
    later = opened(tmp_path)
    assert plan(later, INGEST).plan12 == plan(first, INGEST).plan12
    calm = opened(tmp_path, recheck=True)
    assert plan(calm, INGEST).plan12 == plan(first, INGEST).plan12
    assert source_notes(calm) == ("recheck: 1 photographs read, 0 changed",)
    newest = replace("a.bmp", 40)
    assert ingested(opened(tmp_path, recheck=True)) == {source_id(newest)}
    back = replace("a.bmp", 10)
    assert ingested(opened(tmp_path, recheck=True)) == {source_id(back)}
    assert ingested(opened(tmp_path)) == {source_id(back)}


def test_a_change_that_size_or_time_show_ends_the_mark(tmp_path: Path, replace: Replace) -> None:
    replace("a.bmp", 10)
    ingested(opened(tmp_path))
    replace("a.bmp", 30)
    ingested(opened(tmp_path, recheck=True))
    newest = replace("a.bmp", 40)
    os.utime(tmp_path / "in" / "a.bmp", (1_800_000_000, 1_800_000_000))
    assert ingested(opened(tmp_path)) == {source_id(newest)}


def test_what_gave_no_photograph_is_tried_again_once(tmp_path: Path, replace: Replace) -> None:
    replace("a.bmp", 10)
    broken = tmp_path / "in" / "x.bmp"
    broken.write_bytes(b"XX" + bytes(len(replace("b.bmp", 20)) - 2))
    os.utime(broken, (1_700_000_000, 1_700_000_000))
    assert len(ingested(opened(tmp_path))) == 2
    mended = replace("x.bmp", 30)
    again = opened(tmp_path, recheck=True)
    assert source_id(mended) in ingested(again)
    assert source_notes(again) == (
        "recheck: 3 photographs read, 0 changed, 1 that gave none are tried again",
    )
    assert source_notes_of(opened(tmp_path, recheck=True)) == "recheck: 3 photographs read, 0 changed"


def source_notes_of(build: Build) -> str:
    (note,) = source_notes(build)
    return note


def test_a_recheck_of_a_new_dataset_reads_nothing_twice(tmp_path: Path, replace: Replace) -> None:
    replace("a.bmp", 10)
    assert source_notes_of(opened(tmp_path, recheck=True)) == "recheck: 0 photographs read, 0 changed"


def test_two_rechecks_at_once_lose_no_mark(tmp_path: Path, replace: Replace) -> None:
    replace("a.bmp", 10)
    build = opened(tmp_path)
    key = build.key(INGEST)
    mark_changed(build.store, key, {"in/a.bmp": Mark("1", "x"), "in/b.bmp": Mark("1", "y")})
    mark_changed(build.store, key, {})
    mark_changed(build.store, key, {"in/a.bmp": Mark("1", "z")})
    assert read_marks(build.store, key) == {"in/a.bmp": Mark("1", "z"), "in/b.bmp": Mark("1", "y")}


def test_a_plan_with_recheck_says_what_would_be_done_and_keeps_no_mark(
    tmp_path: Path, replace: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    replace("a.bmp", 10)
    build = opened(tmp_path)
    ingested(build)
    replace("a.bmp", 30)
    before = {info.path for info in build.store.list()}
    source, out = str(tmp_path / "in"), str(tmp_path / "out")
    assert main(["plan", "--source", source, "--out", out, "--name", "n", "--recheck"]) == 0
    assert "1 changed" in "".join(capsys.readouterr())
    assert {info.path for info in build.store.list()} == before


def test_a_dataset_with_marks_is_sound_and_a_damaged_mark_is_a_fault(
    tmp_path: Path, replace: Replace, capsys: pytest.CaptureFixture[str]
) -> None:
    replace("a.bmp", 10)
    ingested(opened(tmp_path))
    replace("a.bmp", 30)
    ingested(opened(tmp_path, recheck=True))
    assert main(["verify", str(tmp_path / "out"), "--deep"]) == 0
    assert "rechecks" not in capsys.readouterr().out
    (mark,) = (tmp_path / "out").glob("stages/*/rechecks/*.json")
    mark.write_bytes(mark.read_bytes().replace(b"in/a.bmp", b"in/b.bmp"))
    assert main(["verify", str(tmp_path / "out")]) == 1
