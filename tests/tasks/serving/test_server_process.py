"""A server of this process, with a stand-in for vLLM: ready, ended, ill, stopped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.records.errors import ModelUnavailable
from tasks.roles.own_server import CannotStart
from tasks.roles.placement import ServerSettings
from tasks.serving import server_process
from tasks.serving.server_process import Launch, ServerProcess
from tests.flows.processes import is_gone, kill
from tests.serving.own_servers import alive, argument, serve, started

KEY = "a-key-that-nobody-may-see"


def launch(folder: Path, **changes: Any) -> Launch:
    settings = ServerSettings.model_validate(
        {"model": {"id": "test-model"}, "serve": serve(folder, path="/models/tiny", **changes)}
    )
    return Launch(name="vlm", settings=settings, api_key=KEY, card_gb=80, log=folder / "logs" / "vlm.log")


def run(folder: Path, test: Callable[[ServerProcess], Awaitable[None]], **changes: Any) -> None:
    async def inside() -> None:
        server = await ServerProcess.start(launch(folder, **changes))
        try:
            await test(server)
        finally:
            await server.close()
        assert alive(folder) == []

    asyncio.run(inside())


def test_when_it_has_started_it_answers_with_its_key_alone(tmp_path: Path) -> None:
    async def test(server: ServerProcess) -> None:
        async with httpx.AsyncClient() as client:
            url = f"{server.urls[0]}/models"
            assert (await client.get(url)).status_code == 401
            with_key = await client.get(url, headers={"authorization": f"Bearer {KEY}"})
            assert with_key.json()["data"][0]["id"] == "test-model"

    run(tmp_path, test)
    (one,) = started(tmp_path)
    assert argument(one, "--model") == "/models/tiny"
    assert KEY not in str(one["arguments"])
    assert KEY not in (tmp_path / "logs" / "vlm.log").read_text()
    assert one["environment"]["VLLM_API_KEY"] == KEY
    assert not {"OMP_NUM_THREADS", "RAY_ADDRESS"} & one["environment"].keys()


def test_its_death_is_told_when_nothing_of_it_is_left(tmp_path: Path) -> None:
    async def test(server: ServerProcess) -> None:
        pids = started(tmp_path)[0]["pids"]
        kill(pids[0])
        assert await asyncio.wait_for(server.ended(), 20) == "was ended by SIGKILL"
        assert all(is_gone(pid) for pid in pids)

    run(tmp_path, test)


def test_one_that_is_up_and_ill_is_put_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "HEALTH_POLL_S", 0.05)

    async def test(server: ServerProcess) -> None:
        (tmp_path / "sick").touch()
        assert await asyncio.wait_for(server.ended(), 20) == "was up and answered 500"
        assert alive(tmp_path) == []

    run(tmp_path, test)


def test_one_that_ends_while_it_starts_is_an_error_with_the_last_lines_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(ModelUnavailable) as raised:
        asyncio.run(ServerProcess.start(launch(tmp_path)))
    assert not isinstance(raised.value, CannotStart)
    first, *rest = str(raised.value).splitlines()
    log = tmp_path / "logs" / "vlm.log"
    assert first == f"servers.vlm: ended with exit code 1 while it started; the end of {log}:"
    assert rest == ["loading /models/tiny", "OSError: /models/tiny is no folder"]
    assert alive(tmp_path) == []


def test_one_that_takes_too_long_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "silent").touch()
    with pytest.raises(CannotStart, match=r"servers\.vlm: not ready within 2 s \(serve\.ready_s\)"):
        asyncio.run(ServerProcess.start(launch(tmp_path, ready_s=2)))
    assert alive(tmp_path) == []


def test_one_that_is_no_longer_wanted_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "silent").touch()

    async def inside() -> None:
        starting = asyncio.create_task(ServerProcess.start(launch(tmp_path)))
        while not started(tmp_path):
            await asyncio.sleep(0.05)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    asyncio.run(inside())
    assert alive(tmp_path) == []


def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"servers\.vlm: /nowhere/python: No such file"):
        asyncio.run(ServerProcess.start(launch(tmp_path, python="/nowhere/python")))


def nvidia_smi(folder: Path, *frees: int) -> None:
    """A tool that tells of one card with 80000 MiB; free memory as given, call by call, the last for good."""
    tool = folder / "nvidia-smi"
    lines = "\n".join(str(free) for free in frees)
    (folder / "frees").write_text(lines)
    tool.write_text(
        f'#!/bin/sh\nfree=$(head -1 {folder}/frees)\n[ "$(wc -l < {folder}/frees)" -gt 0 ] && '
        f'sed -i 1d {folder}/frees\necho "$free, 80000"\n'
    )
    tool.chmod(0o755)


def test_a_card_whose_memory_comes_free_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.serving import gpu_memory  # noqa: PLC0415

    monkeypatch.setattr(gpu_memory, "POLL_S", 0.01)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    nvidia_smi(tmp_path, 1000, 1000, 60000)
    asyncio.run(gpu_memory.wait_for_memory(["0"], 0.5, wait_s=20))
    nvidia_smi(tmp_path, 1000)
    with pytest.raises(ModelUnavailable, match="GPU 0: 1000 of 80000 MiB are free, 40000 are needed"):
        asyncio.run(gpu_memory.wait_for_memory(["0"], 0.5, wait_s=0.1))
