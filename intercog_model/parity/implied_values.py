"""Configuration values that no shape shows, found again from stored numbers, each with its rounding noise."""

import math
from typing import Any

import torch

from intercog_model.backbone.position_tables import grid_ids
from intercog_model.parity.golden import Golden, GoldenFile
from intercog_model.parity.stated_values import SPREAD, ULP, Implied

Files = dict[str, GoldenFile]
PREFILL, VIT, VAE = "prefill_and_greedy.safetensors", "vit.safetensors", "vae.safetensors"
HELPERS, TRAIN, FLOW = "helpers.safetensors", "train_forward.safetensors", "flow.safetensors"


def implied_rope_theta(golden: Golden, files: Files) -> Implied:
    """From the angle between a cached key of position 1 and the same key before rotation."""
    file, config = files[PREFILL], golden.config.llm
    layer: Any = golden.model.language_model.model.layers[0]
    ids = torch.tensor([config_token(golden), *file.tensors["in.text_a"].tolist()])
    rows = layer.input_layernorm(golden.model.embed_text(ids))
    plain = layer.self_attn.k_norm(layer.self_attn.k_proj(rows).unflatten(-1, (-1, config.head_dim)))
    cached = file.tensors["step0_text.cache.key"][0]
    half = config.head_dim // 2
    if half < 2:
        return Implied(math.nan, math.inf)  # a single frequency is 1 whatever the base
    before = torch.complex(plain[1, :, 1].double(), plain[1, :, 1 + half].double())
    after = torch.complex(cached[1, :, 1].double(), cached[1, :, 1 + half].double())
    angle = abs(float((before.conj() * after).sum().angle()))
    if not angle:
        return Implied(math.inf, 0.0)
    # base = angle ** -half: the smaller the angle and the wider the head, the more its rounding moves the base
    return Implied(angle**-half, angle**-half * half * 4 * ULP / angle)


def config_token(golden: Golden) -> int:
    """The stated text start token, if it is a row of the embedding at all, else 0."""
    token = golden.config.tokens.text_start
    return token if 0 <= token < golden.config.llm.vocab_size else 0


def implied_latent_line(files: Files) -> tuple[Implied, Implied]:
    """Scale and shift of the line between raw and returned latents."""
    tensors = files[VAE].tensors
    raw = tensors["img0.out.latent_sample_raw"].double().flatten()
    latent = tensors["img0.out.latent"].double().flatten()
    design = torch.stack([raw, torch.ones_like(raw)], dim=1)
    slope, offset = torch.linalg.lstsq(design, latent).solution.tolist()
    rest = float((latent - slope * raw - offset).square().mean().sqrt()) * len(raw) ** -0.5
    spread, middle = float(raw.std()), float(raw.mean())
    noise = SPREAD * rest / spread
    shift = -offset / slope
    # the line is best known at the middle of the latents; the shift is where it crosses zero
    return Implied(slope, noise), Implied(shift, (SPREAD * rest + abs(shift - middle) * noise) / abs(slope))


def implied_training_shift(files: Files) -> Implied:
    """From s = t (1 - u) / (u (1 - t)), with u the sigmoid of the raw time."""
    tensors = files[HELPERS].tensors
    raw, t = tensors["train_timestep.in"].double(), tensors["train_timestep.out"].double()
    inside = torch.isfinite(raw) & (raw.abs() < 5) & (t > 0) & (t < 1)
    if not inside.any():
        return Implied(math.nan, math.inf)
    u, t = torch.sigmoid(raw[inside]), t[inside]
    shifts = t * (1 - u) / (u * (1 - t))
    # times close to 1 keep few digits of 1 - t
    noise = 4 * ULP * shifts / (1 - t)
    return Implied(float(shifts.median()), float(noise.median()))


def vit_head_distances(golden: Golden, file: GoldenFile) -> dict[int, float]:
    """How far the first layer is from the stored one, for every head count that divides the width."""
    tensors, config = file.tensors, golden.config.vit
    lengths = torch.diff(tensors["in.cu_seqlens"]).tolist()
    layer: Any = golden.model.vit_model.vision_model.encoder.layers[0]
    built = layer.self_attn.heads

    def distance(heads: int) -> float:
        layer.self_attn.heads = heads
        return float((layer(tensors["mid.embeddings"], lengths) - tensors["mid.layer0"]).abs().max())

    found = {n: distance(n) for n in range(1, config.hidden_size + 1) if config.hidden_size % n == 0}
    layer.self_attn.heads = built
    return found


def implied_special_token(name: str, _golden: Golden, files: Files) -> int:
    """The id that frames the first text or image of the prefill."""
    step, place = {
        "bos_token_id": ("step0_text", 0),
        "eos_token_id": ("step0_text", -1),
        "start_of_image": ("step1_vit", 0),
        "end_of_image": ("step1_vit", -1),
    }[name]
    return int(files[PREFILL].tensors[f"{step}.packed_text_ids"][place])


def wrong_position_ids(golden: Golden, file: GoldenFile) -> dict[bool, float]:
    """How many of the stored position ids each variant gets wrong; the key says whether it interpolates."""
    stored = file.tensors["packed.packed_latent_position_ids"]
    grids = file.tensors["packed.patchified_vae_latent_shapes"].tolist()
    side = golden.config.max_latent_size

    def wrong(interpolate: bool) -> float:
        try:
            ids = [grid_ids(rows, columns, side, interpolate=interpolate) for rows, columns in grids]
        except ValueError:
            return math.inf  # a grid that does not fit the table
        return float((torch.cat(ids) != stored).sum()) if sum(map(len, ids)) == len(stored) else math.inf

    return {variant: wrong(variant) for variant in (False, True)}
