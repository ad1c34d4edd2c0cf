"""A stage's job, and its worker as another process would make it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.build.plans import open_build
from flows.build.stage_runner import StageWorkerMaker, stage_job
from tasks.records.errors import EnvironmentFault
from tasks.stages.config import BuildConfig, load_config
from tasks.worker.engine import Engine


@pytest.fixture
def config(tmp_path: Path) -> BuildConfig:
    (tmp_path / "photographs").mkdir()
    arguments = {"sources": [{"uri": str(tmp_path / "photographs")}], "out": str(tmp_path / "out")}
    return load_config("embedded", (), arguments)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


def test_a_worker_of_other_code_or_prompts_than_the_driver_commits_nothing(
    config: BuildConfig, engine: Engine
) -> None:
    make = stage_job(open_build(config), "instruction").make_worker
    assert isinstance(make, StageWorkerMaker)
    with pytest.raises(EnvironmentFault, match="instruction: version mismatch: this worker computed"):
        replace(make, material="0" * 64)(engine, None)
    make(engine, None)


def test_a_build_of_all_stages_says_which_job_follows_and_a_stage_alone_does_not(config: BuildConfig) -> None:
    build = open_build(config)
    assert stage_job(build, "grounding").following is None
    build.whole = True
    following = stage_job(build, "grounding").following
    assert following is not None
    assert following.stage == "instruction"
    assert stage_job(build, "publish").following is None


def test_no_worker_looks_ahead_to_a_stage_that_this_run_does_not_do(config: BuildConfig) -> None:
    build = open_build(config, stages="..grounding")
    build.whole = True
    assert stage_job(build, "ingest").following is not None
    assert stage_job(build, "grounding").following is None
