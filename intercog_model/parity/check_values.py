"""Configuration values that no shape shows, found again from stored numbers and compared with what is stated."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from intercog_model.backbone.position_tables import grid_ids
from intercog_model.parity.golden import Golden, GoldenFile


@torch.no_grad()
def check(golden: Golden) -> None:
    """One row per value: what the stored numbers imply against what `cases.json` states."""
    llm, vit, vae = golden.config.llm, golden.config.vit, golden.config.vae
    files = {name: golden.open(name) for name in golden.cases["files"]}
    _close(golden, "llm.rope_theta", llm.rope_theta, implied_rope_theta(golden, files), relative=2e-4)
    _close(golden, "llm.rms_norm_eps", llm.rms_norm_eps, implied_rms_eps(golden, files), relative=0.1)
    _close(golden, "vit.layer_norm_eps", vit.layer_norm_eps, implied_vit_eps(golden, files), relative=0.2)
    scale, shift = implied_latent_line(files)
    _close(golden, "vae.scale_factor", vae.scale_factor, scale, relative=2e-5)
    _close(golden, "vae.shift_factor", vae.shift_factor, shift, relative=1e-4)
    implied = implied_training_shift(files)
    _close(golden, "bagel.timestep_shift", golden.training_shift, implied, relative=1e-4)
    heads = implied_vit_heads(golden, files)
    _same(golden, "vit.num_attention_heads", vit.num_attention_heads, heads)
    _check_special_tokens(golden, files["prefill_and_greedy.safetensors"])
    _check_interpolation(golden, files["train_forward.safetensors"])
    _check_runs(golden, files["flow.safetensors"])


def _close(golden: Golden, name: str, stated: float, implied: float, *, relative: float) -> None:
    ok = abs(implied - stated) <= relative * abs(stated)
    golden.report.require(
        f"cases.json: config.{name}", ok, f"{stated:g} stated, stored numbers imply {implied:g}"
    )


def _same(golden: Golden, name: str, stated: object, implied: object, part: str = "config.") -> None:
    note = f"{stated} stated, stored numbers imply {implied}"
    golden.report.require(f"cases.json: {part}{name}", stated == implied, note)


def implied_rope_theta(golden: Golden, files: dict[str, GoldenFile]) -> float:
    """From the angle between a cached key of position 1 and the same key before rotation."""
    file, config = files["prefill_and_greedy.safetensors"], golden.config.llm
    layer: Any = golden.model.language_model.model.layers[0]
    ids = torch.tensor([config_token(golden), *file.tensors["in.text_a"].tolist()])
    rows = layer.input_layernorm(golden.model.embed_text(ids))
    plain = layer.self_attn.k_norm(layer.self_attn.k_proj(rows).unflatten(-1, (-1, config.head_dim)))
    cached = file.tensors["step0_text.cache.key"][0]
    half = config.head_dim // 2
    if half < 2:
        return config.rope_theta  # a single frequency is 1 whatever the base
    before = torch.complex(plain[1, :, 1].double(), plain[1, :, 1 + half].double())
    after = torch.complex(cached[1, :, 1].double(), cached[1, :, 1 + half].double())
    angle = float((before.conj() * after).sum().angle())
    return abs(angle) ** -half if angle else torch.inf


def config_token(golden: Golden) -> int:
    """The stated text start token, if it is a row of the embedding at all, else 0."""
    token = golden.config.tokens.text_start
    return token if 0 <= token < golden.config.llm.vocab_size else 0


def implied_rms_eps(golden: Golden, files: dict[str, GoldenFile]) -> float:
    """From the scale of the first layer's cached values, which are linear in the normed embedding."""
    file = files["prefill_and_greedy.safetensors"]
    layer: Any = golden.model.language_model.model.layers[0]
    x = golden.model.embed_text(file.tensors["in.text_a"]).double()
    projection = layer.self_attn.v_proj
    plain = (x * layer.input_layernorm.weight) @ projection.weight.double().T
    cached = file.tensors["step0_text.cache.value"][0].flatten(1).double()[1 : 1 + len(x)] - projection.bias
    factor = (cached * plain).sum(1) / plain.square().sum(1)
    return float((factor**-2 - x.square().mean(1)).median())


def implied_vit_eps(golden: Golden, files: dict[str, GoldenFile]) -> float:
    """From the ViT's last norm, whose input and output are both stored."""
    file, norm = files["vit.safetensors"], golden.model.vit_model.vision_model.post_layernorm
    x = file.tensors[f"mid.layer{golden.config.vit.num_hidden_layers - 1}"].double()
    centred = x - x.mean(1, keepdim=True)
    plain = centred * norm.weight.double()
    normed = file.tensors["out.vit"].double() - norm.bias.double()
    factor = (normed * plain).sum(1) / plain.square().sum(1)
    return float((factor**-2 - centred.square().mean(1)).median())


def implied_latent_line(files: dict[str, GoldenFile]) -> tuple[float, float]:
    """Scale and shift of the line between raw and returned latents."""
    tensors = files["vae.safetensors"].tensors
    raw = tensors["img0.out.latent_sample_raw"].double().flatten()
    latent = tensors["img0.out.latent"].double().flatten()
    design = torch.stack([raw, torch.ones_like(raw)], dim=1)
    slope, offset = torch.linalg.lstsq(design, latent).solution.tolist()
    return slope, -offset / slope


def implied_training_shift(files: dict[str, GoldenFile]) -> float:
    """From s = t (1 - u) / (u (1 - t)), with u the sigmoid of the raw time."""
    tensors = files["helpers.safetensors"].tensors
    raw, t = tensors["train_timestep.in"].double(), tensors["train_timestep.out"].double()
    inside = torch.isfinite(raw) & (raw.abs() < 5)
    u, t = torch.sigmoid(raw[inside]), t[inside]
    return float((t * (1 - u) / (u * (1 - t))).median())


def implied_vit_heads(golden: Golden, files: dict[str, GoldenFile]) -> int:
    """The head count whose first layer comes closest to the stored one."""
    tensors, config = files["vit.safetensors"].tensors, golden.config.vit
    lengths = torch.diff(tensors["in.cu_seqlens"]).tolist()
    layer: Any = golden.model.vit_model.vision_model.encoder.layers[0]
    stated = layer.self_attn.heads

    def distance(heads: int) -> float:
        layer.self_attn.heads = heads
        return float((layer(tensors["mid.embeddings"], lengths) - tensors["mid.layer0"]).abs().max())

    best = _best(distance, [n for n in range(1, config.hidden_size + 1) if config.hidden_size % n == 0])
    layer.self_attn.heads = stated
    return best


def _best(distance: Callable[[int], float], candidates: list[int]) -> int:
    return min(candidates, key=distance)


def _check_special_tokens(golden: Golden, file: GoldenFile) -> None:
    text, image = (
        file.tensors["step0_text.packed_text_ids"].tolist(),
        file.tensors["step1_vit.packed_text_ids"].tolist(),
    )
    stated = golden.stored_config["special_token_ids"]
    implied = {
        "bos_token_id": text[0],
        "eos_token_id": text[-1],
        "start_of_image": image[0],
        "end_of_image": image[-1],
    }
    for name, value in implied.items():
        _same(golden, f"special_token_ids.{name}", stated[name], value)


def _check_interpolation(golden: Golden, file: GoldenFile) -> None:
    stored = file.tensors["packed.packed_latent_position_ids"]
    grids = file.tensors["packed.patchified_vae_latent_shapes"].tolist()
    side, stated = golden.config.max_latent_size, golden.stored_config["bagel"]["interpolate_pos"]

    def ids(interpolate: bool) -> Tensor:
        return torch.cat([grid_ids(rows, columns, side, interpolate=interpolate) for rows, columns in grids])

    fits = [variant for variant in (False, True) if torch.equal(ids(variant), stored)]
    _same(golden, "bagel.interpolate_pos", stated, fits[0] if len(fits) == 1 else "neither or both variants")


def _check_runs(golden: Golden, file: GoldenFile) -> None:
    """Settings of the sampler runs that the stored schedules and scales repeat."""
    for run, stated in golden.extra["generate_runs"].items():
        times = file.tensors[f"run_{run}.timesteps"].double()
        part = f"extra.generate_runs.{run}."
        _same(golden, "num_timesteps", stated["num_timesteps"], len(times) + 1, part)
        if len(times) > 1:
            u = 1 - 1 / len(times)
            implied = float(times[1] * (1 - u) / (u * (1 - times[1])))
            ok = abs(implied - stated["timestep_shift"]) <= 1e-3 * implied
            note = f"{stated['timestep_shift']} stated, the schedule implies {implied:g}"
            golden.report.require(f"cases.json: {part}timestep_shift", ok, note)
        text, image = stated["effective_text_scale_per_step"], stated["effective_img_scale_per_step"]
        if max(text) > 1:
            _same(golden, "cfg_text_scale", stated["cfg_text_scale"], max(text), part)
            _same(golden, "cfg_img_scale", max(stated["cfg_img_scale"], 1.0), max(image), part)
            low, high = stated["cfg_interval"]
            active = [low < t <= high for t in times.tolist()]
            _same(golden, "cfg_interval", active, [scale > 1 for scale in text], part)
