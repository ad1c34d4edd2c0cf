"""A build's record links everything needed to follow the build from its photographs to its release."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.build.estimate import estimate
from flows.build.plans import Build, exclusion_note, open_build, plan
from flows.cli.main import main
from tasks.records.outcomes import STAGES
from tasks.stages.config import load_config
from tasks.stages.registry import SPECS
from tasks.storage.protocol.builds import build_plans
from tasks.storage.protocol.stage_end import close_stage
from tests.tasks.storage.drawn_stages import worker


def opened(tmp_path: Path, name: str, *, retry: bool = False) -> Build:
    """A build of one file that only looks like a photograph, so that all stages after ingest are empty."""
    photograph = tmp_path / "in" / "a.png"
    if not photograph.exists():  # a second writing would make it another version
        photograph.parent.mkdir()
        photograph.write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = {"sources": [{"uri": str(photograph.parent)}], "out": str(tmp_path / "out"), "name": name}
    return open_build(load_config("embedded", (), arguments), retry=retry)


def run(build: Build, stage: str) -> None:
    planned = plan(build, stage)
    stage_function = SPECS["ingest"].build(build.config, {}, build.digests)
    with worker(build.store, planned.key, stage_function) as at_work:
        for unit in planned.units:
            at_work.run(unit)
    close_stage(build.store, planned)


def test_a_stage_that_runs_alone_in_a_new_build_links_the_plans_that_lead_to_it(tmp_path: Path) -> None:
    first = opened(tmp_path, "first")
    for stage in STAGES:
        run(first, stage)
    other = opened(tmp_path, "other")
    run(other, "publish")
    assert first.record is not None
    assert other.record is not None
    assert other.record.build != first.record.build
    assert [p.key.stage for p in build_plans(other.store, other.record)] == list(STAGES)


def test_a_build_to_come_that_tries_failed_inputs_again_is_estimated_with_them(tmp_path: Path) -> None:
    first = opened(tmp_path, "first")
    (tmp_path / "in" / "gone.png").symlink_to("nowhere.png")
    for stage in STAGES:
        run(first, stage)
    before = {info.path for info in first.store.list()}
    assert [line.open_inputs for line in estimate(opened(tmp_path, "first"))] == [0, 0, 0, 0, 0]
    ingest, *later = estimate(opened(tmp_path, "first", retry=True))
    assert (ingest.inputs, ingest.open_inputs) == (2, 1)
    assert [line.known for line in later] == [False] * 4
    assert {info.path for info in first.store.list()} == before


@pytest.mark.parametrize(
    ("assignment", "same"),
    [
        ("servers.vlm={model: {id: m}, urls: ['http://127.0.0.1:2/v1'], in_flight: 3}", True),
        ("pools.perception={holds: [detector], replicas: 2}", True),
        ("execution.workers=7", True),
        ("seed=7", False),
    ],
)
def test_where_a_build_runs_is_not_part_of_its_identity(tmp_path: Path, assignment: str, same: bool) -> None:
    first = opened(tmp_path, "first")
    plan(first, "ingest")
    arguments = {"sources": [{"uri": str(tmp_path / "in")}], "out": str(tmp_path / "out"), "name": "first"}
    other = open_build(load_config("embedded", (assignment,), arguments))
    plan(other, "ingest")
    assert first.record is not None
    assert other.record is not None
    assert (first.record.build == other.record.build) is same


def test_a_misspelled_exclusion_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = opened(tmp_path, "first")
    assert exclusion_note(build) == ""
    listed = tmp_path / "leave-out.txt"
    listed.write_text("in/a.png\n" + "".join(f"in/{n}.png\n" for n in range(7)))
    build.listing, build.located = None, build.located.model_copy(update={"exclude": str(listed)})
    told = "no source matches in/0.png, in/1.png, in/2.png, in/3.png, in/4.png and 2 more"
    assert told in exclusion_note(build)
    arguments = ["--source", str(tmp_path / "in"), "--out", str(tmp_path / "new"), "--exclude", str(listed)]
    assert main(["plan", *arguments]) == 0
    assert f"exclude='{listed}': {told}" in capsys.readouterr().err
