"""The generative editor: weights are named by a stated digest and checked; edits follow seed and words.

The contract of its role is tested with all others (`tests.tasks.backends.contract`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intercog_model.saving import Weights, save_folder  # noqa: E402
from intercog_model.training.build import random_debug_models  # noqa: E402
from tasks.backends.torch.bagel_editor import BagelEditor, BagelEditorOptions  # noqa: E402
from tasks.backends.weights import write_lock  # noqa: E402
from tasks.records.errors import ConfigurationError, ModelUnavailable  # noqa: E402
from tasks.roles.picture import Picture  # noqa: E402
from tests.tasks.roles.role_questions import edit_question  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDEDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    torch.manual_seed(0)
    bagel, vae = random_debug_models()
    torch.nn.init.normal_(bagel.llm2vae.weight, std=0.1)  # at zero no question would change the picture
    save_folder(Weights.of(bagel.state_dict()), bagel.config, vae, folder)
    (folder / "intercog.json").write_text('{"flavor": "debug"}', encoding="utf-8")
    return folder


@pytest.fixture
def options(folder: Path) -> BagelEditorOptions:
    write_lock(folder, "random")
    return BagelEditorOptions(weights=str(folder), device="cpu", dtype="float32", points=3)


def _weights(folder: Path, content: bytes = b"damaged") -> Path:
    folder.mkdir()
    for name in ("ema.safetensors", "ae.safetensors"):
        (folder / name).write_bytes(content)
    return folder


def test_an_edit_depends_on_seed_and_instruction(options: BagelEditorOptions) -> None:
    question = edit_question()
    others = (replace(question, seed=2), replace(question, instruction="Turn it to stone."))
    first, *rest = BagelEditor(options).answer([question, *others])
    assert not [edited for edited in rest if np.array_equal(edited, first)]


def test_among_similar_things_the_network_reads_which_one_is_meant(options: BagelEditorOptions) -> None:
    question = edit_question()
    editor = BagelEditor(options)
    plain, told = editor.answer([question, replace(question, similar=1)])
    assert not np.array_equal(plain, told)
    keys = [BagelEditor.sent(options, replace(question, similar=n)) for n in (0, 1)]
    assert keys[0] == question.material(), "answers kept before are found where nothing is added"
    assert "the one that is meant" in keys[1]["instruction"]


def test_crops_of_one_batch_are_edited_as_each_is_alone(options: BagelEditorOptions) -> None:
    editor = BagelEditor(options)
    questions = [replace(edit_question(seed=n), mask=np.ones((90, 120), bool)) for n in range(3)]
    alone = [editor.answer([question])[0] for question in questions]
    for one, other in zip(alone, editor.answer(questions), strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


def test_a_picture_that_is_no_number_fails_its_batch_so_that_the_pool_finds_it(
    options: BagelEditorOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intercog_model.inference import pipeline  # noqa: PLC0415

    sample = pipeline.sample_latents

    def first_is_nan(*arguments):
        first, *rest = sample(*arguments)
        return [first * float("nan"), *rest]

    monkeypatch.setattr(pipeline, "sample_latents", first_is_nan)
    with pytest.raises(FloatingPointError):
        BagelEditor(options).answer([edit_question()])


def test_a_crop_that_is_a_view_of_a_larger_picture_is_edited_alike(options: BagelEditorOptions) -> None:
    question = edit_question()
    large = np.zeros((130, 160, 3), np.uint8)
    large[7:97, 5:125] = question.picture.rgb
    view = replace(question, picture=Picture({"view": 1}, lambda: large[7:97, 5:125]))
    first, second = BagelEditor(options).answer([question, view])
    assert np.array_equal(first, second)


def test_the_lock_file_beside_the_folder_names_the_weights(tmp_path: Path) -> None:
    folder = _weights(tmp_path / "model")
    options = BagelEditorOptions(weights=str(folder))
    first = write_lock(folder, "r1")
    identity = BagelEditor.identity_of(options)
    assert (identity.digest, identity.revision) == (first.digest, "1, weights r1")
    (folder / "ae.safetensors").write_bytes(b"another")
    assert BagelEditor.identity_of(options) == identity, "naming reads no weights"
    assert write_lock(folder, "r2").digest != first.digest


def test_without_a_stated_digest_the_configuration_is_refused(tmp_path: Path) -> None:
    folder = _weights(tmp_path / "model")
    with pytest.raises(ConfigurationError, match=r"model\.lock\.json"):
        BagelEditor.identity_of(BagelEditorOptions(weights=str(folder)))
    write_lock(folder, "r1")
    with pytest.raises(ConfigurationError, match="contradicts"):
        BagelEditor.identity_of(BagelEditorOptions(weights=str(folder), digest="0" * 64))


def test_weights_that_are_missing_other_or_damaged_are_no_model(tmp_path: Path) -> None:
    folder, stated = tmp_path / "model", "0" * 64
    with pytest.raises(ModelUnavailable, match="model: No such file"):
        BagelEditor(BagelEditorOptions(weights=str(folder), digest=stated, device="cpu"))
    _weights(folder)
    with pytest.raises(ModelUnavailable, match=f"stated is {stated}"):
        BagelEditor(BagelEditorOptions(weights=str(folder), digest=stated, device="cpu"))
    digest = write_lock(folder, "r1").digest
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        BagelEditor(BagelEditorOptions(weights=str(folder), digest=digest, device="cpu"))
