"""Drawing a picture: velocities from up to three contexts, Euler steps, and the decoded pixels."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from intercog_model.backbone.bagel import Bagel
from intercog_model.backbone.flow import sampler_times
from intercog_model.backbone.language_model import Routing
from intercog_model.inference.context import Context, framed_rows
from intercog_model.inference.guidance import EDIT_GUIDANCE, Guidance, guided_velocity
from intercog_model.inference.kv_cache import ManyCachesAttend
from intercog_model.inference.segments import Segment, latent_segment

Velocities = Callable[[Sequence[Context], Tensor, float, int, int], list[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedContexts:
    """The contexts that a picture is drawn from; those for guidance may be left out when it is off."""

    full: Context
    without_text: Context | None = None
    without_image: Context | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """`points` times make points - 1 steps; the shift moves them toward the noisy end."""

    points: int = 50
    shift: float = 3.0
    guidance: Guidance = EDIT_GUIDANCE


EDIT_SAMPLER = SamplerSettings()


@torch.no_grad()
def batched_velocities(
    contexts: Sequence[Context], x_NC: Tensor, t: float, height: int, width: int
) -> list[Tensor]:
    """Velocity [N, C] float32 of every context, in one forward pass over their stacked rows."""
    return stacked_velocities(contexts, [x_NC] * len(contexts), t, height, width)


@torch.no_grad()
def stacked_velocities(
    contexts: Sequence[Context], x_NC_each: Sequence[Tensor], t: float, height: int, width: int
) -> list[Tensor]:
    """The same where each context has its own picture [N, C]; all pictures have one size."""
    model, device = contexts[0].model, x_NC_each[0].device
    segments = [latent_segment(height, width, c.position, model.config, kept=False) for c in contexts]
    segment = segments[0].to(contexts[0].device)
    # the contexts of one picture, for guidance, share its rows
    rows = {id(x_NC): _noised_rows(model, segment, x_NC, t) for x_NC in x_NC_each}
    count, starts = len(contexts), torch.arange(len(contexts), device=device)[:, None] * segment.rows
    gen = (segment.image_indexes + starts).reshape(-1)
    routing = Routing((segment.text_indexes + starts).reshape(-1), gen)
    positions = torch.cat([s.position_ids for s in segments]).to(device)
    attend = ManyCachesAttend([c.cache for c in contexts])
    rows_LD = torch.cat([rows[id(x_NC)] for x_NC in x_NC_each])
    last, _ = model.language_model(rows_LD, routing, positions, attend)
    return list(model.llm2vae(last[gen]).float().chunk(count))


def separate_velocities(
    contexts: Sequence[Context], x_NC: Tensor, t: float, height: int, width: int
) -> list[Tensor]:
    """The same velocities, one forward pass per context: the plain loop to compare with."""
    return [batched_velocities([context], x_NC, t, height, width)[0] for context in contexts]


def _noised_rows(model: Bagel, segment: Segment, x_NC: Tensor, t: float) -> Tensor:
    times = torch.full((len(x_NC),), t, device=x_NC.device)
    return framed_rows(model, segment, model.embed_latents(x_NC, times, segment.grid_ids)[1])


def velocity(
    contexts: GuidedContexts,
    x_NC: Tensor,
    t: float,
    size: tuple[int, int],
    guidance: Guidance,
    velocities: Velocities = batched_velocities,
) -> Tensor:
    """Guided velocity [N, C] float32 at shifted time t; `size` is (height, width) in pixels.

    Contexts whose term is off at t are not run. Raises ValueError when a needed one is missing.
    """
    scales = guidance.scales_at(t)
    return _guided(velocities(_needed(contexts, scales), x_NC, t, *size), guidance, scales)


def _needed(contexts: GuidedContexts, scales: tuple[float, float]) -> list[Context]:
    """The contexts whose terms are on; raises ValueError when one of them is missing."""
    needed: list[Context | None] = [contexts.full]
    if scales[0] > 1:
        needed.append(contexts.without_text)
        if scales[1] > 1:
            needed.append(contexts.without_image)
    present = [context for context in needed if context is not None]
    if len(present) < len(needed):
        raise ValueError(f"guidance with scales {scales} needs a context that was not given")
    return present


def _guided(found: Sequence[Tensor], guidance: Guidance, scales: tuple[float, float]) -> Tensor:
    """One velocity out of those of `_needed`."""
    if len(found) == 1:
        return found[0]
    return guided_velocity(found[0], found[1], found[2] if len(found) > 2 else None, guidance, scales)


def sample_latent(
    contexts: GuidedContexts,
    noise_NC: Tensor,
    size: tuple[int, int],
    settings: SamplerSettings,
    velocities: Velocities = batched_velocities,
    watch: Callable[[float, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Final latent tokens [N, C] float32 from standard normal noise, by Euler steps from t = 1 to 0.

    `watch` is called with (t, x before the step, velocity) at every step.
    """
    x_NC = noise_NC.float()
    times = sampler_times(settings.points, settings.shift)
    for now, after in itertools.pairwise(times):
        v_NC = velocity(contexts, x_NC, float(now), size, settings.guidance, velocities)
        if watch:
            watch(float(now), x_NC, v_NC)
        x_NC = x_NC - v_NC * float(now - after)
    return x_NC


def sample_latents(
    pictures: Sequence[GuidedContexts],
    noises_NC: Sequence[Tensor],
    size: tuple[int, int],
    settings: SamplerSettings,
) -> list[Tensor]:
    """`sample_latent` for several pictures of one size, all contexts of all pictures in one pass per step."""
    states_NC = [noise_NC.float() for noise_NC in noises_NC]
    times = sampler_times(settings.points, settings.shift)
    for now, after in itertools.pairwise(times):
        scales = settings.guidance.scales_at(float(now))
        groups = [_needed(contexts, scales) for contexts in pictures]
        each = [x_NC for group, x_NC in zip(groups, states_NC, strict=True) for _ in group]
        flat = iter(stacked_velocities([c for group in groups for c in group], each, float(now), *size))
        step = float(now - after)
        states_NC = [
            x_NC - _guided(list(itertools.islice(flat, len(group))), settings.guidance, scales) * step
            for group, x_NC in zip(groups, states_NC, strict=True)
        ]
    return states_NC
