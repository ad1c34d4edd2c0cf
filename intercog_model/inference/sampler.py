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
    model = contexts[0].model
    segments = [latent_segment(height, width, c.position, model.config, kept=False) for c in contexts]
    segment = segments[0].to(contexts[0].device)
    rows_LD = _noised_rows(model, segment, x_NC, t)
    count, starts = len(contexts), torch.arange(len(contexts), device=x_NC.device)[:, None] * segment.rows
    gen = (segment.image_indexes + starts).reshape(-1)
    routing = Routing((segment.text_indexes + starts).reshape(-1), gen)
    positions = torch.cat([s.position_ids for s in segments]).to(x_NC.device)
    attend = ManyCachesAttend([c.cache for c in contexts])
    last, _ = model.language_model(rows_LD.repeat(count, 1), routing, positions, attend)
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
    needed: list[Context | None] = [contexts.full]
    if scales[0] > 1:
        needed.append(contexts.without_text)
        if scales[1] > 1:
            needed.append(contexts.without_image)
    present = [context for context in needed if context is not None]
    if len(present) < len(needed):
        raise ValueError(f"guidance with scales {scales} needs a context that was not given")
    found = velocities(present, x_NC, t, *size)
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
