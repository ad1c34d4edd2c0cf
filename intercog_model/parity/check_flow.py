"""Guidance contexts, guided velocities by the batched and the plain route, sampler runs and pictures."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intercog_model.backbone.flow import unpatchify_latent
from intercog_model.inference.context import Context
from intercog_model.inference.guidance import RENORM_TYPES, Guidance
from intercog_model.inference.sampler import (
    GuidedContexts,
    SamplerSettings,
    Velocities,
    batched_velocities,
    sample_latent,
    separate_velocities,
    velocity,
)
from intercog_model.inference.segments import latent_segment
from intercog_model.packing.resize import to_image
from intercog_model.parity import undecided_sampler
from intercog_model.parity.check_inference import check_cache, check_greedy
from intercog_model.parity.golden import Golden, GoldenFile
from intercog_model.parity.report import TOLERANCE

FILE = "flow.safetensors"
ROUTES: dict[str, Velocities] = {"batched": batched_velocities, "plain": separate_velocities}
SETTING = re.compile(r"vel\.cfg\.(?:(\w+)\.)?text([\d.]+)_img([\d.]+?)(?:_min([\d.]+))?$")


@torch.no_grad()
def check(golden: Golden) -> None:
    """Compute the file from its texts, images and noises."""
    file = golden.open(FILE)
    contexts = _contexts(golden, file)
    check_greedy(file, "greedy_main", contexts.full)
    height, width = file.take("gen.image_size").tolist()
    noise = file.take("gen.packed_init_noises")
    _check_segments(golden, file, contexts, (height, width))
    for route, velocities in ROUTES.items():
        _check_velocities(file, contexts, noise, (height, width), route, velocities)
        for run, stored in golden.extra["generate_runs"].items():
            with golden.guarding(f"cases.json: extra.generate_runs.{run}"):
                _check_run(golden, file, contexts, noise, (height, width), run, stored, route)
    for run, stored in golden.extra["generate_runs"].items():
        with golden.guarding(f"cases.json: extra.generate_runs.{run}"):
            _check_renorm(golden, file, contexts, (height, width), run, stored)
            _name_undecided(golden, file, contexts, (height, width), run, stored)
    file.close()


def _contexts(golden: Golden, file: GoldenFile) -> GuidedContexts:
    text_a, text_b = (file.take(f"in.text_{x}").tolist() for x in "ab")
    full = Context(golden.model)
    full.add_text(text_a)
    without_image = full.fork()
    full.add_vae_image(file.take("in.vae_image"), golden.vae, file.take("in.vae_latent_noise")[0])
    full.add_vit_image(file.take("in.vit_image"))
    without_text = full.fork()
    full.add_text(text_b)
    without_image.add_text(text_b)
    for name, context in (("main", full), ("cfg_text", without_text), ("cfg_img", without_image)):
        check_cache(file, f"ctx_{name}", context)
    return GuidedContexts(full=full, without_text=without_text, without_image=without_image)


def _check_segments(
    golden: Golden, file: GoldenFile, contexts: GuidedContexts, size: tuple[int, int]
) -> None:
    length = contexts.full.cache.length
    segment = latent_segment(*size, contexts.full.position, golden.config, kept=False)
    file.check("gen.packed_text_ids", segment.text_ids)
    file.check("gen.packed_text_indexes", segment.text_indexes)
    file.check("gen.packed_vae_position_ids", segment.grid_ids)
    file.check("gen.packed_vae_token_indexes", segment.image_indexes)
    file.check("gen.packed_seqlens", [segment.rows])
    file.check("gen.packed_position_ids", segment.position_ids)
    file.check("gen.key_values_lens", [length])
    file.check("gen.packed_indexes", torch.arange(length, length + segment.rows))
    file.check("gen.packed_key_value_indexes", torch.arange(length))
    for name, context in (("cfg_text", contexts.without_text), ("cfg_img", contexts.without_image)):
        assert context is not None
        length = context.cache.length
        segment = latent_segment(*size, context.position, golden.config, kept=False)
        file.check(f"gen.{name}.packed_position_ids", segment.position_ids)
        file.check(f"gen.{name}.key_values_lens", [length])
        file.check(f"gen.{name}.packed_query_indexes", torch.arange(length, length + segment.rows))
        file.check(f"gen.{name}.packed_key_value_indexes", torch.arange(length))


def _check_velocities(
    file: GoldenFile,
    contexts: GuidedContexts,
    noise: Tensor,
    size: tuple[int, int],
    route: str,
    velocities: Velocities,
) -> None:
    # the time of these velocities is a choice of the file's author, found again from the velocities
    t = float(file.take("vel.timestep", draw=True))
    members = [c for c in (contexts.full, contexts.without_text, contexts.without_image) if c is not None]
    names = ("vel.cond", "vel.cfg_text_branch", "vel.cfg_img_branch")
    for name, value in zip(names, velocities(members, noise, t, *size), strict=True):
        file.check(name, value, route=route)
    for name in file.names("vel.cfg."):
        match = SETTING.match(name)
        if not match:
            file.report.miss(f"{FILE}: {name}", "is not a name of a guidance setting")
            continue
        # without a type in the name the result must be the same for all of them
        for renorm in (match[1],) if match[1] else RENORM_TYPES:
            guidance = Guidance(
                text_scale=float(match[2]),
                image_scale=float(match[3]),
                renorm=renorm,
                renorm_min=float(match[4] or 0),
            )
            value = velocity(contexts, noise, t, size, guidance, velocities)
            file.check(name, value, route=route if match[1] else f"{route}, {renorm}")
    if route == "batched":
        _check_time(file, t, lambda at: velocities([contexts.full], noise, at, *size)[0])


def _check_time(file: GoldenFile, t: float, predict: Callable[[float], Tensor]) -> None:
    """Compare the stated time with the one at which our velocity is closest to the stored one."""
    file.seen.add("vel.timestep")
    stored = file.tensors["vel.cond"]

    def distance(at: float) -> float:
        return float((predict(at) - stored).square().sum())

    low, high = max(t - 0.02, 0.0), min(t + 0.02, 1.0)
    coarse = min([t, *np.linspace(0, 1, 41).tolist()], key=distance)
    best = min([t, *np.linspace(low, high, 9).tolist()], key=distance) if abs(coarse - t) < 0.02 else coarse
    note = f"{t} stored, the velocities are closest to those at about {best:.3f}"
    file.report.require(f"{FILE}: vel.timestep", best == t, note)


def _check_run(
    golden: Golden,
    file: GoldenFile,
    contexts: GuidedContexts,
    noise: Tensor,
    size: tuple[int, int],
    run: str,
    stored: dict[str, Any],
    route: str,
) -> None:
    settings = run_settings(stored)
    steps: list[tuple[float, Tensor, Tensor]] = []
    watch = lambda t, x, v: steps.append((t, x, v))  # noqa: E731 - one line reads better here
    tokens = sample_latent(contexts, noise, size, settings, ROUTES[route], watch)
    prefix = f"run_{run}"
    file.check(f"{prefix}.timesteps", torch.tensor([t for t, _, _ in steps]), route=route)
    file.check(f"{prefix}.x", torch.stack([x for _, x, _ in steps]), route=route)
    file.check(f"{prefix}.v", torch.stack([v for _, _, v in steps]), route=route)
    file.check(f"{prefix}.latent", tokens, route=route)
    side, patch = golden.config.pixels_per_latent_token, golden.config.latent_patch_size
    grid = unpatchify_latent(tokens, size[0] // side, size[1] // side, patch)[None]
    file.check(f"{prefix}.latent_grid", grid, route=route)
    decoded = golden.vae.decode(grid)
    file.check(f"{prefix}.decoded", decoded, route=route)
    picture = torch.from_numpy(np.array(to_image(decoded[0])))
    file.check(f"{prefix}.image_uint8", picture, route=route)
    scales = [settings.guidance.scales_at(t) for t, _, _ in steps]
    for name, index in (("text", 0), ("img", 1)):
        key = f"effective_{name}_scale_per_step"
        ours = [scale[index] for scale in scales]
        note = f"{stored[key]} stored, {ours} computed"
        golden.report.require(
            f"cases.json: extra.generate_runs.{run}.{key} [{route}]", ours == stored[key], note
        )


def _check_renorm(
    golden: Golden,
    file: GoldenFile,
    contexts: GuidedContexts,
    size: tuple[int, int],
    run: str,
    stored: dict[str, Any],
) -> None:
    """Name the type or the floor of a run's renorm when another one gives its first guided velocity."""
    label = f"cases.json: extra.generate_runs.{run}"
    if stored["cfg_renorm_type"] not in RENORM_TYPES:
        golden.report.miss(f"{label}.cfg_renorm_type", f"is none of {RENORM_TYPES}")
        return
    guidance = run_settings(stored).guidance
    times = file.tensors[f"run_{run}.timesteps"].tolist()
    step = next((k for k, t in enumerate(times) if guidance.scales_at(t)[0] > 1), None)
    if step is None:
        return
    x, v = (file.tensors[f"run_{run}.{name}"][step] for name in ("x", "v"))

    def gap(**changes: Any) -> float:
        ours = velocity(contexts, x, times[step], size, replace(guidance, **changes), batched_velocities)
        return float((ours - v).abs().max())

    stated = gap()
    if stated <= TOLERANCE["float"][1]:
        return
    types = {name: gap(renorm=name) for name in RENORM_TYPES}
    floors = {floor: gap(renorm_min=floor) for floor in np.linspace(0, 1, 21).tolist()}
    for key, gaps in (("cfg_renorm_type", types), ("cfg_renorm_min", floors)):
        best = min(gaps, key=lambda value: gaps[value])
        # an unlisted floor lies between two of the grid, so its gap is only a good deal smaller
        if gaps[best] < 0.25 * stated:
            golden.report.miss(f"{label}.{key}", f"{stored[key]} stated, {best} gives the stored velocity")


def _name_undecided(
    golden: Golden,
    file: GoldenFile,
    contexts: GuidedContexts,
    size: tuple[int, int],
    run: str,
    stored: dict[str, Any],
) -> None:
    if any(f"run_{run}." in row.name or f"generate_runs.{run}." in row.name for row in golden.report.misses):
        return  # what a wrong setting leaves open says nothing
    times = file.tensors[f"run_{run}.timesteps"].tolist()
    states = list(file.tensors[f"run_{run}.x"])
    label = f"cases.json: extra.generate_runs.{run}"
    undecided_sampler.check(golden.report, label, run_settings(stored), contexts, times, states, size)


def run_settings(stored: dict[str, Any]) -> SamplerSettings:
    """A run's settings in `cases.json` as our record."""
    return SamplerSettings(
        points=stored["num_timesteps"],
        shift=stored["timestep_shift"],
        guidance=Guidance(
            text_scale=stored["cfg_text_scale"],
            image_scale=stored["cfg_img_scale"],
            interval=tuple(stored["cfg_interval"]),
            renorm=stored["cfg_renorm_type"],
            renorm_min=stored["cfg_renorm_min"],
        ),
    )
