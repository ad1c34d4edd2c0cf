"""What every transformer layer offers training: two halves around its attention that can be recomputed and compiled."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

Recompute = Literal["none", "selective", "full"]
"""What a layer computes again in its backward pass: nothing; all but the attention, whose queries, keys, values and
output are kept; or all of it, from its input."""

HALVES = ("before_attention", "after_attention")
Result = TypeVar("Result")


class Layer(nn.Module):
    """A layer whose `HALVES` are methods of their own; between them lies attention, under the caller's masks."""

    recompute: Recompute = "none"

    def run_whole(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The layer, in `function`; recomputed as one under "full"."""
        return recomputed(function, *arguments) if self.recompute == "full" else function(*arguments)

    def run_half(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """One half of the layer; recomputed under "selective"."""
        return recomputed(function, *arguments) if self.recompute == "selective" else function(*arguments)


def recomputed(function: Callable[..., Result], *arguments: Any) -> Result:
    """The same result; what backward needs of the inside is computed again there instead of being kept."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    # no layer draws random numbers, so there is no state to restore
    result: Result = checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)
    return result


def set_recompute(model: nn.Module, recompute: Recompute) -> None:
    """Choose for every layer of a network."""
    if recompute not in get_args(Recompute):
        raise ValueError(f"{recompute!r} should be one of {get_args(Recompute)}")
    for layer in layers_of(model):
        layer.recompute = recompute


def compile_layers(model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
    """Fuse norms, rotary positions, routing and feed-forwards in the halves of every layer, for training.

    All layers of a kind and packs of all sizes share one graph per half, packs that lack one kind of rows another.
    What cannot be traced whole is an error, so that no step is silently slow.
    """
    # with and without gradients, with and without pictures: some 8, and one more would end a run
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 32)
    for layer in layers_of(model):
        for half in HALVES:
            compiled = torch.compile(getattr(layer, half), backend=backend, fullgraph=True, dynamic=True)
            setattr(layer, half, compiled)


def layers_of(model: nn.Module) -> list[Layer]:
    """All transformer layers, those of the language model and of the vision encoder."""
    return [module for module in model.modules() if isinstance(module, Layer)]
