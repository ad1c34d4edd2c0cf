"""The contract that every backend of the table keeps, one case per role and backend."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any

import pytest

import prompts.loading
from tasks.backends.assets import AssetCache
from tasks.roles.backend import LocalBackend
from tasks.roles.backends import BACKENDS
from tests.tasks.backends.contract.makers import MAKERS, WITHOUT_MODEL, choice_of
from tests.tasks.roles.contract import (
    Subject,
    check_answers,
    check_declarations,
    check_identity,
    check_neighbors,
    check_options,
    check_order,
    check_travel,
)

TABLE = [(role, name) for role, names in BACKENDS.items() for name in names]

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module", params=list(MAKERS), ids="-".join)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Subject, list[Any]]:
    """A backend with what it answers to each question asked alone."""
    subject = MAKERS[request.param](tmp_path_factory.mktemp("backend"))
    return subject, [subject.ask([question])[0] for question in subject.questions]


def test_every_backend_of_the_table_is_tested() -> None:
    assert sorted(TABLE) == sorted(MAKERS)


@pytest.mark.parametrize(("role", "name"), TABLE)
def test_who_answers_is_known_without_loading_anything(
    role: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a model was asked for")

    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path))
    monkeypatch.setattr(AssetCache, "fetch", refuse)
    monkeypatch.setattr(AssetCache, "path", refuse)
    choice = choice_of(role, name, WITHOUT_MODEL.get((role, name)))
    check_declarations(choice)
    check_identity(choice)
    check_options(choice)
    assert not list(tmp_path.iterdir())


def test_answers_have_the_form_of_their_role(case: tuple[Subject, list[Any]]) -> None:
    check_answers(*case)


def test_a_bad_question_leaves_its_neighbors_alone(case: tuple[Subject, list[Any]]) -> None:
    check_neighbors(*case)


def test_an_answer_depends_on_neither_batch_nor_order_nor_threads(case: tuple[Subject, list[Any]]) -> None:
    check_order(*case)


def test_questions_and_answers_travel_between_processes(case: tuple[Subject, list[Any]]) -> None:
    check_travel(*case)


def test_it_reads_the_prompt_files_it_names_and_no_others(
    case: tuple[Subject, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = case[0]
    read: set[str] = set()
    original: Callable[[str], bytes] = prompts.loading._read

    def recorded(file_name: str) -> bytes:
        read.add(file_name.rpartition(".")[0])
        return original(file_name)

    monkeypatch.setattr(prompts.loading, "_read", recorded)
    _forget()
    backend = subject.choice.load()
    assert subject.choice.identity
    if isinstance(backend, LocalBackend):
        questions = subject.questions if subject.choice.role != "segmenter" else subject.questions[:1]
        backend.answer([*questions, *(bad.question for bad in subject.bad)])
    else:
        subject.ask([*subject.questions, *(bad.question for bad in subject.bad)])
    _forget()  # what was read under the patch is as good as ever, but nothing of this test shall stay
    named = set(subject.choice.backend.prompts)
    # What is said back about refused words is read by the stage that refuses them.
    assert read == named - {"refusals"}


def _forget() -> None:
    """Empty the caches that hold prompt files; the loaded classifier stays."""
    for found in gc.get_objects():
        if type(found) is _lru_cache_wrapper:
            module = str(getattr(found, "__module__", ""))
            if module.startswith(("prompts", "tasks.backends.embedded")) and "classifier" not in module:
                found.cache_clear()
