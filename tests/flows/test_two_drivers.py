"""Two drivers at once on one dataset: both succeed, with one release and one answer per question."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from processes import PATIENCE_S

from flows.cli.main import main
from tests.flows.drawn.builds import ROOT, command, process, profile, release_files, stored_answers, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import DrawnScript
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked

pytestmark = pytest.mark.slow

COUNT = 3


class Meeting:
    """Delays the first answers of each stage until both drivers have asked the same question."""

    def __init__(self) -> None:
        self._script = DrawnScript()
        self._came: Counter[str] = Counter()
        self.met: set[str] = set()
        self._met = asyncio.Event()

    async def __call__(self, asked: Asked) -> Answer:
        question = json.dumps(asked.body, sort_keys=True)
        self._came[question] += 1
        if self._came[question] > 1:
            self.met.add(asked.role)
            self._met.set()
        if not self.met:
            await asyncio.wait_for(self._met.wait(), PATIENCE_S)
        return self._script(asked)


@pytest.mark.parametrize("jitter", ["", "1"], ids=["repeating", "never repeating"])
def test_two_drivers_at_once_make_one_release(tmp_path: Path, jitter: str) -> None:
    lay_out(tmp_path / "photographs", COUNT)
    environment = {"DRAWN_JITTER": jitter}
    with ChatServer(Meeting()) as server:
        path = written(tmp_path, profile(server.url))
        arguments = ["build", "--profile", path, "--source", str(tmp_path / "photographs"), "--quiet"]
        both = [
            subprocess.Popen(
                command(*arguments, "--out", str(tmp_path / "out")), cwd=ROOT, env={**os.environ, **environment},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        try:
            told = [driver.communicate(timeout=PATIENCE_S)[0] for driver in both]
        finally:
            for driver in both:
                driver.kill()
        assert [driver.returncode for driver in both] == [0, 0], told
    twice = Counter(json.dumps(body, sort_keys=True) for _, body in server.bodies)
    assert max(twice.values()) == 2, "the drivers met at a question"
    kept = stored_answers(tmp_path / "out")
    asked = Counter(role for role, _ in server.bodies)
    assert {role: kept[role] for role in asked} == dict(
        Counter(
            role for role, _ in {json.dumps(each, sort_keys=True): each for each in server.bodies}.values()
        )
    )
    releases = {line.split()[1] for text in told for line in text.splitlines() if line.startswith("release ")}
    assert len(releases) == 1
    assert main(["verify", str(tmp_path / "out"), "--deep"]) == 0
    replay = ["build", "--answers-only", "--from", str(tmp_path / "out"), "--out", str(tmp_path / "again")]
    plain = ("--set", "execution.pool=in-process", "--set", "execution.prefect=false", "--quiet")
    done = process([*replay, *plain], environment)
    assert done.returncode == 0, done.stderr
    assert release_files(tmp_path / "again") == release_files(tmp_path / "out")
