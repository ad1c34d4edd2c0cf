"""Folders in the published format load strictly, and every fault of a file is named."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from intercog_model import checkpoint  # noqa: E402
from intercog_model.backbone.autoencoder import AutoEncoder  # noqa: E402
from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.checkpoint import CheckpointError, load_folder, read_config  # noqa: E402
from intercog_model.config import FLUX_VAE, debug_config, released_config  # noqa: E402
from intercog_model.saving import Weights, save_folder, save_model  # noqa: E402

TOKENS = debug_config().tokens


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    config = debug_config()
    save_folder(Weights.of(Bagel(config).state_dict()), config, AutoEncoder(config.vae), tmp_path)
    return tmp_path


def test_a_tiny_folder_loads_with_its_own_sizes_and_values(folder):
    loaded = load_folder(folder, tokens=TOKENS, dtype=torch.float32)
    assert loaded.model.config == debug_config()
    stored = load_file(folder / "ema.safetensors")
    assert stored.keys() == loaded.model.state_dict().keys()
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, stored[name]), name
    assert not any(p.is_meta for p in [*loaded.model.parameters(), *loaded.vae.parameters()])


@pytest.mark.parametrize("file", ["ema.safetensors", "ae.safetensors"])
@pytest.mark.parametrize("fault", ["missing", "unexpected", "shape"])
def test_one_fault_fails_with_that_name(folder, file, fault):
    weights = load_file(folder / file)
    name = {"ema.safetensors": "language_model.model.layers.1.mlp.up_proj.weight"}.get(
        file, "encoder.conv_in.weight"
    )
    if fault == "missing":
        del weights[name]
    elif fault == "unexpected":
        weights[name + "_2"] = torch.zeros(2)
        name += "_2"
    else:
        weights[name] = weights[name][:-1].clone()
    save_file(weights, folder / file)
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")) as caught:
        load_folder(folder, tokens=TOKENS)
    assert "1 differences" in str(caught.value)


def test_a_wrong_position_table_is_refused_and_a_bf16_copy_is_replaced(folder):
    weights = load_file(folder / "ema.safetensors")
    name = "latent_pos_embed.pos_embed"
    exact = weights[name].clone()
    save_file(weights | {name: exact.bfloat16()}, folder / "ema.safetensors")
    loaded = load_folder(folder, tokens=TOKENS, dtype=torch.float32)
    assert torch.equal(loaded.model.latent_pos_embed.pos_embed, exact)
    save_file(weights | {name: exact.flip(0)}, folder / "ema.safetensors")
    with pytest.raises(CheckpointError, match="latent_pos_embed"):
        load_folder(folder, tokens=TOKENS)


def test_only_the_published_names_are_saved(folder):
    model = Bagel(debug_config())
    with pytest.raises(CheckpointError, match="unexpected: projector"):
        save_model(Weights.of(model.state_dict() | {"projector": torch.zeros(1)}), model.config, folder)


def test_the_released_sizes_are_read_from_the_published_files(tmp_path, monkeypatch):
    with torch.device("meta"):
        released = released_config()
        shapes = {
            "ema.safetensors": {n: list(t.shape) for n, t in Bagel(released).state_dict().items()},
            "ae.safetensors": {n: list(t.shape) for n, t in AutoEncoder(FLUX_VAE).state_dict().items()},
        }
    monkeypatch.setattr(checkpoint, "read_shapes", lambda path: shapes[path.name])
    small = debug_config()
    small = replace(small, llm=released.llm, vit=released.vit)
    llm = {n: getattr(small.llm, n) for n in type(small.llm).__dataclass_fields__}
    vit = {n: getattr(small.vit, n) for n in type(small.vit).__dataclass_fields__ if n != "layer_norm_eps"}
    (tmp_path / "llm_config.json").write_text(json.dumps(llm | {"tie_word_embeddings": False}))
    (tmp_path / "vit_config.json").write_text(json.dumps(vit | {"num_hidden_layers": 27}))
    assert read_config(tmp_path) == released


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("num_attention_heads", 0, "num_attention_heads 0 is no whole number above 0"),
        ("num_attention_heads", "four", "num_attention_heads 'four' is no whole number"),
        ("hidden_size", 64.0, "hidden_size 64.0 is no whole number"),
        ("rope_theta", -1, "rope_theta -1 is no number from 0 on"),
        ("rope_theta", 0, "rope_theta 0 is not above 0"),
        ("rms_norm_eps", float("nan"), "rms_norm_eps nan is no number"),
    ],
)
def test_sizes_that_nothing_can_be_built_with_are_named(name, value, told):
    with pytest.raises(ValueError, match=told):
        replace(debug_config().llm, **{name: value})
