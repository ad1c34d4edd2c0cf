"""Servers are asked whether they read as many pictures as their roles send, before any work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks.records.errors import ConfigurationError, ModelUnavailable
from tasks.records.settings_base import RoleSettings
from tasks.roles.backends import choose
from tasks.roles.calls import Route
from tasks.roles.placement import ServedModel, ServerSettings
from tasks.roles.router import Router
from tasks.roles.server_check import pictures_sent
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked, busy, fixed_answers

MODEL = ServedModel(id="test-model")


def route(role: str, run: str = "vlm", name: str = "chat", **options: Any) -> Route:
    choice = choose(role, RoleSettings(backend=name, run=run, options=options), role, MODEL)
    return Route(name=f"{role}@{run}", role=role, choice=choice, run=run, served=MODEL)


def check(server: ChatServer, *routes: Route) -> None:
    async def run() -> None:
        settings = ServerSettings(model=MODEL, urls=(server.url,), timeout_s=5)
        router = Router(routes, pools={}, servers={"vlm": settings}, keeper=None)
        try:
            await router.check(["vlm"])
        finally:
            await router.close()

    asyncio.run(run())


def never(asked: Asked) -> Answer:
    raise AssertionError(f"the check asked a question of a role: {asked.texts}")


def test_one_small_question_shows_that_pictures_are_read() -> None:
    with ChatServer(never) as server:
        check(server, route("target_judge"), route("edit_judge"), route("rewriter"))
        assert server.trials == 1
        assert server.came.total() == 0


def test_a_server_of_roles_that_send_words_alone_is_asked_nothing() -> None:
    with ChatServer(never, pictures=0) as server:
        check(server, route("rewriter"))
        assert server.trials == 0


def test_a_text_model_for_a_role_that_sends_pictures_is_a_wrong_configuration() -> None:
    """llama.cpp's server refuses pictures with the status of an outage."""
    with ChatServer(fixed_answers, pictures=0) as server, pytest.raises(ConfigurationError) as caught:
        check(server, route("target_judge"), route("rewriter"))
    told = str(caught.value)
    assert told.startswith("servers.vlm.model.id: 'test-model' at http://127.0.0.1:")
    assert "refuses a question with 1 picture (status 500: " in told
    assert "image input is not supported" in told
    assert "target_judge sends 1" in told


def test_a_server_that_takes_fewer_pictures_than_a_role_sends_is_a_wrong_configuration() -> None:
    routes = route("instructor"), route("edit_judge", look="whole_and_crop")
    with ChatServer(fixed_answers, pictures=2) as server, pytest.raises(ConfigurationError) as caught:
        check(server, *routes)
    assert "At most 2 image(s)" in str(caught.value)
    assert "edit_judge sends 4, instructor sends 1" in str(caught.value)
    with ChatServer(fixed_answers, pictures=4) as server:
        check(server, *routes)


def test_a_server_that_answers_500_to_everything_is_away_and_not_blind() -> None:
    with ChatServer(lambda _: Answer(status=500), pictures=0) as server, pytest.raises(ModelUnavailable):
        check(server, route("target_judge"))


def test_a_busy_server_is_away_and_not_blind() -> None:
    with ChatServer(fixed_answers) as server:
        server.trial = busy(1, status=503)
        with pytest.raises(ModelUnavailable, match="status 503"):
            check(server, route("target_judge"))


def test_another_models_name_in_the_reply_is_a_wrong_configuration() -> None:
    """The list of models has the configured name; what answers is something else."""
    with ChatServer(fixed_answers) as server:
        server.trial = Answer(text="ok", model="another-model")
        with pytest.raises(
            ConfigurationError, match=r"servers\.vlm\.model\.id: .*answers as model 'another-model'"
        ):
            check(server, route("target_judge"))


def test_pictures_are_counted_per_role_and_server() -> None:
    routes = [
        route("target_judge", look="whole_and_crop"),
        route("edit_judge", name="yes-no"),
        route("rewriter"),
        route("instructor", run="writer"),
    ]
    assert pictures_sent(routes, "vlm") == {"target_judge": 2, "edit_judge": 2}
    assert pictures_sent(routes, "writer") == {"instructor": 1}
    assert pictures_sent(routes, "nobody") == {}
