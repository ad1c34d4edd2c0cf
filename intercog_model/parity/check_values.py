"""Values that no shape shows: what `cases.json` states against what the stored numbers imply, a row for each."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import torch

from intercog_model.parity.golden import Golden
from intercog_model.parity.implied_values import (
    FLOW,
    HELPERS,
    PREFILL,
    TRAIN,
    VAE,
    VIT,
    Files,
    implied_latent_line,
    implied_rope_theta,
    implied_special_token,
    implied_training_shift,
    vit_head_distances,
    wrong_position_ids,
)
from intercog_model.parity.norm_eps import check_rms_eps, check_vit_eps, implied_rms_eps, implied_vit_eps
from intercog_model.parity.stated_values import ULP, close, same

SHIFT_FLOOR = 1e-5  # latents: a tenth of the absolute tolerance, so that a shift of zero can be stated


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


def _best(distances: dict[Any, float]) -> Any:
    return min(distances, key=lambda key: distances[key])


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


def _check_special_token(name: str, golden: Golden, files: Files) -> None:
    stated = golden.stored_config["special_token_ids"][name]
    same(golden, f"special_token_ids.{name}", stated, implied_special_token(name, golden, files))


def _check_interpolation(golden: Golden, files: Files) -> None:
    """The variant that gives more of the stored position ids; undecided where both give the same."""
    counts, stated = wrong_position_ids(golden, files[TRAIN]), golden.config.interpolate_positions
    if counts[False] == counts[True]:
        note = f"{stated} stated, both variants fit the stored position ids alike"
        golden.report.undecided("cases.json: config.bagel.interpolate_pos", note)
    else:
        same(golden, "bagel.interpolate_pos", stated, _best(counts))


def _check_runs(golden: Golden, files: Files) -> None:
    """Settings of the sampler runs that the stored schedules and scales repeat."""
    file = files[FLOW]
    for run, stated in golden.extra["generate_runs"].items():
        times = file.tensors[f"run_{run}.timesteps"].double()
        part = f"extra.generate_runs.{run}."
        same(golden, "num_timesteps", stated["num_timesteps"], len(times) + 1, part)
        if len(times) > 1:
            u = 1 - 1 / len(times)
            implied = float(times[1] * (1 - u) / (u * (1 - times[1])))
            ok = abs(implied - stated["timestep_shift"]) <= 1e-3 * implied
            note = f"{stated['timestep_shift']} stated, the schedule implies {implied:g}"
            golden.report.require(f"cases.json: {part}timestep_shift", ok, note)
        text, image = stated["effective_text_scale_per_step"], stated["effective_img_scale_per_step"]
        if max(text) > 1:
            same(golden, "cfg_text_scale", stated["cfg_text_scale"], max(text), part)
            same(golden, "cfg_img_scale", max(stated["cfg_img_scale"], 1.0), max(image), part)
            low, high = stated["cfg_interval"]
            active = [low < t <= high for t in times.tolist()]
            same(golden, "cfg_interval", active, [scale > 1 for scale in text], part)


def _check_rope_theta(golden: Golden, files: Files) -> None:
    stated = golden.config.llm.rope_theta
    close(golden, "llm.rope_theta", stated, implied_rope_theta(golden, files), relative=2e-4)


def _check_scale(golden: Golden, files: Files) -> None:
    stated = golden.config.vae.scale_factor
    close(golden, "vae.scale_factor", stated, implied_latent_line(files)[0], relative=2e-5)


def _check_shift(golden: Golden, files: Files) -> None:
    stated, implied = golden.config.vae.shift_factor, implied_latent_line(files)[1]
    close(golden, "vae.shift_factor", stated, implied, relative=1e-4, floor=SHIFT_FLOOR)


def _check_training_shift(golden: Golden, files: Files) -> None:
    implied = implied_training_shift(files)
    close(golden, "bagel.timestep_shift", golden.training_shift, implied, relative=1e-4)


TOKENS = ("bos_token_id", "eos_token_id", "start_of_image", "end_of_image")
VALUES: dict[str, tuple[str, Callable[[Golden, Files], None]]] = {
    "config.llm.rope_theta": (PREFILL, _check_rope_theta),
    "config.llm.rms_norm_eps": (PREFILL, check_rms_eps),
    "config.vit.layer_norm_eps": (VIT, check_vit_eps),
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
