"""The worker: isolation of samples, environment faults, lost races, poison."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tasks.records.errors import DataFault, EnvironmentFault, OutOfMemory, Reason, SampleError
from tasks.records.outcomes import Blob, Child, Outcome, StageInput
from tasks.stages.sample_stage import SampleStage, Workbench
from tasks.storage.objects.store import Store, open_store
from tasks.storage.protocol.attempts import begin_attempt, read_attempts, subset_name
from tasks.storage.protocol.commits import find_commit, read_rows
from tasks.storage.protocol.fault_points import VARIABLE
from tasks.storage.protocol.layout import StageKey
from tasks.storage.protocol.planning import committed_units, entry_inputs
from tasks.storage.protocol.rows import Row
from tasks.storage.protocol.stage_end import close_stage
from tasks.storage.protocol.units import Plan, Unit
from tasks.storage.reports.ledger import Ledger
from tasks.worker.run_unit import UnitSummary
from tasks.worker.suspects import LAST_RESORT
from tests.tasks.storage.drawn_stages import (
    GROUNDING,
    INGEST,
    TROUBLE,
    MeasureStage,
    ReadStage,
    draw_photographs,
    entries_of,
    run_pipeline,
    stored_plan,
    worker,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "out"))


def one_unit(store: Store, tmp_path: Path, count: int = 4) -> Unit:
    draw_photographs(tmp_path / "in", count)
    (unit,) = stored_plan(store, INGEST, entry_inputs(entries_of(tmp_path / "in")), unit_size=count).units
    return unit


def read_unit(store: Store, tmp_path: Path, unit: Unit, *, witness: bool = True) -> UnitSummary:
    with worker(store, INGEST, ReadStage(str(tmp_path / "in")), witness=witness) as at_work:
        return at_work.run(unit)


def run_stage(store: Store, key: StageKey, stage: SampleStage, unit: Unit) -> UnitSummary:
    with worker(store, key, stage) as at_work:
        return at_work.run(unit)


def rows_of(store: Store, unit: Unit) -> list[Row]:
    commit = find_commit(store, INGEST, unit.id)
    assert commit is not None
    return read_rows(store, commit)


def endings(store: Store, unit: Unit) -> dict[str, str]:
    return {row.id: row.reason for row in rows_of(store, unit) if row.kind == "input"}


def child_process(store: Store, tmp_path: Path, trouble: str, fault: str = "", witness: bool = True) -> int:
    """Runs the pipeline in a separate driver; returns its exit status (-9 if it was killed)."""
    environment = {**os.environ, TROUBLE: trouble, VARIABLE: fault or "none"}
    module = "tests.tasks.storage.drawn_stages"
    command = [
        sys.executable,
        "-m",
        module,
        store.uri,
        str(tmp_path / "in"),
        "witness" if witness else "alone",
    ]
    return subprocess.run(
        command, env=environment, check=False, stderr=subprocess.DEVNULL, timeout=3600
    ).returncode


def test_a_unit_is_committed_once_and_then_only_reported(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path)
    first, second = read_unit(store, tmp_path, unit), read_unit(store, tmp_path, unit)
    assert (first.fresh, second.fresh) == (True, False)
    assert (first.inputs, first.kept, first.failures) == (4, 4, {})
    assert first.path == second.path
    assert len(read_attempts(store, INGEST, unit.id)) == 1


def test_one_bad_sample_is_a_row_and_the_others_are_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    unit = one_unit(store, tmp_path)
    (tmp_path / "in" / "p001.png").unlink()
    monkeypatch.setenv(TROUBLE, "p002:raise")
    summary = read_unit(store, tmp_path, unit)
    assert summary.failures == {"source_missing": 1, "crashed": 1}
    rows = {row.id: row for row in rows_of(store, unit) if row.kind == "input"}
    assert rows["drawn/p002.png"].detail == "RuntimeError"
    assert rows["drawn/p000.png"].outcome == "kept"


@pytest.mark.parametrize(("what", "error"), [("away", EnvironmentFault), ("memory", OutOfMemory)])
def test_an_environment_fault_commits_nothing_and_blames_no_sample(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: type[Exception]
):
    unit = one_unit(store, tmp_path)
    monkeypatch.setenv(TROUBLE, f"p002:{what}")
    for _ in range(3):
        with pytest.raises(error):
            read_unit(store, tmp_path, unit)
    assert committed_units(store, INGEST) == set()
    assert [attempt.left for attempt in read_attempts(store, INGEST, unit.id)] == [True] * 3
    monkeypatch.delenv(TROUBLE)
    assert read_unit(store, tmp_path, unit).kept == 4


@dataclass(frozen=True)
class OddStage(ReadStage):
    """Returns outcomes of other inputs, two children with one name, or numbers that JSON cannot represent."""

    how: str = ""

    async def __call__(self, item: StageInput, bench: Workbench) -> Outcome:
        outcome = self.read(item)
        first = outcome.children[0]
        if self.how == "lost":
            return replace(outcome, input_id="another")
        if self.how == "twins":
            return replace(outcome, children=(first, first))
        if self.how == "infinite" and item.id.endswith("p000.png"):
            odd = replace(first.record, width=float("inf"))  # type: ignore[type-var]
            return replace(outcome, children=(replace(first, record=odd),))
        return outcome


@pytest.mark.parametrize(("how", "crashed"), [("lost", 4), ("twins", 4), ("infinite", 1)])
def test_outcomes_that_do_not_fit_are_crashes_and_never_break_the_count_law(
    store: Store, tmp_path: Path, how: str, crashed: int
):
    unit = one_unit(store, tmp_path)
    summary = run_stage(store, INGEST, OddStage(str(tmp_path / "in"), how=how), unit)
    assert summary.failures == {"crashed": crashed}


def test_two_workers_at_one_unit_leave_one_commit_and_its_objects(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path)

    @dataclass(frozen=True)
    class Meanwhile(ReadStage):
        """Another worker commits the same unit while this one computes."""

        def read(self, item: StageInput) -> Outcome:
            read_unit(store, tmp_path, unit)
            return super().read(item)

    late = run_stage(store, INGEST, Meanwhile(str(tmp_path / "in")), unit)
    assert not late.fresh
    objects = [o.path for o in store.list() if "/attempts/" not in o.path and "/plans/" not in o.path]
    assert len(objects) == 3
    assert len(rows_of(store, unit)) == 8


def test_a_loser_with_other_bytes_leaves_the_winners_alone(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path)

    @dataclass(frozen=True)
    class Otherwise(ReadStage):
        def read(self, item: StageInput) -> Outcome:
            read_unit(store, tmp_path, unit)
            if item.id.endswith("p000.png"):
                child = Child(id="x", record=None, blobs=(Blob(name="n", data=b"other"),))
                return Outcome(input_id=item.id, children=(child,))
            return Outcome(input_id=item.id, reason=Reason.EMPTY_FILE)

    assert not run_stage(store, INGEST, Otherwise(str(tmp_path / "in")), unit).fresh
    assert {row.outcome for row in rows_of(store, unit)} == {"kept"}


def test_changed_pixels_of_a_committed_unit_are_seen_by_the_next_stage(store: Store, tmp_path: Path):
    draw_photographs(tmp_path / "in", 3)
    run_pipeline(store, tmp_path / "in")
    path = next(o.path for o in store.list() if o.path.endswith(".tar") and "ingest" in o.path)
    data = bytearray(store.get(path))
    data[520] ^= 1
    store.put(path, data)
    for o in list(store.list(GROUNDING.folder)):
        if "/commits/" in o.path or "/stage-" in o.path:
            store.delete(o.path)
    plans = run_pipeline(store, tmp_path / "in")
    assert close_stage(store, plans[1]).totals["reasons"]["input:source_changed"] == 1


def test_changed_rows_stop_the_next_stage_and_are_named(store: Store, tmp_path: Path):
    draw_photographs(tmp_path / "in", 3)
    plans = run_pipeline(store, tmp_path / "in")
    unit = plans[1].units[0]
    store.delete(GROUNDING.commit_path(unit.id))
    data = bytearray(store.get(unit.parents[0]))
    data[60] ^= 1
    store.put(unit.parents[0], data)
    with pytest.raises(DataFault, match=unit.parents[0]):
        run_stage(store, GROUNDING, MeasureStage(), unit)


@dataclass(frozen=True)
class CountingPixels(MeasureStage):
    """Records how many decoded pictures the worker holds."""

    held: list[int] = field(default_factory=list)

    async def __call__(self, item: StageInput, bench: Workbench) -> Outcome:
        picture = await bench.rgb(item.blobs["source.jpg"])
        assert picture is await bench.rgb(item.blobs["source.jpg"])
        assert not picture.flags.writeable
        self.held.append(len(bench.pixels._pictures))  # type: ignore[attr-defined]
        return self.measure(item, picture)


def test_pictures_are_decoded_once_and_forgotten_after_their_unit(store: Store, tmp_path: Path):
    draw_photographs(tmp_path / "in", 12)
    plans = run_pipeline(store, tmp_path / "in")
    for unit in plans[1].units:
        store.delete(GROUNDING.commit_path(unit.id))
    stage = CountingPixels()
    with worker(store, GROUNDING, stage) as at_work:
        for unit in plans[1].units:
            at_work.run(unit)
        assert at_work._pixels._pictures == {}
    assert max(stage.held) <= max(len(unit.members) for unit in plans[1].units)


@pytest.mark.slow
def test_a_poison_photograph_is_found_and_its_neighbors_are_kept(store: Store, tmp_path: Path):
    draw_photographs(tmp_path / "in", 4)
    status = [child_process(store, tmp_path, "p002:kill") for _ in range(3)]
    assert status == [-signal.SIGKILL, -signal.SIGKILL, 0]
    plan = the_plan(store, tmp_path)
    reasons = {i: r for unit in plan.units for i, r in endings(store, unit).items()}
    assert reasons.pop("drawn/p002.png") == "crashed"
    assert set(reasons.values()) == {""}
    assert close_stage(store, plan).totals["inputs_failed"] == 1


@pytest.mark.slow
def test_without_a_witness_dying_alone_twice_is_the_rule(store: Store, tmp_path: Path):
    draw_photographs(tmp_path / "in", 4)
    status = [child_process(store, tmp_path, "p002:kill", witness=False)]
    while status[-1] and len(status) < 12:
        status.append(child_process(store, tmp_path, "p002:kill", witness=False))
    assert status[-1] == 0
    reasons = {i: r for unit in the_plan(store, tmp_path).units for i, r in endings(store, unit).items()}
    assert reasons.pop("drawn/p002.png") == "crashed"
    assert set(reasons.values()) == {""}


@pytest.mark.slow
def test_an_operator_who_kills_again_and_again_makes_no_failures(store: Store, tmp_path: Path):
    draw_photographs(tmp_path / "in", 1)
    status = [child_process(store, tmp_path, "", fault="unit-attempted:1") for _ in range(6)]
    assert set(status) == {-signal.SIGKILL}
    assert child_process(store, tmp_path, "") == 0
    assert close_stage(store, the_plan(store, tmp_path)).totals["inputs_kept"] == 1


def test_an_attempt_that_still_runs_is_not_a_death(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path)
    for _ in range(3):
        begin_attempt(store, INGEST, unit.id)
    read_unit(store, tmp_path, unit, witness=False)
    assert {a.members for a in read_attempts(store, INGEST, unit.id)} == {"all"}


@pytest.mark.slow
def test_a_sample_that_never_ends_is_cut_off_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    unit = one_unit(store, tmp_path, 2)
    monkeypatch.setenv(TROUBLE, "p001:sleep")
    with worker(store, INGEST, ReadStage(str(tmp_path / "in")), witness=True) as at_work:
        at_work.context = replace(at_work.context, trial_timeout_s=4.0)
        summary = at_work.run(unit, suspects=["drawn/p001.png"])
    assert summary.failures == {"timed_out": 1}
    assert summary.kept == 1


def broken(engine: object, client: object) -> None:
    raise TypeError("a stage that cannot be built")


@pytest.mark.slow
def test_a_stage_that_cannot_be_built_again_blames_no_sample(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path, 2)
    with worker(store, INGEST, ReadStage(str(tmp_path / "in")), witness=True) as at_work:
        at_work.context = replace(at_work.context, build_stage=broken)  # type: ignore[arg-type]
        with pytest.raises(EnvironmentFault, match="built"):
            at_work.run(unit, suspects=unit.members)
    assert committed_units(store, INGEST) == set()


def test_a_death_suspects_the_samples_that_were_computed_and_no_others(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path)
    tried: list[str] = []

    @dataclass(frozen=True)
    class Noting(ReadStage):
        def read(self, item: StageInput) -> Outcome:
            tried.append(item.id)
            return super().read(item)

    with worker(store, INGEST, Noting(str(tmp_path / "in"))) as at_work:
        assert at_work.run(unit, suspects=["drawn/p001.png"]).kept == 4
    assert tried[0] == "drawn/p001.png"
    parts = {attempt.members for attempt in read_attempts(store, INGEST, unit.id)}
    assert parts == {subset_name(["drawn/p001.png"])}


def test_a_sample_error_carries_its_reason_into_the_row(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path, 2)

    @dataclass(frozen=True)
    class Strict(ReadStage):
        def read(self, item: StageInput) -> Outcome:
            raise SampleError(Reason.TOO_SMALL, "24 px")

    run_stage(store, INGEST, Strict(""), unit)
    assert set(endings(store, unit).values()) == {"too_small"}


def test_the_ledger_tells_a_samples_whole_history(store: Store, tmp_path: Path):
    draw_photographs(tmp_path / "in", 5)
    plans = run_pipeline(store, tmp_path / "in")
    ledger = Ledger(store, plans)
    first, second = ledger.funnel()
    assert (first.inputs, first.kept, first.open, second.inputs) == (5, 5, 0, first.children_kept)
    assert sum(n for _, n in second.reasons) == second.rejected + second.children - second.children_kept
    for line in (first, second):
        assert line.children == line.children_kept + line.children_rejected + line.children_failed
        assert sum(n for _, n in line.input_reasons) == line.rejected + line.failed
        assert sum(n for _, n in line.child_reasons) == line.children_rejected + line.children_failed
    target = next(
        i for (i,) in ledger.connection.execute("SELECT id FROM rows WHERE id LIKE '%-t0'").fetchall()
    )
    steps = ledger.history(target)
    assert [(s.stage, s.kind) for s in steps][:3] == [
        ("ingest", "input"),
        ("ingest", "child"),
        ("grounding", "input"),
    ]
    assert steps == ledger.history(steps[0].id)
    assert [p.inputs_left for p in ledger.progress()] == [0, 0]


def the_plan(store: Store, tmp_path: Path) -> Plan:
    return stored_plan(store, INGEST, entry_inputs(entries_of(tmp_path / "in")), unit_size=4)


@pytest.mark.slow
def test_a_driver_killed_while_a_sample_is_on_trial_blames_no_sample(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path, 1)
    environment = {**os.environ, TROUBLE: "p000:sleep"}
    module = "tests.tasks.storage.drawn_stages"
    for kill in range(9):
        driver = subprocess.Popen(
            [sys.executable, "-m", module, store.uri, str(tmp_path / "in"), "witness"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while len(read_attempts(store, INGEST, unit.id)) <= kill and time.monotonic() < deadline:
            time.sleep(0.05)
        driver.kill()
        driver.wait()
    assert len(read_attempts(store, INGEST, unit.id)) == 9
    assert child_process(store, tmp_path, "") == 0
    assert endings(store, unit) == {"drawn/p000.png": ""}


def test_a_sample_that_takes_its_witness_along_again_and_again_is_a_failure(store: Store, tmp_path: Path):
    unit = one_unit(store, tmp_path, 2)
    poison, other = unit.members
    parts = ["all"] * 2 + [subset_name(unit.members)] * 2 + [subset_name([poison])] * LAST_RESORT
    code = (
        "from tasks.storage.protocol.attempts import begin_attempt; "
        "from tasks.storage.objects.store import open_store; "
        "from tests.tasks.storage.drawn_stages import INGEST; "
        f"[begin_attempt(open_store({store.uri!r}), INGEST, {unit.id!r}, part) for part in {parts!r}]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    read_unit(store, tmp_path, unit)
    assert endings(store, unit) == {poison: "crashed", other: ""}
