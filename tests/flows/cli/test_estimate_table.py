"""The table of a build to come."""

from __future__ import annotations

from typing import Any

from flows.build.estimate import StageEstimate
from flows.build.gpu_hours import RoleCost, StageCost
from flows.cli.estimate_table import estimate_text
from tasks.roles.rates import RateSettings


def line(stage: str, *, known: bool, units: int, **changes: Any) -> StageEstimate:
    values: dict[str, Any] = {
        "stage": stage, "config8": "0" * 8, "known": known, "inputs": 7, "units": units, "reused_units": 1,
        "open_inputs": 5, "seconds": 90.0, "bytes": 2_000_000, **changes,
    }  # fmt: skip
    return StageEstimate(**values)


def test_a_guess_has_a_tilde_and_what_is_known_has_none() -> None:
    text = estimate_text([line("ingest", known=True, units=3), line("grounding", known=False, units=0)])
    _, ingest, grounding, total = text.splitlines()
    assert ingest.split() == ["ingest", "7", "3", "1", "5", "~90", "~2", "00000000"]
    assert grounding.split() == ["grounding", "~7", "-", "1", "~5", "~90", "~2", "00000000"]
    assert total.startswith("about 3.0 minutes and 4 MB to go")


def role(setting: str, basis: Any, seconds: float | None, measured: int = 0) -> RoleCost:
    return RoleCost(
        setting=f"editing.{setting}", role=setting, run="painting", questions=100.0, seconds=seconds,
        basis=basis, measured=measured,
    )  # fmt: skip


def test_each_role_says_whether_its_rate_was_measured_or_stated() -> None:
    roles = (
        role("editor", "measured", 36.0, 50),
        role("judge", "stated", 0.1),
        role("inpainter", "unknown", None),
    )
    cost = StageCost(roles=roles, hours=1.0, cards=2.0, gpu_hours=2.0, cost=5.0)
    lines = [line("editing", known=False, units=0, models=cost), line("publish", known=False, units=0)]
    text = estimate_text(lines, RateSettings(source="an H100", currency="EUR"))
    assert "measured, 50 questions" in text
    assert "stated: an H100" in text
    assert "not counted, neither measured nor stated in rates.seconds: inpainter" in text
    assert "about 2.00 GPU-hours, about 5.00 EUR" in text
    assert "outputs per input assumed, not measured: editing" in text
    stage = next(row for row in text.split("GPU-hours")[1].splitlines() if row.startswith("editing"))
    assert stage.split() == ["editing", "~1.00", "2", "~2.00", "~5.00"]


def test_a_stage_that_does_not_fit_is_not_priced_as_free() -> None:
    cost = StageCost(
        roles=(role("editor", "stated", 36.0),), problem="pools.painting.gpu_gb=42: larger than a card"
    )
    text = estimate_text([line("editing", known=False, units=0, models=cost)], RateSettings())
    stage = next(row for row in text.split("GPU-hours")[1].splitlines() if row.startswith("editing"))
    assert stage.split() == ["editing", "-", "-", "-", "-"]
    assert "not counted, does not fit: pools.painting.gpu_gb=42: larger than a card" in text


def test_a_build_without_pools_and_servers_has_no_such_table() -> None:
    assert "GPU-hours" not in estimate_text([line("ingest", known=True, units=3)])
