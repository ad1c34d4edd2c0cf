"""Which pools are up in a stage, on which card, and how many cards a profile needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.build import stage_memory
from flows.build.stage_memory import cards_here, cards_needed, instances_in
from tasks.stages.config import BuildConfig
from tests.flows.build.profiles_for_checks import bagel_profile, served


def config(tmp_path: Path, *assignments: str) -> BuildConfig:
    return bagel_profile(tmp_path / "w", *assignments)


EYES = (
    "pools.eyes={holds: [detector], gpu_gb: 30}",
    "grounding.detector.run=eyes",
    "editing.detector.run=eyes",
)


def test_a_stage_has_what_it_asks_and_nothing_else(tmp_path: Path) -> None:
    stages = stage_memory.stage_memory(config(tmp_path, *EYES), cards=1, card_gb=80)
    shares = {
        stage.stage: [sorted((share.name, share.gb) for share in card) for card in stage.cards]
        for stage in stages
    }
    assert shares == {"grounding": [[("eyes", 30)]], "editing": [[("eyes", 30), ("painting", 42)]]}
    assert [stage.used for stage in stages] == [1, 1]


def test_replicas_are_spread_over_the_cards(tmp_path: Path) -> None:
    made = config(tmp_path, *EYES, "pools.painting.replicas=auto")
    (_, editing) = stage_memory.stage_memory(made, cards=3, card_gb=80)
    assert sorted(sorted(share.name for share in card) for card in editing.cards) == [
        ["eyes", "painting"], ["painting"], ["painting"],
    ]  # fmt: skip
    assert instances_in(made, "editing", cards=3, card_gb=80) == {"eyes": 1, "painting": 3}


def test_the_fewest_cards_are_those_of_the_largest_stage(tmp_path: Path) -> None:
    assert cards_needed(config(tmp_path, *EYES), card_gb=80) == 1
    assert cards_needed(config(tmp_path, *EYES), card_gb=60) == 2
    assert cards_needed(config(tmp_path, *EYES), card_gb=40) == 0, "an editor of 42 GB fits on none"


def test_a_server_elsewhere_takes_no_card_and_counts_by_its_urls(tmp_path: Path) -> None:
    judge = "editing.judge={backend: chat, run: vlm}"
    made = config(tmp_path, served("http://127.0.0.1:9/v1"), judge)
    assert instances_in(made, "editing", cards=1, card_gb=80) == {"painting": 1, "vlm": 1}
    (editing,) = stage_memory.stage_memory(made, cards=1, card_gb=80)
    assert [share.name for share in editing.asked] == ["painting"]


def test_cards_are_counted_as_the_driver_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_memory, "DRIVER_GPUS", tmp_path / "gpus")
    assert cards_here(None) == 1, "the machine that is meant has one at least"
    for number in range(3):
        (tmp_path / "gpus" / f"0000:0{number}:00.0").mkdir(parents=True)
    assert (cards_here(None), cards_here(2)) == (3, 2)
