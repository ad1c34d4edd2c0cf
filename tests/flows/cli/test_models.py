"""``models try`` on the command line, with servers that answer, are away, or run another model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from flows.cli.main import main
from tests.photographs import lay_out_photographs
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked, fixed_answers
from tests.tasks.sources.source_pictures import draw, save


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(save(draw()))
    return path


def profile(tmp_path: Path, url: str, model: str = "test-model") -> str:
    """The embedded profile with all roles that a chat server can have on one such server."""
    embedded = yaml.safe_load((Path(__file__).parents[3] / "deploy/profiles/embedded.yaml").read_text())
    chat = {"backend": "chat", "run": "vlm"}
    embedded["grounding"]["judge"] = chat
    embedded["instruction"] |= dict.fromkeys(("instructor", "rewriter", "referrer", "text_judge"), chat)
    embedded["editing"]["judge"] = chat
    embedded["servers"] = {"vlm": {"model": {"id": model}, "urls": [url], "patience_s": 0.5, "probe_s": 0.1}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(embedded))
    return str(path)


def tried(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, object]]]:
    code = main(["models", "try", "--json", *arguments])
    roles = json.loads(capsys.readouterr().out)["roles"]
    return code, {role["role"]: role for role in roles}


@pytest.mark.assets
def test_every_role_answers_and_says_how_long_it_took(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(fixed_answers) as server:
        code, roles = tried(capsys, "--profile", profile(tmp_path, server.url), str(photograph))
        assert server.asked["instructor"] == 1
    assert {role: one["problem"] for role, one in roles.items()} == dict.fromkeys(roles, "")
    assert code == 0
    assert len(roles) == 11
    assert roles["rewriter"]["answer"] == "'Make the first thing from the left blue.'"
    assert (roles["rewriter"]["run"], roles["rewriter"]["memory_bytes"]) == ("vlm", 0)
    assert roles["segmenter"]["run"] == "here"


@pytest.mark.slow
@pytest.mark.assets
def test_a_role_that_fails_is_named_with_the_reason_and_the_others_are_tried(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_rewriter(asked: Asked) -> Answer:
        return Answer(status=400) if asked.role == "rewriter" else fixed_answers(asked)

    with ChatServer(no_rewriter) as server:
        code, roles = tried(capsys, "--profile", profile(tmp_path, server.url), str(photograph))
    assert code == 1
    assert [role for role, one in roles.items() if one["problem"]] == ["rewriter"]
    assert "endpoint_refused" in str(roles["rewriter"]["problem"])


@pytest.mark.slow
@pytest.mark.assets
def test_a_server_that_is_away_fails_its_roles_at_once(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(fixed_answers) as server:
        url = server.url
    code, roles = tried(capsys, "--profile", profile(tmp_path, url), str(photograph))
    assert code == 1
    away = {role for role, one in roles.items() if url in str(one["problem"])}
    assert away == {"target_judge", "instructor", "rewriter", "referrer", "text_judge", "edit_judge"}


def test_another_model_than_the_configured_one_is_a_wrong_configuration(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(fixed_answers) as server:
        own = profile(tmp_path, server.url, model="another")
        assert main(["models", "try", "--profile", own, str(photograph)]) == 2
    assert "servers.vlm.model.id: 'another' is not served" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_wrong_argument(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "try", str(tmp_path / "none.jpg")]) == 2
    assert "PHOTO=" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.assets
def test_the_embedded_profile_answers_without_any_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(p for p in lay_out_photographs("demo", tmp_path) if p.name.startswith("stylish-workspace"))
    assert main(["models", "try", str(path)]) == 0
    assert "all 11 roles answered" in capsys.readouterr().out
