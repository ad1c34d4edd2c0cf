"""Fits pools and servers to GPUs: memory to shares of a card, replicas to cards; finds what can never fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.records.errors import ConfigurationError
from tasks.roles.placement import OnCards, PoolSettings, ServeSettings

STEPS = 1000
"""Shares are rounded up to thousandths of a card; memory needs are not known more precisely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A pool or server with the cards of one replica and its number of replicas.

    Attributes:
        share: of a card, up to 1; above 1 a number of whole cards of one node.
    """

    name: str
    settings: OnCards
    share: float
    replicas: int

    @property
    def bundle(self) -> dict[str, float]:
        """What Ray reserves for one replica."""
        bundle = {"CPU": self.settings.cpus, "GPU": self.share, **self.settings.resources}
        return {name: amount for name, amount in bundle.items() if amount}


def share_of(name: str, settings: OnCards, card_gb: float) -> float:
    """The cards that one replica takes: a share of one, rounded up, or a number of whole ones.

    Raises:
        ConfigurationError: it needs more memory than a card has.
    """
    if settings.gpu_gb > card_gb:
        key = f"pools.{name}" if isinstance(settings, PoolSettings) else f"servers.{name}.serve"
        msg = f"{key}.gpu_gb={settings.gpu_gb:g}: larger than a card (execution.card_gb={card_gb:g})"
        raise ConfigurationError(msg)
    if isinstance(settings, ServeSettings) and settings.tensor_parallel > 1:
        return float(settings.tensor_parallel)
    return math.ceil(settings.gpu_gb / card_gb * STEPS) / STEPS


def place(
    services: Mapping[str, OnCards],
    *,
    card_gb: float,
    cards: Sequence[int],
    final: bool,
    beside: Sequence[float] = (),
) -> tuple[Placed, ...]:
    """Sizes the pools and servers that run at the same time.

    Args:
        services: pools, and servers that the build starts, by name.
        card_gb: memory of a card, GB.
        cards: number of cards of each node.
        final: no more nodes can be added, so what does not fit now never will.
        beside: shares that are taken already, and leave less room for ``auto``.

    Raises:
        ConfigurationError: they can never fit together; the message has the numbers.
    """
    fixed = [
        Placed(
            name=name,
            settings=settings,
            share=share_of(name, settings, card_gb),
            replicas=1 if settings.replicas == "auto" else settings.replicas,
        )
        for name, settings in services.items()
    ]
    shares = shares_of(fixed)
    if shares and final and not fits(shares, cards):
        needs = ", ".join(_needs(placed) for placed in fixed if placed.share)
        msg = f"{needs} do not fit on {sum(cards)} cards of {card_gb:g} GB (execution.card_gb)"
        raise ConfigurationError(msg)
    taken = [*beside, *shares]
    return tuple(_grown(placed, taken, cards) for placed in fixed)


def shares_of(placed: Sequence[Placed]) -> list[float]:
    """The share of each replica that takes any."""
    return [each.share for each in placed for _ in range(each.replicas) if each.share]


def fits(shares: Sequence[float], cards: Sequence[int]) -> bool:
    """Whether replicas with these shares fit on nodes with so many cards each; see `pack`."""
    return pack(shares, cards) is not None


def pack(shares: Sequence[float], cards: Sequence[int]) -> list[tuple[int, ...]] | None:
    """The cards of each replica, numbered through all nodes; None if they do not fit.

    The largest are placed first, each where the least room is left over. A replica of a part of a card is never split
    over two, and one of several cards has them on one node.
    """
    nodes = [range(sum(cards[:node]), sum(cards[: node + 1])) for node in range(len(cards))]
    free = [STEPS] * sum(cards)
    found: dict[int, tuple[int, ...]] = {}
    for index in sorted(range(len(shares)), key=lambda index: -shares[index]):
        count = max(1, round(shares[index])) if shares[index] > 1 else 1
        needed = STEPS if count > 1 else round(shares[index] * STEPS)
        rooms = [[card for card in node if free[card] >= needed] for node in nodes]
        rooms = [sorted(room, key=lambda card: free[card]) for room in rooms if len(room) >= count]
        if not rooms:
            return None
        chosen = min(rooms, key=lambda room: (free[room[0]], len(room)))[:count]
        for card in chosen:
            free[card] -= needed
        found[index] = tuple(chosen)
    return [found[index] for index in range(len(shares))]


def _grown(placed: Placed, shares: list[float], cards: Sequence[int]) -> Placed:
    """With ``auto`` there are as many replicas as fit beside the others; ``shares`` grows with them."""
    if placed.settings.replicas != "auto" or not placed.share:
        return placed
    replicas = placed.replicas
    while fits([*shares, placed.share], cards):
        shares.append(placed.share)
        replicas += 1
    return replace(placed, replicas=replicas)


def _needs(placed: Placed) -> str:
    each = f" on each of {placed.share:g} cards" if placed.share > 1 else ""
    return f"{placed.name} {placed.replicas} x {placed.settings.gpu_gb:g} GB{each}"
