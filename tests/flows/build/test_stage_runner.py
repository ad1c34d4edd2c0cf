"""A stage's worker, built as in another process."""

from __future__ import annotations

import pickle
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


def test_a_worker_of_other_code_or_prompts_than_the_driver_commits_nothing(config: BuildConfig) -> None:
    make = stage_job(open_build(config), "instruction").make_worker
    assert isinstance(make, StageWorkerMaker)
    engine = Engine()
    try:
        with pytest.raises(EnvironmentFault, match="instruction: version mismatch: this worker computed"):
            replace(make, material="0" * 64)(engine, None)
        make(engine, None)
    finally:
        engine.close()


def test_a_job_travels_with_names_and_settings_only(config: BuildConfig) -> None:
    assert len(pickle.dumps(stage_job(open_build(config), "editing").make_worker)) < 50_000


def test_a_build_of_all_stages_says_which_job_follows_and_a_stage_alone_does_not(config: BuildConfig) -> None:
    build = open_build(config)
    assert stage_job(build, "grounding").following is None
    build.whole = True
    following = stage_job(build, "grounding").following
    assert following is not None
    assert following.stage == "instruction"
    assert stage_job(build, "publish").following is None
