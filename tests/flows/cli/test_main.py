"""The command: exit codes and output; run in this process to save imports."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.cli.main import main

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Result:
    """Result of a run."""

    returncode: int
    stdout: str
    stderr: str


def groundedit(*arguments: str, cwd: Path) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as left:  # argparse exits this way
            code = int(left.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def assert_wrong(result: Result, *parts: str) -> None:
    """Exit code 2, one line, no traceback, and the message names the problem."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    for part in parts:
        assert part in last
    assert result.stdout == ""


def test_help_names_every_command(tmp_path: Path) -> None:
    result = groundedit("--help", cwd=tmp_path)
    assert result.returncode == 0
    for command in (
        "build",
        "plan",
        "status",
        "verify",
        "repair",
        "gc",
        "show",
        "gallery",
        "fetch",
        "gates",
        "config",
    ):
        assert f"  {command} " in result.stdout


def test_the_module_runs_as_a_process_with_the_same_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.cli.main", "status", str(tmp_path / "nothing")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert_wrong(Result(result.returncode, result.stdout, result.stderr), "nothing")


def test_an_unexpected_error_is_one_line_and_debug_shows_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(_: object) -> int:
        raise ZeroDivisionError("seven by nothing")

    monkeypatch.setattr("flows.cli.inspect.status", explode)
    result = groundedit("status", "x", cwd=tmp_path)
    assert result.returncode == 3
    assert result.stderr.startswith("unexpected ZeroDivisionError: seven by nothing")
    with pytest.raises(ZeroDivisionError):
        groundedit("status", "x", "--debug", cwd=tmp_path)


def test_ctrl_c_says_that_the_same_command_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.cli.building.build", interrupt)
    result = groundedit("build", cwd=tmp_path)
    assert result.returncode == 130
    assert "same command" in result.stderr


def test_an_unknown_command_names_those_that_exist(tmp_path: Path) -> None:
    assert_wrong(groundedit("biuld", cwd=tmp_path), "biuld", "build", "status")


def test_an_unknown_profile_names_those_that_exist(tmp_path: Path) -> None:
    assert_wrong(groundedit("build", "--profile", "huge", cwd=tmp_path), "huge", "embedded")


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("grounding.target.min_scroe=0.5", ("grounding.target.min_scroe", "unknown", "0.5")),
        ("grounding.target.min_score=7", ("grounding.target.min_score", "7")),
        ("editing.editor.backend=brush", ("editing.editor", "brush", "classical")),
        ("seed", ("seed", "key=value")),
        ("instruction.weights.Color=-1", ("instruction.weights.Color", "-1")),
        ("instruction.weights.Color=.nan", ("instruction.weights.Color", "nan")),
        ("instruction.weights.Color=.inf", ("instruction.weights.Color", "inf")),
        ("instruction.weights={}", ("instruction.weights={}", "Color", "Remove")),
        ("instruction.weights={Color: 0, Remove: 0}", ("instruction.weights={'Color': 0.0", "Remove")),
        ("instruction.weights={Action: 3}", ("instruction.weights={'Action': 3.0}", "classical", "Remove")),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(
    tmp_path: Path, assignment: str, parts: tuple[str, ...]
) -> None:
    source = photograph_folder(tmp_path)
    result = groundedit("build", "--source", str(source), "--out", "o", "--set", assignment, cwd=tmp_path)
    assert_wrong(result, *parts)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", ""])
def test_a_limit_of_no_photographs_is_refused(tmp_path: Path, limit: str) -> None:
    result = groundedit("build", f"--limit={limit}", cwd=tmp_path)
    assert_wrong(result, f"argument --limit: {limit!r}")


@pytest.mark.parametrize("option", ["--out", "--name", "--source", "--exclude", "--profile"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_option_with_an_empty_value_is_refused_not_passed_over(
    tmp_path: Path, option: str, value: str
) -> None:
    assert_wrong(groundedit("plan", option, value, cwd=tmp_path), f"argument {option}: {value!r}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "verify", "repair", "gc", "gallery"])
def test_an_empty_name_is_not_a_dataset(tmp_path: Path, command: str) -> None:
    assert_wrong(groundedit(command, "", cwd=tmp_path), "argument OUT: ''")


def test_a_source_that_is_not_there_is_named_before_any_work(tmp_path: Path) -> None:
    assert_wrong(groundedit("build", "--source", "nowhere", "--out", "o", cwd=tmp_path), "nowhere")


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("no picture")
    assert_wrong(groundedit("build", "--source", "texts", "--out", "o", cwd=tmp_path), "texts", "pictures")


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    source = photograph_folder(tmp_path)
    (tmp_path / "o").write_text("a file")
    assert_wrong(groundedit("build", "--source", str(source), "--out", "o", cwd=tmp_path), "o")


@pytest.mark.parametrize("command", ["build", "plan"])
def test_an_output_below_a_file_is_refused(tmp_path: Path, command: str) -> None:
    source = photograph_folder(tmp_path)
    (tmp_path / "o").write_text("a file")
    result = groundedit(command, "--source", str(source), "--out", "o/x/y", cwd=tmp_path)
    assert_wrong(result, "out='o/x/y'", f"{tmp_path / 'o'} is a file")


def test_too_little_space_stops_before_work_with_exit_code_3(tmp_path: Path) -> None:
    source = photograph_folder(tmp_path)
    setting = "execution.min_free_bytes=9000000000000000"
    result = groundedit("build", "--source", str(source), "--out", "o", "--set", setting, cwd=tmp_path)
    assert result.returncode == 3
    assert "free" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["status", "verify", "repair", "gc", "gallery"])
def test_looking_at_what_is_not_there_makes_no_folder(tmp_path: Path, command: str) -> None:
    assert_wrong(groundedit(command, "nothing", cwd=tmp_path), "nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "verify", "repair", "gc"])
def test_a_folder_that_is_not_a_dataset_is_refused(tmp_path: Path, command: str) -> None:
    assert_wrong(
        groundedit(command, str(photograph_folder(tmp_path)), cwd=tmp_path), "holds no build", "photographs"
    )


def test_config_show_says_where_each_value_came_from(tmp_path: Path) -> None:
    result = groundedit("config", "show", "--profile", "embedded", "--set", "seed=7", cwd=tmp_path)
    assert result.returncode == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert lines["seed"].endswith("--set seed")
    assert lines["profile"].endswith("profile embedded")
    assert lines["ingest.max_bytes"].endswith("default")


def test_a_plan_counts_and_writes_nothing(tmp_path: Path) -> None:
    source = photograph_folder(tmp_path)
    result = groundedit("plan", "--source", str(source), "--out", "o", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[1].split()[:2] == ["ingest", "2"]
    assert not (tmp_path / "o").exists()
    held = tmp_path / "held" / "o"
    held.mkdir(parents=True)
    for out in ("deep/er/o", str(held)):
        assert groundedit("plan", "--source", str(source), "--out", out, cwd=tmp_path).returncode == 0
    assert not (tmp_path / "deep").exists()
    assert held.is_dir()


def photograph_folder(tmp_path: Path) -> Path:
    """Two tiny files that begin like pictures; no command here decodes them."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    return folder


def redirected(redirection: str, *arguments: str) -> Result:
    """Runs the command in a shell with this redirection; ``stdout`` is what still arrived."""
    command = [
        "sh",
        "-c",
        f'exec "$@" {redirection}',
        "sh",
        sys.executable,
        "-m",
        "flows.cli.main",
        *arguments,
    ]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}  # argparse hides errors of its own printing
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=buffered, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_a_reader_that_closes_the_pipe_is_not_an_error():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "flows.cli.main", "config", "show", "--profile", "embedded"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_that_breaks_elsewhere_is_not_taken_for_our_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_server(_: object) -> int:
        raise BrokenPipeError("a socket")

    monkeypatch.setattr("flows.cli.building.build", lose_the_server)
    result = groundedit("build", cwd=tmp_path)
    assert result.returncode == 3
    assert "a socket" in result.stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", ">&- 2>&-"])
def test_without_a_standard_output_a_command_works_in_silence(tmp_path: Path, closed: str) -> None:
    shown = redirected(closed, "config", "show")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")
    wrong = redirected(closed, "status", str(tmp_path / "nothing"))
    assert wrong.returncode == 2
    assert ("nothing" in wrong.stderr) == ("2>&-" not in closed)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [("config", "show"), ("--help",)])
def test_a_full_disk_behind_standard_output_is_one_line_and_exit_code_3(arguments: tuple[str, ...]) -> None:
    result = redirected(">/dev/full", *arguments)
    assert result.returncode == 3
    assert result.stderr == "error: standard output: No space left on device\n"


@pytest.mark.parametrize("command", ["build", "plan"])
@pytest.mark.parametrize("out", [".", "other", "/", "photos", "file", "photos/a.jpg", "own/inside"])
def test_an_output_among_other_files_is_refused_before_any_work(
    tmp_path: Path, command: str, out: str
) -> None:
    for name in ("photos/a.jpg", "other/deep/b.txt", "file", "own/stages/ingest-0123abcd/config.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    assert_wrong(groundedit(command, "--source", "photos", "--out", out, cwd=tmp_path), f"out={out!r}: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_answers_only_build_is_refused_among_other_files_too(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_bytes(b"x")
    with tarfile.open(ROOT / "tests" / "data" / "dataset-0.1.0" / "dataset.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    result = groundedit("build", "--answers-only", "--from", "dataset", "--out", "other", cwd=tmp_path)
    assert result.returncode == 2
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("uri", ["./~x", "~x", "./$HOME"])
def test_a_tilde_after_the_start_is_part_of_a_name(tmp_path: Path, uri: str) -> None:
    missing = groundedit("plan", "--source", uri, "--out", "out", cwd=tmp_path)
    assert_wrong(missing, f"sources.0.uri={uri!r}: does not exist")
    (tmp_path / uri).mkdir()
    assert_wrong(groundedit("plan", "--source", uri, "--out", "out", cwd=tmp_path), "holds no pictures")
    (tmp_path / "~x.yaml").write_text("nonsense: 1\n", encoding="utf-8")
    for profile in ("./~x.yaml", "~x.yaml"):
        assert_wrong(groundedit("plan", "--profile", profile, cwd=tmp_path), "nonsense: unknown key")
    (tmp_path / "~ex").write_text("s/a\n", encoding="utf-8")
    excluded = groundedit("plan", "--source", uri, "--exclude", "./~ex", "--out", "./~o", cwd=tmp_path)
    assert_wrong(excluded, "holds no pictures")
    assert not (tmp_path / "~o").exists()
