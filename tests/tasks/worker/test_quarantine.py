"""A process of its own for suspects: what a person sees of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tasks.sources.settings import IngestSettings
from tasks.stages.ingest.stage import IngestStage
from tasks.storage.objects.store import StoreOptions
from tasks.storage.protocol.layout import StageKey
from tasks.worker.quarantine import Trial, run_trial


def test_a_process_that_ends_well_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trial = Trial(
        build_stage=partial(IngestStage, (), IngestSettings()),
        uri=str(tmp_path),
        options=StoreOptions(),
        key=StageKey(stage="ingest", config8="0" * 8),
        unit="0" * 16,
        part="whole",
        inputs=(),
        extra={},
    )
    assert run_trial(trial, timeout_s=60).outcomes == ()
    assert capfd.readouterr() == ("", "")
