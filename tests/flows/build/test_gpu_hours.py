"""GPU-hours and cost: measured seconds before stated ones, the busiest place, the cards that are reserved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.build.asked_per_input import questions_per_input
from flows.build.gpu_hours import stage_cost
from flows.build.role_rates import Rate, measured_rates
from tasks.records.errors import ConfigurationError, DataFault
from tasks.stages.config import BuildConfig, load_config
from tasks.stages.registry import routes_of
from tasks.storage.objects.store import open_store
from tests.flows.build.profiles_for_checks import bagel_profile, folder_of_weights, served

ONLY_COLOR = "instruction.weights={Color: 1}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def config(tmp_path: Path) -> BuildConfig:
    """An editor on 42 of 80 GB and a judge on a server with two URLs of four cards each."""
    return bagel_profile(
        folder_of_weights(tmp_path / "w"),
        ONLY_COLOR,
        served("http://127.0.0.1:9/v1", id="m").replace("urls: [", "urls: ['http://127.0.0.1:8/v1', "),
        "editing.judge={backend: chat, run: vlm}",
        "rates={seconds: {editor: 36, edit_judge: 1}, cards: {vlm: 4}, gpu_hour_price: 2.5, source: a card}",
    )


def test_the_busiest_place_takes_the_time_and_all_cards_are_paid(config: BuildConfig) -> None:
    cost = stage_cost(config, "editing", 1000, {}, cards=1)
    assert cost.hours == pytest.approx(10.0)
    assert cost.cards == 1 + 2 * 4
    assert cost.gpu_hours == pytest.approx(90.0)
    assert cost.cost == pytest.approx(225.0)
    assert {role.setting: (role.questions, role.basis) for role in cost.roles} == {
        "editing.editor": (1000.0, "stated"),
        "editing.judge": (850.0, "stated"),
    }


def test_a_measured_rate_goes_before_the_stated_one(config: BuildConfig) -> None:
    editor = routes_of(config, "editing")["editor"].name
    cost = stage_cost(
        config, "editing", 1000, {editor: Rate(seconds=3.6, basis="measured", questions=50)}, cards=1
    )
    assert cost.hours == pytest.approx(1.0)
    assert {role.setting: (role.basis, role.measured) for role in cost.roles}["editing.editor"] == (
        "measured",
        50,
    )


def test_a_stage_that_cannot_fit_has_no_price(config: BuildConfig) -> None:
    small = config.execution.model_copy(update={"card_gb": 24.0})
    cost = stage_cost(config.model_copy(update={"execution": small}), "editing", 1000, {}, cards=1)
    assert (cost.hours, cost.cost) == (0.0, None)
    assert "painting.gpu_gb=42: larger than a card" in cost.problem


def test_replicas_share_the_questions(config: BuildConfig) -> None:
    pools = {"painting": config.pools["painting"].model_copy(update={"replicas": "auto"})}
    many = config.model_copy(update={"pools": pools})
    cost = stage_cost(many, "editing", 1000, {}, cards=5)
    assert (cost.hours, cost.cards) == (pytest.approx(2.0), 5 + 8)


def test_a_role_without_a_rate_is_named_and_counts_nothing(config: BuildConfig) -> None:
    rates = config.rates.model_copy(update={"seconds": {"editor": 36.0}, "gpu_hour_price": 0.0})
    cost = stage_cost(config.model_copy(update={"rates": rates}), "editing", 1000, {}, cards=1)
    assert [role.setting for role in cost.roles if role.basis == "unknown"] == ["editing.judge"]
    assert cost.cost is None
    assert stage_cost(config, "instruction", 1000, {}, cards=1).roles == ()


def test_questions_follow_from_the_edit_types(config: BuildConfig) -> None:
    assert questions_per_input(config, "editing")["editor"] == 1.0
    usual = questions_per_input(load_config("embedded"), "editing")
    assert usual["inpainter"] / 2 + usual["editor"] == pytest.approx(1.0)
    assert usual["inpainter"] / 2 == pytest.approx(18131 / 44875, abs=0.001)


BUILD = "0123456789ab"


def run_file(folder: Path, name: str, **routes: Any) -> None:
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / name).write_text(json.dumps({"services": {"routes": routes}}))


def counted(busy_s: float, answered: int) -> dict[str, Any]:
    return {"busy_s": busy_s, "answered": answered, "refused": 1, "failed": 1}


def test_rates_are_measured_over_all_runs_of_the_dataset(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert measured_rates(store) == {}
    run_file(
        tmp_path, f"{BUILD}-a-1.json", editor=counted(30.0, 8), judge=counted(0.0, 50), tagger=counted(1.0, 1)
    )
    run_file(
        tmp_path, f"{BUILD}-b-2.json", editor=counted(10.0, 8), old={"answered": 9, "refused": 0, "failed": 0}
    )
    (tmp_path / "runs" / f"{BUILD}-c-3.json").write_text("{}".replace("}", '"services": {}}'))
    rates = measured_rates(store)
    assert rates == {"editor": Rate(seconds=2.0, basis="measured", questions=20)}
    (tmp_path / "runs" / f"{BUILD}-d-4.json").write_text("[]")
    with pytest.raises(DataFault, match=rf"runs/{BUILD}-d-4\.json"):
        measured_rates(store)


def test_a_profile_with_rates_of_roles_or_servers_that_do_not_exist_is_refused() -> None:
    for assignment, told in (
        ("rates.seconds={painter: 1}", "unknown role 'painter'"),
        ("rates.cards={vlm: 1}", "unknown server 'vlm'"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            load_config("embedded", [assignment])
