"""GPU memory by stage: which pools and servers are up at the same time, and on which card of a machine each fits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from flows.ray.placement import Placed, pack, place
from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES
from tasks.roles.placement import OnCards
from tasks.stages.config import BuildConfig
from tasks.stages.registry import SPECS


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one actor or server takes of a card, GB."""

    name: str
    gb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMemory:
    """One stage on a machine.

    Attributes:
        cards: of each card, what is on it; empty where the stage does not fit.
        asked: what the stage needs, wherever it lies.
        problem: why it does not fit, or ``""``.
    """

    stage: str
    cards: tuple[tuple[Share, ...], ...]
    asked: tuple[Share, ...]
    problem: str = ""

    @property
    def used(self) -> int:
        """Cards with something on them."""
        return sum(1 for card in self.cards if card)


DRIVER_GPUS = Path("/proc/driver/nvidia/gpus")
"""A folder per GPU of this machine; read instead of asking a library, since nothing here loads one."""


def cards_here(local_gpus: int | None) -> int:
    """GPUs of this machine, as configured or as its driver lists them; at least 1, for the machine that is meant."""
    if local_gpus:
        return local_gpus
    return max(1, len(list(DRIVER_GPUS.iterdir())) if DRIVER_GPUS.is_dir() else 0)


def runs_in(config: BuildConfig, stage: str) -> frozenset[str]:
    """Names of the places (pools, servers, ``here``) that a stage asks; needs no digests of weights."""
    return frozenset(role.run for role in SPECS[stage].role_settings(config).values())


def gpu_gb_of(config: BuildConfig, run: str) -> float:
    """GPU memory of one actor of a pool, or of a server that the build starts (on each of its cards), GB; else 0."""
    placed = _on_cards(config, {run})
    return placed[run].gpu_gb if run in placed else 0.0


def placed_in(config: BuildConfig, stage: str, *, cards: int, card_gb: float) -> tuple[Placed, ...]:
    """What a stage has on the GPUs of one machine, with the number of replicas.

    Raises:
        ConfigurationError: it can never fit; the message has the numbers.
    """
    return place(_on_cards(config, runs_in(config, stage)), card_gb=card_gb, cards=[cards], final=True)


def instances_in(config: BuildConfig, stage: str, *, cards: int, card_gb: float) -> dict[str, int]:
    """Pool or server -> replicas or URLs that answer at the same time in a stage.

    Raises:
        ConfigurationError: as `placed_in`.
    """
    runs = runs_in(config, stage)
    foreign = {name: len(server.urls) for name, server in config.servers.items() if name in runs}
    own = placed_in(config, stage, cards=cards, card_gb=card_gb)
    return foreign | {placed.name: placed.replicas for placed in own}


def _on_cards(config: BuildConfig, runs: Collection[str]) -> dict[str, OnCards]:
    """Pools, and servers that the build starts, among ``runs``; the servers first, as they are started."""
    own = {name: server.serve for name, server in config.servers.items() if server.serve is not None}
    every: dict[str, OnCards] = {**own, **config.pools}
    return {name: settings for name, settings in every.items() if name in runs}


def stage_memory(config: BuildConfig, *, cards: int, card_gb: float) -> tuple[StageMemory, ...]:
    """The stages that use a GPU, in order."""
    found = (_stage(config, stage, cards, card_gb) for stage in STAGES)
    return tuple(stage for stage in found if stage.asked)


def cards_needed(config: BuildConfig, *, card_gb: float, at_most: int = 64) -> int:
    """The smallest number of cards on which every stage fits; 0 if none needs one or so many are not enough."""
    for cards in range(1, at_most + 1):
        stages = stage_memory(config, cards=cards, card_gb=card_gb)
        if not any(stage.problem for stage in stages):
            return cards if stages else 0
    return 0


def _stage(config: BuildConfig, stage: str, cards: int, card_gb: float) -> StageMemory:
    needed = _on_cards(config, runs_in(config, stage))
    asked = tuple(Share(name=name, gb=each.gpu_gb) for name, each in needed.items() if each.gpu_gb)
    try:
        placed = placed_in(config, stage, cards=cards, card_gb=card_gb)
    except ConfigurationError as error:
        return StageMemory(stage=stage, cards=(), asked=asked, problem=f"{stage}: {error}")
    replicas = [one for one in placed for _ in range(one.replicas) if one.share]
    where = pack([one.share for one in replicas], [cards])
    assert where is not None, "checked by place"
    on: list[list[Share]] = [[] for _ in range(cards)]
    for one, taken in zip(replicas, where, strict=True):
        for card in taken:
            on[card].append(Share(name=one.name, gb=one.settings.gpu_gb))
    return StageMemory(stage=stage, cards=tuple(map(tuple, on)), asked=asked)
