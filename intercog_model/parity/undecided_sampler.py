"""Sampler settings that no stored number of a run depends on: undecided, with the values that give the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from intercog_model.inference.guidance import RENORM_TYPES, Guidance, guided_velocity
from intercog_model.inference.sampler import GuidedContexts, SamplerSettings, batched_velocities
from intercog_model.parity.report import TOLERANCE, Report

FLOORS = tuple(round(float(floor), 2) for floor in np.linspace(0, 1, 101))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GuidedStep:
    """One step of a run where guidance acts: velocities [N, C] of the three contexts, and the scales (text, image)."""

    full: Tensor
    without_text: Tensor
    without_image: Tensor
    scales: tuple[float, float]

    def velocity(self, guidance: Guidance) -> Tensor:
        """The guided velocity [N, C] under other renorm settings."""
        image = self.without_image if self.scales[1] > 1 else None
        return guided_velocity(self.full, self.without_text, image, guidance, self.scales)


def check(
    report: Report,
    label: str,
    settings: SamplerSettings,
    contexts: GuidedContexts,
    times: Sequence[float],
    states: Sequence[Tensor],
    size: tuple[int, int],
) -> None:
    """Add a row for each setting of a run that may be changed without changing a number of the run.

    `times` are the shifted times of its steps, falling; `states` the picture [N, C] before each; `size` is
    (height, width) in pixels.
    """
    guidance = settings.guidance
    acting = [guidance.scales_at(t)[0] > 1 for t in times]
    steps = [
        _guided_step(contexts, x, t, size, guidance)
        for t, x, acts in zip(times, states, acting, strict=True)
        if acts
    ]
    if not steps:
        for key in ("cfg_text_scale", "cfg_img_scale", "cfg_renorm_type", "cfg_renorm_min", "cfg_interval"):
            report.undecided(f"{label}.{key}", "guidance acts at no step")
        return
    if guidance.image_scale <= 1:
        report.undecided(f"{label}.cfg_img_scale", "any value up to 1 leaves the image term out")
    _intervals(report, f"{label}.cfg_interval", times, acting)
    types = [kind for kind in RENORM_TYPES if _same(steps, guidance, replace(guidance, renorm=kind))]
    if len(types) > 1:
        report.undecided(f"{label}.cfg_renorm_type", f"the same numbers by {' and '.join(types)}")
    floors = [floor for floor in FLOORS if _same(steps, guidance, replace(guidance, renorm_min=floor))]
    if len(floors) > 1:
        report.undecided(
            f"{label}.cfg_renorm_min", f"the same numbers from {min(floors):g} to {max(floors):g}"
        )


def _guided_step(
    contexts: GuidedContexts, x_NC: Tensor, t: float, size: tuple[int, int], guidance: Guidance
) -> GuidedStep:
    members = (contexts.full, contexts.without_text, contexts.without_image)
    full, text, image = batched_velocities([c for c in members if c is not None], x_NC, t, *size)
    return GuidedStep(full=full, without_text=text, without_image=image, scales=guidance.scales_at(t))


def _intervals(report: Report, label: str, times: Sequence[float], acting: Sequence[bool]) -> None:
    """Both ends of the interval lie between two times of the run, and anywhere there they do the same."""
    inside = [t for t, acts in zip(times, acting, strict=True) if acts]
    below = max((t for t in times if t < min(inside)), default=0.0)
    above = min((t for t in times if t > max(inside)), default=None)
    report.undecided(f"{label}[0]", f"the same numbers from {below:.4g} to just below {min(inside):.4g}")
    upper = "upwards" if above is None else f"to just below {above:.4g}"
    report.undecided(f"{label}[1]", f"the same numbers from {max(inside):.4g} {upper}")


def _same(steps: Iterable[GuidedStep], stated: Guidance, other: Guidance) -> bool:
    """Whether both give every velocity within the tolerance of stored numbers."""
    relative, absolute = TOLERANCE["float"]
    return all(
        bool(
            ((ours := step.velocity(stated)) - step.velocity(other))
            .abs()
            .le(absolute + relative * ours.abs())
            .all()
        )
        for step in steps
    )
