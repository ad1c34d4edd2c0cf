"""Fits pools to GPUs: memory to fractions of a card, replicas to cards; finds what can never fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.records.errors import ConfigurationError
from tasks.roles.placement import PoolSettings

STEPS = 1000
"""Fractions are rounded up to thousandths of a card; memory needs are not known more precisely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPool:
    """A pool with its share of a card and its number of actors."""

    name: str
    settings: PoolSettings
    fraction: float
    replicas: int

    @property
    def bundle(self) -> dict[str, float]:
        """What Ray reserves for one actor."""
        bundle = {"CPU": self.settings.cpus, "GPU": self.fraction, **self.settings.resources}
        return {name: amount for name, amount in bundle.items() if amount}


def fraction_of(name: str, pool: PoolSettings, card_gb: float) -> float:
    """The fraction of a card that one actor takes, rounded up.

    Raises:
        ConfigurationError: the actor needs more than one card.
    """
    if pool.gpu_gb > card_gb:
        msg = f"pools.{name}.gpu_gb={pool.gpu_gb:g}: larger than a card (execution.card_gb={card_gb:g})"
        raise ConfigurationError(msg)
    return math.ceil(pool.gpu_gb / card_gb * STEPS) / STEPS


def place(
    pools: Mapping[str, PoolSettings], *, card_gb: float, cards: Sequence[int], final: bool
) -> tuple[PlacedPool, ...]:
    """Sizes the pools that run at the same time.

    Args:
        pools: by name.
        card_gb: memory of a card, GB.
        cards: number of cards of each node.
        final: no more nodes can be added, so what does not fit now never will.

    Raises:
        ConfigurationError: they can never fit together; the message has the numbers.
    """
    fixed = [
        PlacedPool(
            name=name,
            settings=pool,
            fraction=fraction_of(name, pool, card_gb),
            replicas=1 if pool.replicas == "auto" else pool.replicas,
        )
        for name, pool in pools.items()
    ]
    fractions = [placed.fraction for placed in fixed for _ in range(placed.replicas) if placed.fraction]
    if fractions and final and not fits(fractions, sum(cards)):
        needs = ", ".join(f"{p.name} {p.replicas} x {p.settings.gpu_gb:g} GB" for p in fixed if p.fraction)
        msg = f"pools: {needs} do not fit on {sum(cards)} cards of {card_gb:g} GB (execution.card_gb)"
        raise ConfigurationError(msg)
    return tuple(_grown(placed, fractions, sum(cards)) for placed in fixed)


def fits(fractions: Sequence[float], cards: int) -> bool:
    """Whether actors with these fractions fit on so many cards; an actor is never split over two cards."""
    free = [STEPS] * cards
    for share in sorted((round(fraction * STEPS) for fraction in fractions), reverse=True):
        room = [index for index, left in enumerate(free) if left >= share]
        if not room:
            return False
        free[min(room, key=lambda index: free[index])] -= share
    return True


def _grown(placed: PlacedPool, fractions: list[float], cards: int) -> PlacedPool:
    """``auto`` pools get as many actors as fit beside the others; ``fractions`` grows with them."""
    if placed.settings.replicas != "auto" or not placed.fraction:
        return placed
    replicas = placed.replicas
    while fits([*fractions, placed.fraction], cards):
        fractions.append(placed.fraction)
        replicas += 1
    return PlacedPool(name=placed.name, settings=placed.settings, fraction=placed.fraction, replicas=replicas)
