"""The generative editor keeps the contract of its role, with a tiny random model in place of the real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from intercog_model.checkpoint import save_folder  # noqa: E402
from intercog_model.training.build import random_debug_models  # noqa: E402
from tasks.backends.torch.bagel_editor import BagelEditor, BagelEditorOptions  # noqa: E402
from tasks.errors import ConfigurationError, ModelUnavailable, Reason, SampleError  # noqa: E402
from tasks.records import EditType  # noqa: E402
from tasks.roles.build import backend_class, check_role, load_role  # noqa: E402
from tasks.roles.protocols import EditRequest  # noqa: E402
from tasks.settings_base import RoleSettings  # noqa: E402


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> RoleSettings:
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    torch.manual_seed(0)
    bagel, vae = random_debug_models()
    torch.nn.init.normal_(bagel.llm2vae.weight, std=0.1)  # at zero no request would change the picture
    save_folder(bagel.state_dict(), bagel.config, vae, folder)
    (folder / "intercog.json").write_text('{"flavor": "debug"}', encoding="utf-8")
    options = {"folder": str(folder), "device": "cpu", "dtype": "float32", "points": 3}
    return RoleSettings(backend="bagel", options=options)


@pytest.fixture(scope="module")
def editor(settings: RoleSettings) -> BagelEditor:
    found = load_role("editor", settings)
    assert isinstance(found, BagelEditor)
    return found


def _request(seed: int = 1, instruction: str = "Make the cup blue.") -> EditRequest:
    image = np.random.default_rng(4).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    mask = np.zeros((50, 70), bool)
    mask[10:30, 20:50] = True
    return EditRequest(
        image=image,
        mask=mask,
        edit_type=EditType.COLOR,
        argument="blue",
        instruction=instruction,
        seed=seed,
    )


def test_a_crop_comes_back_at_its_size_and_depends_on_seed_and_instruction(editor: BagelEditor) -> None:
    requests = [_request(), _request(seed=2), _request(instruction="Turn it to stone.")]
    edited = editor.edit(requests)
    assert [(e.shape, e.dtype) for e in edited] == [((50, 70, 3), np.uint8)] * 3
    assert not np.array_equal(edited[0], edited[1])
    assert not np.array_equal(edited[0], edited[2])


def test_the_answer_does_not_depend_on_the_batch(editor: BagelEditor) -> None:
    requests = [_request(seed=s) for s in (1, 2)]
    together = editor.edit(requests)
    alone = [editor.edit([request])[0] for request in reversed(requests)]
    assert all(np.array_equal(a, b) for a, b in zip(together, reversed(alone), strict=True))


def test_a_crop_that_is_a_view_of_a_larger_picture_is_edited_alike(editor: BagelEditor) -> None:
    request = _request()
    large = np.zeros((90, 90, 3), np.uint8)
    large[7:57, 5:75] = request.image
    view = replace(request, image=large[7:57, 5:75])
    assert np.array_equal(editor.edit([view])[0], editor.edit([request])[0])


def test_removal_and_an_empty_mask_are_sample_errors(editor: BagelEditor) -> None:
    request = _request()
    for wrong, words in (
        (replace(request, edit_type=EditType.REMOVE), "Remove"),
        (replace(request, mask=np.zeros((50, 70), bool)), "empty"),
    ):
        with pytest.raises(SampleError, match=words) as caught:
            editor.edit([wrong])
        assert caught.value.reason is Reason.BACKEND_ERROR


def test_who_answers_and_what_it_offers_is_known_without_loading(
    editor: BagelEditor, settings: RoleSettings
) -> None:
    options = BagelEditorOptions.model_validate(dict(settings.options))
    assert backend_class("editor", settings) is BagelEditor
    assert BagelEditor.describe(options) == editor.identity
    assert BagelEditor.offers_of(options) == editor.offers
    assert set(EditType) - set(editor.offers) == {EditType.REMOVE}


def test_other_weights_have_another_digest(settings: RoleSettings, tmp_path: Path) -> None:
    first = BagelEditor.describe(BagelEditorOptions.model_validate(dict(settings.options)))
    for name in ("ema.safetensors", "ae.safetensors"):
        (tmp_path / name).write_bytes(b"other")
    second = BagelEditor.describe(BagelEditorOptions(folder=str(tmp_path)))
    assert first.digest != second.digest
    (tmp_path / "ae.safetensors").write_bytes(b"third")
    assert BagelEditor.describe(BagelEditorOptions(folder=str(tmp_path))).digest != second.digest


def test_weights_that_are_missing_or_damaged_are_no_model(tmp_path: Path) -> None:
    options = {"folder": str(tmp_path), "device": "cpu"}
    with pytest.raises(ModelUnavailable, match=r"ema\.safetensors"):
        load_role("editor", RoleSettings(backend="bagel", options=options))
    for name in ("ema.safetensors", "ae.safetensors"):
        (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load_role("editor", RoleSettings(backend="bagel", options=options))


def test_an_option_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match="steps"):
        check_role("editor", RoleSettings(backend="bagel", options={"steps": 3}), "editing.editor")
