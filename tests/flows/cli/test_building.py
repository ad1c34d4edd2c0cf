"""`build` with some of the stages, and what it prints at its end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flows.build.session import finish
from flows.cli.building import print_result
from flows.cli.main import main
from tasks.records.outcomes import STAGES
from tasks.roles.backends import BACKENDS
from tests.flows.build.test_plans import opened, run
from tests.tasks.sources.source_pictures import draw, save


def test_only_a_stage_that_had_inputs_was_done_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = opened(tmp_path, "first")
    for stage in STAGES:
        run(build, stage)
    release = finish(build)
    for seconds, told in (({}, "before"), ({"ingest": 0.25}, "0.2")):
        print_result(build, release, seconds, 1.0)
        text = capsys.readouterr().out
        assert "no sample was accepted" in text
        lines = [line.split() for line in text.splitlines()]
        assert [line[6] for line in lines if line[1:2] == ["inputs"]] == [told, "-", "-", "-", "-"]


def command(tmp_path: Path, *arguments: str) -> list[str]:
    """``build`` or ``plan`` without Prefect and Ray."""
    what, *more = arguments
    sets = ("execution.pool=in-process", "execution.prefect=false")
    return [
        what, "--source", str(tmp_path / "in"), "--out", str(tmp_path / "out"),
        *(part for text in sets for part in ("--set", text)), *more,
    ]  # fmt: skip


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(4):
        (folder / f"{n}.jpg").write_bytes(save(np.roll(draw(), 40 * n, axis=1)))
    return folder


def test_a_stage_whose_predecessor_is_not_finished_is_refused_before_anything_is_done(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for what in ("build", "plan"):
        assert main(command(tmp_path, what, "--stages", "editing..")) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "ingest is not finished for this configuration" in line
        assert "--stages ..ingest" in line
    assert main(command(tmp_path, "build", "--stages", "painting")) == 2
    assert "unknown stage 'painting'" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*/*"))


def test_a_pause_says_how_to_look_and_how_to_go_on(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paused = command(tmp_path, "build", "--set", "execution.pause_after=ingest")
    for again in (False, True):  # the second run pauses at the same stage with nothing to do
        assert main(paused) == 0
        out = capsys.readouterr().out
        assert ("before" in out.splitlines()[1].split()) is again
        assert "paused after ingest (execution.pause_after)" in out
        assert f"look     groundedit gallery {tmp_path / 'out'}" in out
        assert "resume   the same command with --set execution.pause_after=''" in out
    assert main([*command(tmp_path, "plan", "--set", "execution.pause_after="), "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)
    assert [(line["stage"], line["open_inputs"]) for line in lines[:2]] == [("ingest", 0), ("grounding", 4)]
    assert len(lines) == 5


def test_a_part_of_the_stages_is_planned_and_built_alone(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, "build", "--stages", "..ingest")) == 0
    assert "resume   the same command with --stages grounding.." in capsys.readouterr().out
    assert main([*command(tmp_path, "plan", "--stages", "grounding"), "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["stage"], line["open_inputs"]) == ("grounding", 4)


@pytest.mark.assets
def test_a_pilot_s_units_and_answers_are_used_by_the_whole_build(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = tmp_path / "counted"
    counted.mkdir()
    names = {**BACKENDS["tagger"], "counted": "tests.flows.ray.counted_backends:CountedTagger"}
    monkeypatch.setitem(BACKENDS, "tagger", names)
    pool = {"holds": ["tagger"], "max_wait_ms": 1}
    tagger = {"backend": "counted", "options": {"folder": str(counted)}, "run": "perception"}
    sets = (f"grounding.tagger={json.dumps(tagger)}", f"pools.perception={json.dumps(pool)}")
    build = command(
        tmp_path, "build", "--stages", "..grounding", *(p for text in sets for p in ("--set", text))
    )

    def asked() -> int:
        return len(list(counted.glob("asked-*")))

    assert main([*build, "--limit", "2"]) == 0
    assert asked() == 2
    pilot = set((tmp_path / "out").glob("stages/*/commits/*/*.json"))
    assert main(build) == 0
    assert asked() == 4
    whole = set((tmp_path / "out").glob("stages/*/commits/*/*.json"))
    assert pilot < whole
    capsys.readouterr()
    # Other unit sizes: none of the pilot's commits can be reused, but all of its answers.
    for folder in (tmp_path / "out").glob("stages/grounding-*"):
        shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "out" / "builds")
    assert main([*build, "--set", "grounding.unit_size=3"]) == 0
    assert asked() == 4
    capsys.readouterr()
    assert main(["status", str(tmp_path / "out"), "--json"]) == 0
    (route,) = json.loads(capsys.readouterr().out)["run"]["services"]["routes"].values()
    assert (route["kept_used"], route["answered"]) == (4, 0)
