"""The table of a build to come."""

from __future__ import annotations

from flows.build.estimate import StageEstimate
from flows.cli.estimate_table import estimate_text


def line(stage: str, *, known: bool, units: int) -> StageEstimate:
    return StageEstimate(
        stage=stage, config8="0" * 8, known=known, inputs=7, units=units, reused_units=1, open_inputs=5,
        seconds=90.0, bytes=2_000_000,
    )  # fmt: skip


def test_a_guess_has_a_tilde_and_what_is_known_has_none() -> None:
    text = estimate_text([line("ingest", known=True, units=3), line("grounding", known=False, units=0)])
    _, ingest, grounding, total = text.splitlines()
    assert ingest.split() == ["ingest", "7", "3", "1", "5", "~90", "~2", "00000000"]
    assert grounding.split() == ["grounding", "~7", "-", "1", "~5", "~90", "~2", "00000000"]
    assert total.startswith("about 3.0 minutes and 4 MB to go")
