"""What generative models offer: any target, and the instructor chooses."""

from __future__ import annotations

import pytest

from tasks.backends.generative_offer import GenerativeEditorOffer, GenerativeInpainterOffer
from tasks.records.records import EditType
from tasks.records.settings_base import Settings
from tests.tasks.stages.instruction.example_scenes import ALL, scene, street, target, thing

EDITOR, INPAINTER = GenerativeEditorOffer(Settings()), GenerativeInpainterOffer(Settings())


@pytest.mark.parametrize("edit_type", [t for t in EditType if t is not EditType.REMOVE])
def test_every_type_but_removal_is_offered_for_every_target_with_a_free_argument(edit_type):
    for make in ALL:
        whole = make()
        for thing_ in whole.objects:
            offered = EDITOR.offer(edit_type, target(whole, thing_.index))
            assert (offered.why_not, offered.arguments) == ("", ())


def test_a_person_may_be_recolored_and_given_something_to_do():
    person = target(street(), 1)
    assert person.label == "person"
    assert EDITOR.accepts(EditType.COLOR, person, "bright blue") == ""
    assert EDITOR.accepts(EditType.ACTION, person, "wave at the bus") == ""
    assert EDITOR.accepts(EditType.REPLACE, person, "") == ""


def test_a_removal_is_not_the_editors():
    assert (
        EDITOR.offer(EditType.REMOVE, target(street(), 1)).why_not == "not offered by the generative editor"
    )


def test_a_person_beside_another_may_be_removed_by_a_generative_inpainter():
    two = scene([thing("person", (100, 100, 200, 400)), thing("person", (190, 100, 300, 400))])
    assert INPAINTER.offer(EditType.REMOVE, target(two, 0)).why_not == ""
    assert INPAINTER.taken_along(target(street(), 1)) == ()


def test_a_generative_editor_may_change_a_part_of_the_target_only():
    assert not EDITOR.covers_target
