"""The scripted writer says true things about known scenes, from texts and pictures alone."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from tasks.backends.served.target_judge import TargetJudgeOptions
from tasks.records.records import Box, EditType
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tasks.roles.chat import ChatReply
from tasks.roles.chat_http import chat_body
from tasks.roles.picture import Picture
from tasks.roles.placement import ServedModel
from tasks.stages.instruction.words.json_line import check_line
from tasks.stages.red_picture import draw_box, draw_mask_and_box, draw_numbers
from tests.serving.scene_eyes import KnownObject, KnownScene
from tests.serving.scene_words import ARGUMENTS, references, referred, rewritten, written
from tests.serving.scene_writer import SceneWriter
from tests.serving.scripts import Asked
from tests.tasks.backends.served.asked import questions
from tests.tasks.stages.instruction.example_scenes import (
    HEIGHT,
    WIDTH,
    cups,
    desk,
    scene,
    street,
    target,
    thing,
)

PAINTS = {
    "white": (235, 235, 235), "gray": (128, 128, 128), "green": (40, 140, 50), "blue": (40, 60, 200),
    "red": (200, 30, 30), "black": (25, 25, 25), "mixed": (150, 120, 90), "brown": (120, 80, 40),
}  # fmt: skip
ROW = scene([thing("person", (60 + 150 * i, 300 + 10 * i, 140 + 150 * i, 620)) for i in range(6)])
PIPELINE = {"desk": desk(), "cups": cups(), "street": street(), "row": ROW}


def painted(name: str) -> np.ndarray:
    ground = np.linspace(90, 190, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    shade = {"desk": (1, 0.9, 0.8), "cups": (0.8, 0.9, 1), "street": (0.9, 1, 0.9), "row": (1, 1, 0.7)}[name]
    image = (ground[..., None] * np.array(shade)).astype(np.uint8)
    for each in PIPELINE[name].objects:
        center = (int(each.box.center[0]), int(each.box.center[1]))
        axes = (each.box.width // 2 - 1, each.box.height // 2 - 1)
        cv2.ellipse(image, center, axes, 0, 0, 360, PAINTS[each.color], cv2.FILLED)
    return image


IMAGES = {name: painted(name) for name in PIPELINE}
KNOWN = {name: KnownScene.of(found, IMAGES[name]) for name, found in PIPELINE.items()}
WRITER = SceneWriter(list(KNOWN.values()))
ALL = [(name, index) for name, found in PIPELINE.items() for index in range(len(found.objects))]


def ask(role: str, *, max_pixels: int = 300_000, number: int = 0, **changes):
    """The role's answer, over the wire form of the request, as the pipeline would read it."""
    served = ServedModel(id="m", max_pixels=max_pixels)
    backend = choose(role, RoleSettings(backend="chat", run="s"), role, served).load()
    request = backend.request(questions(**changes)[role])
    answer = WRITER.answer(Asked(role=role, number=number, body=json.loads(chat_body("m", request))))
    alternatives = {token: float(np.log(p)) for token, p in (answer.probabilities or {}).items()}
    places = (alternatives,) if alternatives else ()
    return backend.read(ChatReply(text=answer.text, finish=answer.finish, places=places), request)


def pictures(name: str, index: int) -> dict[str, Picture]:
    found = PIPELINE[name].objects[index]
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[found.box.y0 + 9 : found.box.y1 - 9, found.box.x0 + 9 : found.box.x1 - 9] = True
    image = IMAGES[name]
    return {
        "boxed": Picture.of_pixels(draw_box(image, [found.box])),
        "marked": Picture.of_pixels(draw_mask_and_box(image, mask, [found.box])),
        "numbered": Picture.of_pixels(draw_numbers(image, PIPELINE[name].objects)),
    }


def line(name: str, index: int, edit_type: EditType, argument: str, reply: dict, final: str, meant) -> str:
    objects = [
        {
            "label": each.label,
            "box": [each.box.x0, each.box.y0, each.box.x1, each.box.y1],
            "color": "" if each.color == "mixed" else each.color,
        }
        for each in PIPELINE[name].objects
    ]
    return json.dumps(
        {
            "id": f"{name}-{index}",
            "size": [WIDTH, HEIGHT],
            "objects": objects,
            "target": [index],
            "edit_type": edit_type.value,
            "argument": argument,
            "reply": reply,
            "rewritten": final,
            "referred": list(meant),
        }
    )


@pytest.mark.parametrize(("name", "index"), ALL)
def test_every_wording_of_a_reference_means_its_object_alone(name, index):
    wordings = references(KNOWN[name], index)
    assert wordings
    assert {referred(f"Remove {words}.", KNOWN[name]) for words in wordings} == {(index,)}


def test_things_that_look_alike_in_one_place_have_no_reference_and_the_writer_declines():
    box = Box(x0=0, y0=0, x1=10, y1=10)
    twins = KnownScene(image=IMAGES["desk"], objects=(KnownObject(label="cup", box=box),) * 2)
    assert references(twins, 0) == []
    assert written(twins, 0, EditType.REMOVE, "none", 1) is None


@pytest.mark.parametrize(("name", "index"), ALL)
@pytest.mark.parametrize("edit_type", EditType)
def test_what_it_writes_passes_every_gate_on_words(name, index, edit_type):
    refused = []
    for seed in range(4):
        argument = [a for a in ARGUMENTS[edit_type] if a != PIPELINE[name].objects[index].color][seed % 2 - 1]
        reply = written(KNOWN[name], index, edit_type, argument, seed)
        assert reply is not None
        final = rewritten(str(reply["Editing_Instruction"]), seed)
        meant = referred(final, KNOWN[name])
        assert meant == (index,)
        verdict = check_line(line(name, index, edit_type, argument, reply, final, meant))
        if verdict["refused"]:
            refused.append((verdict["refused"], verdict["detail"], reply, final))
    assert refused == []


def test_the_gates_do_look_at_what_it_writes():
    reply = written(KNOWN["cups"], 1, EditType.COLOR, "blue", 3)
    assert reply is not None
    wrong = {**reply, "Editing_Instruction": "Turn the first cup from the left blue."}
    verdict = check_line(line("cups", 1, EditType.COLOR, "blue", wrong, "", (0,)))
    assert verdict["refused"] in ("wrong_ordinal", "ambiguous_reference")


def test_wordings_vary_with_the_seed():
    texts = [written(KNOWN["cups"], 1, EditType.COLOR, "blue", seed) for seed in range(20)]
    assert len({json.dumps(text) for text in texts}) >= 12
    assert len({rewritten("Change the color of the red cup to blue.", seed) for seed in range(20)}) >= 5


@pytest.mark.parametrize("max_pixels", [100_000, 2_000_000])
@pytest.mark.parametrize(("name", "index"), ALL)
def test_it_finds_the_target_by_its_red_box_alone(name, index, max_pixels):
    goal = target(PIPELINE[name], index)
    changes = {"target": goal, "edit_type": EditType.REMOVE, "argument": "none", **pictures(name, index)}
    reply = ask("instructor", max_pixels=max_pixels, **changes)
    assert referred(reply.instruction, KNOWN[name]) == (index,)
    said = ask("text_judge", max_pixels=max_pixels, instruction=reply.instruction, **pictures(name, index))
    assert said.agreement == 0.97
    other = references(KNOWN[name], (index + 1) % len(PIPELINE[name].objects))[0]
    said = ask("text_judge", max_pixels=max_pixels, instruction=f"Remove {other}.", **pictures(name, index))
    assert said.agreement == 0.04


@pytest.mark.parametrize("max_pixels", [250_000, 2_000_000])
@pytest.mark.parametrize(("name", "index"), ALL)
def test_it_reads_the_numbers_off_the_picture(name, index, max_pixels):
    words = references(KNOWN[name], index)[-1]
    shown = {"numbered": pictures(name, index)["numbered"], "scene": PIPELINE[name]}
    assert ask("referrer", max_pixels=max_pixels, instruction=f"Turn {words} blue.", **shown).objects == (
        index,
    )


def test_numbers_are_those_of_the_pipeline_in_whatever_order_it_found_things():
    backwards = scene(
        [
            thing(e.label, (e.box.x0, e.box.y0, e.box.x1, e.box.y1), e.color)
            for e in reversed(PIPELINE["cups"].objects)
        ]
    )
    shown = Picture.of_pixels(draw_numbers(IMAGES["cups"], backwards.objects))
    assert ask("referrer", instruction="Remove the red cup.", numbered=shown, scene=backwards).objects == (2,)


def test_the_asked_argument_is_used_and_an_open_one_is_chosen():
    shown = pictures("cups", 1) | {"target": target(PIPELINE["cups"], 1), "edit_type": EditType.COLOR}
    asked = ask("instructor", argument="purple", **shown)
    assert (asked.argument, "purple" in asked.instruction) == ("purple", True)
    free = ask("instructor", argument="", **shown)
    assert free.argument in ARGUMENTS[EditType.COLOR]
    assert free.argument != "red"
    assert free.argument in free.instruction


def test_a_target_that_fills_the_picture_is_too_easy():
    whole = scene([thing("bus", (20, 20, 980, 780), "blue"), thing("cup", (0, 0, 15, 15), "red")])
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    marked = draw_mask_and_box(image, np.zeros((HEIGHT, WIDTH), np.bool_), [whole.objects[0].box])
    writer = SceneWriter([KnownScene.of(whole, image)])
    backend = choose("target_judge", RoleSettings(backend="chat"), "j", ServedModel(id="m")).load()
    assert isinstance(backend.options, TargetJudgeOptions)
    request = backend.request(questions(marked=Picture.of_pixels(marked))["target_judge"])
    asked = Asked(role="target_judge", number=0, body=json.loads(chat_body("m", request)))
    assert writer.answer(asked).text == "0"
    assert ask("target_judge", **pictures("cups", 1)).precise


@pytest.mark.parametrize(
    ("inside", "outside", "good"),
    [(0, 0, (False, True)), (60, 0, (True, True)), (60, 40, (True, False))],
)
def test_an_edit_is_judged_by_what_changed(inside, outside, good):
    box = PIPELINE["cups"].objects[1].box
    edited = np.clip(IMAGES["cups"].astype(int) + outside, 0, 255)
    part = edited[box.y0 : box.y1, box.x0 : box.x1]
    edited[box.y0 : box.y1, box.x0 : box.x1] = np.clip(part + inside - outside, 0, 255)
    shown = {
        "source_boxed": pictures("cups", 1)["boxed"],
        "edited_boxed": Picture.of_pixels(draw_box(edited.astype(np.uint8), [box])),
    }
    scores = ask("edit_judge", **shown)
    assert (scores.accuracy > 4, scores.seamlessness > 4) == good
