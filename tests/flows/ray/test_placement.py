"""Where pools fit, tested without Ray."""

from __future__ import annotations

import pytest

from flows.ray.placement import fits, fraction_of, place
from tasks.records.errors import ConfigurationError
from tasks.roles.placement import PoolSettings


def pool(gpu_gb: float, replicas: object = 1) -> PoolSettings:
    return PoolSettings.model_validate({"holds": ("tagger",), "gpu_gb": gpu_gb, "replicas": replicas})


def test_a_share_is_rounded_up_so_that_memory_is_never_promised_twice() -> None:
    assert fraction_of("p", pool(26.7), 80) == 0.334
    assert not fits([fraction_of("p", pool(26.7), 80)] * 3, 1)


def test_no_actor_is_split_over_two_cards() -> None:
    assert not fits([0.6, 0.6], 1)
    assert fits([0.6, 0.6, 0.4, 0.4], 2)
    assert not fits([0.6, 0.6, 0.5], 2)


def test_what_is_larger_than_a_card_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"pools\.p\.gpu_gb=81: larger than a card"):
        place({"p": pool(81)}, card_gb=80, cards=[8], final=True)


def test_what_can_come_later_is_not_refused() -> None:
    assert place({"p": pool(80, 5)}, card_gb=80, cards=[4], final=False)[0].replicas == 5
    with pytest.raises(ConfigurationError, match="p 5 x 80 GB do not fit on 4 cards"):
        place({"p": pool(80, 5)}, card_gb=80, cards=[4], final=True)


def test_auto_fills_the_cards_beside_the_others() -> None:
    placed = {
        p.name: p for p in place({"a": pool(40, 3), "b": pool(20, "auto")}, card_gb=80, cards=[2], final=True)
    }
    assert (placed["a"].replicas, placed["b"].replicas) == (3, 2)


def test_a_pool_without_memory_takes_no_card() -> None:
    (placed,) = place({"p": pool(0, 3)}, card_gb=80, cards=[], final=True)
    assert "GPU" not in placed.bundle
