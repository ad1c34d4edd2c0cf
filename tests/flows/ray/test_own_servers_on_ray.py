"""Servers that a build starts on a local Ray that counts four GPUs: cards, order, deaths, cards given back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from processes import command_line, descendants, kill, wait_until

from flows.build.log_files import log_path
from flows.build.service_spec import ServiceSpec
from flows.ray.cluster import RayCluster
from flows.ray.router_client import RayRouterClient
from flows.ray.services import RayServices
from tasks.backends.served.rewriter import ChatRewriter, RewriterOptions
from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.records.settings_base import Settings
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import RoleCall, Route
from tasks.roles.placement import PoolSettings, ServedModel, ServerSettings
from tasks.stages.config import ExecutionSettings
from tests.flows.ray.counted_backends import CountedDetector, CountedOptions, CountedTagger
from tests.flows.ray.test_services import detect_call, tag_call
from tests.serving.own_servers import alive, argument, serve, started
from tests.tasks.backends.served.asked import questions

pytestmark = pytest.mark.slow

SERVED = ServedModel(id="test-model", max_pixels=200_000)


def server(folder: Path, name: str = "llm", **changes: Any) -> ServerSettings:
    own = serve(folder / name, gpu_gb=40, **changes)
    return ServerSettings.model_validate({"model": SERVED.model_dump(), "serve": own, "probe_s": 0.05})


def served_route(name: str = "llm") -> Route:
    options: Settings = RewriterOptions(served=SERVED)
    choice = BackendChoice(role="rewriter", name="chat", backend=ChatRewriter, options=options, prompts=())
    return Route(name=f"rewriter@{name}", role="rewriter", choice=choice, run=name, served=SERVED)


def pool_route(role: str, run: str, folder: Path) -> Route:
    backend = {"tagger": CountedTagger, "detector": CountedDetector}[role]
    options: Settings = CountedOptions(folder=str(folder))
    choice = BackendChoice(role=role, name="counted", backend=backend, options=options, prompts=())
    return Route(name=f"{role}@{run}", role=role, choice=choice, run=run)


def write_call(name: str, run: str = "llm") -> RoleCall:
    request = ChatRewriter(RewriterOptions(served=SERVED)).request(questions()["rewriter"])
    key = name.encode().hex().ljust(64, "0")[:64]
    return RoleCall(route=f"rewriter@{run}", key=key, sid=name, subject=name, payload=request)


def spec(
    folder: Path,
    stages: dict[str, tuple[Route, ...]],
    servers: dict[str, ServerSettings],
    pools: dict[str, PoolSettings] | None = None,
) -> ServiceSpec:
    routes = {route.name: route for found in stages.values() for route in found}
    return ServiceSpec(
        routes=tuple(routes.values()),
        stages={stage: frozenset(route.name for route in found) for stage, found in stages.items()},
        servers=servers,
        pools=pools or {},
        uri=str(folder / "out"),
    )


@pytest.fixture
def opened(cluster: RayCluster, tmp_path: Path) -> Iterator[Any]:
    """Makes services, and closes them with the test; then no server is left."""
    made: list[RayServices] = []

    def make(spec: ServiceSpec, **execution: Any) -> RayServices:
        made.append(RayServices(cluster, spec, ExecutionSettings(card_gb=80.0, **execution)))
        return made[-1]

    yield make
    for services in made:
        services.close()
    for folder in tmp_path.iterdir():
        assert alive(folder) == []


def ask(services: RayServices, *calls: RoleCall) -> list[Any]:
    client = RayRouterClient(services.router())

    async def together() -> list[Any]:
        return await asyncio.gather(*(client.ask(call) for call in calls), return_exceptions=True)

    return asyncio.run(together())


def gpus_in_use() -> float:
    state: Any = ray
    return float(state.cluster_resources()["GPU"] - state.available_resources().get("GPU", 0.0))


def server_actors(pid: int) -> list[int]:
    return [child for child in descendants(pid) if command_line(child).startswith("ray::ServerActor")]


def test_a_server_and_a_pool_share_a_card_and_the_server_is_first(opened: Any, tmp_path: Path) -> None:
    pools = {"perception": PoolSettings(holds=("tagger",), gpu_gb=30, cpus=0)}
    routes = (pool_route("tagger", "perception", tmp_path), served_route())
    services = opened(spec(tmp_path, {"grounding": routes}, {"llm": server(tmp_path)}, pools))
    services.begin_stage("grounding")
    assert started(tmp_path / "llm") == [], "nobody has asked"
    answers = ask(services, tag_call("aa"))  # the pool is asked first, and waits for the server
    answers += ask(services, write_call("bb"))
    assert not [each for each in answers if isinstance(each, BaseException)], answers
    assert answers[1].answer == "Make the first thing from the left blue."
    (one,) = started(tmp_path / "llm")
    (load,) = tmp_path.glob("load-tagger-*")
    (wrote,) = (tmp_path / "llm").glob("server-*.json")
    assert wrote.stat().st_mtime_ns < load.stat().st_mtime_ns
    assert argument(one, "--gpu-memory-utilization") == "0.5"
    assert argument(one, "--host") == "127.0.0.1"
    # A share of 0.375 beside 0.5; which card it is is Ray's choice.
    assert one["environment"]["CUDA_VISIBLE_DEVICES"] in ("0", "1", "2", "3")
    assert gpus_in_use() == pytest.approx(0.875)
    status = services.status()["servers"]["llm"]
    assert (status["state"], status["running"], status["restarts"]) == ("up", 1, 0)
    assert "ready at http://127.0.0.1:" in log_path(str(tmp_path / "out"), "llm").read_text()


def test_several_cards_are_whole_ones_and_are_seen_by_the_server(opened: Any, tmp_path: Path) -> None:
    writer = server(tmp_path, tensor_parallel=2)
    services = opened(spec(tmp_path, {"instruction": (served_route(),)}, {"llm": writer}))
    services.begin_stage("instruction")
    (answer,) = ask(services, write_call("aa"))
    assert not isinstance(answer, BaseException), answer
    (one,) = started(tmp_path / "llm")
    assert len(one["environment"]["CUDA_VISIBLE_DEVICES"].split(",")) == 2
    assert argument(one, "--tensor-parallel-size") == "2"
    assert gpus_in_use() == pytest.approx(2.0)


def test_what_can_never_fit_is_refused_with_the_numbers(opened: Any, tmp_path: Path) -> None:
    pools = {"painting": PoolSettings(holds=("tagger",), gpu_gb=50, replicas=4, cpus=0)}
    routes = (pool_route("tagger", "painting", tmp_path), served_route())
    made = spec(tmp_path, {"editing": routes}, {"llm": server(tmp_path)}, pools)
    with pytest.raises(ConfigurationError, match="llm 1 x 40 GB, painting 4 x 50 GB do not fit on 4 cards"):
        opened(made).router()


def test_kill_9_of_its_actor_starts_it_again_and_leaves_nothing_of_the_first(
    opened: Any, tmp_path: Path, cluster: RayCluster
) -> None:
    import os  # noqa: PLC0415

    services = opened(spec(tmp_path, {"grounding": (served_route(),)}, {"llm": server(tmp_path)}))
    services.begin_stage("grounding")
    assert not isinstance(ask(services, write_call("aa"))[0], BaseException)
    first = started(tmp_path / "llm")[0]["pids"]
    (actor,) = server_actors(os.getpid())
    kill(actor)
    assert wait_until(lambda: not set(first) & set(alive(tmp_path / "llm"))), "the first is gone"
    (answer,) = ask(services, write_call("bb"))
    assert not isinstance(answer, BaseException), answer
    assert len(started(tmp_path / "llm")) == 2
    assert services.status()["servers"]["llm"]["restarts"] == 1


def test_kill_9_of_the_server_starts_it_again(opened: Any, tmp_path: Path) -> None:
    services = opened(spec(tmp_path, {"grounding": (served_route(),)}, {"llm": server(tmp_path)}))
    services.begin_stage("grounding")
    ask(services, write_call("aa"))
    first = started(tmp_path / "llm")[0]["pids"]
    kill(first[0])
    (answer,) = ask(services, write_call("bb"))
    assert not isinstance(answer, BaseException), answer
    assert not set(first) & set(alive(tmp_path / "llm"))
    assert "was ended by SIGKILL" in log_path(str(tmp_path / "out"), "llm").read_text()


def test_cards_come_back_for_the_editor_and_a_server_stays_where_there_is_room(
    opened: Any, tmp_path: Path
) -> None:
    pools = {"painting": PoolSettings(holds=("detector",), gpu_gb=80, replicas=3, cpus=0)}
    routes = (served_route("llm"), served_route("judge"))
    editing = (pool_route("detector", "painting", tmp_path), served_route("judge"))
    servers = {
        "llm": server(tmp_path, "llm", tensor_parallel=2),
        "judge": server(tmp_path, "judge"),
    }
    services = opened(spec(tmp_path, {"instruction": routes, "editing": editing}, servers, pools))
    services.begin_stage("instruction")
    ask(services, write_call("aa", "llm"), write_call("bb", "judge"))
    assert gpus_in_use() == pytest.approx(2.5)
    services.begin_stage("editing")
    assert alive(tmp_path / "llm") == [], "its cards are the editor's now"
    (edited,) = ask(services, detect_call("cc", "painting"))
    assert not isinstance(edited, BaseException), edited
    assert gpus_in_use() == pytest.approx(3.5)
    ask(services, write_call("dd", "judge"))
    assert len(started(tmp_path / "judge")) == 1, "it served both stages"


def test_a_server_that_cannot_be_started_says_why(opened: Any, tmp_path: Path) -> None:
    services = opened(spec(tmp_path, {"grounding": (served_route(),)}, {"llm": server(tmp_path)}))
    (tmp_path / "llm" / "broken").touch()
    services.begin_stage("grounding")
    (answer,) = ask(services, write_call("aa"))
    assert isinstance(answer, ModelUnavailable)
    assert "OSError: test-model is no folder" in str(answer)
    assert "3 ends with no answer between" in str(answer)
