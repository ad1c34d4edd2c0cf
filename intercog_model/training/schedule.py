"""Learning rates as a function of the step: a schedule, and a rate of its own for each part of the network."""

import math
from typing import Any

import torch
from torch import nn

from intercog_model.training.config import OptimConfig
from intercog_model.training.tuning import PARTS, Part, part_of


def rate_factor(optim: OptimConfig, step: int) -> float:
    """What the rates of the step after `step` others are multiplied by.

    Linear over `warmup_steps` in all schedules. After it "constant" stays at 1; "cosine" falls to `final_rate` at
    `schedule_steps`; "stable-decay" stays at 1 until the last `decay_steps` before that and falls linearly in them.
    """
    warm = min(1.0, (step + 1) / max(optim.warmup_steps, 1))
    if optim.schedule == "constant":
        return warm
    first = optim.warmup_steps if optim.schedule == "cosine" else optim.schedule_steps - optim.decay_steps
    done = min(max((step + 1 - first) / (optim.schedule_steps - first), 0.0), 1.0)
    left = (1 + math.cos(math.pi * done)) / 2 if optim.schedule == "cosine" else 1 - done
    return warm * (optim.final_rate + (1 - optim.final_rate) * left)


def parameter_groups(model: nn.Module, optim: OptimConfig) -> list[dict[str, Any]]:
    """The trained parameters by part, each group with its `part` and its `rate` before the schedule."""
    groups: dict[Part, list[nn.Parameter]] = {part: [] for part in PARTS}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[part_of(name)].append(parameter)
    rates = {part: optim.rate_of(part) for part in PARTS}
    return [
        {"params": members, "part": part, "rate": rates[part], "lr": rates[part]}
        for part, members in groups.items()
        if members
    ]


def set_rates(optimizer: torch.optim.Optimizer, optim: OptimConfig, step: int) -> dict[str, float]:
    """Give each group its rate for the step after `step` others; what the log says of them.

    `lr` is that of parts without a rate of their own, `lr_heads` and the like are those of the others.
    """
    factor = rate_factor(optim, step)
    told = {"lr": optim.lr * factor}
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * factor
        if getattr(optim.lr_of, group["part"]) is not None:
            told[f"lr_{group['part']}"] = group["lr"]
    return told
