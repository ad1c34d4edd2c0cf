"""Where pools and servers fit, tested without Ray."""

from __future__ import annotations

import pytest

from flows.ray.placement import fits, pack, place, share_of
from tasks.records.errors import ConfigurationError
from tasks.roles.placement import PoolSettings, ServeSettings


def pool(gpu_gb: float, replicas: object = 1) -> PoolSettings:
    return PoolSettings.model_validate({"holds": ("tagger",), "gpu_gb": gpu_gb, "replicas": replicas})


def server(gpu_gb: float, tensor_parallel: int = 1, replicas: object = 1) -> ServeSettings:
    return ServeSettings.model_validate(
        {"python": "p", "gpu_gb": gpu_gb, "tensor_parallel": tensor_parallel, "replicas": replicas}
    )


def test_a_share_is_rounded_up_so_that_memory_is_never_promised_twice() -> None:
    assert share_of("p", pool(26.7), 80) == 0.334
    assert not fits([share_of("p", pool(26.7), 80)] * 3, [1])


def test_no_actor_is_split_over_two_cards() -> None:
    assert not fits([0.6, 0.6], [1])
    assert fits([0.6, 0.6, 0.4, 0.4], [2])
    assert not fits([0.6, 0.6, 0.5], [2])


def test_a_server_of_several_cards_takes_whole_ones_of_one_node() -> None:
    assert share_of("writer", server(70, tensor_parallel=4), 80) == 4.0
    assert not fits([4.0], [2, 2])
    assert fits([4.0, 0.5, 0.5], [1, 4])
    assert not fits([4.0, 0.6, 0.6], [4, 1])


def test_the_cards_of_each_are_told_in_the_order_asked() -> None:
    assert pack([0.4, 2.0, 0.6], [3]) == [(2,), (0, 1), (2,)]
    assert pack([0.4, 2.0, 0.7], [3]) is None
    assert pack([], [0]) == []


def test_servers_and_pools_of_a_card_are_added_up() -> None:
    services = {"painting": pool(42), "vlm": server(28)}
    placed = {each.name: each for each in place(services, card_gb=80, cards=[1], final=True)}
    assert (placed["painting"].share, placed["vlm"].share) == (0.525, 0.35)
    with pytest.raises(ConfigurationError, match="painting 1 x 42 GB, vlm 1 x 28 GB, text 1 x 22 GB do not"):
        place({**services, "text": server(22)}, card_gb=80, cards=[1], final=True)


def test_what_is_larger_than_a_card_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"pools\.p\.gpu_gb=81: larger than a card"):
        place({"p": pool(81)}, card_gb=80, cards=[8], final=True)
    with pytest.raises(ConfigurationError, match=r"servers\.vlm\.serve\.gpu_gb=81: larger than a card"):
        place({"vlm": server(81)}, card_gb=80, cards=[8], final=True)
    with pytest.raises(ConfigurationError, match="writer 1 x 70 GB on each of 4 cards do not fit on 2 cards"):
        place({"writer": server(70, 4)}, card_gb=80, cards=[2], final=True)


def test_what_can_come_later_is_not_refused() -> None:
    assert place({"p": pool(80, 5)}, card_gb=80, cards=[4], final=False)[0].replicas == 5
    with pytest.raises(ConfigurationError, match="p 5 x 80 GB do not fit on 4 cards"):
        place({"p": pool(80, 5)}, card_gb=80, cards=[4], final=True)


def test_auto_fills_the_cards_beside_the_others() -> None:
    services = {"a": pool(40, 3), "b": server(20, replicas="auto")}
    placed = {p.name: p for p in place(services, card_gb=80, cards=[2], final=True)}
    assert (placed["a"].replicas, placed["b"].replicas) == (3, 2)


def test_a_pool_without_memory_takes_no_card() -> None:
    (placed,) = place({"p": pool(0, 3)}, card_gb=80, cards=[], final=True)
    assert "GPU" not in placed.bundle


def test_auto_leaves_room_for_what_is_there_already() -> None:
    (placed,) = place({"a": pool(40, "auto")}, card_gb=80, cards=[2], final=True, beside=[0.5, 0.5])
    assert placed.replicas == 2
