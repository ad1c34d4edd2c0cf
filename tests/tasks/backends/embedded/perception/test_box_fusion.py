"""Boxes of two networks become one set."""

from __future__ import annotations

import pytest

from tasks.backends.embedded.perception.box_fusion import Candidate, Voucher, fuse
from tasks.records.records import Box


def _box(label: str, x0: int, x1: int, score: float, network: str = "a") -> Candidate:
    return Candidate(network=network, label=label, box=Box(x0=x0, y0=0, x1=x1, y1=100), score=score)


def _fuse(*candidates: Candidate):
    return fuse(candidates, same_iou=0.5, nested_share=0.85, lone_discount=0.7)


def test_two_networks_that_agree_make_one_surer_box_between_theirs() -> None:
    (found,) = _fuse(_box("cup", 0, 100, 0.8), _box("cup", 10, 110, 0.4, "b"))
    assert found.score == pytest.approx(1 - 0.2 * 0.6)
    assert 0 < found.box.x0 < 10


def test_one_network_twice_is_no_agreement() -> None:
    (found,) = _fuse(_box("cup", 0, 100, 0.8), _box("cup", 10, 110, 0.6))
    assert found.score == pytest.approx(0.56)
    assert found.box.x0 == 0


def test_other_classes_are_left_to_the_caller() -> None:
    assert {d.label for d in _fuse(_box("cup", 0, 100, 0.8), _box("bowl", 0, 100, 0.6))} == {"cup", "bowl"}


def test_a_box_inside_another_of_its_class_is_the_same_thing_only_at_a_comparable_size() -> None:
    assert len(_fuse(_box("person", 0, 100, 0.8), _box("person", 20, 60, 0.6))) == 1
    assert len(_fuse(_box("person", 0, 100, 0.8), _box("person", 20, 30, 0.6))) == 2


def test_order_does_not_matter() -> None:
    boxes = [_box("cup", 0, 100, 0.8), _box("cup", 10, 110, 0.4, "b"), _box("cup", 300, 400, 0.4, "b")]
    assert _fuse(*boxes) == _fuse(*boxes[::-1])


VOUCHER = Voucher(network="third", weight=0.5, own_labels=frozenset({"shoe"}))


def _vouched(*candidates: Candidate):
    return fuse(candidates, same_iou=0.5, nested_share=0.85, lone_discount=0.7, voucher=VOUCHER)


def test_a_voucher_strengthens_what_another_network_found_and_finds_nothing_alone() -> None:
    (found,) = _vouched(_box("cup", 0, 100, 0.6), _box("cup", 5, 105, 0.8, "third"))
    assert found.score == pytest.approx(1 - 0.4 * 0.6)
    assert _vouched(_box("cup", 0, 100, 0.99, "third")) == []


def test_a_voucher_alone_says_what_only_it_knows() -> None:
    (found,) = _vouched(_box("shoe", 0, 100, 0.8, "third"))
    assert found.score == pytest.approx(0.8)
