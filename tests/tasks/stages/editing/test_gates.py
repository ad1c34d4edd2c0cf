"""Single gates on drawn pictures: values that can be checked by eye, on both sides of the bound."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tasks.records.errors import Reason
from tasks.records.records import Box
from tasks.roles.questions import Detection
from tasks.stages.editing import fill_gates, gates, redetection
from tasks.stages.editing.settings import GateSettings

SETTINGS = GateSettings()
TARGET = Box(x0=40, y0=40, x1=80, y1=80)
HOLE = np.zeros((120, 120), bool)
HOLE[36:84, 36:84] = True


def _seen(label: str, score: float, box: Box = TARGET) -> Detection:
    return Detection(label=label, score=score, box=box)


def test_the_region_gate_gives_the_share_of_the_picture() -> None:
    mask = np.zeros((10, 10), bool)
    mask[:2] = True
    gate = gates.region_gate(mask, SETTINGS)
    assert (gate.measurement.value, gate.passed) == (0.2, True)
    assert not gates.region_gate(np.ones((10, 10), bool), SETTINGS).passed


def test_change_is_measured_inside_only() -> None:
    before = np.full((120, 120, 3), 100, np.uint8)
    after = before.copy()
    after[~HOLE] = 200
    assert gates.change_gate(before, after, HOLE, SETTINGS.min_change).measurement.value == 0
    assert gates.leak_gate(before, after, HOLE, SETTINGS).measurement.value > 30


def test_an_empty_mask_counts_as_no_change() -> None:
    picture = np.full((9, 9, 3), 100, np.uint8)
    assert not gates.change_gate(picture, picture, np.zeros((9, 9), bool), SETTINGS.min_change).passed


@pytest.mark.parametrize(("share", "passed"), [(0.9, True), (0.3, False)])
def test_the_named_color_must_fill_enough_of_the_mask(share: float, passed: bool) -> None:
    picture = np.full((100, 10, 3), 128, np.uint8)
    picture[: round(100 * share)] = (30, 60, 200)
    whole = np.ones((100, 10), bool)
    gate = gates.color_gate(picture, whole, "blue", SETTINGS, least=SETTINGS.min_color_share)
    assert gate.passed is passed
    assert gate.reason is Reason.WRONG_COLOR


def test_a_step_at_an_existing_edge_is_not_a_seam_but_one_on_a_plain_surface_is() -> None:
    plain = np.full((120, 120, 3), 140, np.uint8)
    edge = plain.copy()
    edge[HOLE] = (200, 60, 60)
    painted = plain.copy()
    painted[HOLE] = (60, 60, 200)
    assert gates.seam_gate(edge, painted, HOLE, SETTINGS).measurement.value == 0
    assert gates.seam_gate(plain, painted, HOLE, SETTINGS).measurement.value > 0.9


def test_a_thin_line_between_two_like_sides_is_an_edge_of_an_outline_and_none_of_a_hole() -> None:
    source = np.full((120, 120, 3), 140, np.uint8)
    ring = HOLE & ~(cv2.erode(HOLE.astype(np.uint8), np.ones((3, 3))) > 0)
    source[ring] = 122
    painted = source.copy()
    painted[HOLE & ~ring] = (60, 60, 200)
    assert gates.seam_gate(source, painted, HOLE, SETTINGS, outline=True).measurement.value == 0
    assert gates.seam_gate(source, painted, HOLE, SETTINGS).measurement.value > 0.9


def test_grain_hides_a_step_that_shows_on_a_plain_surface() -> None:
    noise = np.random.default_rng(0).normal(0, 22, (120, 120, 1))
    for picture, visible in ((np.zeros((120, 120, 1)), True), (noise, False)):
        source = np.clip(140 + picture + np.zeros(3), 0, 255).astype(np.uint8)
        filled = source.copy()
        filled[HOLE] = np.clip(filled[HOLE].astype(int) + 14, 0, 255)
        assert (gates.seam_gate(source, filled, HOLE, SETTINGS).measurement.value > 0.15) is visible


def test_a_blurred_fill_is_flat_only_in_a_textured_environment() -> None:
    noise = np.random.default_rng(1).integers(60, 200, (120, 120, 1), dtype=np.uint8).repeat(3, axis=2)
    smeared = noise.copy()
    smeared[HOLE] = cv2.GaussianBlur(noise, (0, 0), 8)[HOLE]
    assert not fill_gates.flat_gate(smeared, HOLE, SETTINGS).passed
    assert fill_gates.flat_gate(noise, HOLE, SETTINGS).passed
    assert fill_gates.flat_gate(np.full_like(noise, 90), HOLE, SETTINGS).passed


def test_found_before_needs_the_same_class_at_the_same_place() -> None:
    elsewhere = Box(x0=90, y0=90, x1=118, y1=118)
    label = "cup"
    for before, passed in (
        ([_seen("cup", 0.8)], True),
        ([_seen("bowl", 0.8)], False),
        ([_seen("cup", 0.8, elsewhere)], False),
        ([_seen("cup", 0.35)], False),
        ([], False),
    ):
        assert redetection.found_before_gate(before, TARGET, label, SETTINGS).passed is passed


def test_a_remaining_part_inside_the_hole_still_counts() -> None:
    head = _seen("cup", 0.5, Box(x0=50, y0=41, x1=62, y1=55))
    assert not redetection.gone_gate(
        [head], [], target=TARGET, label="cup", hole=HOLE, settings=SETTINGS
    ).passed
    assert redetection.gone_gate(
        [_seen("cup", 0.2)], [], target=TARGET, label="cup", hole=HOLE, settings=SETTINGS
    ).passed


def test_a_known_neighbor_does_not_count_as_still_there() -> None:
    neighbor = Box(x0=45, y0=45, x1=100, y1=100)
    after = [_seen("cup", 0.9, neighbor)]
    assert redetection.gone_gate(
        after, [neighbor], target=TARGET, label="cup", hole=HOLE, settings=SETTINGS
    ).passed
    assert not redetection.gone_gate(
        after, [], target=TARGET, label="cup", hole=HOLE, settings=SETTINGS
    ).passed


def test_something_new_in_the_hole_counts_unless_it_was_there_before() -> None:
    dog = _seen("dog", 0.6)
    assert not redetection.new_object_gate([], [dog], "cup", HOLE, SETTINGS).passed
    assert redetection.new_object_gate([dog], [dog], "cup", HOLE, SETTINGS).passed
    outside = _seen("dog", 0.6, Box(x0=85, y0=85, x1=118, y1=118))
    assert redetection.new_object_gate([], [outside], "cup", HOLE, SETTINGS).passed
