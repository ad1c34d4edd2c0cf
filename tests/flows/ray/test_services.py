"""Roles in pools on a local Ray that counts four GPUs: placement, sharing, deaths; one Ray for the session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import ray
from processes import PATIENCE_S, wait_until

from flows.build.log_files import log_path
from flows.build.service_spec import ServiceSpec
from flows.ray.cluster import RayCluster
from flows.ray.pool import RayPool
from flows.ray.router_client import RayRouterClient
from flows.ray.services import RayServices
from flows.ray.slot import ActorSettings
from tasks.records.errors import ConfigurationError, EnvironmentFault, ModelUnavailable, Reason, SampleError
from tasks.records.settings_base import Settings
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import RoleCall, Route
from tasks.roles.picture import Picture
from tasks.roles.placement import PoolSettings
from tasks.roles.questions import DetectQuestion, TagQuestion
from tasks.stages.config import ExecutionSettings
from tasks.worker.engine import EngineSettings
from tests.flows.ray.counted_backends import CountedDetector, CountedOptions, CountedTagger

pytestmark = pytest.mark.slow

PICTURE = Picture.of_pixels(np.zeros((64, 96, 3), np.uint8))


def route(role: str, run: str, folder: Path) -> Route:
    backend = {"tagger": CountedTagger, "detector": CountedDetector}[role]
    options: Settings = CountedOptions(folder=str(folder))
    choice = BackendChoice(role=role, name="counted", backend=backend, options=options, prompts=())
    return Route(name=f"{role}@{run}", role=role, choice=choice, run=run)


def plan(folder: Path, pools: dict[str, PoolSettings], *routes: Route) -> ServiceSpec:
    return ServiceSpec(
        routes=routes,
        stages={"grounding": frozenset(each.name for each in routes)},
        pools=pools,
        uri=str(folder / "out"),
    )


@pytest.fixture
def started(cluster: RayCluster) -> Iterator[list[RayServices]]:
    """Services for a test, closed with it."""
    services: list[RayServices] = []
    yield services
    for each in services:
        each.close()


def services_of(
    cluster: RayCluster, started: list[RayServices], made: ServiceSpec, **execution: object
) -> RayServices:
    services = RayServices(cluster, made, ExecutionSettings(card_gb=80.0, **execution))  # type: ignore[arg-type]
    started.append(services)
    return services


def ask(services: RayServices, *calls: RoleCall) -> list[object]:
    client = RayRouterClient(services.router())

    async def together() -> list[object]:
        return await asyncio.gather(*(client.ask(call) for call in calls), return_exceptions=True)

    return asyncio.run(together())


def tag_call(name: str, run: str = "perception") -> RoleCall:
    question = TagQuestion(subject=name, picture=PICTURE)
    key = name.encode().hex().ljust(64, "0")[:64]
    return RoleCall(
        route=f"tagger@{run}", key=key, sid=name.partition("-")[0], subject=name, payload=question
    )


def detect_call(name: str, run: str = "perception") -> RoleCall:
    question = DetectQuestion(subject=name, picture=PICTURE, names=("cup",))
    key = ("d" + name).encode().hex().ljust(64, "0")[:64]
    return RoleCall(
        route=f"detector@{run}", key=key, sid=name.partition("-")[0], subject=name, payload=question
    )


def test_pools_of_a_whole_and_of_half_a_card_land_as_configured(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    pools = {
        "editor": PoolSettings(holds=("detector",), gpu_gb=80, replicas=2, cpus=0),
        "perception": PoolSettings(holds=("tagger",), gpu_gb=40, replicas=2, max_batch=1, cpus=0),
    }
    made = plan(
        tmp_path, pools, route("tagger", "perception", tmp_path), route("detector", "editor", tmp_path)
    )
    services = services_of(cluster, started, made)
    tags = ask(services, *(tag_call(f"s{n:02d}") for n in range(24)))
    ask(services, *(detect_call(f"s{n:02d}", "editor") for n in range(24)))
    assert not [each for each in tags if isinstance(each, BaseException)]
    cards = {path.read_text().split()[1] for path in tmp_path.glob("asked-*")}
    assert len(cards) == 1, "two halves share one card"
    whole = {path.read_text() for path in tmp_path.glob("detected-*")}
    assert cards.isdisjoint(whole)
    used = ray.cluster_resources()["GPU"] - ray.available_resources().get("GPU", 0.0)
    assert used == pytest.approx(3.0)


def test_two_roles_share_one_process(cluster: RayCluster, started: list[RayServices], tmp_path: Path) -> None:
    pools = {"perception": PoolSettings(holds=("tagger", "detector"), gpu_gb=20, cpus=0)}
    routes = (route("tagger", "perception", tmp_path), route("detector", "perception", tmp_path))
    services = services_of(cluster, started, plan(tmp_path, pools, *routes))
    answers = ask(services, tag_call("aa"), detect_call("aa"))
    assert not [each for each in answers if isinstance(each, BaseException)]
    processes = {path.name.rpartition("-")[2] for path in tmp_path.glob("load-*")}
    assert len(processes) == 1


def test_what_can_never_fit_is_refused_before_any_work(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    routes = (route("tagger", "perception", tmp_path),)
    too_many = {"perception": PoolSettings(holds=("tagger",), gpu_gb=80, replicas=5, cpus=0)}
    with pytest.raises(ConfigurationError, match=r"perception 5 x 80 GB .* 4 cards"):
        services_of(cluster, started, plan(tmp_path, too_many, *routes)).router()
    too_large = {"perception": PoolSettings(holds=("tagger",), gpu_gb=81, cpus=0)}
    with pytest.raises(ConfigurationError, match=r"pools\.perception\.gpu_gb=81"):
        services_of(cluster, started, plan(tmp_path, too_large, *routes)).router()


def test_what_another_build_holds_is_waited_for_and_then_named(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    pools = {"perception": PoolSettings(holds=("tagger",), gpu_gb=80, replicas=4, cpus=0)}
    made = plan(tmp_path, pools, route("tagger", "perception", tmp_path))
    first = services_of(cluster, started, made)
    first.begin_stage("grounding")
    second = services_of(cluster, started, made, wait_for_resources_s=2.0)
    with pytest.raises(ModelUnavailable, match=r"perception 4 x .* free CPU .* GPU 0"):
        second.begin_stage("grounding")
    first.close()
    second.begin_stage("grounding")
    assert [str(answer) for answer in ask(second, tag_call("aa")) if isinstance(answer, BaseException)] == []


def test_a_build_that_closes_waits_for_no_resources(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    pools = {"perception": PoolSettings(holds=("tagger",), gpu_gb=80, replicas=4, cpus=0)}
    made = plan(tmp_path, pools, route("tagger", "perception", tmp_path))
    services_of(cluster, started, made).begin_stage("grounding")
    second = services_of(cluster, started, made, wait_for_resources_s=10 * PATIENCE_S)
    pool = RayPool(cluster, ActorSettings(threads=1, units_in_flight=1, engine=EngineSettings()), second)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.ready)
        assert wait_until(lambda: len(groups_by_state("PENDING")) == 1)
        pool.close()
        with pytest.raises(EnvironmentFault, match=r"stopped waiting|closed"):
            waiting.result(PATIENCE_S)
    assert wait_until(lambda: not groups_by_state("PENDING"))


def groups_by_state(state: str) -> list[str]:
    table: dict[str, dict[str, object]] = ray.util.placement_group_table()
    return [key for key, group in table.items() if group["state"] == state]


def test_a_killed_replica_loses_and_doubles_nothing(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    pools = {"perception": PoolSettings(holds=("tagger",), gpu_gb=20, replicas=2, max_batch=4, cpus=0)}
    services = services_of(cluster, started, plan(tmp_path, pools, route("tagger", "perception", tmp_path)))
    names = [f"p{n:02d}" for n in range(30)] + ["qq-kill-once"]
    answers = ask(services, *(tag_call(name) for name in names))
    assert [each for each in answers if isinstance(each, BaseException)] == []
    answered = [path.name.split("-")[1] for path in tmp_path.glob("asked-*")]
    assert sorted(set(answered)) == sorted({*(name for name in names if name[0] == "p"), "qq"})
    # Only the two calls of the replica that died are asked again.
    assert len(answered) - len(set(answered)) <= 8


def test_a_question_that_kills_is_one_failure_and_its_neighbors_are_answered(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    pools = {"perception": PoolSettings(holds=("tagger",), gpu_gb=20, max_batch=4, cpus=0)}
    services = services_of(cluster, started, plan(tmp_path, pools, route("tagger", "perception", tmp_path)))
    names = [f"n{n}" for n in range(7)]
    answers = ask(services, *(tag_call(name) for name in [*names[:3], "xx-kill", *names[3:]]))
    failed = [each for each in answers if isinstance(each, BaseException)]
    assert [type(each) for each in failed] == [SampleError], failed
    assert failed[0].reason is Reason.CRASHED  # type: ignore[union-attr]


def test_an_answer_that_is_kept_is_not_asked_for_again(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    pools = {"perception": PoolSettings(holds=("tagger",), gpu_gb=20, cpus=0)}
    made = plan(tmp_path, pools, route("tagger", "perception", tmp_path))
    first = services_of(cluster, started, made)
    ask(first, tag_call("kk"))
    first.close()
    second = services_of(cluster, started, made)
    (again,) = ask(second, tag_call("kk"))
    assert again.kept is True  # type: ignore[attr-defined]
    assert len(list(tmp_path.glob("asked-kk-*"))) == 1


def test_a_pool_has_a_log_that_tells_of_its_replicas(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    pool = PoolSettings(holds=("tagger",), gpu_gb=40)
    made = plan(tmp_path, {"perception": pool}, route("tagger", "perception", tmp_path))
    services = services_of(cluster, started, made)
    (answer,) = ask(services, tag_call("aa-t0"))
    assert not isinstance(answer, BaseException), answer
    text = log_path(made.uri, "perception").read_text()
    assert "pools.perception: replica 1 is ready" in text
    assert services.status()["routes"]["tagger@perception"]["answered"] == 1
