"""Runs one photograph through every role of a profile: each role's answer, time, memory and errors."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flows.build.plans import Build
from flows.build.process_memory import MemoryPeak, gpu_peak_bytes
from flows.build.role_services import RoleServices
from flows.build.service_spec import service_spec
from flows.build.short_answers import in_short
from flows.build.stage_runner import engine_settings
from flows.build.trial_questions import TrialQuestions
from tasks.records.canonical import canonical_json
from tasks.records.errors import FAILURES, EnvironmentFault, GroundEditError, SampleError
from tasks.records.outcomes import STAGES
from tasks.roles.backends import BackendChoice
from tasks.roles.calls import Route
from tasks.roles.placement import HERE
from tasks.roles.questions import ROLES
from tasks.stages.choices import configured_offers
from tasks.stages.config import BuildConfig
from tasks.stages.registry import SPECS, check_roles, routes_of
from tasks.storage.objects.store import open_store
from tasks.worker.engine import AT_WORK, Engine, SampleAtWork
from tasks.worker.role_asks import StageRoles, make_asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The result for one role.

    Attributes:
        setting: its configuration key (``grounding.detector``).
        run: ``here``, or the pool or server that answers.
        answer: one-line summary; ``""`` if there is none.
        problem: why there is no answer, or ``""``.
        load_s: seconds to load the model; a pool loads with its first question, which counts as answer time.
        answer_s: seconds to answer.
        memory_bytes: growth of this process meanwhile; 0 for a server, whose memory is not visible.
        gpu_bytes: peak of tensors on the GPU; None without torch or a GPU.
    """

    role: str
    setting: str
    model: str
    run: str
    answer: str = ""
    problem: str = ""
    load_s: float = 0.0
    answer_s: float = 0.0
    memory_bytes: int = 0
    gpu_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """A configured role, and its route unless it is answered in this process."""

    role: str
    key: str
    choice: BackendChoice
    route: Route | None

    @property
    def run(self) -> str:
        return self.route.run if self.route else HERE


def try_models(
    config: BuildConfig, photograph: Path, on_tried: Callable[[Tried], None] = lambda tried: None
) -> tuple[list[Tried], list[str]]:
    """Asks every role of the configuration once, in the order of the pipeline, in this process.

    Pools run as threads of this process. Nothing is written to the build's dataset; answers are kept in a temporary
    folder.

    Args:
        config: whose roles are asked.
        photograph: a picture file.
        on_tried: called with each role's result.

    Returns:
        One entry per role (settings that share a model count once), and notes on stand-ins for missing answers.

    Raises:
        ConfigurationError: a role, placement, server or photograph is not usable as configured.
    """
    check_roles(config)
    questions = TrialQuestions.of_file(photograph, config, configured_offers(config))
    with tempfile.TemporaryDirectory(prefix="groundedit-try-") as folder:
        build = Build(config=config, located=config, store=open_store(folder), digests={})
        spec = service_spec(build)
        engine, services = Engine(engine_settings(config.execution)), RoleServices(spec, config.execution)
        try:
            running = [name for name, server in spec.servers.items() if server.serve is None]
            away = _away_servers(engine, services, running)
            tried = []
            for setting in _settings(config):
                on_tried(one := _try(setting, questions, engine, services, away))
                tried.append(one)
        finally:
            services.close(engine)
            engine.close()
    return tried, questions.notes


def _settings(config: BuildConfig) -> list[_Setting]:
    """The configured roles in the order of the pipeline, each model once."""
    found: dict[bytes, _Setting] = {}
    for stage in STAGES:
        routes = routes_of(config, stage)
        for setting, choice in SPECS[stage].choices(config).items():
            one = _Setting(
                role=choice.role, key=f"{stage}.{setting}", choice=choice, route=routes.get(setting)
            )
            same = canonical_json({"role": one.role, "run": one.run, "choice": choice.material()})
            found.setdefault(same, one)
    return sorted(found.values(), key=lambda one: ROLES.index(one.role))


def _away_servers(engine: Engine, services: RoleServices, names: list[str]) -> dict[str, str]:
    """Servers that do not answer, each with the reason; checked before any work.

    Raises:
        ConfigurationError: a server differs from its configuration.
    """
    away = {}
    for name in names:
        try:
            services.check(engine, [name])
        except EnvironmentFault as fault:
            away[name] = str(fault)
    return away


def _try(
    setting: _Setting,
    questions: TrialQuestions,
    engine: Engine,
    services: RoleServices,
    away: Mapping[str, str],
) -> Tried:
    tried = Tried(
        role=setting.role, setting=setting.key, model=setting.choice.identity.model, run=setting.run
    )
    if setting.run in away:
        return replace(tried, problem=away[setting.run])
    answer, problem, load_s, begun = None, "", 0.0, time.monotonic()
    gpu_peak_bytes()
    with MemoryPeak() as memory:
        try:
            client = services.router_client(engine) if setting.route else None
            routes = {"it": setting.route} if setting.route else {}
            ask = make_asks(StageRoles(choices={"it": setting.choice}, routes=routes), engine, client)["it"]
            load_s, begun = time.monotonic() - begun, time.monotonic()
            answer = _ask(engine, ask, questions.question(setting.role))
        except SampleError as error:
            problem = f"declined: {error}" if error.reason not in FAILURES else f"failed: {error}"
        except GroundEditError as error:
            problem = f"failed: {error}"
        except Exception as error:  # any error of a model is a result here
            problem = f"failed: {type(error).__name__}: {error}"
    questions.record(setting.role, answer)
    served = setting.route is not None and setting.route.served is not None
    declined = problem.startswith("declined")
    return replace(
        tried,
        answer=in_short(answer) if answer is not None else problem if declined else "",
        problem="" if declined else problem,
        load_s=load_s,
        answer_s=time.monotonic() - begun,
        memory_bytes=0 if served else memory.grown,
        gpu_bytes=None if served else gpu_peak_bytes(),
    )


def _ask(engine: Engine, ask: Any, question: Any) -> Any:
    async def asked() -> Any:
        AT_WORK.set(SampleAtWork(id=question.subject))
        return await ask(question)

    return asyncio.run_coroutine_threadsafe(asked(), engine.loop).result()
