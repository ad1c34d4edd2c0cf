"""Profile, arguments and `--set` make one configuration; contradictions and unknown names are errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.records.errors import ConfigurationError
from tasks.stages.config import load_config, load_with_origins, profile_names
from tasks.stages.registry import check_roles

SOURCES = {"sources": [{"uri": "a"}, {"uri": "b"}], "limit": None}


def test_an_item_of_a_list_is_set_by_its_number() -> None:
    config, origins = load_with_origins("embedded", ["sources.1.license=CC-BY-4.0", "seed=3"], SOURCES)
    assert [(s.uri, s.license) for s in config.sources] == [("a", ""), ("b", "CC-BY-4.0")]
    assert origins["sources"] == "argument sources, --set sources.1.license"
    assert (origins["seed"], origins["limit"]) == ("--set seed", "default")
    assert config.seed == 3


def test_a_later_assignment_wins() -> None:
    config, origins = load_with_origins("embedded", ["seed=3", "seed=4"])
    assert (config.seed, origins["seed"]) == (4, "--set seed")


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("sources=[{uri: c}]", "--set sources=.*is also given as an argument"),
        ("sources.2.uri=c", "sources.2.uri='c': index 2 is out of range \\(0-1\\)"),
        ("sources.uri=c", "index uri is out of range"),
        ("sources.0=c", r"sources.0: .*\(value 'c'\)"),
        ("sources.-1.uri=c", "index -1 is out of range"),
        ("sources.0.licenze=c", "sources.0.licenze: unknown key"),
        ("seed.x=1", r"seed.*(is a value, not a section|valid integer)"),
        ("profile.x=1", "profile is a value, not a section"),
        (
            "grounding.target.min_fill=0.99",
            "^grounding.target: min_fill 0.99 is above max_fill 0.98: [a-z ]*$",
        ),
        ("execution.workers=100000000", "execution.workers: .*10000"),
        ("seed", "expected key=value"),
        ("seed=[", "is not a YAML value"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_key_and_value(assignment: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load_config("embedded", [assignment], SOURCES)


def test_sections_that_a_file_spells_once_are_set_apart(tmp_path: Path) -> None:
    tree = yaml.safe_load(EMBEDDED.read_text(encoding="utf-8"))
    tree["editing"]["detector"] = tree["grounding"]["detector"]
    text = yaml.safe_dump(tree)
    assert "*id001" in text
    (tmp_path / "mine.yaml").write_text(text)
    config = load_config(str(tmp_path / "mine.yaml"), ["editing.detector.run=there"])
    assert (config.grounding.detector.run, config.editing.detector.run) == ("here", "there")


EMBEDDED = Path("deploy/profiles/embedded.yaml").resolve()
VLM = {"model": {"id": "a-model"}, "urls": ["http://127.0.0.1:1/v1"]}
JUDGE = "grounding.judge={backend: chat, run: vlm}"


def test_the_profiles_of_the_project_are_known_by_name() -> None:
    """Those with GPUs need weights and lock files: see tests/deploy/test_profiles.py."""
    assert profile_names() == ["cluster", "embedded", "modern", "single-gpu"]
    check_roles(load_config("embedded"))


@pytest.mark.parametrize("name", ["mine.yaml", "mine.yml", "my/own"])
def test_a_file_of_ones_own_is_a_profile_and_goes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "my").mkdir()
    (tmp_path / name).write_text(EMBEDDED.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for path in (name, str(tmp_path / name)):
        config, origins = load_with_origins(path)
        assert config.profile == Path(name).stem
        assert config.grounding == load_config("embedded").grounding
        assert origins["grounding.judge.backend"] == f"profile {path}"


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        (
            "laptop",
            r"unknown profile 'laptop' \(available: cluster, embedded, modern, single-gpu; or the path of a ",
        ),
        ("", "unknown profile ''"),
        (
            "./laptop",
            r"profile './laptop': No such file .*\(available by name: cluster, embedded, modern, single-gpu\)",
        ),
        ("folder.yaml", "profile 'folder.yaml': Is a directory"),
        ("list.yaml", "profile 'list.yaml': expected sections by name"),
        ("empty.yaml", "profile 'empty.yaml': expected sections by name"),
        ("broken.yaml", "profile 'broken.yaml': not YAML, line 3: "),
        ("bytes.yaml", "profile 'bytes.yaml': not UTF-8 text"),
        ("key.yaml", r"grounding.tager: unknown key \(value 1\)"),
    ],
)
def test_a_profile_that_cannot_be_read_is_named_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str, told: str
) -> None:
    whole = yaml.safe_load(EMBEDDED.read_text(encoding="utf-8"))
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "broken.yaml").write_text("name: x\ngrounding: [\n")
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    (tmp_path / "key.yaml").write_text(
        yaml.safe_dump({**whole, "grounding": {**whole["grounding"], "tager": 1}})
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=told):
        load_config(profile)


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        ([JUDGE], r"grounding.judge.run='vlm': .* is answered by a server \(available: none\)"),
        (["grounding.judge.backend=chat", f"servers.vlm={VLM}"], r"run='here': .*\(available: vlm\)"),
        (["grounding.judge.run=vlm", f"servers.vlm={VLM}"], r"'rules' is answered by .*\(available: here\)"),
        (["editing.editor.backend=bagel"], r"editing.editor.run='here': .*a pool that holds it"),
        (
            ["editing.editor={backend: bagel, run: p}", "pools.p={holds: [inpainter]}"],
            r"editing.editor.run='p': .*\(available: none\)",
        ),
        (
            ["pools.p={holds: [painter]}"],
            r"^pools.p.holds: unknown role 'painter' \(available: tagger, .*\)$",
        ),
        ([f"servers.here={VLM}"], "^'here': used in both pools and servers"),
        (
            ["pools.p={holds: [editor], python: /opt/other/bin/python}", "execution.pool=in-process"],
            r"^pools.p.python='/opt/other/bin/python': needs execution.pool=ray$",
        ),
        (["pools.p={holds: [editor], python: venv/bin/python}"], r"^pools.p.python: .*absolute path"),
        (["pools.vlm={holds: [editor]}", f"servers.vlm={VLM}"], "^'vlm': used in both pools and servers"),
        (["servers.vlm={model: {id: m}}"], "^servers.vlm: expected either urls or serve, got neither"),
        (
            ["servers.vlm={model: {id: m}, urls: []}"],
            "^servers.vlm: expected either urls or serve, got neither",
        ),
        ([JUDGE, f"servers.vlm={VLM}", "grounding.judge.options={served: {id: x}}"], "belongs to the server"),
        (["editing.second_judge={backend: rules}"], "editing.second_judge='rules' of .*: the same judge"),
        (
            [
                f"servers.vlm={VLM}",
                f"servers.again={VLM}",
                "editing.judge={backend: chat, run: vlm}",
                "editing.second_judge={backend: chat, run: again}",
            ],
            "editing.second_judge='chat' of a-model: the same judge as editing.judge",
        ),
    ],
)
def test_a_placement_that_cannot_answer_for_its_role_is_refused(assignments: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        check_roles(load_config("embedded", assignments))


@pytest.mark.parametrize("second", ["{backend: yes-no, run: vlm}", "{backend: rules}"])
def test_a_second_judge_is_another_model_or_asks_otherwise(second: str) -> None:
    assignments = ["editing.judge={backend: chat, run: vlm}", f"servers.vlm={VLM}"]
    config = load_config("embedded", [*assignments, f"editing.second_judge={second}"])
    check_roles(config)
    assert config.editing.second_judge is not None


def test_an_unknown_option_names_those_there_are_and_a_refused_url_keeps_its_password() -> None:
    config = load_config("single-gpu", ["grounding.detector.options.box_treshold=0.3"])
    with pytest.raises(ConfigurationError, match=r"unknown option \(available: box_threshold, .*value 0\.3"):
        check_roles(config)
    with pytest.raises(ConfigurationError, match=r"\*\*\*@127") as refused:
        load_config("single-gpu", ["servers.vlm.urls=['http://user:pass@127.0.0.1:9/v1']"])
    assert "pass@" not in str(refused.value)


def test_weights_without_a_path_are_a_wrong_configuration() -> None:
    config = load_config("single-gpu", ["grounding.tagger.options.weights=''"])
    with pytest.raises(ConfigurationError, match=r"grounding\.tagger\.options\.weights: .*path of a file"):
        check_roles(config)
