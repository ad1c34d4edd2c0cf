"""What a profile needs, role by role: files, digests, servers, memory; all of its faults at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.build.check_models import CheckedRole, ModelsCheck, check_models
from tasks.backends.weights import write_lock
from tasks.stages.config import BuildConfig, load_config
from tests.flows.build.profiles_for_checks import bagel_profile, folder_of_weights, served
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import fixed_answers

JUDGE = "grounding.judge={backend: chat, run: vlm}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of packaged models."""
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def checked(config: BuildConfig, cards: int = 1) -> ModelsCheck:
    return check_models(config, cards=cards, card_gb=80.0)


def role(found: ModelsCheck, setting: str) -> CheckedRole:
    (one,) = [one for one in found.roles if one.setting == setting]
    return one


def test_weights_without_files_and_digest_are_missing_and_the_other_roles_are_listed(tmp_path: Path) -> None:
    weights = tmp_path / "BAGEL-7B-MoT"
    found = checked(bagel_profile(weights))
    editor = role(found, "editing.editor")
    assert editor.missing == (
        f"editing.editor: weights {weights} is not there (groundedit models fetch)",
        f"editing.editor: no digest is stated for {weights} (groundedit models lock {weights})",
    )
    assert (editor.license, editor.source) == ("Apache-2.0", "ByteDance-Seed/BAGEL-7B-MoT")
    assert (editor.run, editor.gpu_gb, editor.digest) == ("painting", 42.0, "")
    assert len(found.roles) == 12
    assert found.wrong == ()


def test_weights_of_the_wrong_kind_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "bagel.safetensors"
    file.write_bytes(b"tensors")
    write_lock(file, "r1")
    assert role(checked(bagel_profile(file)), "editing.editor").missing == (
        f"editing.editor: weights {file} is a file; a folder as transformers writes it is expected",
    )
    folder = folder_of_weights(tmp_path / "lama")
    lama = f"editing.inpainter={{backend: lama, run: painting, options: {{weights: {folder}}}}}"
    pool = "pools.painting={holds: [inpainter], gpu_gb: 4}"
    assert role(checked(load_config("embedded", [pool, lama])), "editing.inpainter").missing == (
        f"editing.inpainter: weights {folder} is a folder; one file of tensors is expected",
    )


def test_a_folder_without_tensors_is_no_model(tmp_path: Path) -> None:
    folder = tmp_path / "half"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write_lock(folder, "r1")
    (missing,) = role(checked(bagel_profile(folder)), "editing.editor").missing
    assert "is a folder without tensors (.safetensors, .pt, .pth)" in missing


def test_a_pools_own_interpreter_is_looked_for(tmp_path: Path) -> None:
    weights = folder_of_weights(tmp_path / "mine")
    config = bagel_profile(weights, f"pools.painting.python={tmp_path}/bin/python")
    assert role(checked(config), "editing.editor").missing == (
        f"pools.painting.python: {tmp_path}/bin/python is not there",
    )


def test_weights_with_a_lock_file_are_named_by_it(tmp_path: Path) -> None:
    weights = folder_of_weights(tmp_path / "mine")
    editor = role(checked(bagel_profile(weights)), "editing.editor")
    assert (editor.missing, editor.wrong) == ((), ())
    assert (editor.origin, editor.revision, len(editor.digest)) == ("lock", "r1", 64)
    assert editor.license == "", "nobody knows these weights"
    assert [(f.option, f.path, f.present) for f in editor.files] == [("weights", weights, True)]


def test_an_option_that_contradicts_the_lock_file_is_wrong(tmp_path: Path) -> None:
    weights = folder_of_weights(tmp_path / "mine")
    config = bagel_profile(weights, f"editing.editor.options.digest={'ab' * 32}")
    (wrong,) = checked(config).wrong
    assert "contradicts" in wrong


def test_packaged_models_are_looked_for_in_the_cache_and_algorithms_need_none() -> None:
    found = checked(load_config("embedded"))
    tagger = role(found, "grounding.tagger")
    assert tagger.origin == "package"
    assert tagger.license
    assert "groundedit fetch" in tagger.missing[0]
    assert role(found, "instruction.rewriter").origin == "code"
    assert found.stages == (), "no stage needs a GPU"


def test_all_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    config = load_config(
        "embedded",
        [
            "grounding.tagger.backend=none-such",
            "instruction.rewriter.options={hue: red}",
            "editing.editor={backend: bagel, run: here}",
        ],
    )
    wrong = checked(config).wrong
    assert len(wrong) == 3
    for text in ("unknown tagger 'none-such'", "rewriter.options.hue", "editing.editor.run='here'"):
        assert any(text in one for one in wrong)


def test_a_server_is_asked_for_its_model() -> None:
    with ChatServer(fixed_answers) as server:
        found = checked(load_config("embedded", [served(server.url), JUDGE]))
        assert [(s.name, s.model, s.urls, s.missing) for s in found.servers] == [
            ("vlm", "test-model", (server.url,), ())
        ]
        assert role(found, "grounding.judge").origin == "server"
        (wrong,) = checked(load_config("embedded", [served(server.url, id="another"), JUDGE])).wrong
        assert "'another' is not served" in wrong
    (away,) = checked(load_config("embedded", [served(server.url), JUDGE])).servers
    assert server.url in away.missing[0]
    ask_nobody = check_models(
        load_config("embedded", [served(server.url), JUDGE]), cards=1, card_gb=80.0, ask_servers=False
    )
    assert ask_nobody.servers[0].missing == ()


def test_a_server_that_no_role_uses_is_left_out() -> None:
    assert checked(load_config("embedded", [served("http://127.0.0.1:9/v1")])).servers == ()


def test_what_does_not_fit_is_told_with_the_numbers(tmp_path: Path) -> None:
    weights = folder_of_weights(tmp_path / "mine")
    two = ["pools.eyes={holds: [detector], gpu_gb: 50}", "editing.detector.run=eyes"]
    found = checked(bagel_profile(weights, *two))
    (problem,) = found.not_fitting
    assert problem.startswith("editing: ")
    assert "42 GB" in problem
    assert checked(bagel_profile(weights, *two), cards=2).not_fitting == ()


def test_it_imports_neither_torch_nor_ray(tmp_path: Path) -> None:
    code = (
        "import sys; from flows.cli.main import main;"
        f"main(['models', 'check', '--set', 'pools.p={{holds: [editor], gpu_gb: 42}}', '--set',"
        f"'editing.editor={{backend: bagel, run: p, options: {{weights: {tmp_path}/w}}}}']);"
        "print([m for m in ('torch', 'transformers', 'ray', 'prefect', 'huggingface_hub') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_a_server_that_the_build_starts_needs_its_interpreter_and_takes_its_share(tmp_path: Path) -> None:
    model, serve = "{id: m}", f"{{python: {tmp_path}/bin/python, path: {tmp_path}/m, gpu_gb: 22}}"
    config = load_config("embedded", [f"servers.vlm={{model: {model}, serve: {serve}}}", JUDGE])
    found = checked(config)
    (server,) = found.servers
    assert server.missing == (
        f"servers.vlm.serve.python: {tmp_path}/bin/python is not there",
        f"servers.vlm.serve.path: {tmp_path}/m is not there",
    )
    assert role(found, "grounding.judge").gpu_gb == 22
    assert [(s.stage, s.cards[0][0].name) for s in found.stages] == [("grounding", "vlm")]


def test_a_server_on_several_cards_takes_them_whole(tmp_path: Path) -> None:
    serve = "{python: /usr/bin/python3, gpu_gb: 70, tensor_parallel: 4}"
    config = load_config("embedded", [f"servers.vlm={{model: {{id: m}}, serve: {serve}}}", JUDGE])
    assert checked(config, cards=3).not_fitting
    (stage,) = checked(config, cards=4).stages
    assert [[share.gb for share in card] for card in stage.cards] == [[70]] * 4
