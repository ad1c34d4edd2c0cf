"""Which stages a range names, and the effect of a pause."""

from __future__ import annotations

import pytest

from flows.build.stage_range import stages_of
from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("", STAGES),
        ("grounding", ("grounding",)),
        ("ingest..grounding", ("ingest", "grounding")),
        ("..instruction", ("ingest", "grounding", "instruction")),
        ("editing..", ("editing", "publish")),
        (" grounding .. editing ", ("grounding", "instruction", "editing")),
        ("..", STAGES),
    ],
)
def test_a_range_names_stages_in_order(text: str, stages: tuple[str, ...]) -> None:
    assert stages_of(text) == stages


@pytest.mark.parametrize("text", ["painting", "ingest..painting", "ingest.grounding", "ingest...grounding"])
def test_an_unknown_stage_is_named_with_those_there_are(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--stages '.*unknown stage .*available: ingest, grounding"):
        stages_of(text)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ingest comes before editing"):
        stages_of("editing..ingest")


def test_a_pause_cuts_what_comes_after_it_and_nothing_that_begins_later() -> None:
    assert stages_of("", "grounding") == ("ingest", "grounding")
    assert stages_of("grounding..", "grounding") == ("grounding",)
    assert stages_of("instruction..", "grounding") == ("instruction", "editing", "publish")
    assert stages_of("..ingest", "grounding") == ("ingest",)
