"""The Ray pool with real actors and real kills; one Ray for the session (see conftest)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from processes import descendants, listening_addresses, wait_until
from toy_stage import numbered_units, overlaps, run_units, toy_job

from flows.build.fan_out import UnitDone, start_units
from flows.build.unit_queue import Limits
from flows.ray.cluster import RayCluster
from flows.ray.pool import RayPool
from flows.ray.slot import ActorSettings
from tasks.records.errors import DataFault, EnvironmentFault, StageStopped
from tasks.worker.engine import EngineSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool(cluster: RayCluster) -> Iterator[RayPool]:
    pool = RayPool(cluster, ActorSettings(threads=1, units_in_flight=2, engine=EngineSettings()))
    yield pool
    pool.close()


def commits(folder: Path) -> set[str]:
    return {p.name.removeprefix("commit-") for p in folder.glob("commit-*")}


def loads(folder: Path) -> list[Path]:
    return list(folder.glob("loads/*"))


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of a stage and of the one that follows."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    return tmp_path / "first", tmp_path / "second"


def attempts(folder: Path, unit_id: str) -> int:
    return len(list(folder.glob(f"attempt-{unit_id}-*")))


def test_each_unit_is_done_once_and_models_are_loaded_once_a_worker(pool: RayPool, tmp_path: Path) -> None:
    units = numbered_units(12)
    done: list[UnitDone] = []
    run_units(toy_job(tmp_path), units, pool, on_done=done.append)
    assert sorted(d.unit_id for d in done) == [u.id for u in units]
    assert all(attempts(tmp_path, u.id) == 1 for u in units)
    assert 1 <= len(list((tmp_path / "loads").iterdir())) <= pool.workers


def test_a_pool_closed_while_it_starts_makes_no_actor_afterward(cluster: RayCluster) -> None:
    """Ray ends a process that asks for an actor after shutdown, silently and with its own exit code."""
    up = threading.Event()

    class Starting:
        settings, workers = cluster.settings, cluster.workers

        def wait(self) -> None:
            up.wait()

    pool = RayPool(Starting(), ActorSettings(threads=1, units_in_flight=1, engine=EngineSettings()))  # type: ignore[arg-type]
    pool.close()
    up.set()
    with pytest.raises(EnvironmentFault, match="closed"):
        pool.ready()


def test_all_that_a_local_ray_starts_listens_on_loopback_alone(pool: RayPool, tmp_path: Path) -> None:
    run_units(toy_job(tmp_path), numbered_units(2), pool)
    assert wait_until(lambda: len(listening_addresses(descendants(os.getpid()))) > 0)
    time.sleep(2)  # agents open their ports last
    assert listening_addresses([os.getpid(), *descendants(os.getpid())]) == {"127.0.0.1"}


def test_actors_stay_alive_from_stage_to_stage(pool: RayPool, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run_units(toy_job(tmp_path / name), numbered_units(6), pool)
    workers = {p.read_text() for p in tmp_path.glob("*/commit-*")}
    assert len(workers) <= pool.workers


def test_workers_without_units_load_what_the_next_stage_needs(pool: RayPool, two: tuple[Path, Path]) -> None:
    first, second = two
    units = numbered_units(2, {1: ("slow", "slow", "slow")})
    run_units(toy_job(first, following=toy_job(second)), units, pool)
    begun = time.monotonic()
    while len(loads(second)) < pool.workers and time.monotonic() - begun < 30:
        time.sleep(0.05)
    assert len(loads(second)) == pool.workers
    run_units(toy_job(second), numbered_units(6), pool)
    assert len(loads(second)) == pool.workers


def test_a_model_that_cannot_be_loaded_early_is_the_next_stages_fault_alone(
    pool: RayPool, two: tuple[Path, Path]
) -> None:
    first, second = two
    (second / "no-model").touch()
    units = numbered_units(3, {0: ("slow", "slow", "slow")})
    run_units(toy_job(first, following=toy_job(second)), units, pool)
    assert commits(first) == {u.id for u in units}
    with pytest.raises(StageStopped, match="does not answer"):
        run_units(toy_job(second), numbered_units(2), pool)
    (second / "no-model").unlink()
    run_units(toy_job(second), numbered_units(2), pool)
    assert len(commits(second)) == 2


def test_a_unit_that_comes_back_is_done_by_a_worker_that_had_moved_on(
    pool: RayPool, two: tuple[Path, Path]
) -> None:
    first, second = two
    units = numbered_units(2, {1: ("slow", "slow", "slow", "kill")})
    run_units(toy_job(first, trouble_ends_after=1, following=toy_job(second)), units, pool)
    assert commits(first) == {u.id for u in units}
    assert attempts(first, "u01") == 2


def test_a_worker_has_several_units_at_work_at_once(cluster: RayCluster, tmp_path: Path) -> None:
    wide = RayPool(cluster, ActorSettings(threads=0, units_in_flight=8, engine=EngineSettings()))
    try:
        units = numbered_units(40, dict.fromkeys(range(40), ("slow",) * 2))
        at_once: list[int] = []
        run = start_units(
            toy_job(tmp_path),
            units,
            wide,
            limits=Limits(),
            partitions=1,
            on_done=lambda _: at_once.append(run.queue.in_flight),
        )
        run.run_partition(0)
        assert max(at_once) > 2 * wide.workers
        assert commits(tmp_path) == {u.id for u in units}
    finally:
        wide.close()


def test_units_of_a_stage_that_waits_for_nobody_follow_each_other(
    cluster: RayCluster, tmp_path: Path
) -> None:
    wide = RayPool(cluster, ActorSettings(threads=0, units_in_flight=4, engine=EngineSettings()))
    units = numbered_units(24, dict.fromkeys(range(24), ("slow",)))
    try:
        for name, waits in (("waits", True), ("computes", False)):
            (tmp_path / name).mkdir()
            run_units(toy_job(tmp_path / name, waits=waits), units, wide)
            assert commits(tmp_path / name) == {u.id for u in units}
    finally:
        wide.close()
    assert overlaps(tmp_path / "waits") > 0
    assert overlaps(tmp_path / "computes") == 0


def test_no_worker_is_idle_while_a_unit_waits_behind_another(pool: RayPool, tmp_path: Path) -> None:
    units = numbered_units(2, dict.fromkeys(range(2), ("slow",) * 5))
    for number in range(3):  # one worker is ready with loading before the other
        folder = tmp_path / str(number)
        folder.mkdir()
        run_units(toy_job(folder), units, pool)
        assert len({p.read_text() for p in folder.glob("commit-*")}) == 2


def test_a_sample_that_kills_its_worker_ends_as_a_failure_and_the_others_are_untouched(
    pool: RayPool, tmp_path: Path
) -> None:
    units = numbered_units(9, {4: ("4", "kill")})
    done: list[UnitDone] = []
    run_units(toy_job(tmp_path, trouble_ends_after=1), units, pool, on_done=done.append)
    assert commits(tmp_path) == {u.id for u in units}
    suspects = {path.name for path in tmp_path.glob("suspect-*")}
    # A sample of another unit computed at that moment is suspected as well, and cleared.
    assert "suspect-u04-kill" in suspects
    assert len(suspects) <= pool._settings.units_in_flight
    poisoned = next(d for d in done if d.unit_id == "u04")
    assert poisoned.summary is not None
    assert poisoned.summary.failures == {"crashed": 1}


def test_a_worker_with_eight_units_that_dies_once_stops_nothing(cluster: RayCluster, tmp_path: Path) -> None:
    wide = RayPool(cluster, ActorSettings(threads=0, units_in_flight=8, engine=EngineSettings()))
    try:
        units = numbered_units(40, {0: ("slow", "kill"), **dict.fromkeys(range(1, 40), ("slow",))})
        run_units(toy_job(tmp_path, trouble_ends_after=1), units, wide)
        assert commits(tmp_path) == {u.id for u in units}
    finally:
        wide.close()


def test_a_step_that_hangs_is_cut_off_and_its_sample_suspected(pool: RayPool, tmp_path: Path) -> None:
    units = numbered_units(5, {2: ("2", "hang")})
    run_units(toy_job(tmp_path, trouble_ends_after=1), units, pool, limits=Limits(step_timeout_s=1.0))
    assert commits(tmp_path) == {u.id for u in units}
    assert [path.name for path in tmp_path.glob("suspect-*")] == ["suspect-u02-hang"]


def test_workers_without_gpus_see_none(pool: RayPool, tmp_path: Path) -> None:
    run_units(toy_job(tmp_path), numbered_units(2), pool)
    assert {ray.get(slot.actor.sees_gpus.remote()) for slot in pool._slots} == {""}


def test_an_endpoint_that_is_away_stops_the_stage_without_a_commit_of_that_unit(
    pool: RayPool, tmp_path: Path
) -> None:
    units = numbered_units(4, {1: ("away",)})
    with pytest.raises(StageStopped, match="the endpoint is away"):
        run_units(toy_job(tmp_path, trouble_ends_after=99), units, pool)
    assert "u01" not in commits(tmp_path)


def test_a_model_that_cannot_be_loaded_stops_the_stage_and_the_same_call_resumes(
    pool: RayPool, tmp_path: Path
) -> None:
    (tmp_path / "no-model").touch()
    with pytest.raises(StageStopped, match="does not answer"):
        run_units(toy_job(tmp_path), numbered_units(4), pool)
    assert commits(tmp_path) == set()
    (tmp_path / "no-model").unlink()
    run_units(toy_job(tmp_path), numbered_units(4), pool)
    assert len(commits(tmp_path)) == 4


def test_a_store_that_contradicts_itself_is_a_data_fault(pool: RayPool, tmp_path: Path) -> None:
    with pytest.raises(DataFault, match="commit 12 contradicts row 3"):
        run_units(toy_job(tmp_path), numbered_units(3, {0: ("fault",)}), pool)


def test_a_bug_in_a_stage_stops_it_with_the_exceptions_name(pool: RayPool, tmp_path: Path) -> None:
    with pytest.raises(StageStopped, match="TypeError: a bug"):
        run_units(toy_job(tmp_path, trouble_ends_after=99), numbered_units(3, {0: ("bug",)}), pool)


def test_a_model_that_kills_every_worker_condemns_the_stage(pool: RayPool, tmp_path: Path) -> None:
    units = numbered_units(8, dict.fromkeys(range(8), ("kill",)))
    with pytest.raises(StageStopped, match="workers died"):
        run_units(toy_job(tmp_path, trouble_ends_after=99), units, pool)
    assert commits(tmp_path) == set()


def test_a_partition_ends_while_the_next_ones_units_are_at_work(pool: RayPool, tmp_path: Path) -> None:
    done: list[UnitDone] = []
    run = start_units(
        toy_job(tmp_path),
        numbered_units(16, dict.fromkeys(range(16), ("slow",))),
        pool,
        limits=Limits(),
        partitions=4,
        on_done=done.append,
    )
    assert len(run.partitions) == 4
    run.run_partition(0)
    assert run.partitions[0] <= {d.unit_id for d in done}
    assert run.queue.in_flight > 0
    for number in range(1, 4):
        run.run_partition(number)
    assert len(done) == 16


def test_units_without_their_kept_answers_stay_undone_and_stop_the_stage_at_its_end(
    pool: RayPool, tmp_path: Path
) -> None:
    units = numbered_units(6, dict.fromkeys(range(4), ("missing",)))
    limits = Limits(max_environment_faults=1)
    run = start_units(toy_job(tmp_path), units, pool, limits=limits, partitions=1, on_done=lambda done: None)
    run.run_partition(0)
    assert commits(tmp_path) == {"u04", "u05"}
    with pytest.raises(StageStopped, match="editor: 1"):
        run.queue.stop_when_answers_are_missing()
