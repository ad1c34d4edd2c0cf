"""A first look: whose units they are, when there is none, and that the whole build uses what it made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flows.build.finished import finished_release
from flows.build.first_look import first_looks
from flows.build.plans import Build, open_build, plan
from flows.build.progress import Progress
from flows.build.session import open_session
from tasks.records.outcomes import STAGES
from tasks.sources.listing import list_sources
from tasks.stages.config import load_config
from tasks.storage.protocol.builds import list_builds
from tasks.storage.reports.auditing import verify

PLAIN = (
    "execution.pool=in-process",
    "execution.prefect=false",
    "execution.min_free_bytes=1",
    "ingest.unit_size=3",
)


def opened(tmp_path: Path, *assignments: str, photographs: int = 9, stages: str = "") -> Build:
    """A build of files that only look like photographs, so that all stages after ingest are empty."""
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    for n in range(photographs):
        path = folder / f"{n}.png"
        if not path.exists():
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([n]))
    arguments = {"sources": [{"uri": str(folder)}], "out": str(tmp_path / "out"), "name": "looked"}
    return open_build(load_config("embedded", (*PLAIN, *assignments), arguments), stages=stages)


def looked_at(first: Build) -> list[str]:
    assert first.listing is not None
    return [entry.location for entry in first.listing.entries]


def test_it_takes_photographs_from_all_parts_of_the_sources(tmp_path: Path) -> None:
    (first,) = first_looks(opened(tmp_path, "execution.first_look=3"))
    assert looked_at(first) == ["in/0.png", "in/3.png", "in/6.png"]
    assert first.stages == STAGES[:-1]
    one, two = first_looks(opened(tmp_path, "execution.first_look=2"))
    assert looked_at(one) == ["in/0.png", "in/4.png"]
    assert looked_at(two) == ["in/2.png", "in/6.png"]
    assert len(first_looks(opened(tmp_path, "execution.first_look=1"))) == 3


@pytest.mark.parametrize(
    ("assignments", "stages"),
    [
        (("execution.first_look=0",), ""),
        (("execution.first_look=5",), ""),  # more than half of them: hardly sooner than the whole
        (("execution.first_look=3",), "..editing"),
        (("execution.first_look=3", "execution.pause_after=grounding"), ""),
        (
            (
                "execution.first_look=3",
                "servers.words={model: {id: m}, urls: ['http://127.0.0.1:2/v1']}",
                "instruction.rewriter={backend: chat, run: words}",
                "instruction.gates=[]",
            ),
            "",
        ),
    ],
)
def test_there_is_none_where_nothing_would_be_gained(
    assignments: tuple[str, ...], stages: str, tmp_path: Path
) -> None:
    assert first_looks(opened(tmp_path, *assignments, stages=stages)) == ()


def test_there_is_none_for_a_build_that_tries_failed_inputs_again_or_asks_no_model(tmp_path: Path) -> None:
    build = opened(tmp_path, "execution.first_look=3")
    assert first_looks(replace(build, retry=True)) == ()
    assert first_looks(replace(build, replay=True)) == ()


def test_the_shipped_profile_has_one() -> None:
    assert load_config("embedded").execution.first_look == 4


def test_the_whole_build_uses_its_units_and_leaves_no_other_record(tmp_path: Path) -> None:
    build = opened(tmp_path, "execution.first_look=3")
    with open_session(build, progress=Progress(quiet=True)) as session:
        session.run_plainly()
        release = session.finish()
    units = {unit.members for unit in build.plans["ingest"].units}
    assert ("in/0.png", "in/3.png", "in/6.png") in units
    assert sum(map(len, units)) == 9
    assert len(list_builds(build.store)) == 1
    audit = verify(build.store, deep=True)
    assert (audit.faults, [n for n in audit.notes if not n.path.startswith("probe/")]) == ([], [])
    again = opened(tmp_path, "execution.first_look=3")
    found = finished_release(again)
    assert found is not None
    assert found.folder == release.folder


def test_others_are_looked_at_until_there_is_a_sample(tmp_path: Path) -> None:
    """No file here gives one, so that all looks are taken."""
    build = opened(tmp_path, "execution.first_look=1", "ingest.unit_size=1")
    with open_session(build, progress=Progress(quiet=True)) as session:
        session.look_first()
    key = build.key("ingest")
    assert len(list(build.store.list(key.commits))) == 3
    assert len(list(build.store.list(key.plans))) == 4  # the looks and the whole


def test_one_that_was_killed_goes_on_and_one_that_never_began_does_not_begin_later(tmp_path: Path) -> None:
    build = opened(tmp_path, "execution.first_look=3")
    (first,) = first_looks(build)
    plan(first, "ingest")
    plan(build, "ingest")  # killed here
    assert first_looks(opened(tmp_path, "execution.first_look=3"))
    other = opened(tmp_path, "execution.first_look=3", photographs=12)
    assert first_looks(other)  # grounding has not begun: still worth it
    build.store.put(f"{build.key('grounding').plans}/0123456789ab.g0.json", b"{}")
    assert first_looks(opened(tmp_path, "execution.first_look=3", photographs=15)) == ()


def test_photographs_that_are_left_out_are_not_looked_at(tmp_path: Path) -> None:
    build = opened(tmp_path, "execution.first_look=3")
    leave = tmp_path / "leave.txt"
    leave.write_text("in/0.png\nin/4.png\n")
    build.listing = list_sources(build.located.sources, str(leave))
    (first,) = first_looks(build)
    assert looked_at(first) == ["in/1.png", "in/3.png", "in/6.png"]


def test_time_of_a_first_look_counts_for_its_stages_and_its_inputs_do_not() -> None:
    progress = Progress(quiet=True)
    with progress.first_look():
        progress.begin("ingest", units=1, done=0, inputs=4, open_inputs=4)
        progress.stages["ingest"].began -= 10
        progress.end("ingest")
    assert progress.stages == {}
    progress.begin("ingest", units=3, done=1, inputs=31, open_inputs=27)
    progress.stages["ingest"].began -= 5
    progress.end("ingest")
    assert progress.stages["ingest"].seconds == pytest.approx(15, abs=1)
    assert progress.stages["ingest"].inputs == 31
