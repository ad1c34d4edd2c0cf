"""A whole build whose every role is kept, made anew from its answers: nobody is asked, every byte is the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from generative_roles import ASKED, CLASSES, SETTINGS, paint, register, replay

from flows.build.plans import open_build
from flows.build.session import open_session
from tasks.imaging.pixels import encode_png
from tasks.records.errors import StageStopped
from tasks.roles.backends import BACKENDS
from tasks.stages.config import load_config
from tasks.storage.objects.store import Store, open_store
from tasks.storage.reports.auditing import verify
from tasks.storage.reports.forgetting import count_answers, forget

NO_NEW_INSTRUCTIONS = "AVX512-SKX,AVX2,FMA3"
"""What an older processor lacks, as OpenCV names it."""


@pytest.fixture(autouse=True)
def _table() -> Iterator[None]:
    """The table of backends with those of this test, and after it without them."""
    register()
    yield
    for role in CLASSES:
        del BACKENDS[role]["counted"]


@pytest.fixture
def built(tmp_path: Path) -> Store:
    """A finished dataset; its photographs are gone."""
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for n in range(3):
        (photographs / f"p{n}.png").write_bytes(encode_png(paint(n)))
    build(tmp_path)
    shutil.rmtree(photographs)
    return open_store(str(tmp_path / "out"))


def build(tmp_path: Path, **changes: object):
    arguments = {
        **SETTINGS,
        "sources": [{"uri": str(tmp_path / "photographs")}],
        "out": str(tmp_path / "out"),
        **changes,
    }
    ASKED.clear()
    with open_session(open_build(load_config("embedded", arguments=arguments))) as session:
        session.run_plainly()
        return session.finish()


def contents(store: Store, prefix: str) -> dict[str, bytes]:
    return {item.path: store.get(item.path) for item in store.list(prefix)}


def release_of(store: Store) -> dict[str, bytes]:
    """The release without what stands beside its manifest."""
    return {p: data for p, data in contents(store, "releases").items() if not p.endswith("/RUN.json")}


def test_a_release_is_made_anew_byte_for_byte_from_answers_alone(built: Store, tmp_path: Path) -> None:
    samples = release_of(built)
    assert {count.role for count in count_answers(built)} == set(CLASSES)
    for item in list(built.list("stages")):
        if not item.path.startswith("stages/ingest-") and re.search("/(commits|rows|data)/", item.path):
            built.delete(item.path)
    release = replay(built.uri, str(tmp_path / "new"))
    assert sum(release.manifest["samples"].values()) > 0
    new = open_store(str(tmp_path / "new"))
    assert release_of(new) == samples
    assert not verify(new, deep=True).faults
    older = open_store(str(tmp_path / "older"))
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "OPENCV_CPU_DISABLE": NO_NEW_INSTRUCTIONS,
        "PYTHONPATH": f"{here}:{here.parents[1]}",
    }
    command = [sys.executable, "-m", "generative_roles", built.uri, older.uri]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert release_of(older) == samples


def test_a_missing_answer_is_named_and_stops_the_build(built: Store, tmp_path: Path) -> None:
    gone = next(item.path for item in built.list("answers") if "/editor-" in item.path)
    built.delete(gone)
    key = gone.rpartition("/editor-")[2].partition(".")[0]
    with pytest.raises(StageStopped, match=rf"editor: 1 \({key}\)"):
        replay(built.uri, str(tmp_path / "new"))
    assert not ASKED


def test_forgotten_answers_are_asked_for_again_and_no_others(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for n in range(2):
        (photographs / f"p{n}.png").write_bytes(encode_png(paint(n)))
    build(tmp_path)
    asked = dict(ASKED)
    build(tmp_path)
    assert not ASKED
    store = open_store(str(tmp_path / "out"))
    done = forget(store, role="edit_judge")
    assert {stage.stage for stage, _ in done.units} == {"editing"}
    build(tmp_path)
    assert dict(ASKED) == {"edit_judge": asked["edit_judge"]}
