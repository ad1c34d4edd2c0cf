"""Releases rebuilt from kept answers alone: the same bytes, although no model of the build is reproducible."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from flows.cli.main import main
from tasks.publishing.find_release import Release
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import answer_name
from tasks.storage.reports.auditing import verify
from tasks.storage.reports.forgetting import count_answers
from tests.flows.drawn import models
from tests.flows.drawn.builds import Count, process, profile, release_files, run, written
from tests.flows.drawn.photographs import lay_out
from tests.flows.drawn.script import DrawnScript, instruction_of, is_half
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn_models")]

COUNT = 3
PLAIN = ("--set", "execution.pool=in-process", "--set", "execution.prefect=false", "--quiet")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, drawn_models: None) -> tuple[Path, Count]:
    """A built dataset whose photographs are gone and whose server has stopped; and the questions that were asked."""
    folder = tmp_path_factory.mktemp("first")
    lay_out(folder / "photographs", COUNT)
    with ChatServer(DrawnScript()) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRAWN_JITTER", "1")
        count = Count(server)
        path = written(folder, profile(server.url))
        run(path, folder / "photographs", folder / "out")
        count.stop()
    (folder / "photographs").rename(folder / "moved")
    return folder, count


@pytest.fixture
def origin(first: tuple[Path, Count], tmp_path: Path) -> Path:
    """A copy of the dataset."""
    return Path(shutil.copytree(first[0] / "out", tmp_path / "origin"))


@pytest.fixture(autouse=True)
def _jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every model give another answer if asked again."""
    monkeypatch.setenv("DRAWN_JITTER", "1")


def answers_only(origin: Path, out: Path) -> list[str]:
    """Arguments of the command."""
    return ["build", "--answers-only", "--from", str(origin), "--out", str(out), *PLAIN]


def replay(origin: Path, out: Path) -> int:
    """Exit code of the command in this process; checks that no model was asked."""
    before = len(models.ASKED)
    code = main(answers_only(origin, out))
    assert len(models.ASKED) == before
    return code


def drop_later_stages(dataset: Path, *parts: str) -> None:
    """Removes parts (or all) of grounding and the stages after it."""
    for stage in (dataset / "stages").iterdir():
        if not stage.name.startswith("ingest-"):
            for part in [stage / name for name in parts] if parts else [stage]:
                shutil.rmtree(part, ignore_errors=True)


def test_two_builds_of_these_models_are_never_equal(first: tuple[Path, Count], tmp_path: Path) -> None:
    with ChatServer(DrawnScript()) as server:
        path = written(tmp_path, profile(server.url))
        run(path, first[0] / "moved", tmp_path / "out")
    assert release_files(tmp_path / "out") != release_files(first[0] / "out")


def test_the_release_is_rebuilt_from_answers_alone(
    origin: Path, first: tuple[Path, Count], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(origin, tmp_path / "new") == 0, capsys.readouterr().err
    assert release_files(tmp_path / "new") == release_files(first[0] / "out")
    assert verify(open_store(str(tmp_path / "new")), deep=True).faults == []


def test_commits_rows_and_data_after_ingest_are_not_needed(
    origin: Path, first: tuple[Path, Count], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop_later_stages(origin, "commits", "rows", "data")
    shutil.rmtree(origin / "releases")
    assert replay(origin, tmp_path / "new") == 0, capsys.readouterr().err
    assert release_files(tmp_path / "new") == release_files(first[0] / "out")


def test_ingest_and_answers_are_enough_in_a_process_without_newer_instructions(
    origin: Path, first: tuple[Path, Count], tmp_path: Path
) -> None:
    drop_later_stages(origin)
    shutil.rmtree(origin / "releases")
    log = tmp_path / "log"
    environment = {"OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FMA3", "DRAWN_LOG": str(log)}
    done = process(answers_only(origin, tmp_path / "new"), environment)
    assert done.returncode == 0, done.stderr
    assert not log.exists(), "a model was asked"
    assert release_files(tmp_path / "new") == release_files(first[0] / "out")


@pytest.mark.parametrize("role", ["segmenter", "target_judge", "referrer", "editor", "edit_judge"])
def test_a_missing_answer_is_named_by_role_and_stops_the_build(
    origin: Path, tmp_path: Path, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(str(origin))
    path = next(item.path for item in store.list("answers") if f"/{role}-" in item.path)
    name = answer_name(path)
    assert name is not None
    (origin / path).unlink()
    assert replay(origin, tmp_path / "new") == 3
    told = capsys.readouterr().err
    assert re.search(rf"^  {role}: 1 \({name.key24}\)$", told, re.MULTILINE), told
    assert not list((tmp_path / "new").glob("releases/*"))


def test_answers_missing_for_several_roles_are_all_named(
    origin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(str(origin))
    paths = [item.path for item in store.list("answers")]
    tagged, judged = (sorted(p for p in paths if f"/{r}-" in p) for r in ("tagger", "target_judge"))
    (origin / tagged[0]).unlink()
    photograph = tagged[0].rpartition("/")[0]
    (origin / next(path for path in judged if not path.startswith(photograph))).unlink()
    assert replay(origin, tmp_path / "new") == 3
    told = capsys.readouterr().err
    assert "grounding stopped: kept answers about 2 samples are missing" in told
    assert re.search(r"^  tagger: 1 ", told, re.MULTILINE)
    assert re.search(r"^  target_judge: 1 ", told, re.MULTILINE)


def test_forgotten_answers_and_what_depends_on_them_are_asked_again_and_nothing_else(
    first: tuple[Path, Count],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("DRAWN_JITTER")  # an equal answer shows that nothing else was asked again
    lay_out(tmp_path / "photographs", COUNT)
    with ChatServer(DrawnScript()) as server:
        path = written(tmp_path, profile(server.url))
        count = Count(server)
        run(path, tmp_path / "photographs", tmp_path / "out")
        whole, before = count.stop().roles, release_files(tmp_path / "out")
        assert main(["answers", "forget", str(tmp_path / "out"), "--role", "referrer"]) == 0
        told = capsys.readouterr().out
        assert f"set aside {whole['referrer']} answers and" in told
        assert "of instruction" in told
        count = Count(server)
        run(path, tmp_path / "photographs", tmp_path / "out")
        assert count.stop().roles == {"referrer": whole["referrer"]}
        assert release_files(tmp_path / "out") == before


def test_failures_are_kept_for_a_replay_and_a_retry_mends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DRAWN_JITTER")
    lay_out(tmp_path / "photographs", COUNT)
    script, out = DrawnScript(), tmp_path / "out"
    script.instead["edit_judge"] = lambda asked, answer: (
        Answer(text="?") if is_half(instruction_of(asked)) else answer
    )
    models.BROKEN.add("editor")
    with ChatServer(script) as server:
        path = written(tmp_path, profile(server.url))
        troubled = run(path, tmp_path / "photographs", out, "execution.max_failed_share=1.0")
        models.BROKEN.clear()
        script.instead.clear()
        kinds = {(count.role, count.kind) for count in count_answers(open_store(str(out)))}
        assert kinds >= {("editor", "failed"), ("edit_judge", "refused")}
        assert replay(out, tmp_path / "troubled") == 0, capsys.readouterr().err
        assert release_files(tmp_path / "troubled") == release_files(out)
        mended = run(path, tmp_path / "photographs", out, retry_failed=True)
        run(path, tmp_path / "photographs", tmp_path / "healthy")
    assert samples(mended) > samples(troubled)
    shutil.rmtree(out / troubled.folder)
    assert release_files(out) == release_files(tmp_path / "healthy")
    assert replay(out, tmp_path / "mended") == 0, capsys.readouterr().err
    assert release_files(tmp_path / "mended") == release_files(out)


def samples(release: Release) -> int:
    """Number of samples in a release."""
    return sum(release.manifest["samples"].values())
