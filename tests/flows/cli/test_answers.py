"""``answers list`` and ``answers forget`` on the command line."""

from __future__ import annotations

import asyncio
import json

import pytest

from flows.cli.main import main
from tasks.records.errors import Reason
from tasks.roles.answers import KeptAnswers, NoAnswer
from tasks.roles.questions import Referents
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import Kind

SID = "ab" + "c" * 24


@pytest.fixture
def out(tmp_path):
    store = open_store(str(tmp_path / "out"))
    refused = NoAnswer(kind=Kind.REFUSED, reason=Reason.BAD_REPLY, detail="not_json")

    async def fill(kept):
        await kept.put(SID, "rewriter", "a" * 64, "words", run="small")
        await kept.put(SID, "referrer", "b" * 64, Referents(objects=(1,)), run="vlm")
        await kept.put(SID, "referrer", "c" * 64, refused, run="vlm")

    with KeptAnswers(store) as kept:
        asyncio.run(fill(kept))
    return store


def test_answers_are_counted_by_role_kind_and_round(out, capsys):
    assert main(["answers", "list", out.uri, "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert [(c["role"], c["kind"], c["round"], c["answers"]) for c in counts] == [
        ("referrer", "answer", 0, 1),
        ("referrer", "refused", 0, 1),
        ("rewriter", "answer", 0, 1),
    ]
    assert main(["answers", "list", out.uri, "--role", "rewriter"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["role", "kind", "round", "answers"], ["rewriter", "answer", "0", "1"], ["all", "1", "0.0"],
    ]  # fmt: skip


def test_forgotten_answers_are_set_aside_and_counted(out, capsys):
    assert main(["answers", "forget", out.uri, "--role", "referrer"]) == 0
    assert "set aside 2 answers and 0 units" in capsys.readouterr().out
    assert len(list(out.list("answers"))) == 1
    assert len(list(out.list("aside"))) == 2


@pytest.mark.parametrize(
    ("choice", "moved"),
    [
        (["--key", "b"], 1),
        (["--key", "b" * 64], 1),
        (["--key", "b" * 25 + "0"], 0),
        (["--server", "vlm"], 2),
        (["--server", "small"], 0),
        (["--since", "2020-01-01"], 2),
        (["--since", "2999-01-01T00:00+00:00"], 0),
        (["--since", "2020-01-01", "--server", "vlm", "--key", "c"], 1),
    ],
)
def test_answers_to_forget_are_chosen_by_time_server_and_key(out, capsys, choice, moved):
    assert main(["answers", "forget", out.uri, "--role", "referrer", *choice]) == 0
    assert len(list(out.list("aside"))) == moved
    told = capsys.readouterr().out
    assert (f"set aside {moved} answers" in told) is bool(moved)
    assert ("nothing was moved" in told) is not bool(moved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--role", "painter"], "--role 'painter': unknown role (available: tagger, "),
        (["--role", "editor", "--since", "yesterday"], "--since 'yesterday': expected a time"),
        (["--role", "editor", "--key", "xyz"], "--key 'xyz': expected the first 1 to 64 hex digits"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(out, capsys, arguments, message):
    assert main(["answers", "forget", out.uri, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_not_made(tmp_path, capsys):
    assert main(["answers", "list", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--answers-only"], "expected --from DATASET and --out NEW"),
        (
            ["--answers-only", "--from", "a", "--out", "b", "--limit", "3"],
            "--limit: not allowed with --answers-only",
        ),
        (
            ["--answers-only", "--from", "a", "--out", "b", "--retry-failed"],
            "--retry-failed: not allowed with",
        ),
        (["--from", "a"], "--from: only allowed with --answers-only"),
        (["--allow-other-libraries"], "--allow-other-libraries: only allowed with --answers-only"),
    ],
)
def test_arguments_of_answers_only_that_contradict_each_other_are_refused(capsys, arguments, message):
    assert main(["build", *arguments]) == 2
    assert message in capsys.readouterr().err
