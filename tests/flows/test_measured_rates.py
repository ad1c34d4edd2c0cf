"""A pilot leaves seconds per question with the dataset, and the plan of the whole build counts with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.build.estimate import estimate
from flows.build.plans import open_build
from flows.build.request import BuildRequest, resolve
from flows.cli.estimate_table import estimate_text
from tests.flows.drawn.builds import profile, run, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import DrawnScript
from tests.serving.chat_server import ChatServer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn_models")]


def test_a_pilot_measures_what_the_whole_build_will_cost(tmp_path: Path) -> None:
    photographs, out = tmp_path / "photographs", tmp_path / "out"
    lay_out(photographs, 12)
    with ChatServer(DrawnScript()) as server:
        tree = profile(server.url)
        tree["pools"]["drawn"]["gpu_gb"] = 40
        path = written(tmp_path, tree)
        run(path, photographs, out, limit=6)
        build = open_build(resolve(BuildRequest(profile=path, source=(str(photographs),), out=str(out)))[0])
    lines = estimate(build)
    roles = {role.setting: role for line in lines for role in line.models.roles}
    measured = {setting for setting, role in roles.items() if role.basis == "measured"}
    assert {"grounding.tagger", "grounding.detector", "grounding.judge", "instruction.instructor"} <= measured
    for setting in measured:
        assert roles[setting].seconds is not None
        assert 0 < roles[setting].seconds < 5
    grounding = next(line for line in lines if line.stage == "grounding")
    assert grounding.measured
    assert grounding.models.cards == 1
    assert grounding.models.gpu_hours > 0
    assert "measured, " in estimate_text(lines)
