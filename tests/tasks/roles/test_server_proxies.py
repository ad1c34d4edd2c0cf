"""Who is reached through the user's proxy: servers elsewhere, and none of this machine or of the build's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tasks.roles.placement import ServedModel, ServerSettings, ServeSettings
from tasks.roles.servers import Server
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked

NAMES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")


def answer(asked: Asked) -> Answer:
    return Answer(text="yes")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5h://127.0.0.1:9"])
def test_a_server_on_this_machine_is_reached_without_the_proxy(
    name: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in (*NAMES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, proxy)
    with ChatServer(answer) as chat:
        settings = ServerSettings(model=ServedModel(id="test-model"), urls=(chat.url,))

        async def check() -> int:
            server = Server("words", settings)
            try:
                return len(await server.check())
            finally:
                await server.close()

        assert asyncio.run(check()) == 1


def proxied(settings: ServerSettings) -> bool:
    async def look() -> bool:
        server = Server("words", settings)
        try:
            return bool(server._clients[0]._mounts)
        finally:
            await server.close()

    return asyncio.run(look())


def test_a_server_elsewhere_is_reached_through_it_and_one_of_our_own_on_a_cluster_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    model = ServedModel(id="m")
    assert proxied(ServerSettings(model=model, urls=("https://api.example.org/v1",)))
    assert proxied(ServerSettings(model=model, urls=("http://10.0.0.5:8000/v1",)))
    assert not proxied(ServerSettings(model=model, serve=ServeSettings(python=str(tmp_path / "python"))))
