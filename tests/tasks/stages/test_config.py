"""Profile, arguments and `--set` make one configuration; what contradicts or names nothing is refused."""

from __future__ import annotations

import pytest

from tasks.records.errors import ConfigurationError
from tasks.stages.config import load_config, load_with_origins

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
        ("sources=[{uri: c}]", "--set sources=.*is given as an argument, too"),
        ("sources.2.uri=c", "sources.2.uri='c': '2' is no item of the list; there is 0 to 1"),
        ("sources.uri=c", "'uri' is no item of the list"),
        ("sources.0=c", r"sources.0: .*\(value 'c'\)"),
        ("sources.-1.uri=c", "'-1' is no item of the list"),
        ("sources.0.licenze=c", "sources.0.licenze: unknown key"),
        ("seed.x=1", r"seed.*(is a value, not a section|valid integer)"),
        ("profile.x=1", "profile is a value, not a section"),
        (
            "grounding.target.min_fill=0.99",
            "^grounding.target: min_fill 0.99 is above max_fill 0.98: [a-z ]*$",
        ),
        ("execution.workers=100000000", "execution.workers: .*10000"),
        ("seed", "expected key=value"),
        ("seed=[", "is no YAML value"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_key_and_value(assignment: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load_config("embedded", [assignment], SOURCES)
