"""The embedded instructor writes natural, true and varied sentences, or declines."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest

from prompts import load_data
from tasks.backends.embedded.language.descriptions import zone
from tasks.backends.embedded.language.instructor import PATTERNS, SceneFactsInstructor, SceneFactsOptions
from tasks.backends.embedded.language.realization import Writer
from tasks.backends.embedded.language.scene_facts import FactLimits, gather_facts
from tasks.backends.embedded.language.text_facts import fact_set
from tasks.records.errors import ConfigurationError, Reason, SampleError
from tasks.records.measuring import measure
from tasks.records.records import EditType
from tasks.roles.questions import InstructQuestion
from tests.tasks.roles.role_questions import unseen
from tests.tasks.stages.instruction.example_scenes import (
    ALL,
    HEIGHT,
    WIDTH,
    cups,
    desk,
    garments,
    living_room,
    scene,
    street,
    target,
    thing,
)


def _question(grounded, edit_type=EditType.REMOVE, argument="none", seed=0):
    return InstructQuestion(
        subject=grounded.target_id,
        seed=seed,
        picture=unseen(),
        boxed=unseen(),
        target=grounded,
        edit_type=edit_type,
        argument=argument,
    )


def _asked(grounded, edit_type=EditType.REMOVE, argument="none", seeds=30):
    questions = [_question(grounded, edit_type, argument, seed) for seed in range(seeds)]
    return SceneFactsInstructor().answer(questions)


def _replies(grounded, edit_type=EditType.REMOVE, argument="none", seeds=30):
    """What it wrote, where it must not decline."""
    answers = _asked(grounded, edit_type, argument, seeds)
    assert not [a for a in answers if isinstance(a, SampleError)]
    return answers


def _written(grounded, edit_type=EditType.REMOVE, argument="none", seeds=30):
    """What it wrote, where it may decline."""
    return [a for a in _asked(grounded, edit_type, argument, seeds) if not isinstance(a, SampleError)]


def _texts(reply):
    r = reply.reasoning
    return [
        reply.instruction,
        r.scene_description,
        r.target_localization,
        r.editing_description,
        r.post_edit_description,
    ]


def test_sentences_are_well_formed_for_every_target_type_and_seed():
    for make in ALL:
        whole = make()
        for index in range(len(whole.objects)):
            for edit_type, argument in (
                (EditType.COLOR, "orange"),
                (EditType.REMOVE, "none"),
                (EditType.APPEARANCE, "sepia"),
                (EditType.REPLACE, "red stool"),
                (EditType.ADD, "another cup to the left"),
                (EditType.MATERIAL, "wood"),
                (EditType.TEXT, "23"),
            ):
                if edit_type is EditType.COLOR and whole.objects[index].color == "mixed":
                    continue
                for reply in _written(target(whole, index), edit_type, argument, seeds=6):
                    assert (reply.edit_type, reply.argument) == (edit_type.value, argument)
                    for text in _texts(reply):
                        assert not re.search(r"\{|\}|  |\ba [aeio]|\bnone\b|\bmixed\b| ,|\.\.", text), text
                        assert text[0].isupper()
                        assert text.endswith(".")


def test_the_localisation_has_all_its_parts():
    for reply in _replies(target(cups(), 1)):
        text = reply.reasoning.target_localization
        assert "cup" in text
        assert "red" in text
        assert "left half of the picture" in text
        assert "second" in text
        assert "laptop" in text


def test_words_vary_with_the_seed():
    replies = _replies(target(cups(), 1), EditType.COLOR, "blue", seeds=60)
    assert len({r.instruction for r in replies}) >= 4
    assert len({r.reasoning.scene_description for r in replies}) >= 4


def test_texts_about_one_photograph_do_not_repeat_each_other():
    whole = garments()
    said = []
    for number, index in enumerate((0, 1, 2, 3)):
        replies = _replies(target(whole, index, name=f"t{number}"), EditType.REMOVE, seeds=20)
        starts = {r.instruction.split(" the ")[0] for r in replies}
        listings = {re.sub(r"(a|at least) .*", "", r.reasoning.scene_description) for r in replies}
        said.append((starts, listings))
    for (starts, listings), (next_starts, next_listings) in itertools.pairwise(said):
        assert not starts & next_starts
        assert not listings & next_listings


def test_edits_of_one_target_are_told_in_different_words():
    edits = ((EditType.COLOR, "blue"), (EditType.REMOVE, "none"), (EditType.MATERIAL, "wood"))
    edits = (*edits, (EditType.APPEARANCE, "sepia"))
    listings = [
        {
            re.sub(r"(a|at least) .*", "", r.reasoning.scene_description)
            for r in _replies(target(cups(), 1), *edit)
        }
        for edit in edits
    ]
    for first, second in itertools.combinations(listings, 2):
        assert not first & second


def test_the_same_question_gives_the_same_words():
    assert _replies(target(desk(), 1), seeds=2) == _replies(target(desk(), 1), seeds=2)


def test_a_person_is_who_and_never_it_and_has_no_color():
    for reply in _replies(target(street(), 1)):
        text = reply.instruction + reply.reasoning.target_localization
        assert "that is" not in text
        assert "black person" not in text
        assert "It is" not in text


def test_numbers_are_hedged():
    for reply in _replies(target(street(), 2)):
        assert re.search(r"at least three people", reply.reasoning.scene_description)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (0.1, 0.1, "upper left part"),
        (0.36, 0.1, "upper part"),
        (0.5, 0.9, "lower middle"),
        (0.36, 0.5, "left half"),
        (0.5, 0.5, "center"),
        (0.5, 0.65, "lower half"),
        (0.65, 0.36, "right half"),
        (0.9, 0.36, "right part"),
    ],
)
def test_a_thing_between_two_parts_is_said_to_be_in_the_half(x, y, words):
    cx, cy = round(x * WIDTH), round(y * HEIGHT)
    facts = gather_facts(
        target(scene([thing("cup", (cx - 20, cy - 20, cx + 20, cy + 20)), thing("book", (0, 0, 9, 9))]), 0),
        FactLimits(weak=0.2, named=0.8, color_share=0.7),
    )
    assert zone(facts, facts.target, Writer(patterns=load_data(PATTERNS), seed=0, key="x")) == words


@pytest.mark.parametrize(
    ("x0", "x1", "words"),
    [(100, 650, "left part"), (150, 650, "center"), (490, 830, "right half"), (410, 950, "right part")],
)
def test_a_thing_across_the_middle_is_in_no_half_but_in_the_part_of_its_center(x0, x1, words):
    wide = scene([thing("laptop", (x0, 300, x1, 500)), thing("book", (0, 0, 9, 9))])
    facts = gather_facts(target(wide, 0), FactLimits(weak=0.2, named=0.8, color_share=0.7))
    assert zone(facts, facts.target, Writer(patterns=load_data(PATTERNS), seed=0, key="x")) == words


def test_the_layout_names_only_what_was_listed():
    # more classes than are listed; the laptop is the smallest and least sure
    things = [
        thing("cup", (40, 560, 120, 650), "red"),
        thing("person", (150, 200, 300, 700)),
        thing("couch", (310, 300, 560, 700), "gray"),
        thing("tv", (570, 100, 700, 250)),
        thing("bicycle", (710, 300, 900, 700)),
        thing("laptop", (905, 600, 960, 640), score=0.8),
    ]
    crowded = target(scene(things), 0)
    texts = {reply.reasoning.scene_description for reply in _replies(crowded, seeds=60)}
    assert len(texts) > 10
    for text in texts:
        listed, _, layout = text.partition(". ")
        for label in ("person", "couch", "tv", "bicycle", "laptop"):
            assert f"the {label} " not in layout.lower() or label in listed, text


def test_a_single_thing_of_a_class_that_may_have_more_is_not_called_the_only_one():
    things = [thing("cup", (100, 500, 180, 600), "red"), thing("book", (400, 500, 600, 620))]
    unsure = scene(
        [*things, thing("chair", (700, 300, 900, 700))], weak=(("book", (820, 60, 950, 120), 0.3),)
    )
    for reply in _replies(target(unsure, 0)):
        assert "at least one book" in reply.reasoning.scene_description


def test_a_color_without_a_name_is_never_said_to_be_mixed():
    things = [thing("vase", (100, 500, 180, 600)), thing("laptop", (400, 500, 600, 620))]
    for reply in _replies(target(scene(things), 0), EditType.COLOR, "blue"):
        assert not re.search(r"mixed|unknown", " ".join(_texts(reply)))
        assert "blue" in reply.reasoning.editing_description
        assert "blue" in reply.reasoning.post_edit_description


def test_a_white_device_is_not_told_by_a_color_that_may_be_silver():
    things = [thing("laptop", (100, 500, 380, 700), "white"), thing("vase", (500, 500, 600, 700), "green")]
    for reply in _replies(target(scene(things), 0), EditType.COLOR, "blue"):
        assert not re.search(r"white|silver|gray", " ".join(_texts(reply)))


def test_a_table_comes_neither_before_nor_after_what_stands_on_it():
    things = [
        thing("laptop", (120, 420, 380, 600), "black"),
        thing("dining table", (80, 500, 900, 760)),
        thing("vase", (700, 380, 800, 560), "blue"),
    ]
    for reply in _replies(target(scene(things), 0)):
        text = " ".join(_texts(reply))
        assert not re.search(r"(before|after|left of|right of) the table|table is to", text)


def test_glass_and_silver_take_no_color_from_the_room():
    room = [thing("laptop", (100, 500, 380, 700), "blue"), thing("bottle", (700, 300, 800, 600), "brown")]
    for reply in _replies(target(scene([*room, thing("vase", (450, 500, 560, 700), "green")]), 2)):
        assert not re.search(r"blue|brown", reply.reasoning.scene_description)


def test_a_dog_with_a_blue_ball_is_no_blue_dog():
    things = [thing("dog", (100, 400, 300, 600), "blue"), thing("vase", (500, 500, 600, 700), "green")]
    for reply in _replies(target(scene(things), 0)):
        assert "blue" not in " ".join(_texts(reply))


def test_others_of_its_class_are_told_of_only_when_they_are_sure():
    own, sure = thing("vase", (100, 500, 230, 700)), thing("vase", (600, 500, 700, 700))
    rest = [thing("laptop", (300, 500, 560, 700)), thing("clock", (800, 60, 900, 160))]
    doubtful = thing("vase", (600, 500, 700, 700), score=0.6)
    one = [r.reasoning.post_edit_description for r in _replies(target(scene([own, sure, *rest]), 0))]
    assert any("other vase " in text for text in one)
    assert not any("other vases" in text for text in one)
    none = [r.reasoning.post_edit_description for r in _replies(target(scene([own, doubtful, *rest]), 0))]
    assert not any("other vase" in text for text in none)


def test_things_one_above_the_other_are_not_put_in_an_order_from_left_to_right():
    things = [
        thing("cup", (190, 470, 280, 580), "red"),
        thing("laptop", (220, 200, 460, 400)),
        thing("clock", (900, 60, 1000, 160)),
    ]
    for reply in _replies(target(scene(things), 0)):
        text = reply.reasoning.scene_description + reply.reasoning.target_localization
        assert not re.search(r"cup, the laptop|before the laptop|cup and then the laptop", text)


def test_the_facts_of_the_instruction_stand_in_the_localisation():
    for make in ALL:
        whole = make()
        for index in range(len(whole.objects)):
            for reply in _written(target(whole, index), seeds=8):
                assert fact_set(reply.instruction) <= fact_set(reply.reasoning.target_localization)


def test_it_declines_where_nothing_singles_the_target_out():
    crowd = scene(
        [thing("book", (300, 300 + 30 * n, 400, 325 + 30 * n), "brown") for n in range(6)]
        + [thing("person", (500, 100, 800, 790))]
    )
    with pytest.raises(SampleError, match="book") as caught:
        SceneFactsInstructor().answer_one(_question(target(crowd, 2)))
    assert caught.value.reason is Reason.NO_UNIQUE_REFERENCE


@pytest.mark.parametrize(("confidence", "told"), [(None, False), (0.7, False), (0.9, True)])
def test_a_target_of_doubtful_label_is_told_only_where_the_judge_confirmed_it(confidence, told):
    room = living_room()
    things = [replace(each, score=0.7) if each.index == 3 else each for each in room.objects]
    doubtful = target(replace(room, objects=tuple(things)), 3)
    if confidence is not None:
        doubtful = replace(doubtful, judgement=(measure("label_confidence", confidence, low=0.8),))
    if told:
        _replies(doubtful)
    else:
        assert all(a.reason is Reason.NO_UNIQUE_REFERENCE for a in _asked(doubtful))


def test_a_lower_bound_on_risk_refuses_more():
    strict = SceneFactsInstructor(SceneFactsOptions(max_risk=0.01))
    with pytest.raises(SampleError, match="no_unique_reference"):
        strict.answer_one(_question(target(living_room(), 3)))


def test_a_group_of_things_is_refused_rather_than_told_wrongly():
    with pytest.raises(SampleError, match="no_unique_reference"):
        SceneFactsInstructor().answer_one(_question(target(cups(), 0, 2)))


def test_a_garment_is_told_by_its_wearer_or_its_color_and_speaks_of_nobody_elses():
    said = {r.instruction for r in _replies(target(garments(), 5), EditType.COLOR, "blue", seeds=40)}
    for number in range(1, 8):
        more = target(garments(), 5, name=f"t{number}")
        said |= {r.instruction for r in _replies(more, EditType.COLOR, "blue", seeds=10)}
    assert len(said) >= 4
    for text in said:
        assert re.search(r"\btop\b", text)
        assert re.search(r"\bperson\b|the (only )?white top", text)
        assert "the top of" not in text  # the upper end of somebody
        assert "white top" not in text or "person" not in text  # the white top of the person in the white top
    for reply in _replies(target(garments(), 5), EditType.COLOR, "blue"):
        assert "top" in reply.reasoning.scene_description
        assert "person" in reply.reasoning.target_localization


def test_trousers_are_many_in_every_sentence():
    for number in range(8):
        goal = target(garments(), 4, name=f"t{number}")
        for edit_type, argument in ((EditType.COLOR, "green"), (EditType.APPEARANCE, "pixelated")):
            for reply in _replies(goal, edit_type, argument, seeds=6):
                for text in _texts(reply):
                    wrong = r"a (blue )?trousers|trousers (is|has|appears|becomes|changes) |another trousers"
                    assert not re.search(wrong, text), text


def test_a_part_that_has_a_twin_or_a_doubtful_whole_is_not_told():
    people = [thing("person", (300, 200, 400, 700)), thing("top", (310, 260, 390, 400), "red", part_of=0)]
    twin = scene([*people, thing("top", (320, 270, 380, 390), "blue", part_of=0)])
    group = [thing("person", (300, 200, 400, 700), not_a_target="group_box"), people[1]]
    assert _replies(target(scene(people), 1), EditType.COLOR, "blue")
    assert not _written(target(twin, 1), EditType.COLOR, "blue")
    assert not _written(target(scene(group), 1), EditType.COLOR, "blue")


@pytest.mark.parametrize("edit_type", [EditType.COLOR, EditType.MATERIAL, EditType.APPEARANCE])
def test_without_an_argument_it_chooses_one_and_says_so(edit_type):
    for reply in _replies(target(cups(), 1), edit_type, "", seeds=20):
        assert reply.argument
        assert reply.argument != "red"
        assert not re.search(r" to \.| of \.|  ", reply.instruction)


@pytest.mark.parametrize("edit_type", [EditType.REPLACE, EditType.ADD, EditType.TEXT])
def test_without_an_argument_that_nobody_can_choose_for_it_it_says_what_is_missing(edit_type):
    with pytest.raises(SampleError, match="needs an argument") as caught:
        SceneFactsInstructor().answer_one(_question(target(cups(), 1), edit_type, ""))
    assert caught.value.reason is Reason.BACKEND_ERROR


def test_an_addition_has_its_place_where_the_argument_says():
    for reply in _replies(target(cups(), 1), EditType.ADD, "another cup to the left", seeds=20):
        assert re.match(r"\w+ another cup to the left of the ", reply.instruction)
        for text in (reply.reasoning.editing_description, reply.reasoning.post_edit_description):
            assert "nother cup to the left of the " in text
    for reply in _replies(target(cups(), 1), EditType.ADD, "another cup", seeds=20):
        assert " another cup next to the " in reply.instruction


def test_what_goes_along_with_a_removal_is_said_to_go():
    riding = scene([thing("person", (400, 200, 500, 500)), thing("skateboard", (390, 480, 510, 530)),
                    thing("dog", (700, 500, 800, 600)), thing("person", (100, 260, 160, 420))])  # fmt: skip
    told = 0
    for seed in range(20):
        question = replace(_question(target(riding, 0), EditType.REMOVE, "none"), seed=seed, along=(1,))
        (reply,) = SceneFactsInstructor().answer([question])
        if isinstance(reply, SampleError):
            continue
        told += 1
        assert "the skateboard" in reply.reasoning.editing_description
        assert "skateboard" not in reply.reasoning.post_edit_description
    assert told


def test_writing_is_quoted_and_digits_are_a_number():
    for argument, kind in (("SALE", "writing"), ("23", "number")):
        for reply in _replies(target(cups(), 1), EditType.TEXT, argument, seeds=20):
            assert f'"{argument}"' in reply.instruction
            assert kind in reply.instruction or " say " in reply.instruction


def test_a_type_without_sentences_is_refused_by_its_name():
    with pytest.raises(SampleError, match="Action") as caught:
        SceneFactsInstructor().answer_one(_question(target(cups(), 0), EditType.ACTION, "fall over"))
    assert caught.value.reason is Reason.BACKEND_ERROR


def test_a_pattern_with_an_unknown_slot_is_a_configuration_error():
    writer = Writer(patterns={"say": ["the {color} cup"]}, seed=0, key="k")
    with pytest.raises(ConfigurationError, match="color"):
        writer.say("say", {"noun": "cup"})
    with pytest.raises(ConfigurationError, match="nothing under"):
        writer.say("other", {})


def test_the_identity_carries_the_digest_of_the_patterns():
    identity = SceneFactsInstructor.identity_of(SceneFactsOptions())
    assert identity.role == "instructor"
    assert len(identity.digest) == 64
    assert load_data(PATTERNS)["reference"]


def test_what_goes_with_the_target_is_not_said_to_stay():
    said = {}
    for along in ((), (1,)):
        questions = [replace(_question(target(desk(), 0), seed=seed), along=along) for seed in range(30)]
        answers = [a for a in SceneFactsInstructor().answer(questions) if not isinstance(a, SampleError)]
        said[along] = " ".join(a.reasoning.post_edit_description for a in answers)
    assert "cup" in said[()]
    assert "cup" not in said[(1,)]
