"""Configuration values that the shapes of the weights fix, and values that only one choice is built for."""

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
# found from numbers in `check_values`
BY_NUMBERS = {
    "llm.rope_theta",
    "llm.rms_norm_eps",
    "vit.num_attention_heads",
    "vit.layer_norm_eps",
    "vae.scale_factor",
    "vae.shift_factor",
    "bagel.interpolate_pos",
    "bagel.timestep_shift",
    "special_token_ids.bos_token_id",
    "special_token_ids.eos_token_id",
    "special_token_ids.start_of_image",
    "special_token_ids.end_of_image",
}
# no stored number depends on these; only their plausibility can be checked
INERT = {"llm.max_position_embeddings", "vae.resolution"}


def flatten(config: dict[str, Any]) -> dict[str, Any]:
    """`{"llm": {"hidden_size": 64}}` as `{"llm.hidden_size": 64}`."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def check(golden: Golden) -> bool:
    """Whether the model can be built: every value fits, and the weights are those that are listed."""
    stated, implied = (
        flatten(golden.stored_config),
        implied_by_shapes(golden.weights, golden.vae_weights) | FIXED,
    )
    report, before = golden.report, len(golden.report.misses)
    for name in sorted(stated.keys() | implied.keys() | BY_NUMBERS | INERT):
        label = f"cases.json: config.{name}"
        if name not in stated:
            report.miss(label, "is missing")
        elif name in implied:
            # True == 1 in Python, so the type is compared too
            ok = stated[name] == implied[name] and isinstance(stated[name], bool) == isinstance(
                implied[name], bool
            )
            report.require(
                label, ok, f"{stated[name]!r} stated, {implied[name]!r} built or implied by the weights"
            )
        elif name not in BY_NUMBERS | INERT:
            report.miss(label, "is a key this command does not know")
    if len(report.misses) == before:
        longest = max(
            int(x) for x in golden.cases["files"]["train_forward.safetensors"]["hidden.input"]["shape"][:1]
        )
        room = stated["llm.max_position_embeddings"]
        report.require(
            "cases.json: config.llm.max_position_embeddings", room >= longest, f"{room} is too few"
        )
        side, step = stated["vae.resolution"], stated["vae.downsample"]
        report.require("cases.json: config.vae.resolution", side > 0 and side % step == 0, f"{side} / {step}")
    for file, weights in (
        ("model_weights.safetensors", golden.weights),
        ("vae_weights.safetensors", golden.vae_weights),
    ):
        listed = golden.cases["weights"][file]
        for name in sorted(listed.keys() | weights.keys()):
            found = list(weights[name].shape) if name in weights else None
            if listed.get(name) != found:
                report.miss(f"{file}: {name}", f"{listed.get(name)} listed, {found} stored")
    return len(report.misses) == before


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
