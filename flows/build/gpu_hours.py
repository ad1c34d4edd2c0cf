"""GPU-hours and cost of a stage: the questions that are left, seconds per question, and the cards that are reserved.

The questions of a stage flow through its pools and servers side by side, so the busiest of them takes as long as the
stage. All cards of the stage are reserved meanwhile, busy or not, and that is what is paid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from flows.build.asked_per_input import questions_per_input
from flows.build.role_rates import Basis, Rate, rate_of
from flows.build.stage_memory import instances_in, stage_memory
from tasks.records.errors import ConfigurationError
from tasks.stages.config import BuildConfig
from tasks.stages.registry import routes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCost:
    """One role of a stage that is answered outside the workers.

    Attributes:
        questions: that are left to ask, about.
        seconds: of one replica or URL per question; None where it is neither measured nor stated.
        basis: which of both it is, ``unknown`` if neither; ``measured`` counts the questions it rests on.
    """

    setting: str
    role: str
    run: str
    questions: float
    seconds: float | None
    basis: Basis
    measured: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What a stage costs with the cards of one machine.

    Attributes:
        hours: of the busiest pool or server.
        cards: reserved for the stage, those behind foreign URLs as the profile states them.
        gpu_hours: ``hours`` times ``cards``.
        cost: in ``rates.currency``; None without a price.
        problem: why nothing can be priced: the stage does not fit the cards; ``""``: it does.
    """

    roles: tuple[RoleCost, ...] = ()
    hours: float = 0.0
    cards: float = 0.0
    gpu_hours: float = 0.0
    cost: float | None = None
    problem: str = ""


def stage_cost(
    config: BuildConfig, stage: str, inputs: float, rates: Mapping[str, Rate], *, cards: int
) -> StageCost:
    """The cost of the inputs that are left.

    Args:
        config: of the build, with every digest stated.
        stage: its name.
        inputs: number of inputs left.
        rates: measured ones, by route (`measured_rates`).
        cards: of the machine.
    """
    routes = routes_of(config, stage)
    if not routes:
        return StageCost()
    asked = questions_per_input(config, stage)
    roles: list[RoleCost] = []
    busy: defaultdict[str, float] = defaultdict(float)
    for setting, route in routes.items():
        rate = rate_of(route.role, route.name, rates, config.rates)
        questions = inputs * asked.get(setting, 1.0)
        busy[route.run] += questions * (rate.seconds or 0.0)
        roles.append(
            RoleCost(
                setting=f"{stage}.{setting}",
                role=route.role,
                run=route.run,
                questions=round(questions, 1),
                seconds=rate.seconds,
                basis=rate.basis,
                measured=rate.questions,
            )
        )
    try:
        instances = instances_in(config, stage, cards=cards, card_gb=config.execution.card_gb)
    except ConfigurationError as error:  # it does not fit, so there is nothing to price
        return StageCost(roles=tuple(roles), problem=str(error))
    hours = max(seconds / instances[run] for run, seconds in busy.items()) / 3600
    reserved = _reserved(config, stage, busy, cards)
    gpu_hours, price = hours * reserved, config.rates.gpu_hour_price
    return StageCost(
        roles=tuple(roles),
        hours=hours,
        cards=reserved,
        gpu_hours=gpu_hours,
        cost=gpu_hours * price if price else None,
    )


def _reserved(config: BuildConfig, stage: str, runs: Mapping[str, float], cards: int) -> float:
    """Cards of this machine with something of the stage on them, and those behind URLs that run anyway."""
    memory = stage_memory(config, cards=cards, card_gb=config.execution.card_gb)
    here = sum(one.used for one in memory if one.stage == stage)
    foreign = sum(
        len(config.servers[run].urls) * config.rates.cards.get(run, 0.0)
        for run in runs
        if run in config.servers
    )
    return here + foreign
