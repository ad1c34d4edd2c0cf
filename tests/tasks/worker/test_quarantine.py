"""A separate process for suspects: what users see of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tasks.sources.reading import SourceReader
from tasks.sources.settings import IngestSettings
from tasks.stages.ingest.stage import ingest
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.protocol.layout import StageKey
from tasks.worker.engine import Engine
from tasks.worker.quarantine import Trial, run_trial
from tests.tasks.storage.drawn_stages import given


def test_a_process_that_ends_well_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trial = Trial(
        build_stage=partial(given, partial(ingest, reader=SourceReader(()), settings=IngestSettings())),
        uri=str(tmp_path),
        options=StoreOptions(),
        key=StageKey(stage="ingest", config8="0" * 8),
        unit="0" * 16,
        part="whole",
        inputs=(),
        extra={},
    )
    engine = Engine()
    assert run_trial(trial, 60, engine, None).outcomes == ()
    engine.close()
    assert capfd.readouterr() == ("", "")
