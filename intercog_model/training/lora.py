"""Low-rank adapters on linear layers whose own weights stay as they are, and merging them into those weights.

An adapted layer computes W x + b + s U D x with U [out, r] zero at first, D [r, in] and s = alpha / r (Hu et al.
2021). Adapters stand beside `weight` and `bias` of the layer itself: PEFT's own wrap the layer and so rename its
tensors, which would then be no longer those of the published checkpoint.
"""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DOWN, UP = "lora_down", "lora_up"


class LoraLinear(nn.Linear):
    """A linear layer with an adapter beside its weight, under the names `lora_down` and `lora_up`."""

    lora_down: nn.Parameter
    lora_up: nn.Parameter
    scale: float

    def forward(self, x: Tensor) -> Tensor:
        """[..., out]."""
        return super().forward(x) + self.scale * F.linear(F.linear(x, self.lora_down), self.lora_up)


def adapt(linear: nn.Linear, rank: int, alpha: float) -> LoraLinear:
    """The layer with its own tensors, which get no gradient any more, and an adapter that adds nothing yet."""
    with torch.device("meta"):
        made = LoraLinear(linear.in_features, linear.out_features, bias=linear.bias is not None)
    made.weight, made.bias = linear.weight, linear.bias
    made.requires_grad_(False)
    made.scale = alpha / rank
    device = linear.weight.device
    made.lora_down = nn.Parameter(torch.zeros(rank, linear.in_features, device=device))
    made.lora_up = nn.Parameter(torch.zeros(linear.out_features, rank, device=device))
    return made


def add_adapters(
    model: nn.Module, wanted: Callable[[str], bool], patterns: Sequence[str], rank: int, alpha: float
) -> list[str]:
    """Adapt the linear layers that are `wanted` and whose names match a pattern; the patterns that match none.

    Patterns are those of a shell, over whole names such as ``bagel.language_model.model.layers.0.mlp.up_proj``.
    """
    unused = set(patterns)
    for parent_name, parent in list(model.named_modules()):
        for child_name, child in list(parent.named_children()):
            name = f"{parent_name}.{child_name}".lstrip(".")
            if not isinstance(child, nn.Linear) or not wanted(name):
                continue
            matching = {pattern for pattern in patterns if fnmatchcase(name, pattern)}
            unused -= matching
            if matching:
                setattr(parent, child_name, adapt(child, rank, alpha))
    return sorted(unused)


def adapted_layers(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Adapted layers with their names."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear))


def is_adapter(name: str) -> bool:
    """Whether a tensor's name is one of an adapter, which no published file has."""
    return name.endswith((f".{DOWN}", f".{UP}"))


def merged(weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """W + s U D in float32, [out, in]."""
    return weight.float() + scale * (up.float() @ down.float())
