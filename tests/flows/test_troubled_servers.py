"""Servers in trouble: no sample is blamed, nothing is lost, and the same command resumes.

Times are multiples of a unit: a tenth of a second, or what ``TIME_UNIT`` says; a whole second in the long run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flows.cli.main import main
from tasks.records.errors import FAILURES
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.commits import commit_from
from tests.flows.drawn.builds import profile, release_files, run, stored_answers, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import DrawnScript
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked, Script, busy, first_times

pytestmark = pytest.mark.usefixtures("drawn_models")

COUNT = 3
ROLES = {
    "slow": ("grounding.judge",),
    "dying": ("instruction.instructor",),
    "busy": ("instruction.rewriter", "instruction.text_judge"),
    "halving": ("instruction.referrer", "editing.judge"),
}
"""Server -> settings of the roles that it answers."""

in_units = pytest.mark.parametrize(
    "unit",
    [
        pytest.param(float(os.environ.get("TIME_UNIT", "0.1")), marks=pytest.mark.slow, id="short"),
        pytest.param(1.0, marks=pytest.mark.long, id="long"),
    ],
)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory, drawn_models: None) -> dict[str, str]:
    """The release of a build without trouble."""
    folder = tmp_path_factory.mktemp("healthy")
    lay_out(folder / "photographs", COUNT)
    with ChatServer(DrawnScript()) as server:
        run(written(folder, profile(server.url)), folder / "photographs", folder / "out")
    return release_files(folder / "out")


def failures(out: Path) -> dict[str, int]:
    """Failed inputs and outputs of all commits by reason."""
    store, found = open_store(str(out)), {}
    for item in store.list("stages"):
        if "/commits/" in item.path:
            for name, count in commit_from(store.get(item.path), item.path).counts["reasons"].items():
                reason = name.partition(":")[2]
                if reason in FAILURES:
                    found[reason] = found.get(reason, 0) + count
    return found


class Dying:
    """Breaks all connections during its third question, then stops listening for a while."""

    def __init__(self, away_s: float) -> None:
        self.away_s = away_s
        self.server: ChatServer | None = None
        self._script = DrawnScript()

    def __call__(self, asked: Asked) -> Answer:
        if asked.number == 2 and self.server is not None:
            threading.Thread(target=self.server.die, args=(self.away_s,)).start()
            return Answer(after_s=self.away_s)
        return self._script(asked)


@in_units
def test_slow_dying_busy_and_halving_servers_give_the_same_release(
    healthy: dict[str, str], tmp_path: Path, unit: float
) -> None:
    dying = Dying(5 * unit)
    scripts: dict[str, Script] = {
        "slow": first_times(100, Answer(after_s=3 * unit), DrawnScript()),
        "dying": dying,
        "busy": first_times(3, busy(2 * unit), DrawnScript()),
        "halving": first_times(2, Answer(half=True), DrawnScript()),
    }
    lay_out(tmp_path / "photographs", COUNT)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(ChatServer(script)) for name, script in scripts.items()}
        dying.server = servers["dying"]
        tree = profile("http://127.0.0.1:9/v1", probe_s=unit / 4, patience_s=100 * unit)
        words = tree["servers"].pop("words")
        tree["servers"] = {name: {**words, "urls": [server.url]} for name, server in servers.items()}
        for name, settings in ROLES.items():
            for setting in settings:
                section, _, role = setting.partition(".")
                tree[section][role] = {"backend": "chat", "run": name}
        # Far shorter than the slow server takes: waiting is not counted.
        tree["execution"]["step_timeout_s"] = unit
        run(written(tmp_path, tree), tmp_path / "photographs", tmp_path / "out")
        came = {role: count for server in servers.values() for role, count in server.came.items()}
    kept = stored_answers(tmp_path / "out")
    assert {role: came[role] - kept[role] for role in came if role != "instructor"} == {
        "target_judge": 0, "rewriter": 3, "text_judge": 3, "referrer": 2, "edit_judge": 2,
    }  # fmt: skip
    assert came["instructor"] > kept["instructor"]
    assert failures(tmp_path / "out") == {}
    assert release_files(tmp_path / "out") == healthy


@pytest.fixture
def build(tmp_path: Path) -> Iterator[tuple[DrawnScript, ChatServer, list[str]]]:
    """A script, its server, and the command for a build with short patience."""
    lay_out(tmp_path / "photographs", COUNT)
    script = DrawnScript()
    with ChatServer(script) as server:
        path = written(tmp_path, profile(server.url, patience_s=0.3))
        arguments = ["build", "--profile", path, "--source", str(tmp_path / "photographs")]
        yield script, server, [*arguments, "--out", str(tmp_path / "out"), "--quiet"]


@pytest.mark.slow
def test_another_models_name_is_a_wrong_configuration_before_any_work(
    build: tuple[DrawnScript, ChatServer, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, server, command = build
    server.model = "another-model"
    assert main(command) == 2
    assert "servers.words.model.id: 'test-model' is not served at" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("most", [0, 1])
def test_a_server_that_reads_too_few_pictures_is_a_wrong_configuration_before_any_work(
    build: tuple[DrawnScript, ChatServer, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    most: int,
) -> None:  # fmt: skip
    _, server, command = build
    server.pictures = most
    assert main(command) == 2
    told = capsys.readouterr().err
    assert "servers.words.model.id: 'test-model' at" in told
    assert "edit_judge sends 2, instructor sends 1, referrer sends 1, target_judge sends 1" in told
    assert not list((tmp_path / "out").rglob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("role", ["target_judge", "instructor", "edit_judge"])
def test_a_server_that_becomes_another_model_stops_the_build_and_the_same_command_resumes(
    build: tuple[DrawnScript, ChatServer, list[str]], healthy: dict[str, str], tmp_path: Path, role: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    script, server, command = build
    # The second and all later questions of the role meet the other server at this address.
    fault = Answer(text="1", model="another-model")
    script.instead[role] = lambda asked, answer: fault if asked.number else answer
    assert main(command) == 3
    told = capsys.readouterr().err
    assert "answers as model 'another-model', configured is 'test-model'" in told
    assert not list((tmp_path / "out").glob("releases/*"))
    assert failures(tmp_path / "out") == {}
    script.instead.clear()
    before = dict(server.asked)
    assert main(command) == 0, capsys.readouterr().err
    assert server.asked["target_judge"] - before["target_judge"] < COUNT * 2
    assert failures(tmp_path / "out") == {}
    assert release_files(tmp_path / "out") == healthy


@pytest.mark.slow
def test_a_server_that_stays_away_stops_the_build_and_the_same_command_resumes(
    build: tuple[DrawnScript, ChatServer, list[str]], healthy: dict[str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    script, server, command = build
    script.instead["referrer"] = lambda asked, answer: busy(0) if asked.number else answer
    assert main(command) == 3
    assert "servers.words: no answer for 0.3 s" in capsys.readouterr().err
    assert failures(tmp_path / "out") == {}
    script.instead.clear()
    before = server.asked["instructor"]
    assert main(command) == 0, capsys.readouterr().err
    assert server.asked["instructor"] == before, "kept answers are used again"
    assert release_files(tmp_path / "out") == healthy


@pytest.mark.slow
def test_a_build_that_begins_while_its_server_is_down_waits_for_it(
    build: tuple[DrawnScript, ChatServer, list[str]], healthy: dict[str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    _, server, command = build
    server.die(1.0)
    command = [part for part in command if part != "--quiet"]
    assert main([*command, "--set", "servers.words.patience_s=60"]) == 0
    assert "does not answer" in capsys.readouterr().err
    assert release_files(tmp_path / "out") == healthy
