"""Servers are checked before any work."""

from __future__ import annotations

from typing import Any

import pytest

from flows.build.server_check import check_servers
from tasks.records.errors import ConfigurationError
from tasks.roles.placement import ServerSettings
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import fixed_answers


def settings(url: str, **changes: Any) -> ServerSettings:
    return ServerSettings.model_validate({"model": {"id": "test-model"}, "urls": [url], **changes})


def test_servers_that_are_as_configured_leave_nothing_to_say() -> None:
    with ChatServer(fixed_answers) as one, ChatServer(fixed_answers, model="other") as two:
        servers = {"vlm": settings(one.url), "text": settings(two.url, model={"id": "other"})}
        assert check_servers(servers) == ()


def test_a_wrong_one_is_a_wrong_configuration_beside_a_right_one() -> None:
    with ChatServer(fixed_answers) as one, ChatServer(fixed_answers, model="other") as two:
        servers = {"vlm": settings(one.url), "text": settings(two.url)}
        with pytest.raises(ConfigurationError, match=r"servers\.text\.model\.id: 'test-model' is not served"):
            check_servers(servers)


def test_one_that_does_not_answer_is_named_and_waited_for_later() -> None:
    with ChatServer(fixed_answers) as server:
        url = server.url
    (line,) = check_servers({"vlm": settings(url, patience_s=7)})
    assert line.startswith(f"servers.vlm: {url} does not answer")
    assert line.endswith("questions to it wait for up to 7 s")


def test_a_key_that_is_not_set_is_a_wrong_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY_OF_A_TEST", raising=False)
    with pytest.raises(ConfigurationError, match="KEY_OF_A_TEST"):
        check_servers({"vlm": settings("http://127.0.0.1:9/v1", api_key_env="KEY_OF_A_TEST")})
