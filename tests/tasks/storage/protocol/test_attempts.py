"""Attempts: which died, which may still be running, which ended in order."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.attempts import (
    LEASE_S,
    Attempt,
    begin_attempt,
    deaths,
    is_alive,
    leave_attempt,
    read_attempts,
    subset_name,
)
from tests.tasks.storage.drawn_stages import INGEST


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def begin_elsewhere(store: Store, members: str) -> None:
    """An attempt by a process that has ended when this returns."""
    code = (
        "import sys; from tasks.storage.protocol.attempts import *; from tasks.storage.objects.store import *; "
        "from tasks.storage.protocol.layout import StageKey; "
        f"begin_attempt(open_store({store.uri!r}), StageKey(stage='ingest', config8='00000001'), 'u', {members!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path.cwd())


def test_attempts_are_numbered_and_read_in_order(store: Store):
    assert [begin_attempt(store, INGEST, "u") for _ in range(12)] == list(range(12))
    assert [a.number for a in read_attempts(store, INGEST, "u")] == list(range(12))
    assert read_attempts(store, INGEST, "other") == []


@pytest.mark.slow
def test_a_process_that_is_gone_died_unless_it_left_in_order(store: Store):
    begin_elsewhere(store, "all")
    begin_elsewhere(store, subset_name(["b", "a"]))
    begin_attempt(store, INGEST, "u")
    attempts = read_attempts(store, INGEST, "u")
    assert deaths(attempts) == 1
    assert deaths(attempts, subset_name(["a", "b"])) == 1
    leave_attempt(store, INGEST, "u", 0, "StorageFault")
    assert deaths(read_attempts(store, INGEST, "u")) == 0


def test_on_another_machine_only_age_can_tell():
    def attempt(age_s: float) -> Attempt:
        return Attempt(
            number=0, members="all", place="elsewhere/1", pid=os.getpid(), process_start=0,
            started=time.time() - age_s, left=False,
        )  # fmt: skip

    assert is_alive(attempt(1))
    assert not is_alive(attempt(LEASE_S + 1))
