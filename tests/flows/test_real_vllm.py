"""A build that starts a real vLLM by itself, on the CPU, with a tiny Qwen2.5-VL of random weights for all served roles.

Its answers are nonsense. What is shown is that pictures, schemas, choices and seeds arrive, that each refusal has its
code, and that no process is left, whoever is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from flows.build.request import BuildRequest, resolve
from flows.build.try_models import try_models
from flows.cli.main import main
from tasks.backends.served.instructor import ChatInstructor
from tasks.imaging.pixels import encode_png
from tasks.records.errors import FAILURES
from tasks.roles import backends
from tasks.roles.chat import ChatPicture, ChatReply, ChatRequest
from tasks.roles.placement import ServerSettings
from tasks.roles.questions import InstructQuestion
from tasks.roles.server_set import ServerSet
from tasks.serving.local_servers import LocalServers
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import answer_name
from tasks.storage.protocol.commits import commit_from
from tests.environments import vllm_python
from tests.flows.processes import command_line, descendants, is_gone, kill, wait_until
from tests.flows.tiny_models import tiny_profile, write_checkpoints
from tests.photographs import lay_out_photographs
from tests.serving.tiny_vllm_model import tiny_qwen_vl

pytestmark = [pytest.mark.long, pytest.mark.assets]

ROOT = Path(__file__).resolve().parents[2]
CHAT = {"backend": "chat", "run": "vlm"}
SERVED_ROLES = ("target_judge", "instructor", "rewriter", "referrer", "text_judge", "edit_judge")
START_S = 3600.0
PHOTOGRAPHS = (
    "books-and-purple-flowers-on-a-wooden-stool-by-the-bed.jpg",
    "working-in-a-restaurant-macbook-cheese-cake-and-cup-of-coffee.jpg",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint."""
    return tiny_qwen_vl(tmp_path_factory.mktemp("models") / "tiny-qwen2.5-vl")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs."""
    every = lay_out_photographs("demo", tmp_path_factory.mktemp("all"))
    folder = tmp_path_factory.mktemp("photographs")
    for path in every:
        if path.name in PHOTOGRAPHS:
            shutil.copy(path, folder)
    assert len(list(folder.iterdir())) == len(PHOTOGRAPHS)
    return folder


def server(model: Path) -> dict[str, Any]:
    """The server's section; the prompts are long, since each byte is a token."""
    return {
        "model": {"id": "tiny", "dtype": "bfloat16", "max_pixels": 50_176, "context_length": 24_576},
        "serve": {
            "python": str(vllm_python()),
            "path": str(model),
            # On CPUs the engine dies of a prompt that has a seed and is read in several chunks.
            "args": {
                "enforce-eager": True,
                "max-num-seqs": 8,
                "enable-chunked-prefill": False,
                "max-num-batched-tokens": 24_576,
            },
            "env": {"VLLM_CPU_KVCACHE_SPACE": "1"},
            "ready_s": START_S,
        },
        "in_flight": 8,
        "probe_s": 0.5,
    }


def profile(model: Path, folder: Path, **execution: Any) -> Path:
    """The profile ``single-gpu`` with tiny random checkpoints, and this server for the roles that are served."""
    tree = tiny_profile(write_checkpoints(folder / "weights"), {"vlm": server(model)}, **execution)
    tree["grounding"]["target"] = {**tree["grounding"]["target"], "max_targets": 6}
    tree["instruction"]["rewriter"] = CHAT
    # A text of random bytes ends when a quotation mark comes by chance.
    tree["instruction"]["instructor"] = {**CHAT, "options": {"max_tokens": 6000}}
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def processes(model: Path) -> set[int]:
    """All processes of the sessions in which servers of this checkpoint run."""
    sessions = {_session(pid) for pid in _all() if str(model) in command_line(pid) and _is_server(pid)}
    return {pid for pid in _all() if _session(pid) in sessions and not is_gone(pid)}


def main_processes(model: Path) -> list[int]:
    """Those that listen."""
    return [pid for pid in _all() if _is_server(pid) and str(model) in command_line(pid)]


def _is_server(pid: int) -> bool:
    return "vllm.entrypoints.openai.api_server" in command_line(pid)


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _session(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return -pid


@pytest.fixture(autouse=True)
def nothing_left(model: Path) -> Iterator[None]:
    """No test leaves a process of a server."""
    yield
    left = processes(model)
    gone = wait_until(lambda: not processes(model))
    for pid in left if not gone else ():
        kill(pid)
    assert gone, left


def test_pictures_schemas_choices_and_seeds_arrive(model: Path, tmp_path: Path) -> None:
    settings = ServerSettings.model_validate(server(model))
    vllm = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}

    def picture(shade: int) -> ChatPicture:
        pixels = np.full((112, 168, 3), shade, np.uint8)
        pixels[20:60, 30:90] = (200, 30, 30)
        return ChatPicture(data=encode_png(pixels), media_type="image/png", recipe={})

    def judge(shade: int | None) -> ChatRequest:
        parts = ("Is it there?", *([] if shade is None else [picture(shade)]))
        sampling = {"temperature": 0, "max_tokens": 4, **vllm}
        schema = {"type": "integer", "enum": [0, 1]}
        return ChatRequest(parts=parts, sampling=sampling, seed=1, schema=schema, choices=("0", "1"))

    def writer(seed: int) -> ChatRequest:
        schema = {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": ["Color", "Remove"]},
                           "words": {"type": "string", "maxLength": 30}},
            "required": ["kind", "words"],
            "additionalProperties": False,
        }  # fmt: skip
        sampling = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 400, **vllm}
        return ChatRequest(parts=("Write.", picture(90)), sampling=sampling, seed=seed, schema=schema)

    async def ask() -> dict[str, ChatReply]:
        local = LocalServers({"vlm": settings}, card_gb=80, log_of=lambda name: tmp_path / f"{name}.log")
        servers = ServerSet({"vlm": settings}, local.start)
        requests = {
            "dark": judge(10), "dark again": judge(10), "light": judge(240), "none": judge(None),
            "seed 1": writer(1), "seed 1 again": writer(1), "seed 2": writer(2),
        }  # fmt: skip
        try:
            return {name: await servers.asked("vlm").ask(request) for name, request in requests.items()}
        finally:
            await servers.close()

    replies = asyncio.run(ask())
    print({name: (reply.text, len(reply.places)) for name, reply in replies.items()})
    for name in ("dark", "light", "none"):
        assert replies[name].text in ("0", "1")
        assert {"0", "1"} <= replies[name].places[0].keys()
    by_name = {name: replies[name].places[0] for name in ("dark", "dark again", "light", "none")}
    assert by_name["dark"] == pytest.approx(by_name["dark again"], abs=1e-3)
    differs = [abs(by_name["dark"]["1"] - by_name[other]["1"]) for other in ("light", "none")]
    assert min(differs) > 1e-4, "the picture is seen"
    # xgrammar lets control characters pass inside of strings.
    first, again, other = (json.loads(replies[f"seed {n}"].text, strict=False) for n in ("1", "1 again", "2"))
    assert first == again
    assert first != other
    assert first["kind"] in ("Color", "Remove")
    assert len(first["words"]) <= 30


def test_every_served_role_is_asked_by_models_try(model: Path, photographs: Path, tmp_path: Path) -> None:
    config, _ = resolve(BuildRequest(profile=str(profile(model, tmp_path, pool="in-process"))))
    tried, _ = try_models(config, next(photographs.iterdir()))
    served = {one.role: one.answer or one.problem for one in tried if one.run == "vlm"}
    print(json.dumps(served, indent=1))
    assert served.keys() == set(SERVED_ROLES)
    codes = {reason.value for reason in FAILURES}
    for one in tried:
        assert not one.problem or any(code in one.problem for code in codes), one
    by_role = {one.role: one for one in tried}
    for role in ("target_judge", "text_judge", "referrer"):
        assert by_role[role].problem == "", "held to the choices or the schema by the server"


def start_build(path: Path, photographs: Path, out: Path) -> subprocess.Popen[bytes]:
    """A build in a process of its own, with its words in a file beside the dataset."""
    arguments = ["build", "--profile", str(path), "--source", str(photographs), "--out", str(out)]
    with (out.parent / "said.txt").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", *arguments],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=said, stderr=said,
        )  # fmt: skip


def answers(out: Path, role: str) -> int:
    return sum(1 for _ in out.glob(f"answers/**/{role}-*"))


class WillingInstructor(ChatInstructor):
    """The instructor, whose model may not decline: one of random weights always fills the field for it."""

    @classmethod
    def schema(cls, options: Any, question: InstructQuestion) -> Mapping[str, Any]:
        schema = deepcopy(dict(super().schema(options, question) or {}))
        schema["properties"]["Refusal"] = {"type": "string", "enum": [""]}
        return schema


def counted_reasons(out: Path) -> Counter[str]:
    """How inputs and children ended, by reason."""
    store, found = open_store(str(out)), Counter[str]()
    for item in store.list("stages"):
        if "/commits/" in item.path:
            found.update(commit_from(store.get(item.path), item.path).counts["reasons"])
    return found


def kept_answers(out: Path) -> dict[str, int]:
    names = [answer_name(item.path) for item in open_store(str(out)).list("answers")]
    return dict(Counter(name.role for name in names if name is not None))


def test_a_build_asks_every_served_role_and_starts_a_killed_server_again(
    model: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backends.BACKENDS["instructor"], "willing", f"{__name__}:WillingInstructor")
    path = profile(model, tmp_path, pool="in-process")
    tree = yaml.safe_load(path.read_text())
    tree["instruction"]["instructor"]["backend"] = "willing"
    path.write_text(yaml.safe_dump(tree))
    out = tmp_path / "out"
    first: list[int] = []

    def kill_in_mid_stage() -> None:
        wait_until(lambda: answers(out, "instructor") > 0, START_S)
        first.extend(main_processes(model))
        for pid in first:
            kill(pid)

    killer = threading.Thread(target=kill_in_mid_stage)
    killer.start()
    arguments = ["build", "--profile", str(path), "--source", str(photographs), "--out", str(out)]
    assert main([*arguments, "--limit", "1"]) == 0
    killer.join()
    assert len(first) == 1
    assert "was ended by SIGKILL" in (out / "logs" / "vlm.log").read_text()
    kept, reasons = kept_answers(out), counted_reasons(out)
    print("kept answers:", kept, "reasons:", dict(reasons))
    assert set(SERVED_ROLES) <= kept.keys()
    assert main(["verify", str(out), "--deep"]) == 0


def test_a_build_on_ray_goes_on_when_server_or_actor_is_killed(
    model: Path, photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = start_build(profile(model, tmp_path), photographs, out)
    said = tmp_path / "said.txt"

    def reached(role: str, count: int) -> bool:
        return wait_until(lambda: answers(out, role) >= count or driver.poll() is not None, START_S)

    try:
        assert reached("target_judge", 1), said.read_text()
        (first,) = main_processes(model)
        of_first = processes(model)
        assert len(of_first) >= 3, "supervisor, server, engine"
        assert not of_first & set(descendants(driver.pid))
        kill(first)
        assert reached("instructor", 1), said.read_text()
        assert all(is_gone(pid) for pid in of_first)
        of_second = processes(model)
        actors = [p for p in descendants(driver.pid) if command_line(p).startswith("ray::ServerActor")]
        assert len(actors) == 1
        kill(actors[0])
        assert driver.wait(2 * START_S) == 0, said.read_text()
        assert all(is_gone(pid) for pid in of_second)
    finally:
        driver.kill()
        driver.wait()
    print(said.read_text()[-3000:])
    log = (out / "logs" / "vlm.log").read_text()
    assert "was ended by SIGKILL" in log
    assert "its actor ended" in log
    reasons = counted_reasons(out)
    print("kept answers:", kept_answers(out), "reasons:", dict(reasons))
    assert reasons, "random words are refused, each with its code"


@pytest.mark.parametrize("victim", ["driver", "raylet"])
def test_nothing_is_left_when_driver_or_ray_is_killed(
    model: Path, photographs: Path, tmp_path: Path, victim: str
) -> None:
    out = tmp_path / "out"
    driver = start_build(profile(model, tmp_path), photographs, out)
    try:
        # While it loads: the engine's process is there, and nothing has been answered.
        assert wait_until(lambda: len(processes(model)) >= 3 or driver.poll() is not None, START_S)
        assert driver.poll() is None, (tmp_path / "said.txt").read_text()
        if victim == "raylet":
            kill(next(pid for pid in descendants(driver.pid) if "/raylet/raylet" in command_line(pid)))
            assert wait_until(lambda: not processes(model))
    finally:
        driver.kill()
        driver.wait()
    assert wait_until(lambda: not processes(model))
