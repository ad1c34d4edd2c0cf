"""Served backends for the contract test: their questions go over HTTP to a scripted server that knows the pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tasks.imaging.arrays import Image
from tasks.records.errors import Reason, SampleError
from tasks.records.records import EditType, Scene
from tasks.records.settings_base import RoleSettings
from tasks.roles.backend import ServedBackend
from tasks.roles.backends import BackendChoice, choose
from tasks.roles.calls import Given, Route
from tasks.roles.picture import Picture
from tasks.roles.placement import ServedModel, ServerSettings
from tasks.roles.questions import (
    EditJudgeQuestion,
    InstructQuestion,
    Question,
    ReferQuestion,
    RewriteQuestion,
    TagQuestion,
    TargetQuestion,
    TextQuestion,
)
from tasks.roles.route_counts import RouteCounts
from tasks.roles.served_route import ServedRoute, as_it_is
from tasks.roles.servers import Server
from tasks.stages.red_picture import draw_box, draw_mask_and_box, draw_numbers
from tests.serving.chat_server import ChatServer
from tests.serving.scene_eyes import KnownScene
from tests.serving.scene_writer import SceneWriter
from tests.serving.scripts import Answer, Asked
from tests.tasks.backends.served.asked import WORDS
from tests.tasks.roles.contract import Bad, Subject
from tests.tasks.roles.role_questions import damaged
from tests.tasks.stages.instruction.example_scenes import HEIGHT, WIDTH, scene, target, thing

MODEL = ServedModel(id="test-model", max_pixels=400_000)

SMALL = scene([thing("cup", (100, 300, 240, 460), "red"), thing("cup", (500, 300, 640, 460), "blue")])
LARGE = scene([thing("bus", (30, 60, 960, 700), "green"), thing("cup", (5, 740, 60, 790), "red")])

UNREADABLE = 1_000_000
"""From this seed on the scripted server gives no answer that can be read."""


def _painted(found: Scene, ground: int) -> Image:
    image = np.full((HEIGHT, WIDTH, 3), ground, np.uint8)
    paints = {"red": (200, 30, 30), "blue": (40, 60, 200), "green": (40, 140, 50)}
    for each in found.objects:
        center = (int(each.box.center[0]), int(each.box.center[1]))
        axes = (each.box.width // 2 - 1, each.box.height // 2 - 1)
        cv2.ellipse(image, center, axes, 0, 0, 360, paints[each.color], cv2.FILLED)
    return image


IMAGES = {id(SMALL): _painted(SMALL, 120), id(LARGE): _painted(LARGE, 190)}


def asker(
    choice: BackendChoice, script: Any, make_server: Callable[..., Any] = ChatServer, bad_replies: int = 1
) -> Any:
    """Puts questions to a server that runs for one call, all at the same time."""

    async def ask_all(url: str, questions: Sequence[Question]) -> list[Any]:
        settings = ServerSettings(model=MODEL, urls=(url,), bad_replies=bad_replies)
        server = Server("test", settings)
        route = Route(name="r", role=choice.role, choice=choice, run="test", served=MODEL)
        served = ServedRoute(route, lambda: server, RouteCounts(), as_it_is)
        backend = choice.load()
        assert isinstance(backend, ServedBackend)

        async def ask(question: Question) -> Any:
            try:
                request = backend.request(question)
            except SampleError as error:
                return error
            given = await served.ask(request)
            assert isinstance(given, Given)
            return given.error or given.answer

        try:
            return list(await asyncio.gather(*(ask(question) for question in questions)))
        finally:
            await server.close()

    def ask(questions: Sequence[Question]) -> list[Any]:
        with make_server(script, model=MODEL.id) as server:
            return asyncio.run(ask_all(server.url, questions))

    return ask


def _pictures(found: Scene, index: int) -> dict[str, Picture]:
    box = found.objects[index].box
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[box.y0 + 20 : box.y1 - 20, box.x0 + 20 : box.x1 - 20] = True
    image = IMAGES[id(found)]
    edited = image.copy()
    edited[mask] = 255 - edited[mask]
    return {
        "picture": Picture.of_pixels(image),
        "boxed": Picture.of_pixels(draw_box(image, [box])),
        "marked": Picture.of_pixels(draw_mask_and_box(image, mask, [box])),
        "numbered": Picture.of_pixels(draw_numbers(image, found.objects)),
        "edited": Picture.of_pixels(edited),
        "edited_boxed": Picture.of_pixels(draw_box(edited, [box])),
    }


def _two(role: str) -> tuple[Question, ...]:
    """Two questions of a role with different answers, and one more."""
    small, large = _pictures(SMALL, 0), _pictures(LARGE, 0)
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    box = SMALL.objects[0].box
    words: dict[str, Any] = {"edit_type": EditType.COLOR, "argument": "purple"}
    if role == "tagger":
        return tuple(TagQuestion(subject="n", picture=p["picture"]) for p in (small, large))
    if role == "target_judge":
        return tuple(
            TargetQuestion(
                subject="t", picture=p["picture"], marked=p["marked"], mask=mask, target=target(found, 0)
            )
            for p, found in ((small, SMALL), (large, LARGE))
        )
    if role == "instructor":
        return tuple(
            InstructQuestion(
                subject="i", picture=p["picture"], boxed=p["boxed"], target=target(found, 0), seed=3, **words
            )
            for p, found in ((small, SMALL), (large, LARGE))
        )
    if role == "rewriter":
        texts = ("Turn the red cup purple.", "Remove the bus.")
        return tuple(RewriteQuestion(subject="w", instruction=t, edit_type=EditType.COLOR) for t in texts)
    if role == "referrer":
        texts = ("Turn the red cup purple.", "Remove the rightmost cup.", "Remove the zebra.")
        return tuple(
            ReferQuestion(
                subject="r",
                picture=small["picture"],
                numbered=small["numbered"],
                instruction=text,
                scene=SMALL,
            )
            for text in texts
        )
    if role == "text_judge":
        texts = ("Turn the red cup purple.", "Turn the blue cup purple.")
        return tuple(
            TextQuestion(subject="x", marked=small["marked"], instruction=t, reasoning=WORDS, **words)
            for t in texts
        )
    return tuple(
        EditJudgeQuestion(
            subject="e",
            source=small["picture"],
            edited=small["edited"],
            source_boxed=small["boxed"],
            edited_boxed=small[after],
            instruction="Turn the red cup purple.",
            crop=box,
            mask=mask,
            **words,
        )
        for after in ("edited_boxed", "boxed")
    )


LOOKED_AT = {
    "tagger": "picture",
    "target_judge": "marked",
    "instructor": "boxed",
    "referrer": "numbered",
    "text_judge": "marked",
    "edit_judge": "edited_boxed",
}
"""Role -> the picture that is sent; the rewriter is sent none."""


def served(role: str, name: str = "chat", **options: Any) -> Any:
    """Maker of a role's served backend, as `tests.tasks.backends.contract.makers` has them."""

    def make(folder: Path) -> Subject:
        del folder
        choice = choose(role, RoleSettings(backend=name, run="test", options=options), role, MODEL)
        writer = SceneWriter([KnownScene.of(found, IMAGES[id(found)]) for found in (SMALL, LARGE)])

        def script(asked: Asked) -> Answer:
            return Answer(text="Perhaps.\nOr not.") if asked.seed >= UNREADABLE else writer.answer(asked)

        questions = _two(role)
        bad = [Bad(question=replace(questions[0], seed=UNREADABLE), reason=Reason.BAD_REPLY)]
        if role in LOOKED_AT:
            seen = "picture" if options.get("by") == "boxes" else LOOKED_AT[role]
            closed: Any = {seen: damaged()}
            bad.append(Bad(question=replace(questions[0], **closed), reason=Reason.SOURCE_CHANGED))
        return Subject(choice=choice, ask=asker(choice, script), questions=questions, bad=tuple(bad))

    return make
