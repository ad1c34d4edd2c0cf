"""What the embedded editor offers to turn a target into."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.backends.embedded.painting.color_offer import COLORS
from tasks.backends.embedded.painting.effects import EFFECTS
from tasks.backends.embedded.painting.materials import MATERIALS
from tasks.backends.embedded.painting.offer import (
    EmbeddedEditorOffer,
    color_arguments,
    effect_arguments,
    material_arguments,
)
from tasks.backends.embedded.painting.recolor import PAINTS
from tasks.imaging.color_names import NAMES
from tasks.imaging.geometry import containment
from tasks.imaging.surfaces import SURFACE_SHARE, UNCLEAR_SHARE
from tasks.records.edit_types import Maker, spec_of
from tasks.records.measuring import measure
from tasks.records.records import EditType
from tasks.records.settings_base import Settings
from tests.tasks.backends.embedded.painting.copies.drawn_floor import Drawn, about, photograph
from tests.tasks.stages.instruction.example_scenes import scene, target, thing

OFFER = EmbeddedEditorOffer(Settings())


def _of(label, color, share=0.85, lab=None):
    drawn = scene(
        [thing(label, (100, 300, 250, 600), color, share=share), thing("bed", (400, 300, 800, 600))]
    )
    if lab is not None:
        own, *others = drawn.objects
        drawn = replace(drawn, objects=(replace(own, lab=lab), *others))
    return target(drawn, 0)


def test_every_color_has_a_name_and_a_paint():
    assert set(COLORS) <= set(NAMES) & set(PAINTS)
    assert all(rule.near <= set(NAMES) for rule in COLORS.values())


def test_no_color_is_near_the_present_one():
    for present in NAMES:
        offered = color_arguments(_of("chair", present))
        assert present not in offered
        assert not [name for name in offered if present in COLORS[name].near]


def test_a_patchy_color_is_not_replaced():
    assert color_arguments(_of("suitcase", "red", share=0.3)) == ()
    assert color_arguments(_of("chair", "red", share=0.2)) == ()
    assert OFFER.offer(EditType.COLOR, _of("kite", "mixed", share=0.5, lab=(60, 5, 5))).why_not == (
        "no color covers enough of it"
    )


def test_cloth_in_light_and_shade_takes_paint_though_no_name_covers_half_of_it():
    assert "red" in color_arguments(_of("couch", "mixed", share=0.33, lab=(63, -4, -11)))
    assert color_arguments(_of("suitcase", "mixed", share=0.33, lab=(63, -4, -11))) == ()


def test_one_vivid_color_is_the_things_though_half_of_it_is_something_else():
    assert "blue" in color_arguments(_of("kite", "mixed", share=0.45, lab=(57, 20, 63)))
    assert color_arguments(_of("kite", "mixed", share=0.45, lab=(57, 5, 15))) == ()


@pytest.mark.parametrize(
    ("share", "lab", "why"),
    [
        (0.85, (87, 0, 0), ""),
        (0.55, (56, 1, -2), "shows more than its lid"),  # keys and a screen
        (0.85, (12, 0, 0), "shows more than its lid"),  # all keys
    ],
)
def test_a_laptop_is_painted_only_from_behind_and_made_of_nothing_else(share, lab, why):
    laptop = _of("laptop", "gray", share=share, lab=lab)
    color, material = (OFFER.offer(kind, laptop) for kind in (EditType.COLOR, EditType.MATERIAL))
    assert color.why_not == why
    assert material.why_not == "not for the kind computer"


def test_a_plant_gets_no_color_or_material_since_its_pot_would_take_half_of_it():
    plant = _of("potted plant", "green", share=0.6, lab=(45, -20, 20))
    assert OFFER.offer(EditType.COLOR, plant).why_not == "not for the kind plant"
    assert material_arguments(plant) == ()


def _showing(made, surface, unclear=0.01):
    """The target with the segmenter's measurements of its main surface."""
    own, *others = made.scene.objects
    checks = (
        measure(SURFACE_SHARE, surface, decides=False),
        measure(UNCLEAR_SHARE, unclear, decides=False),
    )
    drawn = replace(made.scene, objects=(replace(own, checks=(*own.checks, *checks)), *others))
    return target(drawn, 0)


def test_a_book_keeps_its_cover_since_its_pages_would_change_with_it():
    book = _showing(_of("book", "blue", share=0.95), 0.98)
    assert OFFER.offer(EditType.COLOR, book).why_not == "not for the kind print"
    assert material_arguments(book) == ()


@pytest.mark.parametrize(
    ("surface", "unclear", "painted"),
    [(0.95, 0.2, True), (0.75, 0.02, True), (0.75, 0.06, False), (0.65, 0.01, False)],
)
def test_a_chair_is_painted_where_its_surface_is_all_of_it_or_ends_clearly(surface, unclear, painted):
    chair = _of("chair", "mixed", share=0.4, lab=(34, -9, -11))
    assert not color_arguments(chair)
    assert bool(color_arguments(_showing(chair, surface, unclear))) == painted


@pytest.mark.parametrize(("surface", "filled"), [(0.93, False), (0.87, True)])
def test_a_cup_in_light_and_shade_is_not_taken_for_a_filled_one(surface, filled):
    cup = _showing(_of("cup", "mixed", share=0.6, lab=(70, 0, -3)), surface)
    whys = [OFFER.offer(kind, cup).why_not for kind in (EditType.COLOR, EditType.MATERIAL)]
    assert whys == (["may be full of something"] * 2 if filled else ["", ""])


@pytest.mark.parametrize(
    ("surface", "light", "painted"), [(0.98, 80, True), (0.9, 80, False), (0.98, 50, False)]
)
def test_a_lid_in_light_and_shade_is_painted(surface, light, painted):
    laptop = _of("laptop", "mixed", share=0.57, lab=(light, 1, 2))
    assert bool(color_arguments(_showing(laptop, surface))) == painted


def test_a_gray_laptop_may_show_its_screen():
    assert color_arguments(_of("laptop", "gray", share=0.9, lab=(70, 0, 0)))
    assert not color_arguments(_of("laptop", "gray", share=0.9, lab=(55, 0, 0)))


@pytest.mark.parametrize(
    ("color", "lab", "printed"),
    [("mixed", (44, 0, -11), True), ("mixed", (71, 8, 67), False), ("gray", (43, 1, 6), False)],
)
def test_a_garment_of_several_pale_colors_keeps_its_fabric(color, lab, printed):
    offered = OFFER.offer(EditType.MATERIAL, _of("top", color, share=0.5, lab=lab))
    assert (offered.why_not == "its print would show") == printed
    assert bool(offered.arguments) != printed


def test_glass_keeps_its_look_since_its_drink_would_change_with_it():
    juice = _of("drinking glass", "mixed", share=0.47, lab=(56, 9, 37))
    whys = [OFFER.offer(kind, juice).why_not for kind in (EditType.COLOR, EditType.MATERIAL)]
    assert whys == ["not for the kind glassware"] * 2


@pytest.mark.parametrize(("label", "painted"), [("chair", False), ("couch", True)])
def test_what_shows_its_legs_takes_a_color_only_where_most_of_it_is_of_one(label, painted):
    assert bool(color_arguments(_of(label, "mixed", share=0.5, lab=(57, 20, 63)))) == painted
    assert color_arguments(_of(label, "yellow", share=0.7, lab=(57, 20, 63)))


def test_furniture_of_several_colors_keeps_its_material():
    assert material_arguments(_of("chair", "blue", share=0.95)) == ("brown leather",)
    draped = _of("chair", "blue", share=0.7)
    assert OFFER.offer(EditType.MATERIAL, draped).why_not == "of more than one color"


def test_fruit_gets_only_colors_it_may_have():
    assert set(color_arguments(_of("apple", "red"))) <= {"red", "green", "yellow"}


def test_effects_are_those_of_the_editor_that_will_show():
    assert set(effect_arguments(_of("chair", "red"))) == set(EFFECTS)
    assert "black and white" not in effect_arguments(_of("chair", "gray"))
    assert "sepia" not in effect_arguments(_of("chair", "brown"))


def test_what_is_printed_turns_to_metal_and_to_nothing_whose_grain_the_print_would_spoil():
    ball = _showing(_of("sports ball", "mixed", share=0.31, lab=(98, 0, 3)), 0.35)
    assert set(material_arguments(ball)) == {"gold", "copper"}
    plain = _showing(_of("sports ball", "mixed", share=0.31, lab=(98, 0, 3)), 0.95)
    assert {"gold", "oak wood"} <= set(material_arguments(plain))


def test_materials_are_unlike_what_the_thing_looks_like_now():
    assert set(material_arguments(_of("toaster", "blue"))) == {
        "gold",
        "copper",
        "polished steel",
    }
    assert {"granite", "oak wood"} <= set(material_arguments(_of("vase", "blue")))
    assert "granite" not in material_arguments(_of("vase", "white"))
    assert "brown leather" not in material_arguments(_of("bowl", "blue"))
    assert "gold" not in material_arguments(_of("toaster", "yellow"))
    assert "polished steel" not in material_arguments(_of("toaster", "gray"))


def test_living_things_food_and_cloth_keep_their_material():
    assert all(material_arguments(_of(label, "blue")) == () for label in ("person", "dog", "pizza"))


def test_a_filled_vessel_and_a_lit_screen_keep_their_material():
    assert material_arguments(_of("cup", "blue", share=0.87)) == ()  # a latte seen from the side
    assert material_arguments(_of("cup", "blue", share=0.9)) != ()
    assert material_arguments(_of("tv", "blue")) == ()
    assert material_arguments(_of("cell phone", "black")) != ()


def test_small_things_keep_their_material():
    small = scene([thing("vase", (100, 300, 180, 420), "blue"), thing("bed", (400, 300, 800, 600))])
    assert material_arguments(target(small, 0)) == ()
    why = OFFER.offer(EditType.MATERIAL, target(small, 0)).why_not
    assert why == "too small for the look of a material"


def test_a_filled_vessel_takes_no_color_and_a_plain_one_does():
    assert color_arguments(_of("bowl", "white", share=0.7)) == ()
    assert OFFER.offer(EditType.COLOR, _of("bowl", "white", share=0.7)).why_not == "may be full of something"
    assert color_arguments(_of("vase", "white", share=0.7)) != ()
    assert color_arguments(_of("bowl", "white", share=0.9)) != ()


def test_a_sketch_needs_room_for_its_strokes():
    small = scene([thing("vase", (100, 300, 150, 400), "blue"), thing("bed", (400, 300, 800, 600))])
    assert "pencil sketch" not in effect_arguments(target(small, 0))


def test_only_types_that_an_editor_makes_are_offered():
    assert all(spec_of(edit_type).maker is Maker.EDITOR for edit_type in OFFER.edit_types)
    for edit_type in EditType:
        why = OFFER.offer(edit_type, _of("chair", "red")).why_not
        assert (why == "not offered by the editor") == (edit_type not in OFFER.edit_types)


def test_people_are_not_painted_and_the_offer_says_why():
    assert OFFER.offer(EditType.COLOR, _of("person", "red")).why_not == "not for the kind person"


def test_a_target_that_nothing_suits_is_not_offered():
    offered = OFFER.offer(EditType.COLOR, _of("kite", "mixed", share=0.3, lab=(60, 5, 5)))
    assert (offered.why_not, offered.arguments) == ("no color covers enough of it", ())


def test_what_it_offers_it_accepts_and_nothing_else():
    chair = _of("chair", "red")
    for edit_type in (EditType.COLOR, EditType.APPEARANCE):
        offered = OFFER.offer(edit_type, chair).arguments
        assert offered
        assert all(OFFER.accepts(edit_type, chair, argument) == "" for argument in offered)
    assert "teal" in OFFER.accepts(EditType.COLOR, chair, "teal")
    assert OFFER.accepts(EditType.COLOR, chair, "red") != ""
    assert OFFER.accepts(EditType.TEXT, chair, "sofa") == "not offered by the editor"
    assert OFFER.accepts(EditType.REPLACE, chair, "sofa") == (
        "nothing of the photograph can be copied to its place"
    )


def test_copies_of_things_of_the_scene_are_offered_with_what_is_copied_and_the_window_that_it_needs():
    grounded = about(photograph([Drawn("cup", 320, 250), Drawn("vase", 120, 250, color="blue")])[1])
    adding = OFFER.offer(EditType.ADD, grounded).arguments
    assert "another cup to the right" in adding
    assert "another vase to the right" in adding
    assert OFFER.copied(EditType.ADD, grounded, "another vase to the right") == "vase"
    assert OFFER.offer(EditType.REPLACE, grounded).arguments == ("blue vase",)
    assert OFFER.copied(EditType.REPLACE, grounded, "blue vase") == "vase"
    room = OFFER.window(EditType.REPLACE, grounded, "blue vase")
    assert room is not None
    assert containment(grounded.objects[0].box, room) == 1
    assert OFFER.copied(EditType.COLOR, grounded, "red") == ""
    assert OFFER.window(EditType.COLOR, grounded, "red") is None


def test_a_stone_person_is_refused_whatever_is_asked():
    person = _of("person", "blue")
    assert OFFER.offer(EditType.MATERIAL, person).why_not
    assert "granite" not in OFFER.offer(EditType.MATERIAL, person).arguments
    assert OFFER.accepts(EditType.MATERIAL, person, "granite")


def _worn(label, color, share=0.9):
    garment = thing(label, (120, 200, 260, 330), color, share=share, part_of=0)
    return target(scene([thing("person", (100, 100, 300, 600)), garment]), 1)


def test_garments_are_dyed_or_get_another_fabric_and_nothing_else():
    assert "red" in OFFER.offer(EditType.COLOR, _worn("top", "blue")).arguments
    assert "blue" not in OFFER.offer(EditType.COLOR, _worn("top", "blue")).arguments
    assert OFFER.offer(EditType.COLOR, _worn("top", "mixed", share=0.4)).arguments
    for other in set(OFFER.edit_types) - {EditType.COLOR, EditType.MATERIAL}:
        assert OFFER.offer(other, _worn("top", "blue")).why_not


def test_a_garment_gets_colors_and_fabrics_and_nothing_else_gets_fabrics():
    fabrics = {name for name, material in MATERIALS.items() if material.fabric is not None}
    assert set(material_arguments(_of("top", "gray"))) == fabrics
    assert not fabrics & set(material_arguments(_of("chair", "gray")))
    assert "nothing else" in OFFER.offer(EditType.APPEARANCE, _of("top", "red")).why_not
    small = target(scene([thing("top", (100, 300, 160, 420), "gray")]), 0)
    assert material_arguments(small) == ()
