"""What targets may be turned into."""

from __future__ import annotations

from tasks.backends.embedded.painting.effects import EFFECTS
from tasks.backends.embedded.painting.recolor import PAINTS
from tasks.imaging.color_names import NAMES
from tasks.stages.instruction.arguments import COLORS, color_arguments, effect_arguments, material_arguments
from tests.tasks.stages.instruction.drawn_scenes import scene, target, thing


def _of(label, color, share=0.85):
    return target(
        scene([thing(label, (100, 300, 250, 600), color, share=share), thing("bed", (400, 300, 800, 600))]), 0
    )


def test_every_colour_has_a_name_and_a_paint():
    assert set(COLORS) <= set(NAMES) & set(PAINTS)
    assert all(rule.near <= set(NAMES) for rule in COLORS.values())


def test_no_colour_is_near_the_present_one():
    for present in NAMES:
        offered = color_arguments(_of("chair", present))
        assert present not in offered
        assert not [name for name in offered if present in COLORS[name].near]


def test_a_patchy_colour_is_not_replaced():
    assert color_arguments(_of("chair", "red", share=0.4)) == ()


def test_fruit_gets_only_colours_it_may_have():
    assert set(color_arguments(_of("apple", "red"))) <= {"red", "green", "yellow"}


def test_effects_are_those_of_the_editor_that_will_show():
    assert set(effect_arguments(_of("chair", "red"))) == set(EFFECTS)
    assert "black and white" not in effect_arguments(_of("chair", "gray"))
    assert "sepia" not in effect_arguments(_of("chair", "brown"))


def test_materials_are_unlike_what_the_thing_looks_like_now():
    assert set(material_arguments(_of("toaster", "blue"))) == {"gold", "copper", "polished steel"}
    assert "gold" not in material_arguments(_of("toaster", "yellow"))
    assert "polished steel" not in material_arguments(_of("toaster", "gray"))


def test_living_things_food_and_cloth_keep_their_material():
    assert all(
        material_arguments(_of(label, "blue")) == () for label in ("person", "dog", "potted plant", "pizza")
    )


def test_a_filled_vessel_and_a_lit_screen_keep_their_material():
    assert material_arguments(_of("cup", "blue", share=0.7)) == ()
    assert material_arguments(_of("cup", "blue", share=0.9)) != ()
    assert material_arguments(_of("tv", "blue")) == ()
    assert material_arguments(_of("cell phone", "black")) != ()


def test_glass_that_one_sees_through_and_small_things_keep_their_material():
    assert material_arguments(_of("wine glass", "blue")) == ()
    small = scene([thing("vase", (100, 300, 180, 420), "blue"), thing("bed", (400, 300, 800, 600))])
    assert material_arguments(target(small, 0)) == ()


def test_a_filled_vessel_takes_no_color_and_a_plain_one_does():
    assert color_arguments(_of("bowl", "white", share=0.7)) == ()
    assert color_arguments(_of("bowl", "white", share=0.9)) != ()


def test_laptops_keep_their_material():
    assert material_arguments(_of("laptop", "blue", share=0.9)) == ()


def test_a_sketch_needs_room_for_its_strokes():
    small = scene([thing("vase", (100, 300, 150, 400), "blue"), thing("bed", (400, 300, 800, 600))])
    assert "pencil sketch" not in effect_arguments(target(small, 0))
