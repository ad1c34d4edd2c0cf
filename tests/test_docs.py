"""The documents list backends, gates, fields and settings as they are, and their examples run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tasks.backends.served.options import ServedOptions
from tasks.backends.served.rewriter import ChatRewriter, RewriterOptions
from tasks.publishing.shard_format import SampleMeta
from tasks.records.errors import Reason
from tasks.roles.backend import LocalBackend
from tasks.roles.backends import BACKENDS, choose
from tasks.roles.placement import PoolSettings, ServerSettings, ServeSettings
from tasks.roles.questions import ROLES
from tasks.stages.config import BuildConfig, load_config
from tasks.stages.instruction.words.gates import GATES
from tasks.stages.instruction.words.json_line import check_line
from tests.tasks.backends.served.asked import SERVED, questions
from tests.tasks.roles.contract import Bad, Subject, check_all, check_declarations, check_identity
from tests.tasks.roles.role_questions import block, inpaint_question, inpaint_questions

ROOT = Path(__file__).resolve().parents[1]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_backends_and_gates_are_listed_as_they_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.+) \|$", text_of("docs/backends.md"), re.MULTILINE)
    listed = {role: set(re.findall(r"`([\w-]+)`", names)) for role, names in rows if role in ROLES}
    assert listed == {role: set(names) for role, names in BACKENDS.items()}
    gates = re.findall(r"^\| `(\w+)` \|", text_of("docs/gates.md"), re.MULTILINE)
    assert gates == [name for name in GATES if not name.startswith("closed_")]


def test_the_fields_of_a_sample_are_listed() -> None:
    table = text_of("docs/dataset-format.md").partition("<!-- fields -->")[2].partition("\n\n")[0]
    named = [name for row in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE) for name in row.split(", ")]
    fields = [field.alias or name for name, field in SampleMeta.model_fields.items()]
    assert sorted(name.strip("` ") for name in named) == sorted(fields)


def test_the_settings_shown_in_yaml_are_read() -> None:
    config = load_config("embedded")
    for page in ("README.md", "docs/operations.md", "docs/backends.md"):
        blocks = re.findall(r"```yaml\n(.*?)```", text_of(page), re.DOTALL)
        assert blocks
        for each in blocks:
            tree = config.model_dump(mode="json")
            for section, values in yaml.safe_load(each).items():
                tree[section] = {**tree[section], **values}
            BuildConfig.model_validate(tree)


def example(name: str) -> dict[str, Any]:
    """What a marked block of code in docs/backends.md defines."""
    pattern = rf"<!-- {name} example -->\n```python\n(.*?)```"
    found = re.search(pattern, text_of("docs/backends.md"), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(compile(found[1], f"docs/backends.md, {name} example", "exec"), names)
    return names


def test_the_local_example_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("example_backend")
    vars(module).update(example("local"))
    monkeypatch.setitem(sys.modules, "example_backend", module)
    monkeypatch.setitem(BACKENDS["inpainter"], "telea", "example_backend:TeleaInpainter")
    config = load_config("embedded", ["editing.inpainter={backend: telea}"])
    choice = choose("inpainter", config.editing.inpainter, "editing.inpainter")
    check_declarations(choice)
    check_identity(choice)
    backend = choice.load()
    assert isinstance(backend, LocalBackend)
    good = inpaint_questions()
    whole = inpaint_question(good[0].picture, ~block(0, 0, 2, 2))
    subject = Subject(
        choice=choice,
        ask=backend.answer,
        questions=good,
        bad=(Bad(question=whole, reason=Reason.REGION_TOO_LARGE),),
    )
    check_all(subject)


def test_the_served_example_asks_as_the_backend_in_use() -> None:
    question = questions()["rewriter"]
    shown = example("served")["ChatRewriter"](ServedOptions(served=SERVED)).request(question)
    used = ChatRewriter(RewriterOptions(served=SERVED)).request(question)
    assert shown.parts == used.parts


def test_the_line_for_gates_passes_and_the_planted_error_is_refused() -> None:
    found = re.search(r"<!-- line -->\n```json\n(.*?)```", text_of("docs/gates.md"), re.DOTALL)
    assert found is not None
    line = json.dumps(json.loads(found[1]))
    assert check_line(line)["refused"] is None
    wrong = line.replace("the second from the left", "the second from the right")
    assert check_line(wrong)["refused"] == "wrong_ordinal"


def test_the_tables_of_pools_and_servers_name_their_settings() -> None:
    text = text_of("docs/operations.md")
    tables = {
        "## Pools\n": PoolSettings,
        "## Servers\n": ServerSettings,
        "## Servers that the build starts\n": ServeSettings,
    }
    for heading, settings in tables.items():
        table = text.partition(heading)[2].partition("\n## ")[0]
        named = {
            n
            for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
            for n in re.findall(r"`(\w+)`", row)
        }
        assert named
        assert sorted(named - set(settings.model_fields)) == []
