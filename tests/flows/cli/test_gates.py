"""``groundedit gates`` on the command line: one JSON line out per line in, and exit codes."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from flows.cli.main import main
from tasks.stages.instruction.words.gate_names import NAMES
from tests.tasks.stages.instruction.words.corpus import right_cases, wrong_cases


def gates(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["gates", *arguments])
    return code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def written(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def test_one_verdict_per_line_with_all_gates(tmp_path: Path) -> None:
    right, wrong = right_cases("figures")[0], wrong_cases("figures")[0]
    code, verdicts, _ = gates(
        "--profile", "embedded", "--gates", "all", written(tmp_path, right.line, "", wrong.line)
    )
    assert code == 0
    assert [verdict["refused"] for verdict in verdicts] == [None, *wrong.reasons]
    assert [gate["name"] for gate in verdicts[0]["gates"]] == list(NAMES)
    assert set(verdicts[0]["gates"][0]) == {"name", "passed", "decided", "detail"}


def test_a_line_that_is_none_is_a_verdict_and_the_others_are_answered(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b'\xff\xfe{"id": 1}\n{"id": 2}\n' + right_cases("figures")[0].line.encode())
    code, verdicts, _ = gates("--gates", "all", str(file))
    assert code == 0
    assert [verdict["refused"] for verdict in verdicts] == ["bad_line", "bad_line", None]
    assert verdicts[1]["id"] == 2


def test_listed_gates_alone_are_asked_and_the_profiles_list_is_the_default(tmp_path: Path) -> None:
    file = written(tmp_path, right_cases("figures")[0].line)
    assert [gate["name"] for gate in gates("--gates", "marking, schema", file)[1][0]["gates"]] == [
        "schema",
        "marking",
    ]
    _, verdicts, _ = gates("--set", "instruction.gates=[side]", file)
    assert [gate["name"] for gate in verdicts[0]["gates"]] == ["side"]


def test_an_unknown_gate_or_a_missing_file_is_wrong_before_any_work(tmp_path: Path) -> None:
    file = written(tmp_path, right_cases("figures")[0].line)
    for arguments, says in (
        (("--gates", "colour", file), "unknown gate 'colour'"),
        (("--set", "instruction.gates=[colour]", file), "unknown gate 'colour'"),
        ((str(tmp_path / "none.jsonl"),), "none.jsonl"),
        ((str(tmp_path),), str(tmp_path)),
        (("--profile", "none", file), "none"),
    ):
        code, verdicts, message = gates(*arguments)
        assert code == 2
        assert verdicts == []
        assert says in message.strip().splitlines()[-1]
