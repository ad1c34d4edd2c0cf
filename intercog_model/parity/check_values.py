"""Configuration values that no shape shows, found again from stored numbers and compared with what is stated."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from intercog_model.backbone.position_tables import grid_ids
from intercog_model.parity.golden import Golden, GoldenFile

ULP = torch.finfo(torch.float32).eps  # relative rounding of a stored float
SPREAD = 5  # standard errors that an honest value stays within
SHIFT_FLOOR = 1e-5  # latents: a tenth of the absolute tolerance, so that a shift of zero can be stated
USUAL_EPS = (1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)


@dataclass(frozen=True, slots=True)
class Implied:
    """A value found again; `noise` is how far rounding alone may move it, infinite where nothing is stored."""

    value: float
    noise: float


Files = dict[str, GoldenFile]
PREFILL, VIT, VAE = "prefill_and_greedy.safetensors", "vit.safetensors", "vae.safetensors"
HELPERS, TRAIN, FLOW = "helpers.safetensors", "train_forward.safetensors", "flow.safetensors"


@torch.no_grad()
def check(golden: Golden) -> None:
    """One row per value: what the stored numbers imply against what `cases.json` states."""
    files = _open_all(golden)
    for name, (file, check_value) in VALUES.items():
        label = f"cases.json: {name}"
        if name.removeprefix("config.") in golden.unusable:
            continue  # named by now
        if file not in files:
            golden.report.undecided(label, f"{file} cannot be read")
            continue
        with golden.guarding(label):
            check_value(golden, files)


@torch.no_grad()
def replace_unusable(golden: Golden) -> None:
    """Put what the stored numbers imply in place of values that nothing can be built with, and build again."""
    files = _open_all(golden)
    for name in sorted(golden.unusable):
        part, _, key = name.rpartition(".")
        with suppress(Exception):  # then the stand-in stays, and what depends on it is missed
            golden.usable_config[part][key] = FOUND[name](golden, files)
    if golden.unusable:
        golden.build()


def _open_all(golden: Golden) -> Files:
    return {name: golden.open(name) for name in golden.tensors}


def _close(
    golden: Golden, name: str, stated: float, implied: Implied, *, relative: float, floor: float = 0.0
) -> None:
    """A miss beyond `relative` of the stated value, `floor` and the noise; undecided where noise is all there is."""
    label = f"cases.json: config.{name}"
    note = f"{stated:g} stated, stored numbers imply {implied.value:g} up to {implied.noise:.2g}"
    within = abs(implied.value - stated) <= relative * abs(stated) + floor + implied.noise
    if math.isinf(implied.noise) or (within and implied.noise > max(0.5 * abs(stated), floor)):
        golden.report.undecided(label, note)
    else:
        golden.report.require(label, within, note)


def _same(golden: Golden, name: str, stated: object, implied: object, part: str = "config.") -> None:
    note = f"{stated} stated, stored numbers imply {implied}"
    golden.report.require(f"cases.json: {part}{name}", stated == implied, note)


def implied_rope_theta(golden: Golden, files: Files) -> Implied:
    """From the angle between a cached key of position 1 and the same key before rotation."""
    file, config = files["prefill_and_greedy.safetensors"], golden.config.llm
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


def implied_rms_eps(golden: Golden, files: Files) -> Implied:
    """From the scale of the first layer's cached values, which are linear in the normed embedding."""
    file = files["prefill_and_greedy.safetensors"]
    layer: Any = golden.model.language_model.model.layers[0]
    x = golden.model.embed_text(file.tensors["in.text_a"]).double()
    projection = layer.self_attn.v_proj
    plain = (x * layer.input_layernorm.weight) @ projection.weight.double().T
    cached = file.tensors["step0_text.cache.value"][0].flatten(1).double()[1 : 1 + len(x)] - projection.bias
    return _eps_of_rows(cached, plain, x.square().mean(1))


def implied_vit_eps(golden: Golden, files: Files) -> Implied:
    """From the ViT's last norm, whose input and output are both stored."""
    file, norm = files[VIT], golden.model.vit_model.vision_model.post_layernorm
    x = file.tensors[f"mid.layer{golden.config.vit.num_hidden_layers - 1}"].double()
    centred = x - x.mean(1, keepdim=True)
    normed = file.tensors["out.vit"].double() - norm.bias.double()
    return _eps_of_rows(normed, centred * norm.weight.double(), centred.square().mean(1))


def _eps_of_rows(normed: Tensor, plain: Tensor, squares: Tensor) -> Implied:
    """The eps that turns rows `plain` [R, C] of mean square `squares` [R] into `normed` [R, C].

    A norm rounds one reciprocal root per row, so each row's eps is off by about the mean square x ULP.
    """
    factor = (normed * plain).sum(1) / plain.square().sum(1)
    rows = factor**-2 - squares
    middle = rows.median()
    # 1.4826: deviation of a normal draw from its median absolute deviation; 1.2533: the median's loss to the mean
    seen = 1.2533 * 1.4826 * float((rows - middle).abs().median())
    expected = float(squares.median()) * ULP
    return Implied(float(middle), SPREAD * max(seen, expected) * len(rows) ** -0.5)


def _check_vit_eps(golden: Golden, files: Files) -> None:
    """By the rows' eps; where noise hides it, also by repeating the norm bit for bit."""
    file = files[VIT]
    stated, implied = golden.config.vit.layer_norm_eps, implied_vit_eps(golden, files)
    near = torch.linspace(implied.value - implied.noise, implied.value + implied.noise, 41).tolist()
    candidates = [eps for eps in (*USUAL_EPS, *near) if eps > 0]
    share = {eps: _repeated_rows(golden, file, eps) for eps in (stated, *candidates)}
    best = max(share, key=lambda eps: share[eps])
    hidden = implied.noise > 0.5 * abs(stated) and abs(implied.value - stated) <= implied.noise
    if hidden and share[best] > 0.9 and share[stated] < 0.5:
        # on hardware that rounds the norm otherwise no value repeats the rows, and nothing is claimed
        note = f"{stated:g} stated, {best:g} repeats {share[best]:.0%} of the rows bit for bit"
        golden.report.miss("cases.json: config.vit.layer_norm_eps", note)
    else:
        _close(golden, "vit.layer_norm_eps", stated, implied, relative=0.1)


def _best(distances: dict[Any, float]) -> Any:
    return min(distances, key=lambda key: distances[key])


def _repeated_rows(golden: Golden, file: GoldenFile, eps: float) -> float:
    """Share of the stored ViT rows that the last norm gives exactly, with this eps."""
    norm = golden.model.vit_model.vision_model.post_layernorm
    x = file.tensors[f"mid.layer{golden.config.vit.num_hidden_layers - 1}"]
    ours = F.layer_norm(x, x.shape[1:], norm.weight, norm.bias, eps)
    return float((ours == file.tensors["out.vit"]).all(1).double().mean())


def implied_latent_line(files: Files) -> tuple[Implied, Implied]:
    """Scale and shift of the line between raw and returned latents."""
    tensors = files["vae.safetensors"].tensors
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
    tensors = files["helpers.safetensors"].tensors
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


def _check_vit_heads(golden: Golden, files: Files) -> None:
    distances, stated = vit_head_distances(golden, files[VIT]), golden.config.vit.num_attention_heads
    best = _best(distances)
    # rounding alone separates head counts by a factor of a few, the right one from the others by thousands
    alike = [heads for heads, gap in distances.items() if gap <= 10 * distances[best] + ULP]
    note = f"{stated} stated, the first layer fits {' or '.join(map(str, alike))}"
    label = "cases.json: config.vit.num_attention_heads"
    if stated in alike and len(alike) > 1:
        golden.report.undecided(label, note)
    else:
        golden.report.require(label, stated in alike, note)


def implied_special_token(name: str, _golden: Golden, files: Files) -> int:
    """The id that frames the first text or image of the prefill."""
    step, place = {
        "bos_token_id": ("step0_text", 0),
        "eos_token_id": ("step0_text", -1),
        "start_of_image": ("step1_vit", 0),
        "end_of_image": ("step1_vit", -1),
    }[name]
    return int(files[PREFILL].tensors[f"{step}.packed_text_ids"][place])


def _check_special_token(name: str, golden: Golden, files: Files) -> None:
    stated = golden.stored_config["special_token_ids"][name]
    _same(golden, f"special_token_ids.{name}", stated, implied_special_token(name, golden, files))


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


def _check_interpolation(golden: Golden, files: Files) -> None:
    """The variant that gives more of the stored position ids; undecided where both give the same."""
    counts, stated = wrong_position_ids(golden, files[TRAIN]), golden.config.interpolate_positions
    if counts[False] == counts[True]:
        note = f"{stated} stated, both variants fit the stored position ids alike"
        golden.report.undecided("cases.json: config.bagel.interpolate_pos", note)
    else:
        _same(golden, "bagel.interpolate_pos", stated, _best(counts))


def _check_runs(golden: Golden, files: Files) -> None:
    """Settings of the sampler runs that the stored schedules and scales repeat."""
    file = files[FLOW]
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


def _check_rope_theta(golden: Golden, files: Files) -> None:
    stated = golden.config.llm.rope_theta
    _close(golden, "llm.rope_theta", stated, implied_rope_theta(golden, files), relative=2e-4)


def _check_rms_eps(golden: Golden, files: Files) -> None:
    stated = golden.config.llm.rms_norm_eps
    _close(golden, "llm.rms_norm_eps", stated, implied_rms_eps(golden, files), relative=0.1)


def _check_scale(golden: Golden, files: Files) -> None:
    stated = golden.config.vae.scale_factor
    _close(golden, "vae.scale_factor", stated, implied_latent_line(files)[0], relative=2e-5)


def _check_shift(golden: Golden, files: Files) -> None:
    stated, implied = golden.config.vae.shift_factor, implied_latent_line(files)[1]
    _close(golden, "vae.shift_factor", stated, implied, relative=1e-4, floor=SHIFT_FLOOR)


def _check_training_shift(golden: Golden, files: Files) -> None:
    implied = implied_training_shift(files)
    _close(golden, "bagel.timestep_shift", golden.training_shift, implied, relative=1e-4)


TOKENS = ("bos_token_id", "eos_token_id", "start_of_image", "end_of_image")
VALUES: dict[str, tuple[str, Callable[[Golden, Files], None]]] = {
    "config.llm.rope_theta": (PREFILL, _check_rope_theta),
    "config.llm.rms_norm_eps": (PREFILL, _check_rms_eps),
    "config.vit.layer_norm_eps": (VIT, _check_vit_eps),
    "config.vit.num_attention_heads": (VIT, _check_vit_heads),
    "config.vae.scale_factor": (VAE, _check_scale),
    "config.vae.shift_factor": (VAE, _check_shift),
    "config.bagel.timestep_shift": (HELPERS, _check_training_shift),
    "config.bagel.interpolate_pos": (TRAIN, _check_interpolation),
    **{f"config.special_token_ids.{name}": (PREFILL, partial(_check_special_token, name)) for name in TOKENS},
    "extra.generate_runs": (FLOW, _check_runs),
}
FOUND: dict[str, Callable[[Golden, Files], Any]] = {
    "llm.rope_theta": lambda golden, files: implied_rope_theta(golden, files).value,
    "llm.rms_norm_eps": lambda golden, files: max(implied_rms_eps(golden, files).value, 0.0),
    "vit.layer_norm_eps": lambda golden, files: max(implied_vit_eps(golden, files).value, 0.0),
    "vit.num_attention_heads": lambda golden, files: _best(vit_head_distances(golden, files[VIT])),
    "vae.scale_factor": lambda _, files: implied_latent_line(files)[0].value,
    "vae.shift_factor": lambda _, files: implied_latent_line(files)[1].value,
    "bagel.timestep_shift": lambda _, files: implied_training_shift(files).value,
    "bagel.interpolate_pos": lambda golden, files: _best(wrong_position_ids(golden, files[TRAIN])),
    **{f"special_token_ids.{name}": partial(implied_special_token, name) for name in TOKENS},
}
