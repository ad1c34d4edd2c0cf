"""What `build` prints at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.build.session import finish
from flows.cli.building import print_result
from tasks.records.outcomes import STAGES
from tests.flows.build.test_plans import opened, run


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
        assert "no sample came out" in text
        lines = [line.split() for line in text.splitlines()]
        assert [line[6] for line in lines if line[1:2] == ["inputs"]] == [told, "-", "-", "-", "-"]
