"""Configuration values that the shapes of the weights fix, and values that only one choice is built for."""

import math
from typing import Any

from torch import Tensor

from intercog_model.parity.golden import Golden

FIXED: dict[str, Any] = {
    "llm.qk_norm": True,
    "llm.tie_word_embeddings": False,
    "llm.hidden_act": "silu",
    "llm.layer_kind": "mixture of transformers",
    "vit.hidden_act": "gelu_pytorch_tanh",
    "vit.rope": False,
    "vit.num_channels": 3,
    "bagel.connector_act": "gelu_pytorch_tanh",
}
# found from numbers in `check_values`; these stand in for a value of no use until it is found
BY_NUMBERS: dict[str, Any] = {
    "llm.rope_theta": 1e6,
    "llm.rms_norm_eps": 1e-6,
    "vit.num_attention_heads": 1,
    "vit.layer_norm_eps": 1e-6,
    "vae.scale_factor": 1.0,
    "vae.shift_factor": 0.0,
    "bagel.interpolate_pos": False,
    "bagel.timestep_shift": 1.0,
    "special_token_ids.bos_token_id": 0,
    "special_token_ids.eos_token_id": 1,
    "special_token_ids.start_of_image": 2,
    "special_token_ids.end_of_image": 3,
}
# no stored number depends on these; only their plausibility can be checked
INERT = {"llm.max_position_embeddings": 1, "vae.resolution": 1}


def flatten(config: dict[str, Any]) -> dict[str, Any]:
    """`{"llm": {"hidden_size": 64}}` as `{"llm.hidden_size": 64}`."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def check(golden: Golden) -> None:
    """One row per value; leaves a configuration that fits the weights, even where the stated one does not."""
    shapes, stated = implied_by_shapes(golden.weights, golden.vae_weights), flatten(golden.stored_config)
    usable, report = dict(shapes), golden.report
    for name in sorted(stated.keys() | shapes.keys() | FIXED.keys() | BY_NUMBERS.keys() | INERT.keys()):
        label = f"cases.json: config.{name}"
        if name not in stated:
            report.miss(label, "is missing")
        elif name in shapes or name in FIXED:
            implied = (shapes | FIXED)[name]
            # True == 1 in Python, so the type is compared too
            ok = stated[name] == implied and isinstance(stated[name], bool) == isinstance(implied, bool)
            report.require(label, ok, f"{stated[name]!r} stated, {implied!r} built or implied by the weights")
        elif name not in BY_NUMBERS and name not in INERT:
            report.miss(label, "is a key this command does not know")
        elif fault := fault_of(name, stated[name], shapes):
            report.miss(label, f"{stated[name]!r} stated, {fault}")
        else:
            usable[name] = stated[name]
    golden.unusable = BY_NUMBERS.keys() - usable.keys()
    golden.usable_config = nest(BY_NUMBERS | INERT | usable)
    with golden.guarding("cases.json: config.llm.max_position_embeddings"):
        _check_inert(golden, usable)
    _check_listed(golden)


def fault_of(name: str, value: Any, shapes: dict[str, Any]) -> str:
    """Why a network cannot be built with this value; empty when it can."""
    if name == "bagel.interpolate_pos":
        return "" if isinstance(value, bool) else "neither true nor false"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "not a number"
    token, heads = name.startswith("special_token_ids."), name == "vit.num_attention_heads"
    if (token or heads or name in INERT) and not isinstance(value, int):
        return "not a whole number"
    rows, width = shapes["llm.vocab_size"], shapes["vit.hidden_size"]
    faults = {
        f"not one of {rows} rows": token and not 0 <= value < rows,
        f"does not divide the width {width}": heads and (value <= 0 or width % value != 0),
        "below zero": name.endswith("_eps") and value < 0,
        "zero": name == "vae.scale_factor" and value == 0,
        "not above zero": name in ("llm.rope_theta", "bagel.timestep_shift") and value <= 0,
    }
    return next((fault for fault, found in faults.items() if found), "")


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        part, _, key = name.rpartition(".")
        (nested.setdefault(part, {}) if part else nested)[key] = value
    return nested


def _check_inert(golden: Golden, usable: dict[str, Any]) -> None:
    """Room for the longest sequence, and a resolution that the autoencoder can halve."""
    if "vae.resolution" in usable:
        side, step = usable["vae.resolution"], usable["vae.downsample"]
        ok = side > 0 and side % step == 0
        _no_number_tells(golden, "vae.resolution", ok, f"{side} / {step}")
    if "llm.max_position_embeddings" in usable:
        longest = golden.cases["files"]["train_forward.safetensors"]["hidden.input"]["shape"][0]
        room = usable["llm.max_position_embeddings"]
        fault = f"{room} is too few for {longest} rows"
        _no_number_tells(golden, "llm.max_position_embeddings", room >= longest, fault)


def _no_number_tells(golden: Golden, name: str, possible: bool, fault: str) -> None:
    label = f"cases.json: config.{name}"
    if possible:
        golden.report.undecided(label, "possible, but no stored number depends on it")
    else:
        golden.report.miss(label, fault)


def _check_listed(golden: Golden) -> None:
    """The weights are those that `cases.json` lists."""
    for file, weights in (
        ("model_weights.safetensors", golden.weights),
        ("vae_weights.safetensors", golden.vae_weights),
    ):
        listed = golden.cases["weights"].get(file, {})
        for name in sorted(listed.keys() | weights.keys()):
            found = list(weights[name].shape) if name in weights else None
            if listed.get(name) != found:
                golden.report.miss(f"{file}: {name}", f"{listed.get(name)} listed, {found} stored")


def implied_by_shapes(weights: dict[str, Tensor], vae: dict[str, Tensor]) -> dict[str, Any]:
    """Every configuration value that can be read off the shapes."""
    shape = {name: list(value.shape) for name, value in (weights | vae).items()}
    first, vit = "language_model.model.layers.0", "vit_model.vision_model"
    head = shape[f"{first}.self_attn.q_norm.weight"][0]
    patch = round((shape[f"{vit}.embeddings.patch_embedding.weight"][1] / 3) ** 0.5)
    side = round(shape[f"{vit}.embeddings.position_embedding.weight"][0] ** 0.5)
    z = shape["decoder.conv_in.weight"][1]
    ch = shape["encoder.conv_in.weight"][0]
    levels = _count(shape, "encoder.down.{}.block.0.conv1.weight")
    return {
        "llm.vocab_size": shape["language_model.model.embed_tokens.weight"][0],
        "llm.hidden_size": shape["language_model.model.embed_tokens.weight"][1],
        "llm.intermediate_size": shape[f"{first}.mlp.gate_proj.weight"][0],
        "llm.num_hidden_layers": _count(shape, "language_model.model.layers.{}.input_layernorm.weight"),
        "llm.num_attention_heads": shape[f"{first}.self_attn.q_proj.weight"][0] // head,
        "llm.num_key_value_heads": shape[f"{first}.self_attn.k_proj.weight"][0] // head,
        "vit.hidden_size": shape[f"{vit}.post_layernorm.weight"][0],
        "vit.intermediate_size": shape[f"{vit}.encoder.layers.0.mlp.fc1.weight"][0],
        "vit.num_hidden_layers": _count(shape, vit + ".encoder.layers.{}.layer_norm1.weight"),
        "vit.image_size": side * patch,
        "vit.patch_size": patch,
        "vae.in_channels": shape["encoder.conv_in.weight"][1],
        "vae.out_ch": shape["decoder.conv_out.weight"][0],
        "vae.downsample": 2 ** (levels - 1),
        "vae.ch": ch,
        "vae.ch_mult": [shape[f"encoder.down.{i}.block.0.conv1.weight"][0] // ch for i in range(levels)],
        "vae.num_res_blocks": _count(shape, "encoder.down.0.block.{}.conv1.weight"),
        "vae.z_channels": z,
        "bagel.latent_patch_size": round((shape["vae2llm.weight"][1] / z) ** 0.5),
        "bagel.max_latent_size": round(shape["latent_pos_embed.pos_embed"][0] ** 0.5),
        "bagel.vit_max_num_patch_per_side": round(shape["vit_pos_embed.pos_embed"][0] ** 0.5),
        "time_embedding_width": shape["time_embedder.mlp.0.weight"][1],
    }


def _count(shape: dict[str, list[int]], pattern: str) -> int:
    return sum(1 for i in range(len(shape)) if pattern.format(i) in shape)
