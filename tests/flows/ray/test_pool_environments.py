"""A pool whose actors run in another Python environment, with the package groundingdino-py."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from flows.build.service_spec import ServiceSpec
from flows.ray.cluster import RayCluster
from flows.ray.router_client import RayRouterClient
from flows.ray.services import RayServices
from tasks.records.errors import ConfigurationError
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tasks.roles.calls import RoleCall, Route
from tasks.roles.picture import Picture
from tasks.roles.placement import PoolSettings
from tasks.roles.questions import DetectQuestion
from tasks.stages.config import ExecutionSettings
from tests.environments import groundingdino_python
from tests.tasks.backends.torch.grounding_dino.converted import converted_files
from tests.tasks.roles.contract import FORMS
from tests.tasks.roles.role_questions import grain

pytestmark = pytest.mark.slow


@pytest.fixture
def started() -> Iterator[list[RayServices]]:
    services: list[RayServices] = []
    yield services
    for each in services:
        each.close()


def services_of(cluster: RayCluster, folder: Path, python: str, options: dict[str, object]) -> RayServices:
    choice = choose("detector", RoleSettings(backend="groundingdino-py", options=options), "detector")
    made = ServiceSpec(
        routes=(Route(name="detector@apart", role="detector", choice=choice, run="apart"),),
        stages={"grounding": frozenset({"detector@apart"})},
        pools={"apart": PoolSettings(holds=("detector",), gpu_gb=20, cpus=0, python=python)},
        uri=str(folder / "out"),
    )
    return RayServices(cluster, made, ExecutionSettings())


def test_its_actors_load_what_the_workers_cannot(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    files = converted_files(tmp_path)
    options = {
        "weights": str(files.file), "text_encoder": str(files.text_encoder), "device": "cpu",
        "short_side_px": 256, "long_side_px": 400,
    }  # fmt: skip
    services = services_of(cluster, tmp_path, str(groundingdino_python()), options)
    started.append(services)
    client = RayRouterClient(services.router())
    questions = [
        DetectQuestion(subject=f"s{seed}", picture=Picture.of_pixels(grain(seed)), names=("cup", "red car"))
        for seed in range(3)
    ]

    async def ask_all() -> list[object]:
        calls = (
            RoleCall(
                route="detector@apart", key=f"{n:064x}", sid=f"s{n}", subject=f"s{n}", payload=questions[n]
            )
            for n in range(3)
        )
        return await asyncio.gather(*(client.ask(call) for call in calls))

    answers = [answered.answer for answered in asyncio.run(ask_all())]  # type: ignore[attr-defined]
    for question, answer in zip(questions, answers, strict=True):
        assert answer
        FORMS["detector"](question, answer)
    assert answers[0] != answers[1]


def test_an_interpreter_that_is_not_there_is_refused_before_any_work(
    cluster: RayCluster, started: list[RayServices], tmp_path: Path
) -> None:
    options: dict[str, object] = {"weights": "nowhere.pth", "digest": "0" * 64}
    services = services_of(cluster, tmp_path, str(tmp_path / "venv/bin/python"), options)
    started.append(services)
    with pytest.raises(ConfigurationError, match=r"pools\.apart\.python=.*no such file"):
        services.router()
