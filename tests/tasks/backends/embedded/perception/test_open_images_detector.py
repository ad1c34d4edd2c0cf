"""Anchors and offsets of the Open Images network become boxes; its classes become labels that texts know."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.backends.assets import AssetCache, default_cache_folder
from tasks.backends.embedded.nouns import known_labels
from tasks.backends.embedded.perception.open_images_detector import (
    LABELS,
    OWN_LABELS,
    OpenImagesSsd,
    anchors,
    decode_boxes,
)
from tests.tasks.roles.role_questions import photograph


def test_there_is_an_anchor_for_each_row_of_the_networks_output() -> None:
    found = anchors()
    assert found.shape == (1917, 4)
    # The finest map has three anchors in each of its 19 x 19 cells, the smallest first.
    assert found[0] == pytest.approx([0.5 / 19, 0.5 / 19, 0.1, 0.1])
    assert found[3][:2] == pytest.approx([1.5 / 19, 0.5 / 19])
    # The coarsest has one cell, and its last anchor lies between its own size and the whole picture.
    assert found[-1] == pytest.approx([0.5, 0.5, 0.95**0.5, 0.95**0.5])


def test_no_offset_is_the_anchor_itself_and_what_leaves_the_picture_is_clipped() -> None:
    boxes = np.array([[0.5, 0.4, 0.2, 0.1], [0.95, 0.5, 0.2, 0.2]], np.float32)
    inside, outside = decode_boxes(np.zeros((2, 4), np.float32), boxes)
    assert inside == pytest.approx([0.4, 0.35, 0.6, 0.45])
    assert outside == pytest.approx([0.85, 0.4, 1.0, 0.6])


def test_offsets_move_by_tenths_of_the_anchor_and_stretch_by_fifths_of_a_power() -> None:
    box = np.array([[0.5, 0.5, 0.2, 0.1]], np.float32)
    (moved,) = decode_boxes(np.array([[10.0, 0.0, 0.0, 5 * np.log(2)]], np.float32), box)
    # One anchor height down, twice as wide.
    assert moved == pytest.approx([0.3, 0.55, 0.7, 0.65])


def test_every_label_is_a_noun() -> None:
    assert set(LABELS.values()) <= set(known_labels())
    assert set(LABELS.values()) >= OWN_LABELS


@pytest.mark.assets
def test_a_cup_of_coffee_is_one_cup_and_not_a_mug_beside_it() -> None:
    network = OpenImagesSsd(AssetCache(default_cache_folder()))
    cups = [b for b in network.boxes(photograph(0, (768, 512)).rgb, 0.3) if b.label == "cup"]
    assert len(cups) == 1
    assert all(0 <= v <= 1 for v in (cups[0].x0, cups[0].y0, cups[0].x1, cups[0].y1))
