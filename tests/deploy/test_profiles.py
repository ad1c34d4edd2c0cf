"""The profiles with GPUs: every role has a model, every model is known, each stage fits the stated cards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.build.check_models import ModelsCheck, check_models
from flows.build.fetch_models import wanted_files
from flows.build.stage_memory import stage_memory
from tasks.backends.known_models import known_model
from tasks.backends.model_download import SINGLE_FILES
from tasks.backends.weights import write_lock
from tasks.roles.questions import ROLES
from tasks.stages.config import BuildConfig, load_config
from tasks.stages.registry import SPECS, check_roles, routes_of, stage_digests

ROOT = Path(__file__).resolve().parents[2]

CARDS = {"single-gpu": 1, "cluster": 8, "modern": 1}
"""Profile -> GPUs of 80 GB that it is stated for."""

per_profile = pytest.mark.parametrize("profile", CARDS)


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without weights, and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def checked(profile: str) -> ModelsCheck:
    config = load_config(profile)
    return check_models(config, cards=CARDS[profile], card_gb=80.0, ask_servers=False)


@per_profile
def test_all_eleven_roles_have_a_backend_whose_options_exist(profile: str) -> None:
    found = checked(profile)
    assert {one.role for one in found.roles} == set(ROLES)
    assert found.wrong == ()
    assert [one.setting for one in found.roles if not one.model] == []


@per_profile
def test_every_stage_fits_the_cards_that_the_profile_is_stated_for(profile: str) -> None:
    found = checked(profile)
    assert found.not_fitting == ()
    assert {stage.stage for stage in found.stages} == {"grounding", "instruction", "editing"}
    assert all(sum(share.gb for share in card) <= 80 for stage in found.stages for card in stage.cards)


@per_profile
def test_on_an_empty_machine_each_file_and_digest_is_listed(profile: str) -> None:
    found = checked(profile)
    config = load_config(profile)
    for wanted in wanted_files(config):
        assert any(str(wanted.path) in text for text in found.missing)
    own = [name for name, server in config.servers.items() if server.serve is not None]
    assert own
    for name in own:
        assert f"servers.{name}.serve.python: .venv-vllm/bin/python is not there" in found.missing


@per_profile
def test_every_model_is_known_with_its_license(profile: str) -> None:
    config = load_config(profile)
    names = [str(one.path) for one in wanted_files(config)]
    names += [server.model.id for server in config.servers.values()]
    assert [name for name in names if known_model(name) is None] == []


@per_profile
def test_with_weights_and_lock_files_in_place_the_profile_resolves(profile: str, empty_machine: Path) -> None:
    config = load_config(profile)
    lay_out_weights(config)
    check_roles(config)
    assert set(stage_digests(config)) == set(SPECS)
    grounding, editing = routes_of(config, "grounding"), routes_of(config, "editing")
    assert grounding["detector"].name == editing["detector"].name, "one loaded model for both"
    assert grounding["segmenter"].name == editing["segmenter"].name
    missing = check_models(config, cards=CARDS[profile], card_gb=80.0, ask_servers=False).missing
    assert [text for text in missing if ".serve.python" not in text] == []


@per_profile
def test_rates_are_stated_for_every_role(profile: str) -> None:
    rates = load_config(profile).rates
    assert set(rates.seconds) == set(ROLES)
    assert rates.source


def lay_out_weights(config: BuildConfig) -> None:
    """Small files where the profile expects weights, with lock files; lists hold three words."""
    lists = {"ram_tag_list.txt": "car\ndog\nchair", "ram_tag_list_threshold.txt": "0.6\n0.7\n0.8"}
    for wanted in wanted_files(config):
        if wanted.path.suffix in SINGLE_FILES:
            wanted.path.parent.mkdir(parents=True, exist_ok=True)
            wanted.path.write_text(lists.get(wanted.path.name, "weights"))
        else:
            wanted.path.mkdir(parents=True)
            (wanted.path / "model.safetensors").write_text("weights")
        if wanted.locked:
            write_lock(wanted.path, "r1")


def test_the_cluster_profile_asks_the_papers_models() -> None:
    config = load_config("cluster")
    assert {one.path.name for one in wanted_files(config)} == {
        "ram_plus_swin_large_14m.pth", "ram_tag_list.txt", "ram_tag_list_threshold.txt", "grounding-dino-base",
        "sam-vit-huge", "BAGEL-7B-MoT", "big-lama.pt", "Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL-72B-Instruct",
        "Qwen3-8B",
    }  # fmt: skip
    ran = {one.setting: one.run for one in checked("cluster").roles}
    assert (ran["grounding.judge"], ran["instruction.instructor"], ran["instruction.rewriter"]) == (
        "vlm", "writer", "text",
    )  # fmt: skip


def test_the_document_has_the_memory_that_one_gpu_is_stated_for() -> None:
    text = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    table = text.partition("| stage | vlm | text |")[2].partition("\n\n")[0]
    told = {
        stage: [float(cell) if cell != "-" else 0.0 for cell in cells.split(" | ")]
        for stage, cells in re.findall(r"^\| (\w+) \| ([\d -|]+) \|$", table, re.MULTILINE)
    }
    names = ("vlm", "text", "perception", "painting")
    for stage in stage_memory(load_config("single-gpu"), cards=1, card_gb=80.0):
        shares = {share.name: share.gb for share in stage.cards[0]}
        assert told[stage.stage] == [*(shares.get(name, 0.0) for name in names), sum(shares.values())]
    assert set(told) == {"grounding", "instruction", "editing"}
